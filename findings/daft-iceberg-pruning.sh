#!/bin/bash
# daft 0.7.26 passes over files of partitioned Iceberg tables that have the row it is asked for: where the partition is a
# bucket of a decimal, text cut to two characters that aren't ASCII, or the hour of a time before 1970. pyiceberg
# 0.12.0, which wrote them as Iceberg's specification says (Partition Transforms; Appendix B: the hash of the fewest
# bytes that hold the decimal), and polars 2.1.0 find each, and so does daft's filter on what its own scan returns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install daft==0.7.26 polars==2.1.0 'pyiceberg[sql-sqlite,pyiceberg-core]==0.12.0' pyarrow==25.0.1 mmh3==5.3.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
from datetime import datetime
from decimal import Decimal
import daft, mmh3, polars, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, HourTransform, TruncateTransform
from pyiceberg.types import DecimalType, NestedField, StringType, TimestampType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


def seen(name, kind, transform, value):
    """The partition of a row, and by whom it is found by its value."""
    spec = PartitionSpec(PartitionField(1, 1000, transform, "part"))
    table = catalog.create_table(f"lake.{name}", Schema(NestedField(1, "x", kind)), partition_spec=spec)
    table.append(pyarrow.table({"x": pyarrow.array([value], table.schema().as_arrow().field("x").type)}))
    (task,) = table.scan().plan_files()
    part = task.file.partition[0]
    mine = daft.col("x") == daft.lit(value)
    found = {
        "daft": len(daft.read_iceberg(table).where(mine).to_arrow()),
        "daft, on a scan": len(daft.read_iceberg(table).collect().where(mine).to_arrow()),
        "polars": polars.scan_iceberg(table).filter(polars.col("x") == polars.lit(value)).collect().height,
        "pyiceberg": table.scan(EqualTo("x", value)).to_arrow().num_rows,
    }
    print(f"{name}: partition {part}, rows {found}")
    return part, list(found.values())


found = [
    seen("bucket", DecimalType(9, 2), BucketTransform(1_000_000), Decimal("1.50")),
    seen("truncate", StringType(), TruncateTransform(2), "Äö"),
    seen("hour", TimestampType(), HourTransform(), datetime(1969, 12, 31, 23, 30)),
]
control = seen("ascii", StringType(), TruncateTransform(2), "Ao")
bucket, lost = (mmh3.hash((150).to_bytes(2, "big")) & 0x7FFFFFFF) % 1_000_000, [0, 1, 1, 1]
as_described = found == [(bucket, lost), ("Äö", lost), (-1, lost)]
sys.exit(0 if as_described and control == ("Ao", [1, 1, 1, 1]) else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
