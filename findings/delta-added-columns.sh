#!/bin/bash
# deltalake 1.6.6, a column that an append added (schema_mode="merge"). Rows of the files of before have null there, and a scan
# says so. Filtered through to_pyarrow_dataset or to_pyarrow_table(filters=…), "is not null" finds them and
# "is null" does not, and "not x = 1" finds them, though null is not known to be another: for a file without statistics of
# the column the dataset is told that no value is missing. deltalake's own SQL, polars 2.1.0 and duckdb 1.5.5 are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb_extension_delta==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys
import deltalake, duckdb, polars, pyarrow
import pyarrow.dataset

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
package = __import__("duckdb_extension_delta")
(extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
path = os.path.abspath("table")
deltalake.write_deltalake(path, pyarrow.table({"n": [0, 1]}))
deltalake.write_deltalake(path, pyarrow.table({"n": [2, 3], "x": [1, None]}), mode="append", schema_mode="merge")
table = deltalake.DeltaTable(path)
column, by_polars = pyarrow.dataset.field("x"), polars.col("x")


def seen(sql, expression, polars_expression):
    """The rows that each finds by a filter."""
    query = f"SELECT n FROM t WHERE {sql}"
    found = {
        "dataset": table.to_pyarrow_dataset().to_table(filter=expression)["n"].to_pylist(),
        "table": table.to_pyarrow_table(filters=expression)["n"].to_pylist(),
        "in memory": table.to_pyarrow_table().filter(expression)["n"].to_pylist(),
        "SQL": pyarrow.table(deltalake.QueryBuilder().register("t", table).execute(query).read_all())["n"].to_pylist(),
        "polars": polars.scan_delta(path).filter(polars_expression).collect()["n"].to_list(),
        "duckdb": [n for (n,) in connection.execute(query.replace("FROM t", f"FROM delta_scan('{path}')")).fetchall()],
    }
    print(f"{sql}: {found}")
    return [sorted(rows) for rows in found.values()]


print(f"all rows: {sorted(map(tuple, (row.values() for row in table.to_pyarrow_table().to_pylist())), key=str)}")
as_described = seen("x IS NULL", column.is_null(), by_polars.is_null()) == [[3]] * 2 + [[0, 1, 3]] * 4
as_described &= seen("x IS NOT NULL", column.is_valid(), by_polars.is_not_null()) == [[0, 1, 2]] * 2 + [[2]] * 4
as_described &= seen("NOT x = 1", ~(column == 1), ~(by_polars == 1)) == [[0, 1]] * 2 + [[]] * 4
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
