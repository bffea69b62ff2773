#!/bin/bash
# A `with` block that writes an object on S3 (moto 5.2.5) and fails in the middle. smart_open 9.0.2 and obstore 0.12.1
# leave what was there; s3fs 2026.9.0 and pyarrow 26.0.1 replace it by the part that was written; and with
# pyarrow's ParquetWriter that part is a whole Parquet file with fewer rows, so that no reader can tell.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install smart_open[s3]==9.0.2 obstore==0.12.1 s3fs==2026.9.0 pyarrow==26.0.1 'moto[server]==5.2.5'
cat > "$work/run.py" <<'PY'
import os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3, obstore, pyarrow, pyarrow.fs, pyarrow.parquet, s3fs, smart_open
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="lake")
arrow = pyarrow.fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1")
store = S3Store("lake", endpoint=endpoint, client_options={"allow_http": True}, virtual_hosted_style_request=False)


def left(write):
    s3.put_object(Bucket="lake", Key="object", Body=b"good")
    try:
        with write() as file:
            file.write(b"half")
            raise InterruptedError
    except InterruptedError:
        return s3.get_object(Bucket="lake", Key="object")["Body"].read()


def rows_left():
    table = pyarrow.table({"n": range(10)})
    pyarrow.parquet.write_table(table, "lake/table.parquet", filesystem=arrow)
    try:
        with pyarrow.parquet.ParquetWriter("lake/table.parquet", table.schema, filesystem=arrow) as file:
            file.write_table(table.slice(0, 4))
            raise InterruptedError
    except InterruptedError:
        return pyarrow.parquet.read_table("lake/table.parquet", filesystem=arrow).num_rows


seen = {
    "smart_open": left(lambda: smart_open.open("s3://lake/object", "wb", transport_params={"client": s3})),
    "obstore": left(lambda: obstore.open_writer(store, "object")),
    "s3fs": left(lambda: s3fs.S3FileSystem(endpoint_url=endpoint).open("lake/object", "wb")),
    "pyarrow": left(lambda: arrow.open_output_stream("lake/object")),
}
rows = rows_left()
server.stop()
print(f"b'good' was there: {seen}")
print(f"10 rows were there: ParquetWriter left a whole file of {rows}")
sys.stdout.flush()
expected = {"smart_open": b"good", "obstore": b"good", "s3fs": b"half", "pyarrow": b"half"}
os._exit(0 if seen == expected and rows == 4 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
