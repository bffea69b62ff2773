#!/bin/bash
# cloudpathlib 0.26.0 on S3 (moto 5.2.5): the copy that a client keeps is taken for current unless the object's time, in
# whole seconds, is later. What another writes in the second of the kept copy's object is never seen, however
# late one reads again, and is replaced without OverwriteNewerCloudError by what was computed from the old.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'cloudpathlib[s3]==0.26.0' 'moto[server]==5.2.5'
cat > "$work/run.py" <<'PY'
import os, sys, time
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
from cloudpathlib import S3Client
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="lake")


def path():
    return S3Client(endpoint_url=endpoint).CloudPath("s3://lake/counter")


def stored():
    return s3.get_object(Bucket="lake", Key="counter")["Body"].read()


for attempt in range(10):
    reader, writer, begun = path(), path(), int(time.time())
    writer.write_bytes(b"1")
    before = reader.read_bytes()
    writer.write_bytes(b"2")
    if int(time.time()) == begun:
        break
time.sleep(3)
late, there = reader.read_bytes(), stored()
reader.write_bytes(b"%d" % (int(late) + 1))
print(f"read {before!r}; b'2' is written within the second; three seconds later read {late!r}, where {there!r} is")
print(f"counted up by one: {stored()!r}")
as_described = (before, late, there, stored()) == (b"1", b"1", b"2", b"2")
server.stop()
sys.exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
