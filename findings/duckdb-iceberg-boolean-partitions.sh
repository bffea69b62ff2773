#!/bin/bash
# An Iceberg table that is partitioned by a boolean, or by a time of day, two rows, written by duckdb 1.5.5's INSERT: a scan
# finds both, and b = true finds none in pyiceberg 0.12.0 and polars 2.1.0. DuckDB leaves out the bounds of such a
# partition in the manifest list, which by Iceberg's specification (Manifest Lists, field_summary) says that all its
# values are null, and the readers pass over the manifest. Written by pyiceberg the row is found. The catalog is a
# few lines over pyiceberg's SqlCatalog.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_httpfs==1.5.5 \
  duckdb_extension_iceberg==1.5.5 'pyiceberg[sql-sqlite]==0.12.0' polars==2.1.0 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, http.server, json, os, sys, tempfile, threading
from datetime import time
import duckdb, polars, pyarrow
from pyiceberg.catalog.rest import CommitTableRequest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


class Catalog(http.server.BaseHTTPRequestHandler):
    """As much of a REST catalog as DuckDB's INSERT asks for."""

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


def table(name, rows):
    table = catalog.create_table(f"lake.{name}", rows.schema)
    with table.update_spec() as change:
        change.add_identity("x")
    return table


def seen(name, value):
    """Whether the manifest list has bounds, the rows of a scan, and of filters by pyiceberg and polars."""
    table = catalog.load_table(f"lake.{name}")
    bounds = {manifest.partitions[0].lower_bound is not None for manifest in table.current_snapshot().manifests(table.io)}
    scanned = table.scan().to_arrow().num_rows
    filtered = table.scan(EqualTo("x", value)).to_arrow().num_rows
    by_polars = polars.scan_iceberg(table).filter(polars.col("x") == polars.lit(value)).collect().height
    print(f"{name}: bounds {bounds}, {scanned} rows; x = {value}: pyiceberg {filtered}, polars {by_polars}")
    return bounds, scanned, filtered, by_polars


FLAGS = pyarrow.table({"x": [True, False]})
TIMES = pyarrow.table({"x": pyarrow.array([time(12), time(13)], pyarrow.time64("us"))})
table("flags", FLAGS)
table("times", TIMES)
table("flags_by_pyiceberg", FLAGS).append(FLAGS)
table("times_by_pyiceberg", TIMES).append(TIMES)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalog)
threading.Thread(target=server.serve_forever, daemon=True).start()
with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
    for name in ["httpfs", "avro", "iceberg"]:
        package = __import__(f"duckdb_extension_{name}")
        (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    options = "TYPE iceberg, AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none'"
    connection.execute(f"ATTACH 'lake' AS lake (ENDPOINT 'http://127.0.0.1:{server.server_port}', {options})")
    connection.execute("INSERT INTO lake.lake.flags VALUES (true), (false)")
    connection.execute("INSERT INTO lake.lake.times VALUES (TIME '12:00:00'), (TIME '13:00:00')")
server.shutdown()
found = [seen("flags", True), seen("times", time(12)), seen("flags_by_pyiceberg", True), seen("times_by_pyiceberg", time(12))]
sys.exit(0 if found == [({False}, 2, 0, 0), ({False}, 2, 0, 1), ({True}, 2, 1, 1), ({True}, 2, 1, 1)] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
