#!/bin/bash
# gcp-storage-emulator 2026.7.19 with Google's own client: every ifGenerationMatch is answered as if it held. A name is
# created twice with ifGenerationMatch=0 (also by a resumable upload), and replaced and deleted with a
# generation that never was. Google Cloud Storage answers 412 to each.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install gcp-storage-emulator==2026.7.19 google-cloud-storage==3.17.1
cat > "$work/run.py" <<'PY'
import os, socket, sys
from gcp_storage_emulator.server import create_server

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = create_server("127.0.0.1", port, in_memory=True)
server.start()
os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
from google.api_core.exceptions import GoogleAPIError
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

client = storage.Client(project="lake", credentials=AnonymousCredentials())
bucket = client.create_bucket("lake")


def resumable(content):
    bucket.blob("large", chunk_size=262144).upload_from_string(content * 600000, if_generation_match=0)


bucket.blob("small").upload_from_string("1", if_generation_match=0)
resumable("1")
cases = {
    "create again": lambda: bucket.blob("small").upload_from_string("2", if_generation_match=0),
    "create again, resumable": lambda: resumable("2"),
    "replace another generation": lambda: bucket.blob("small").upload_from_string("3", if_generation_match=12345),
    "delete another generation": lambda: bucket.blob("small").delete(if_generation_match=12345),
}
seen = []
for name, call in cases.items():
    try:
        call()
        seen.append("done")
    except GoogleAPIError as error:
        seen.append(f"{error.code}")
    print(f"{name}: {seen[-1]}")
large, small = bucket.blob("large").download_as_bytes()[:1], bucket.get_blob("small")
server.stop()
print(f"large holds {large!r}, small is {'there' if small else 'gone'}")
sys.exit(0 if seen == ["done"] * 4 and large == b"2" and small is None else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
