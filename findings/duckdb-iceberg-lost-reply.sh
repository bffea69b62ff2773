#!/bin/bash
# duckdb 1.5.5 with its iceberg extension: an INSERT whose commit landed while its reply was lost. Iceberg's REST
# specification says of 500, 502 and 504 that the state of the commit is unknown; DuckDB takes it for failed and
# deletes its data files, which the table now names. A lost connection and a 503 end the same way where the catalog
# answers the repeated request with 409, as it must: the table can't be read any more. The catalog is a few lines
# over pyiceberg 0.12.0's SqlCatalog. (Don't delete what a commit of unknown outcome wrote: duckdb-iceberg#1120.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_httpfs==1.5.5 \
  duckdb_extension_iceberg==1.5.5 'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, http.server, json, os, sys, tempfile, threading
import duckdb, pyarrow
from pyiceberg.catalog.rest import CommitTableRequest
from pyiceberg.catalog.sql import SqlCatalog

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
faults, asked = [], []


def loaded(name):
    table = catalog.load_table(f"lake.{name}")
    return {"metadata-location": table.metadata_location, "metadata": json.loads(table.metadata.model_dump_json())}


def commit(change):
    request = CommitTableRequest.model_validate(change)
    table = catalog.load_table(f"lake.{request.identifier.name}")
    catalog.commit_table(table, request.requirements, request.updates)


class Catalog(http.server.BaseHTTPRequestHandler):
    """As much of a REST catalog as DuckDB's INSERT asks for; each commit that lands may lose its reply."""

    def reply(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/v1/config":
            self.reply(200, {"defaults": {}, "overrides": {}})
        else:
            self.reply(200, loaded(path.rpartition("/")[2]))

    def do_POST(self):
        (change,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["table-changes"]
        asked.append(self.path)
        status = 204
        try:
            commit(change)
        except Exception:
            status = 409
        if faults:
            status = faults.pop(0)
        if status == "lost":
            self.connection.close()
        elif status == 204:
            self.send_response(204)
            self.end_headers()
        else:
            self.reply(status, {"error": {"message": f"answered {status}", "type": "Seen", "code": status}})

    def log_message(self, *_):
        pass


def extension(name):
    package = __import__(f"duckdb_extension_{name}")
    return glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")[0]


def insert(uri, name, answers):
    """What became of one row; `answers` are given in place of the first replies, after the commit was made."""
    table = catalog.create_table(f"lake.{name}", pyarrow.schema([("id", pyarrow.int64())]))
    table.append(pyarrow.table({"id": [1]}))
    faults[:], asked[:] = answers, []
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        for wanted in ["httpfs", "avro", "iceberg"]:
            connection.execute(f"LOAD '{extension(wanted)}'")
        options = "TYPE iceberg, AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none'"
        connection.execute(f"ATTACH 'lake' AS lake (ENDPOINT '{uri}', {options})")
        try:
            connection.execute(f"INSERT INTO lake.lake.{name} VALUES (2)")
            told = "done"
        except duckdb.Error:
            told = "failed"
    table = catalog.load_table(f"lake.{name}")
    files = table.inspect.files()["file_path"].to_pylist()
    gone = sum(not os.path.exists(file.removeprefix("file://")) for file in files)
    print(f"replies {answers or 'as they are'}: {told} after {len(asked)} requests; of {len(files)} files {gone} gone")
    return told, len(files), gone


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalog)
threading.Thread(target=server.serve_forever, daemon=True).start()
uri = f"http://127.0.0.1:{server.server_port}"
sound = insert(uri, "sound", [])
broken = [insert(uri, f"code_{code}", [code] * 8) for code in (500, 502, 504)]
broken += [insert(uri, "lost", ["lost"]), insert(uri, "unavailable", [503])]
server.shutdown()
sys.exit(0 if sound == ("done", 2, 0) and set(broken) == {("failed", 2, 1)} else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
