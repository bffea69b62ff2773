#!/bin/bash
# fsspec 2026.9.0 has mode="create" for pipe_file and put_file: what is there is to be kept, and FileExistsError raised. s3fs
# 2026.9.0 (on moto 5.2.5) and fsspec's memory do so. obstore 0.12.1's FsspecStore takes the argument and overwrites, on S3
# and on files, in both; fsspec's own local files do in put_file, and simplecache:: does in pipe_file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'moto[server]==5.2.5' boto3==1.43.117 botocore==1.43.117 aiobotocore==3.10.0 s3fs==2026.9.0 \
  fsspec==2026.9.0 obstore==0.12.1
cat > "$work/run.py" <<'PY'
import logging, os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
logging.disable(logging.WARNING)
import fsspec, obstore.fsspec, s3fs
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
s3 = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=endpoint)
s3.mkdir("lake")
keys = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1", "endpoint": endpoint}
here = os.getcwd()
with open("new", "wb") as file:
    file.write(b"new")
STORES = {
    "s3fs": (s3, "lake/object"),
    "memory": (fsspec.filesystem("memory"), "/object"),
    "obstore, S3": (obstore.fsspec.FsspecStore("s3", client_options={"allow_http": True}, **keys), "lake/object"),
    "obstore, files": (obstore.fsspec.FsspecStore("file"), f"{here}/by-obstore"),
    "local": (fsspec.filesystem("file"), f"{here}/by-fsspec"),
    "simplecache": (fsspec.filesystem("simplecache", fs=s3, cache_storage=f"{here}/cache"), "lake/object"),
}


def told(store, path, create):
    store.pipe_file(path, b"old")
    try:
        create()
    except FileExistsError:
        pass
    store.invalidate_cache()
    return "kept" if store.cat_file(path) == b"old" else "replaced"


found = {}
for name, (store, path) in STORES.items():
    piped = told(store, path, lambda: store.pipe_file(path, b"new", mode="create"))
    put = told(store, path, lambda: store.put_file(f"{here}/new", path, mode="create"))
    found[name] = piped, put
    print(f"{name}: by pipe_file {piped}, by put_file {put}")
server.stop()
as_described = found == {
    "s3fs": ("kept", "kept"),
    "memory": ("kept", "kept"),
    "obstore, S3": ("replaced", "replaced"),
    "obstore, files": ("replaced", "replaced"),
    "local": ("kept", "replaced"),
    "simplecache": ("replaced", "kept"),
}
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
