#!/bin/bash
# pyiceberg 0.12.0 cannot load a table, not even to scan it, once its metadata names a statistics file with a blob of
# another type than the two that it knows (pydantic refuses it). Iceberg's specification calls statistics informational,
# which a reader may ignore, and the type of a blob a string; engines have types of their own. duckdb 1.5.5 reads the
# same metadata, and pyiceberg does as soon as the blob says apache-datasketches-theta-v1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, json, os, sys, tempfile
import duckdb, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
rows = pyarrow.table({"x": [1, 2, 3]})
table = catalog.create_table("lake.t", rows.schema)
table.append(rows)
with open(table.metadata_location.removeprefix("file://")) as file:
    metadata = json.load(file)


def by_pyiceberg(path):
    try:
        return StaticTable.from_metadata(path).scan().to_arrow().num_rows
    except Exception as error:
        return type(error).__name__


def seen(kind):
    """The rows that both find in a copy of the metadata that names statistics of this kind."""
    snapshot = metadata["current-snapshot-id"]
    blob = {"type": kind, "snapshot-id": snapshot, "sequence-number": 1, "fields": [1]}
    statistics = {"snapshot-id": snapshot, "statistics-path": f"file://{folder}/one.stats", "file-size-in-bytes": 900,
                  "file-footer-size-in-bytes": 300, "blob-metadata": [blob]}
    path = f"{folder}/{kind}.metadata.json"
    with open(path, "w") as file:
        json.dump({**metadata, "statistics": [statistics]}, file)
    (in_duckdb,) = connection.execute(f"SELECT count(*) FROM iceberg_scan('{path}')").fetchone()
    found = {"pyiceberg": by_pyiceberg(path), "duckdb": in_duckdb}
    print(f"{kind}: {found}")
    return list(found.values())


as_described = seen("acme-histogram-v1") == ["ValidationError", 3] and seen("apache-datasketches-theta-v1") == [3, 3]
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
