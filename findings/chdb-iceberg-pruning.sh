#!/bin/bash
# chdb 4.4.0 (ClickHouse 26.9) passes over files of partitioned Iceberg tables that have the rows it is asked for: where
# the partition is the month or day of 9999-12-31, as open ends are written, or the year, month, day or hour of a time
# before 1970 (ClickHouse#119579, open, is of these). A scan without a filter finds each row, and duckdb 1.5.5 those of
# this script (months and days before 1970 it doesn't, either). The tables are written by pyiceberg 0.12.0, with
# partitions as Iceberg's specification has them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install chdb==4.4.0 chdb-core==26.9.0 duckdb==1.5.5 duckdb_extension_avro==1.5.5 \
  duckdb_extension_iceberg==1.5.5 'pyiceberg[sql-sqlite,pyiceberg-core]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
from datetime import date, datetime
import chdb, duckdb, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform, HourTransform, MonthTransform, YearTransform
from pyiceberg.types import DateType, NestedField, TimestampType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")


def seen(name, kind, transform, arrow, value):
    """How many rows chdb finds by the value, and how many of those that a scan returns; and DuckDB by it."""
    spec = PartitionSpec(PartitionField(1, 1000, transform, "part"))
    table = catalog.create_table(f"lake.{name}", Schema(NestedField(1, "x", kind)), partition_spec=spec)
    table.append(pyarrow.table({"x": pyarrow.array([value], arrow)}))
    scan, sought = f"icebergLocal('{table.location().removeprefix('file://')}')", f"'{value}'"
    by_value = f"SELECT count() FROM {scan} WHERE x = {sought}"
    of_all = f"SELECT count() FROM (SELECT x FROM {scan} ORDER BY x LIMIT 10) WHERE toString(x) = toString(x)"
    counts = [int(chdb.query(query, "TSV").bytes()) for query in [by_value, of_all]]
    query = f"SELECT count(*) FROM iceberg_scan('{table.metadata_location}') WHERE x = {sought}"
    counts.append(connection.execute(query).fetchone()[0])
    print(f"{name}: {counts[0]} rows by a filter, {counts[1]} in a scan; duckdb {counts[2]} by the filter")
    return counts


micros, day = pyarrow.timestamp("us"), pyarrow.date32()
early, late = datetime(1969, 6, 1, 12), datetime(2026, 6, 1, 12)
end, near = date(9999, 12, 31), date(2026, 12, 31)
found = [
    seen("month_of_the_end", DateType(), MonthTransform(), day, end),
    seen("day_of_the_end", DateType(), DayTransform(), day, end),
    seen("year", TimestampType(), YearTransform(), micros, early),
    seen("hour", TimestampType(), HourTransform(), micros, early),
]
control = [
    seen("later", TimestampType(), HourTransform(), micros, late),
    seen("near", DateType(), DayTransform(), day, near),
]
sys.exit(0 if found == [[0, 1, 1]] * 4 and control == [[1, 1, 1]] * 2 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
