#!/bin/bash
# deltalake 1.6.6: one infinity in a file, or one decimal of 34 digits, and a filter by equality on that column finds no row of the
# file any more by to_pyarrow_dataset, to_pyarrow_table(filters=…) and to_pandas(filters=…), nor does polars'
# scan_delta(use_pyarrow=True) by a double: the log has null for a bound that JSON cannot say, and the dataset is told
# x <= null, which no row fulfils. Without a filter all rows are there. deltalake's own SQL and delete, polars 2.1.0 by
# itself and duckdb 1.5.5 find the row, and with 2.0 in place of the infinity all do.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb_extension_delta==1.5.5 pyarrow==26.0.1 pandas==3.1.1
cat > "$work/run.py" <<'PY'
import decimal, glob, os, sys
import deltalake, duckdb, polars, pyarrow
import pyarrow.dataset

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
package = __import__("duckdb_extension_delta")
(extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
LARGE = decimal.Decimal("123456789012345678901234567890.1234")


def seen(name, kind, values):
    """How many rows each finds that have the first value, which one row has, and how many a scan finds."""
    path = os.path.abspath(name)
    deltalake.write_deltalake(path, pyarrow.table({"x": pyarrow.array(values, kind)}))
    table, first = deltalake.DeltaTable(path), pyarrow.scalar(values[0], kind)
    dataset, sql = table.to_pyarrow_dataset(), f"SELECT x FROM t WHERE x = {values[0]}"
    by_polars = polars.col("x") == values[0]
    found = {
        "dataset": dataset.to_table(filter=pyarrow.dataset.field("x") == first).num_rows,
        "table": table.to_pyarrow_table(filters=[("x", "=", first)]).num_rows,
        "pandas": len(table.to_pandas(filters=[("x", "=", first)])),
        "polars by pyarrow": polars.scan_delta(path, use_pyarrow=True).filter(by_polars).collect().height,
        "SQL": pyarrow.table(deltalake.QueryBuilder().register("t", table).execute(sql).read_all()).num_rows,
        "polars": polars.scan_delta(path).filter(by_polars).collect().height,
        "duckdb": len(connection.execute(sql.replace("FROM t", f"FROM delta_scan('{path}')")).fetchall()),
        "scan": dataset.to_table().num_rows,
    }
    print(f"{name}: {found}")
    return list(found.values())


lost, all_there = [0, 0, 0, 0, 1, 1, 1, 2], [1, 1, 1, 1, 1, 1, 1, 2]
as_described = seen("infinity", pyarrow.float64(), [1.0, float("inf")]) == lost
as_described &= seen("minus_infinity", pyarrow.float32(), [1.0, float("-inf")]) == lost
as_described &= seen("decimal", pyarrow.decimal128(38, 4), [decimal.Decimal("1.5000"), LARGE])[:3] == lost[:3]
as_described &= seen("finite", pyarrow.float64(), [1.0, 2.0]) == all_there
removed = deltalake.DeltaTable("infinity").delete("x = 1.0")["num_deleted_rows"]
print(f"a delete of that row: {removed}")
sys.exit(0 if as_described and removed == 1 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
