#!/bin/bash
# daft 0.7.26, an Iceberg table of two files with two rows each, of which duckdb 1.5.5 deletes one row (a position delete,
# as Iceberg's specification has it since version 2). Three rows are left, read_iceberg finds the three, and
# limit(2) gives one: files are left out as soon as the counts that the manifests tell, without deletes, are
# enough. polars 2.1.0 and pyiceberg 0.12.0 give two. The catalog is a few lines over pyiceberg's SqlCatalog.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install daft==0.7.26 duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_httpfs==1.5.5 \
  duckdb_extension_iceberg==1.5.5 'pyiceberg[sql-sqlite]==0.12.0' polars==2.1.0 pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import glob, http.server, json, os, sys, tempfile, threading
import daft, duckdb, polars, pyarrow
from pyiceberg.catalog.rest import CommitTableRequest
from pyiceberg.catalog.sql import SqlCatalog

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


class Catalog(http.server.BaseHTTPRequestHandler):
    """As much of a REST catalog as DuckDB's DELETE asks for."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        body = {"defaults": {}, "overrides": {}}
        if path != "/v1/config":
            table = catalog.load_table(f"lake.{path.rpartition('/')[2]}")
            metadata = json.loads(table.metadata.model_dump_json())
            body = {"metadata-location": table.metadata_location, "metadata": metadata}
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        for change in json.loads(self.rfile.read(int(self.headers["Content-Length"])))["table-changes"]:
            request = CommitTableRequest.model_validate(change)
            table = catalog.load_table(f"lake.{request.identifier.name}")
            catalog.commit_table(table, request.requirements, request.updates)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


table = catalog.create_table("lake.rows", pyarrow.schema([("n", pyarrow.int64())]))
for pair in [[1, 2], [3, 4]]:
    table.append(pyarrow.table({"n": pair}))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalog)
threading.Thread(target=server.serve_forever, daemon=True).start()
with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
    for name in ["httpfs", "avro", "iceberg"]:
        package = __import__(f"duckdb_extension_{name}")
        (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    options = "TYPE iceberg, AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none'"
    connection.execute(f"ATTACH 'lake' AS lake (ENDPOINT 'http://127.0.0.1:{server.server_port}', {options})")
    connection.execute("DELETE FROM lake.lake.rows WHERE n = 4")
server.shutdown()
table = catalog.load_table("lake.rows")
deletes = table.inspect.delete_files().num_rows
found = {
    "daft": (len(daft.read_iceberg(table).to_arrow()), len(daft.read_iceberg(table).limit(2).to_arrow())),
    "polars": (polars.scan_iceberg(table).collect().height, polars.scan_iceberg(table).head(2).collect().height),
    "pyiceberg": (table.scan().to_arrow().num_rows, table.scan(limit=2).to_arrow().num_rows),
}
print(f"files of deletes: {deletes}; rows, and rows of a limit of 2: {found}")
sys.exit(0 if deletes == 1 and found == {"daft": (3, 1), "polars": (3, 2), "pyiceberg": (3, 2)} else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
