#!/bin/bash
# pyiceberg 0.12.0: a null where a list of structs, or a map to structs, may be becomes an empty one: in the file that an append
# writes, so that no reader can tell it any more, and in a file that another wrote right, when pyiceberg deletes another row
# of it; reading, it shows it so from the beginning. Lists and maps of plain values keep their nulls. duckdb 1.5.5 reads
# the file that was added as it is, null, and empty after the delete. (iceberg-python#3833 and #2246, open.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
import duckdb, pyarrow
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
STRUCT = pyarrow.struct([("a", pyarrow.int64())])


def missing(table):
    """What each reader says of the row that has nothing: true where it is null."""
    rows = {row["n"]: row["x"] for row in table.scan().to_arrow().to_pylist()}
    query = f"SELECT x IS NULL FROM iceberg_scan('{table.metadata_location}') WHERE n = 2"
    return {"pyiceberg": rows[2] is None, "duckdb": connection.execute(query).fetchone()[0]}


def seen(name, kind, value):
    rows = pyarrow.table({"n": [0, 1, 2], "x": pyarrow.array([value, value, None], kind)})
    appended = catalog.create_table(f"lake.{name}", rows.schema)
    appended.append(rows)
    added = catalog.create_table(f"lake.{name}_added", rows.schema)
    pyarrow.parquet.write_table(rows, f"{folder}/{name}.parquet")
    added.add_files([f"file://{folder}/{name}.parquet"])
    found = {"appended": missing(appended), "added": missing(added)}
    added.delete("n == 0")
    found["after a delete of another row"] = missing(added)
    print(f"{name}, null: {found}")
    return [list(one.values()) for one in found.values()]


lost, kept = [[False, False], [False, True], [False, False]], [[True, True]] * 3
as_described = seen("list_of_structs", pyarrow.list_(STRUCT), [{"a": 1}]) == lost
as_described &= seen("map_to_structs", pyarrow.map_(pyarrow.string(), STRUCT), [("k", {"a": 1})]) == lost
as_described &= seen("list", pyarrow.list_(pyarrow.int64()), [1]) == kept
as_described &= seen("map", pyarrow.map_(pyarrow.string(), pyarrow.int64()), [("k", 1)]) == kept
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
