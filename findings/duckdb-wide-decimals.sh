#!/bin/bash
# duckdb 1.5.5 reads Parquet's decimals of more than 38 digits as doubles (duckdb#9770), which costs digits. Where a value
# has a number of bytes that isn't a multiple of 8 it is another number altogether: 1.50 as decimal(39, 2) comes as
# 1.08e17, and -1.50 as something else again, without a word. pyarrow 26.0.1 writes such a column in the fewest bytes
# that do (17 for 39 digits), as Parquet's format has it (LogicalTypes, DECIMAL), and reads it. With 76 digits, which
# are 32 bytes, all is well. (A change that mends it is proposed: duckdb#25058.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import sys
from decimal import Decimal
import duckdb, pyarrow, pyarrow.parquet

VALUES = [Decimal("1.50"), Decimal("-1.50")]


def seen(digits):
    file = f"rows-{digits}.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.array(VALUES, pyarrow.decimal256(digits, 2))}), file)
    width = pyarrow.parquet.ParquetFile(file).schema.column(0).length
    assert pyarrow.parquet.read_table(file)["x"].to_pylist() == VALUES
    found = [x for (x,) in duckdb.execute(f"SELECT x FROM '{file}'").fetchall()]
    print(f"decimal({digits}, 2) in {width} bytes: {found}")
    return width, found


narrow, middle, wide = seen(39), seen(50), seen(76)
as_described = (narrow[0], middle[0], wide) == (17, 21, (32, [1.5, -1.5]))
for _, (positive, negative) in (narrow, middle):
    as_described &= positive > 1e6 and negative < -1e6 and positive != -negative
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
