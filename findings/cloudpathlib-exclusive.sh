#!/bin/bash
# cloudpathlib 0.26.0 on S3 (moto 5.2.5): mode 'xb' fails when the object is there at the opening. What is created
# between opening and closing is overwritten: the upload at the closing carries no condition.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'cloudpathlib[s3]==0.26.0' 'moto[server]==5.2.5'
cat > "$work/run.py" <<'PY'
import os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
from cloudpathlib import S3Client
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="lake")


def path(name):
    return S3Client(endpoint_url=endpoint).CloudPath(f"s3://lake/{name}")


path("there").write_bytes(b"first")
try:
    path("there").open("xb").close()
    before = "created"
except FileExistsError:
    before = "exists"
first, second = path("new").open("xb"), path("new").open("xb")
first.write(b"first")
first.close()
second.write(b"second")
second.close()
left = path("new").read_bytes()
server.stop()
print(f"exclusive creation of what is there: {before}")
print(f"two exclusive creations opened at once: no error, and {left!r} is left")
sys.exit(0 if before == "exists" and left == b"second" else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
