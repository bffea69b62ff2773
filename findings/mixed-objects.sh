#!/bin/bash
# An object on S3 (moto 5.2.5) is replaced while somebody reads it, 48 MiB of "a" by 48 MiB of "b". Files opened by pyarrow
# 26.0.1 and obstore 0.12.1 give the beginning of the one and the end of the other, pyarrow's ParquetFile row groups
# of both; boto3 1.43.117 (copy, in parts) makes such an object at the destination, and succeeds. S3 replaces an object
# at once and has If-Match and x-amz-copy-source-if-match for this; none of these sends them. Files of s3fs 2026.9.0
# and boto3's download_fileobj do, and raise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'moto[server]==5.2.5' boto3==1.43.117 botocore==1.43.117 aiobotocore==3.10.0 s3fs==2026.9.0 \
  obstore==0.12.1 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import io, logging, os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
logging.disable(logging.WARNING)
import boto3, obstore, obstore.store, pyarrow, pyarrow.fs, pyarrow.parquet, s3fs
from boto3.s3.transfer import TransferConfig
from moto.server import ThreadedMotoServer

SIZE, PART = 48 << 20, 8 << 20
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
client = boto3.client("s3", endpoint_url=endpoint)
client.create_bucket(Bucket="lake")
keys = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1", "endpoint": endpoint}
store = obstore.store.S3Store("lake", client_options={"allow_http": True}, **keys)
arrow = pyarrow.fs.S3FileSystem(
    access_key="test", secret_key="test", region="us-east-1", endpoint_override=f"127.0.0.1:{port}", scheme="http"
)
files = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=endpoint)


def put(letter):
    client.put_object(Bucket="lake", Key="object", Body=letter * SIZE)


def told(name, work):
    put(b"a")
    try:
        data = work()
        found = "".join(letter for letter in "ab" if letter.encode() in data) if len(data) == SIZE else "other"
    except Exception as error:
        found = f"refused ({type(error).__name__})"
    print(f"{name}: {found}")
    return found


def read(file):
    begun = bytes(file.read(1 << 20))
    put(b"b")
    return begun + bytes(file.read())


def transfer(operation, work):
    """A transfer in parts, one after the other, with the object replaced before the third."""
    own, sent = boto3.client("s3", endpoint_url=endpoint), []

    def count(**_):
        sent.append(1)
        if len(sent) == 3:
            put(b"b")

    own.meta.events.register(f"before-send.s3.{operation}", count)
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
    return work(own, parts)


def copy(own, parts):
    own.copy({"Bucket": "lake", "Key": "object"}, "lake", "copy", Config=parts)
    return client.get_object(Bucket="lake", Key="copy")["Body"].read()


def download(own, parts):
    data = io.BytesIO()
    own.download_fileobj("lake", "object", data, Config=parts)
    return data.getvalue()


def row_groups():
    """A table of which each version has one value in all rows; the values that a reader of two row groups sees."""
    def write(value):
        data = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"version": [value] * (1 << 21)}), data, row_group_size=1 << 20)
        client.put_object(Bucket="lake", Key="table", Body=data.getvalue())

    write(1)
    file = pyarrow.parquet.ParquetFile(arrow.open_input_file("lake/table"), pre_buffer=False)
    first = file.read_row_group(0)["version"].unique().to_pylist()
    write(2)
    seen = first + file.read_row_group(1)["version"].unique().to_pylist()
    print(f"pyarrow, row groups of a Parquet file: versions {seen}")
    return seen


found = {
    "pyarrow": told("pyarrow, open_input_file", lambda: read(arrow.open_input_file("lake/object"))),
    "obstore": told("obstore, open_reader", lambda: read(obstore.open_reader(store, "object"))),
    "copy": told("boto3, copy", lambda: transfer("UploadPartCopy", copy)),
    "s3fs": told("s3fs, open", lambda: read(files.open("lake/object", cache_type="none"))),
    "download": told("boto3, download_fileobj", lambda: transfer("GetObject", download)),
}
groups = row_groups()
server.stop()
mixed = {name for name, letters in found.items() if letters == "ab"}
refused = {name for name, letters in found.items() if letters.startswith("refused")}
as_described = mixed == {"pyarrow", "obstore", "copy"} and refused == {"s3fs", "download"}
sys.exit(0 if as_described and groups == [1, 2] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
