#!/bin/bash
# boringcatalog 0.4.0 (with pyiceberg 0.9.1) keeps the catalog of Iceberg tables in one JSON file, and says that on S3
# conditional writes prevent concurrent changes. The put carries no condition: of two processes that append to a
# table each, one after the other puts the catalog of before back, and appends that were acknowledged are gone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install boringcatalog==0.4.0 'pyiceberg[pyarrow]==0.9.1' s3fs==2026.9.0 pyarrow==19.0.1 'moto[server]==5.2.5'
cat > "$work/run.py" <<'PY'
import logging, multiprocessing, os, sys
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
logging.disable(logging.WARNING)
import boto3, pyarrow
from boringcatalog import BoringCatalog
from moto.server import ThreadedMotoServer

TABLES, APPENDS, ROUNDS = ["orders", "customers"], 5, 8


def catalog(endpoint, lake):
    properties = {"s3.endpoint": endpoint, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    uri, warehouse = f"s3://{lake}/catalog.json", f"s3://{lake}/tables"
    return BoringCatalog("lake", uri=uri, warehouse=warehouse, **properties)


def append(endpoint, lake, name, start, told):
    table, acknowledged = catalog(endpoint, lake).load_table(f"lake.{name}"), 0
    start.wait()
    for number in range(APPENDS):
        try:
            table.append(pyarrow.table({"n": [number]}))
            acknowledged += 1
        except Exception:
            break
    told.put((name, acknowledged))


def contest(endpoint, lake):
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=lake)
    tables = catalog(endpoint, lake)
    tables.create_namespace("lake")
    for name in TABLES:
        tables.create_table(f"lake.{name}", pyarrow.schema([("n", pyarrow.int64())]))
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(len(TABLES)), context.Queue()
    crew = [context.Process(target=append, args=(endpoint, lake, name, start, told)) for name in TABLES]
    for one in crew:
        one.start()
    acknowledged = dict(told.get() for _ in crew)
    for one in crew:
        one.join()
    return acknowledged, {name: len(tables.load_table(f"lake.{name}").scan().to_arrow()) for name in TABLES}


if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for number in range(ROUNDS):
        acknowledged, rows = contest(f"http://127.0.0.1:{port}", f"lake-{number}")
        print(f"round {number}: acknowledged {acknowledged}, there {rows}")
        if any(rows[name] < acknowledged[name] for name in TABLES):
            break
    server.stop()
    sys.exit(0 if any(rows[name] < acknowledged[name] for name in TABLES) else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
