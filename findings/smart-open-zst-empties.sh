#!/bin/bash
# smart_open 9.0.2 on S3 (moto 5.2.5), without its extra for Zstandard: opening an object named ….zst for writing raises
# ModuleNotFoundError, as it should, and replaces what was there by an empty object all the same: the
# writer was made before the compressor was looked for, and completes its upload when it is collected.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install smart_open[s3]==9.0.2 'moto[server]==5.2.5'
cat > "$work/run.py" <<'PY'
import gc, os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3, smart_open
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
s3.create_bucket(Bucket="lake")
s3.put_object(Bucket="lake", Key="events.json.zst", Body=b"good")
try:
    smart_open.open("s3://lake/events.json.zst", "wb", transport_params={"client": s3})
    told = "opened"
except ModuleNotFoundError as error:
    told = f"{error}"
gc.collect()
left = s3.get_object(Bucket="lake", Key="events.json.zst")["Body"].read()
server.stop()
print(f"open: {told}; b'good' was there, {left!r} is")
sys.exit(0 if told != "opened" and left == b"" else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
