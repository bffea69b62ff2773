#!/bin/bash
# polars 2.1.0: a table that polars itself has partitioned by a column of text can't be read by it any more, in no way and
# not one row, once a value has a `*` and is not the first in order: the folder `p=b*` is taken for a pattern, has no
# value, and the column is shorter than the rows ("height of column 'p' (1) does not match DataFrame height (2)"). One
# more row from a user is enough. DuckDB 1.5.5 reads the same files.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install polars==2.1.0 duckdb==1.5.5
cat > "$work/run.py" <<'PY'
import sys

import duckdb
import polars


def write(*values):
    rows = polars.DataFrame({"p": values, "x": range(len(values))})
    folder = f"table-{len(values)}"
    rows.lazy().sink_parquet(polars.PartitionBy(f"{folder}/", key="p"), mkdir=True)
    return folder


def by_polars(folder, **filters):
    try:
        return polars.scan_parquet(f"{folder}/").filter(**filters).select("x").collect()["x"].to_list()
    except polars.exceptions.ShapeError as error:
        return str(error).splitlines()[0]


before = by_polars(write("a"))
folder = write("a", "b*")
after, first = by_polars(folder), by_polars(folder, p="a")
duck = duckdb.sql(f"SELECT p FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) ORDER BY p").fetchall()
print(f"polars: {before}; with 'b*': {after!r}, where p = 'a': {first!r}; DuckDB {duck}")
seen = before == [0] and "height of column 'p' (1)" in str(after) and after == first
sys.exit(0 if seen and duck == [("a",), ("b*",)] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
