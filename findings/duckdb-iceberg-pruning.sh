#!/bin/bash
# duckdb 1.5.5 passes over files of partitioned Iceberg tables that have the rows it is asked for: where the partition is the
# month or day of a time before 1970 (it rounds towards 1970; Iceberg's specification, Partition Transforms, counts
# down to negative months), a bucket of a UUID (Appendix B gives f79c3e09-… the hash 1488055340, DuckDB another;
# duckdb-iceberg#1325, mended after 1.5.5) or a truncated decimal of 38 digits. A scan without a filter finds each row.
# The tables are written by pyiceberg 0.12.0, with partitions as the specification has them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  'pyiceberg[sql-sqlite,pyiceberg-core]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
from datetime import datetime
from decimal import Decimal
from uuid import UUID
import duckdb, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, MonthTransform, TruncateTransform
from pyiceberg.types import DecimalType, NestedField, TimestampType, UUIDType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")


def seen(name, kind, transform, arrow, value, sql):
    """The partition of a row, and how many rows DuckDB finds by its value, and without a filter by the same one."""
    spec = PartitionSpec(PartitionField(1, 1000, transform, "part"))
    table = catalog.create_table(f"lake.{name}", Schema(NestedField(1, "x", kind)), partition_spec=spec)
    table.append(pyarrow.table({"x": pyarrow.array([value], arrow)}))
    (task,) = table.scan().plan_files()
    part = task.file.partition[0]
    scan = f"iceberg_scan('{table.metadata_location}')"
    filtered = connection.execute(f"SELECT count(*) FROM {scan} WHERE x = {sql}").fetchone()[0]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE kept AS FROM {scan}")
    kept = connection.execute(f"SELECT count(*) FROM kept WHERE x = {sql}").fetchone()[0]
    print(f"{name}: partition {part}, {filtered} rows by a filter, {kept} of those that a scan returns")
    return part, filtered, kept


moment, time = datetime(1969, 6, 1, 12), "TIMESTAMP '1969-06-01 12:00:00'"
later, time_later = datetime(2026, 6, 1, 12), "TIMESTAMP '2026-06-01 12:00:00'"
micros = pyarrow.timestamp("us")
key = UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7")
wide = Decimal("12345678901234567890.1234567890")
found = [
    seen("month", TimestampType(), MonthTransform(), micros, moment, time),
    seen("day", TimestampType(), DayTransform(), micros, moment, time)[1:],
    seen("bucket", UUIDType(), BucketTransform(1_000_000), pyarrow.uuid(), key.bytes, f"UUID '{key}'"),
    seen("truncate", DecimalType(38, 10), TruncateTransform(3), pyarrow.decimal128(38, 10), wide, f"{wide}")[1:],
]
control = seen("later", TimestampType(), MonthTransform(), micros, later, time_later)[1:]
as_described = found == [(-7, 0, 1), (0, 1), (1488055340 % 1_000_000, 0, 1), (0, 1)]
sys.exit(0 if as_described and control == (1, 1) else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
