#!/bin/bash
# pyarrow 26.0.1 reads the old INT96 times of Parquet, which Spark writes by default, as nanoseconds, which end in 2262, and
# lets them overflow without a word (arrow#44112, open): 9999-12-31, as open ends are written, is 1816-03-29, and
# 0001-01-01 is 1754-08-30. Even what it wrote itself comes back so, by read_table, a dataset and pandas 3.1.1; a filter
# for open ends finds none. With coerce_int96_timestamp_unit="us" all are right, as by duckdb 1.5.5 and polars 2.1.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pyarrow==26.0.1 pandas==3.1.1 duckdb==1.5.5 polars==2.1.0
cat > "$work/run.py" <<'PY'
import sys
from datetime import datetime
import duckdb, pandas, polars, pyarrow, pyarrow.dataset, pyarrow.parquet

MOMENTS = [datetime(1, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 1), datetime(9999, 12, 31)]
FILE = "rows.parquet"
rows = pyarrow.table({"x": pyarrow.array(MOMENTS, pyarrow.timestamp("us"))})
pyarrow.parquet.write_table(rows, FILE, use_deprecated_int96_timestamps=True)


def texts(column):
    return [text[:23].replace("T", " ") for text in pyarrow.chunked_array(column).cast(pyarrow.string()).to_pylist()]


found = {
    "pyarrow": texts(pyarrow.parquet.read_table(FILE)["x"].chunks),
    "dataset": texts(pyarrow.dataset.dataset(FILE).to_table()["x"].chunks),
    "pandas": [str(time)[:23] for time in pandas.read_parquet(FILE)["x"]],
    "pyarrow in us": texts(pyarrow.parquet.read_table(FILE, coerce_int96_timestamp_unit="us")["x"].chunks),
    "polars": texts(polars.read_parquet(FILE).to_arrow()["x"].chunks),
    "duckdb": [str(time)[:23] for (time,) in duckdb.sql(f"SELECT x FROM '{FILE}'").fetchall()],
}
for reader, times in found.items():
    print(f"{reader}: {times}")
open_ends = pyarrow.parquet.read_table(FILE, filters=[("x", ">", datetime(2200, 1, 1))]).num_rows
print(f"after 2200 by pyarrow: {open_ends} rows")
days = {reader: [time[:10] for time in times] for reader, times in found.items()}
wrong, right = ["1754-08-30", "2026-01-01", "1816-03-29"], ["0001-01-01", "2026-01-01", "9999-12-31"]
as_described = [days[reader] for reader in days] == [wrong] * 3 + [right] * 3 and open_ends == 0
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
