#!/bin/bash
# duckdb 1.5.5: the sum of a column of whole numbers is a HUGEINT, and that is a double in Parquet. Copied to a file 2^53+1 is
# 2^53. In DuckLake the column stays a HUGEINT by its name: the sum is right while its row is inlined in the catalog (up to
# ten rows) and another when it has been flushed to a file; of sums of more rows it is another at once. Cast to DECIMAL(38, 0)
# or BIGINT all are right. (duckdb#21180, ducklake#1186 and #1104, open.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_ducklake==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys
import duckdb, pyarrow.parquet

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
package = __import__("duckdb_extension_ducklake")
(extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
connection.execute("ATTACH 'ducklake:catalog.db' AS lake (DATA_PATH 'data')")
RIGHT = 2**53 + 1
connection.execute(f"CREATE TABLE parts AS SELECT n, x FROM range(20) t(n), (VALUES ({2**53}), (1)) parts(x)")


def ask(query):
    return connection.execute(query).fetchone()


copied = {}
for name, kind in {"sum": "sum(x)", "cast": "CAST(sum(x) AS DECIMAL(38, 0))", "bigint": "CAST(sum(x) AS BIGINT)"}.items():
    connection.execute(f"COPY (SELECT {kind} AS total FROM parts WHERE n = 0) TO '{name}.parquet'")
    kept = pyarrow.parquet.read_table(f"{name}.parquet")["total"]
    copied[name] = str(kept.type), int(kept[0].as_py())
    print(f"{kind} in Parquet: {copied[name]}")
connection.execute("CREATE TABLE lake.few AS SELECT sum(x) AS total FROM parts WHERE n = 0")
connection.execute("CREATE TABLE lake.many AS SELECT n, sum(x) AS total FROM parts GROUP BY n")
inlined = ask("SELECT total, typeof(total) FROM lake.few")
connection.execute("CALL ducklake_flush_inlined_data('lake')")
flushed = ask("SELECT total, typeof(total) FROM lake.few")
many = ask("SELECT max(total), typeof(max(total)) FROM lake.many")
print(f"in DuckLake: inlined {inlined}, flushed {flushed}, of many rows {many}")
as_described = copied == {"sum": ("double", RIGHT - 1), "cast": ("decimal128(38, 0)", RIGHT), "bigint": ("int64", RIGHT)}
sys.exit(0 if as_described and inlined == (RIGHT, "HUGEINT") and flushed == many == (RIGHT - 1, "HUGEINT") else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
