#!/bin/bash
# deltalake 1.6.6: a number with a point in an update or a merge is a double, and so is a decimal that it is added to. In a
# column decimal(18, 2) with 1234567890123456.35, updating it to x + 0.10 writes 1234567890123456.32, a merge
# 1234567890123456.29, and setting the very number another one. A decimal of Python cannot be given (new_values refuses
# it). CAST('0.10' AS DECIMAL(18, 2)), or a column of the source, is exact, and duckdb 1.5.5 has decimals for literals.
# It begins where a double ends, with the 16th digit or so. DataFusion reads literals so (apache/datafusion#14612).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 duckdb==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import sys, tempfile
from decimal import Decimal
import deltalake, duckdb, pyarrow

BALANCE, KIND = "1234567890123456.35", pyarrow.decimal128(18, 2)
EXACT = "CAST('0.10' AS DECIMAL(18, 2))"


def seen(title, change, value=BALANCE):
    """The value of the only row of a table after a change."""
    folder = tempfile.mkdtemp(dir=".")
    deltalake.write_deltalake(folder, pyarrow.table({"id": [1], "x": pyarrow.array([Decimal(value)], KIND)}))
    change(deltalake.DeltaTable(folder))
    (found,) = pyarrow.table(deltalake.DeltaTable(folder).to_pyarrow_table())["x"].to_pylist()
    print(f"{title}: {value} became {found}")
    return str(found)


def update(expression):
    return lambda table: table.update(updates={"x": expression})


def merge(expression):
    source = pyarrow.table({"id": [1], "more": pyarrow.array([Decimal("0.10")], KIND)})
    names = {"source_alias": "s", "target_alias": "t"}
    return lambda table: table.merge(source, "s.id = t.id", **names).when_matched_update({"x": expression}).execute()


wrong = [
    seen("updated to x + 0.10", update("x + 0.10")),
    seen("merged with t.x + 0.10", merge("t.x + 0.10")),
    seen(f"set to {BALANCE}", update(BALANCE), "1.00"),
]
right = [
    seen(f"updated to x + {EXACT}", update(f"x + {EXACT}")),
    seen("merged with t.x + s.more", merge("t.x + s.more")),
    seen("a shorter one", update("x + 0.10"), "1234567890123.35")
]
(by_duckdb,) = duckdb.sql(f"SELECT CAST('{BALANCE}' AS DECIMAL(18, 2)) + 0.10").fetchone()
print(f"by duckdb: {by_duckdb}")
SUM = "1234567890123456.45"
as_described = wrong == ["1234567890123456.32", "1234567890123456.29", "1234567890123456.32"]
as_described &= right == [SUM, SUM, "1234567890123.45"] and str(by_duckdb) == SUM
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
