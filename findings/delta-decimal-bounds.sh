#!/bin/bash
# deltalake 1.6.6 writes the bounds of decimal columns to the log as doubles: of 0.123456789012345678 as decimal(38, 18) both
# are 0.12345678901234568, and Delta's protocol (Per-file Statistics) says that no value of the file is less. So a
# filter by the value passes over the file: deltalake, polars 2.1.0 and duckdb 1.5.5 find no row, and delete deletes
# none. It begins where a double ends, with the 16th or 17th digit; a scan without a filter has the row.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb_extension_delta==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, json, os, sys, tempfile
from decimal import Decimal
import deltalake, duckdb, duckdb_extension_delta, polars, pyarrow

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")


def seen(name, digits, scale, text):
    """The lower bound in the log, the rows that filters by a value and a scan find, and those that a delete deletes."""
    path, value = f"{folder}/{name}", Decimal(text)
    rows = pyarrow.table({"x": pyarrow.array([value], pyarrow.decimal128(digits, scale))})
    deltalake.write_deltalake(path, rows)
    (log,) = glob.glob(f"{path}/_delta_log/*.json")
    (stats,) = [json.loads(line)["add"]["stats"] for line in open(log) if '"add"' in line]
    bound = json.loads(stats, parse_float=Decimal)["minValues"]["x"]
    condition = f"x = CAST('{text}' AS DECIMAL({digits}, {scale}))"
    table = deltalake.DeltaTable(path)
    by_deltalake = deltalake.QueryBuilder().register("rows", table).execute(f"SELECT * FROM rows WHERE {condition}")
    literal = polars.lit(value, dtype=polars.Decimal(digits, scale))
    found = [
        pyarrow.table(by_deltalake.read_all()).num_rows,
        polars.scan_delta(path).filter(polars.col("x") == literal).collect().height,
        connection.execute(f"SELECT count(*) FROM delta_scan('{path}') WHERE {condition}").fetchone()[0],
    ]
    scanned = pyarrow.table(table.to_pyarrow_table())["x"].to_pylist()
    deleted = table.delete(condition)["num_deleted_rows"]
    print(f"{text}: bound {bound}; found by {found}, in a scan {scanned == [value]}, {deleted} deleted")
    return bound == value, found, scanned == [value], deleted


found = [seen("wide", 38, 18, "0.123456789012345678"), seen("money", 18, 2, "1234567890123456.78")]
control = seen("short", 38, 18, "0.123456789012345")
lost = (False, [0, 0, 0], True, 0)
sys.exit(0 if found == [lost, lost] and control == (True, [1, 1, 1], True, 1) else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
