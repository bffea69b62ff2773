#!/bin/bash
# A Parquet file with 1.0 and NaN, asked for the rows where x != 1.0: NaN is such a row for each of these libraries
# once the file is in memory. As a filter on the file pyarrow 25.0.1, duckdb 1.5.5, daft 0.7.26, pyiceberg 0.12.0 and
# deltalake 1.6.6 leave it out: they pass over the row group, whose bounds are 1.0 and 1.0. Parquet's format says that
# bounds leave NaN out, so that they tell nothing of it. polars 2.1.0 and pylance 14.0.2 find the row. And duckdb, for
# which NaN is greater than all numbers, gives it for x < 5.0: all of the group is below, by its bounds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pyarrow==25.0.1 duckdb==1.5.5 daft==0.7.26 polars==2.1.0 'pyiceberg[sql-sqlite]==0.12.0' \
  deltalake==1.6.6 pylance==14.0.2
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import daft, deltalake, duckdb, lance, polars, pyarrow
import pyarrow.compute as compute
import pyarrow.dataset, pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import NotEqualTo

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
file = f"{folder}/rows.parquet"
ROWS = pyarrow.table({"n": [0, 1], "x": [1.0, float("nan")]})
pyarrow.parquet.write_table(ROWS, file)
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
iceberg = catalog.create_table("lake.rows", ROWS.schema)
iceberg.append(ROWS)
deltalake.write_deltalake(f"{folder}/delta", ROWS)
delta = deltalake.QueryBuilder().register("rows", deltalake.DeltaTable(f"{folder}/delta"))
dataset = lance.write_dataset(ROWS, f"{folder}/lance")
duckdb.execute(f"CREATE TABLE rows AS SELECT * FROM '{file}'")
one = pyarrow.scalar(1.0)
field = pyarrow.dataset.field("x")

CASES = {
    "pyarrow": (
        pyarrow.dataset.dataset(file).to_table(filter=field != 1.0),
        ROWS.filter(compute.not_equal(ROWS["x"], one)),
    ),
    "duckdb": tuple(
        duckdb.execute(f"SELECT n FROM {place} WHERE x <> 1.0").to_arrow_table() for place in (f"'{file}'", "rows")
    ),
    "daft": tuple(
        place.where(daft.col("x") != 1.0).to_arrow() for place in (daft.read_parquet(file), daft.from_arrow(ROWS))
    ),
    "pyiceberg": (
        iceberg.scan(row_filter=NotEqualTo("x", 1.0)).to_arrow(),
        (scanned := iceberg.scan().to_arrow()).filter(compute.not_equal(scanned["x"], one)),
    ),
    "deltalake": tuple(
        pyarrow.table(delta.execute(f"SELECT n FROM {place} WHERE x <> 1.0").read_all())
        for place in ("rows", "(SELECT * FROM rows LIMIT 2)")
    ),
    "polars": tuple(
        place.filter(polars.col("x") != 1.0).collect().to_arrow()
        for place in (polars.scan_parquet(file), polars.read_parquet(file).lazy())
    ),
    "pylance": (dataset.to_table(filter="x != 1.0"), ROWS.filter(compute.not_equal(ROWS["x"], one))),
}
seen = {}
for name, (filtered, kept) in CASES.items():
    seen[name] = filtered["n"].to_pylist(), kept["n"].to_pylist()
    print(f"{name}: {seen[name][0]} by a filter on the file, {seen[name][1]} by one on the rows")
less = [
    [n for (n,) in duckdb.execute(f"SELECT n FROM {place} WHERE x < 5.0 ORDER BY n").fetchall()]
    for place in (f"'{file}'", "rows")
]
print(f"duckdb, x < 5.0: {less[0]} by a filter on the file, {less[1]} by one on the rows")
losing = {name for name, found in seen.items() if found == ([], [1])}
keeping = {name for name, found in seen.items() if found == ([1], [1])}
as_described = (losing, keeping) == ({"pyarrow", "duckdb", "daft", "pyiceberg", "deltalake"}, {"polars", "pylance"})
sys.exit(0 if as_described and less == [[0, 1], [0]] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
