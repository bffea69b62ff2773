#!/bin/bash
# A column that is narrower in some files than in the table: duckdb 1.5.5 and daft 0.7.26 bring the constant of a filter to
# the type of the file, rounded, instead of the file's values to the type of the table. WHERE x = 1.25 finds a row whose
# x is 1, and x < 1.24 misses it; a day is equal to any time of that day. So it is with an Iceberg table whose float
# became a double, as its specification allows (Schema Evolution), and with pyiceberg 0.12.0, too: x > 0.1 misses
# 0.10000000149, though a scan shows it. pyarrow 25.0.1 filters right. (duckdb#24900.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 daft==0.7.26 \
  'pyiceberg[sql-sqlite]==0.12.0' pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
from datetime import date, datetime
from decimal import Decimal
import daft, duckdb, pyarrow
import pyarrow.dataset, pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import DoubleType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
seen = {}


def numbers(table):
    return sorted(table["n"].to_pylist())


def told(name, filtered, kept):
    seen[name] = filtered, kept
    print(f"{name}: {filtered} by a filter, {kept} by one on what a scan returns")


def files(name, wide, narrow):
    """Two files of one table: row 1 of the table's type, row 2 of a narrower one."""
    paths = []
    for number, value in enumerate([wide, narrow], 1):
        paths.append(f"{folder}/{name}-{number}.parquet")
        pyarrow.parquet.write_table(pyarrow.table({"n": [number], "x": value}), paths[-1])
    return paths


def duck(name, source, condition):
    """The filter on the source, and on a table of what a scan of it returned."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM {source}")
    found = [
        numbers(connection.execute(f"SELECT n FROM {place} WHERE {condition}").to_arrow_table())
        for place in (source, "kept")
    ]
    told(f"duckdb, {name} {condition}", *found)


money = files("money", pyarrow.array([Decimal("1.25")]), pyarrow.array([1], pyarrow.int32()))
duck("decimals and integers,", f"read_parquet({money})", "x = 1.25")
duck("decimals and integers,", f"read_parquet({money})", "x < 1.24")
times = files("times", pyarrow.array([datetime(2026, 1, 1, 12)], pyarrow.timestamp("us")), pyarrow.array([date(2026, 1, 1)]))
duck("times and days,", f"read_parquet({times})", "x = TIMESTAMP '2026-01-01 13:00:00'")
lazy = daft.read_parquet(times)
one = daft.col("x") == datetime(2026, 1, 1, 13)
told("daft, times and days, x = 2026-01-01 13:00:00", numbers(lazy.where(one).to_arrow()), numbers(lazy.collect().where(one).to_arrow()))
schema = pyarrow.schema([("n", pyarrow.int64()), ("x", pyarrow.timestamp("us"))])
dataset = pyarrow.dataset.dataset(times, schema=schema)
one = pyarrow.dataset.field("x") == datetime(2026, 1, 1, 13)
told("pyarrow, times and days, x = 2026-01-01 13:00:00", numbers(dataset.to_table(filter=one)), numbers(dataset.to_table().filter(one)))

catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
table = catalog.create_table("lake.rows", pyarrow.schema([("n", pyarrow.int64()), ("x", pyarrow.float32())]))
table.append(pyarrow.table({"n": [1], "x": pyarrow.array([0.1], pyarrow.float32())}))
with table.update_schema() as change:
    change.update_column("x", DoubleType())
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
duck("an Iceberg table,", f"iceberg_scan('{table.metadata_location}')", "x > 0.1")
scanned = table.scan().to_arrow()
told("pyiceberg, x > 0.1", numbers(table.scan("x > 0.1").to_arrow()), numbers(scanned.filter(pyarrow.dataset.field("x") > 0.1)))
right = "pyarrow, times and days, x = 2026-01-01 13:00:00"
wrong = {name for name, (filtered, kept) in seen.items() if filtered != kept}
sys.exit(0 if wrong == set(seen) - {right} else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
