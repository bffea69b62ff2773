#!/bin/bash
# Two rows, 0.0 and -0.0, which IEEE 754 and SQL take for equal. x = 0.0 finds one of them in daft 0.7.26 and vortex-data
# 0.93.0, for which -0.0 is less than 0.0. pyarrow 25.0.1 finds both by equal, and one by is_in and by a join, and counts
# two distinct values; deltalake 1.6.6 finds both by =, and one by a longer IN. polars 2.1.0 and duckdb 1.5.5, in a
# table of its own, take them for equal everywhere. (-0.0 is what round(-0.3) and 0.0 * -1 give.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install daft==0.7.26 vortex-data==0.93.0 pyarrow==25.0.1 deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5
cat > "$work/run.py" <<'PY'
import sys
import daft, deltalake, duckdb, polars, pyarrow, vortex, vortex.expr
import pyarrow.compute as compute

ROWS = pyarrow.table({"x": [0.0, -0.0]})
ONE = pyarrow.table({"x": [0.0], "y": [1]})
deltalake.write_deltalake("delta", ROWS)
vortex.io.write(ROWS, "rows.vortex")
delta = deltalake.QueryBuilder().register("rows", deltalake.DeltaTable("delta"))
of_daft, x = daft.from_arrow(ROWS), daft.col("x")
of_polars, one_of_polars = polars.from_arrow(ROWS), polars.from_arrow(ONE)


def by_delta(condition):
    return pyarrow.table(delta.execute(f"SELECT x FROM rows WHERE {condition}").read_all()).num_rows


def by_vortex(condition):
    return vortex.open("rows.vortex").to_arrow(expr=condition).read_all().num_rows


def by_duckdb(query):
    return len(duckdb.sql(query).fetchall())


duckdb.sql("CREATE TABLE kept AS FROM ROWS")


CASES = {
    "daft": {
        "equal": len(of_daft.where(x == 0.0).to_arrow()),
        "less": len(of_daft.where(x < 0.0).to_arrow()),
        "join": len(of_daft.join(daft.from_arrow(ONE), on="x").to_arrow()),
        "distinct": len(of_daft.distinct().to_arrow()),
    },
    "vortex": {
        "equal": by_vortex(vortex.expr.column("x") == 0.0),
        "less": by_vortex(vortex.expr.column("x") < 0.0),
    },
    "pyarrow": {
        "equal": ROWS.filter(compute.equal(ROWS["x"], 0.0)).num_rows,
        "in": ROWS.filter(compute.is_in(ROWS["x"], pyarrow.array([0.0]))).num_rows,
        "join": ROWS.join(ONE, "x", join_type="inner").num_rows,
        "distinct": len(compute.unique(ROWS["x"])),
    },
    "deltalake": {"equal": by_delta("x = 0.0"), "in": by_delta("x IN (0.0, 1.0, 2.0, 3.0)")},
    "polars": {
        "equal": of_polars.filter(polars.col("x") == 0.0).height,
        "in": of_polars.filter(polars.col("x").is_in([0.0])).height,
        "join": of_polars.join(one_of_polars, on="x").height,
        "distinct": of_polars["x"].n_unique(),
    },
    "duckdb": {
        "equal": by_duckdb("FROM kept WHERE x = 0.0"),
        "in": by_duckdb("FROM kept WHERE x IN (0.0, 1.0, 2.0, 3.0)"),
        "join": by_duckdb("FROM kept JOIN ONE USING (x)"),
        "distinct": by_duckdb("SELECT DISTINCT x FROM kept"),
    },
}
for name, counts in CASES.items():
    print(f"{name}: {counts}")
right = {"equal": 2, "in": 2, "join": 2, "distinct": 1}
as_described = CASES == {
    "daft": {"equal": 1, "less": 1, "join": 1, "distinct": 2},
    "vortex": {"equal": 1, "less": 1},
    "pyarrow": {"equal": 2, "in": 1, "join": 1, "distinct": 2},
    "deltalake": {"equal": 2, "in": 1},
    "polars": right,
    "duckdb": right,
}
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
