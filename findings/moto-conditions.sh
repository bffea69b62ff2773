#!/bin/bash
# moto 5.2.5 in server mode: If-Match on PUT, If-None-Match on completing an upload, and If-Match on deletion are kept. Three
# others are answered 200 whatever they say: If-Match on completing an upload, x-amz-copy-source-if-match,
# and the checksums that come with content (Content-MD5, x-amz-checksum-sha256).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'moto[server]==5.2.5' boto3==1.43.117
cat > "$work/run.py" <<'PY'
import os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import base64, boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
s3.create_bucket(Bucket="lake")
at = dict(Bucket="lake", Key="object")
wrong = '"00000000000000000000000000000000"'


def complete(**conditions):
    upload = s3.create_multipart_upload(**at)["UploadId"]
    etag = s3.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return s3.complete_multipart_upload(**at, UploadId=upload, MultipartUpload=parts, **conditions)


cases = {
    "put, If-Match": lambda: s3.put_object(**at, Body=b"2", IfMatch=wrong),
    "delete, If-Match": lambda: s3.delete_object(**at, IfMatch=wrong),
    "complete, If-None-Match": lambda: complete(IfNoneMatch="*"),
    "complete, If-Match": lambda: complete(IfMatch=wrong),
    "copy, source If-Match": lambda: s3.copy_object(Bucket="lake", Key="copy", CopySource="lake/object", CopySourceIfMatch=wrong),
    "put, wrong MD5": lambda: s3.put_object(**at, Body=b"3", ContentMD5=base64.b64encode(bytes(16)).decode()),
    "put, wrong SHA-256": lambda: s3.put_object(**at, Body=b"4", ChecksumSHA256=base64.b64encode(bytes(32)).decode()),
}
seen = {}
for name, call in cases.items():
    s3.put_object(**at, Body=b"1")
    try:
        seen[name] = call()["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        seen[name] = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print(f"{name}: {seen[name]}")
server.stop()
sys.exit(0 if list(seen.values()) == [412, 412, 412, 200, 200, 200, 200] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
