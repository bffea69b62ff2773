#!/bin/bash
# chdb 4.4.0 (ClickHouse 26.9), Iceberg tables whose columns were renamed, or dropped and made again, and whose files are from
# before. Iceberg knows columns by their ids; a scan goes by them and is right, and a filter skips row groups by the
# column that had the name when the file was written. After x and y were swapped y = 10 finds nothing, nor does y IS NULL;
# after x was dropped and made again x IS NULL misses the old rows, which have none. pyiceberg 0.12.0 and duckdb
# 1.5.5 find them all, and so does chdb with input_format_parquet_filter_push_down = 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install chdb==4.4.0 chdb-core==26.9.0 duckdb==1.5.5 duckdb_extension_avro==1.5.5 \
  duckdb_extension_iceberg==1.5.5 'pyiceberg[sql-sqlite,pyiceberg-core]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
import chdb, duckdb, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import DoubleType

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


def made(name, rows):
    table = catalog.create_table(f"lake.{name}", rows.schema)
    table.append(rows)
    return table


def in_chdb(table, condition, settings=""):
    location = table.location().removeprefix("file://")
    query = f"SELECT n FROM icebergLocal('{location}') WHERE {condition} ORDER BY n {settings}"
    return [int(n) for n in chdb.query(query, "CSV").bytes().split()]


def seen(name, table, condition):
    query = f"SELECT n FROM iceberg_scan('{table.metadata_location}') WHERE {condition} ORDER BY n"
    found = {
        "chdb": in_chdb(table, condition),
        "chdb, without pushing filters down": in_chdb(table, condition, "SETTINGS input_format_parquet_filter_push_down = 0"),
        "duckdb": [n for (n,) in connection.execute(query).fetchall()],
        "pyiceberg": sorted(table.scan(condition).to_arrow()["n"].to_pylist()),
    }
    print(f"{name}, {condition}: {found}")
    return list(found.values())


swapped = made("swapped", pyarrow.table({"n": [0, 1], "x": [10.0, None], "y": [1.0, 2.0]}))
for old, new in [("x", "z"), ("y", "x"), ("z", "y")]:
    with swapped.update_schema() as change:
        change.rename_column(old, new)
again = made("again", pyarrow.table({"n": [0, 1], "x": [1.0, 2.0]}))
with again.update_schema(allow_incompatible_changes=True) as change:
    change.delete_column("x")
with again.update_schema() as change:
    change.add_column("x", DoubleType())
again.append(pyarrow.table({"n": [2, 3], "x": [1.0, None]}))

as_described = seen("swapped", swapped, "y = 10") == [[], [0], [0], [0]]
as_described &= seen("swapped", swapped, "y IS NULL") == [[], [1], [1], [1]]
as_described &= seen("made again", again, "x IS NULL") == [[3], [0, 1, 3], [0, 1, 3], [0, 1, 3]]
scan = chdb.query(f"SELECT n, x, y FROM icebergLocal('{swapped.location().removeprefix('file://')}') ORDER BY n", "CSV").bytes()
print(f"a scan of the swapped one: {scan}")
sys.exit(0 if as_described and scan == b"0,1,10\n1,2,\\N\n" else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
