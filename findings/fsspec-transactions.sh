#!/bin/bash
# fsspec 2026.9.0: what is written within `with fs.transaction:` is to appear at its end, and not at all where it fails.
# The local file system keeps to that. Through DirFileSystem, filecache::, obstore 0.12.1's FsspecStore and adlfs
# 2026.8.0 (on Azurite 3.37.0) it is there at once, and stays when the transaction is rolled back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install fsspec==2026.9.0 obstore==0.12.1 adlfs==2026.8.0
npm install --silent --no-fund --no-audit --prefix "$work" azurite@3.37.0 >/dev/null
cat > "$work/run.py" <<'PY'
import os, socket, subprocess, sys, tempfile, time
import adlfs, fsspec
from fsspec.implementations.dirfs import DirFileSystem
from obstore.fsspec import FsspecStore


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)


def file_system(port):
    # The account that every Azurite has.
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    login = f"AccountName=devstoreaccount1;AccountKey={key};{endpoint};DefaultEndpointsProtocol=http"
    azure = adlfs.AzureBlobFileSystem(connection_string=login)
    azure.mkdir("lake")
    return azure


def rolled_back(fs, path):
    fs.pipe_file(path, b"good")
    try:
        with fs.transaction:
            with fs.open(path, "wb") as file:
                file.write(b"half")
            raise InterruptedError
    except InterruptedError:
        return fs.cat_file(path)


folder, port = os.path.abspath(tempfile.mkdtemp(dir=".")), free_port()
command = ["node", "node_modules/.bin/azurite-blob", "--blobPort", f"{port}", "--location", "store"]
options = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
try:
    wait_for(port)
    cases = {
        "local": (fsspec.filesystem("file"), f"{folder}/local"),
        "dir": (DirFileSystem(folder, fsspec.filesystem("file")), "dir"),
        "filecache": (fsspec.filesystem("filecache", target_protocol="file"), f"{folder}/filecache"),
        "obstore": (FsspecStore("file"), f"{folder}/obstore"),
        "adlfs": (file_system(port), "lake/adlfs"),
    }
    left = {name: rolled_back(fs, path) for name, (fs, path) in cases.items()}
finally:
    server.terminate()
print(f"b'good' written over by b'half' in a transaction that is rolled back: {left}")
sys.stdout.flush()
expected = {name: b"good" if name == "local" else b"half" for name in cases}
os._exit(0 if left == expected else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
