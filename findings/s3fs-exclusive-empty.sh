#!/bin/bash
# s3fs 2026.9.0 on S3 (moto 5.2.5): mode "xb" fails where the object is there, as it should, once a byte was written. Where
# none was, as in a lock or a mark like _SUCCESS, it takes the other's object for its own and empties it: the put of an
# empty file is sent without If-None-Match. pipe_file(mode="create") keeps its promise with no bytes, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'moto[server]==5.2.5' boto3==1.43.117 botocore==1.43.117 aiobotocore==3.10.0 s3fs==2026.9.0 \
  fsspec==2026.9.0
cat > "$work/run.py" <<'PY'
import logging, os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
logging.disable(logging.WARNING)
import s3fs
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
files = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=f"http://127.0.0.1:{port}")
files.mkdir("lake")


def exclusively(data):
    with files.open("lake/lock", "xb") as file:
        if data:
            file.write(data)


def told(name, create):
    files.pipe_file("lake/lock", b"held by another")
    try:
        create()
        answer = "created"
    except FileExistsError:
        answer = "refused"
    content = files.cat_file("lake/lock")
    print(f"{name}: {answer}, then the object is {content}")
    return answer, content


kept = ("refused", b"held by another")
found = [
    told("open with xb, a byte written", lambda: exclusively(b"x")),
    told("open with xb, none written", lambda: exclusively(b"")),
    told("pipe_file(mode='create') of no bytes", lambda: files.pipe_file("lake/lock", b"", mode="create")),
]
server.stop()
sys.exit(0 if found == [kept, ("created", b""), kept] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
