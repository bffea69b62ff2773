#!/bin/bash
# pyiceberg 0.12.0 and deltalake 1.6.6: delete("x = 1.0") of a file with the rows 1.0 and NaN deletes both. The file's
# bounds are 1.0 and 1.0, since bounds leave NaN out (Iceberg's specification, lower_bounds; Parquet's, ColumnOrder),
# and nobody counted the NaNs: so all of the file is taken for equal to 1.0. deltalake's update changes both rows,
# too. With a 2.0 besides in the file pyiceberg deletes one row, and pylance 14.0.2 does so always.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'pyiceberg[sql-sqlite]==0.12.0' deltalake==1.6.6 pylance==14.0.2 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import deltalake, lance, pyarrow
from pyiceberg.catalog.sql import SqlCatalog

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
PAIR = pyarrow.table({"n": [0, 1], "x": [1.0, float("nan")]})
MORE = pyarrow.table({"n": [0, 1, 2], "x": [1.0, float("nan"), 2.0]})


def iceberg(name, rows):
    table = catalog.create_table(f"lake.{name}", rows.schema)
    table.append(rows)
    table.delete("x == 1.0")
    return table.scan().to_arrow()


def delta(name, rows, change):
    deltalake.write_deltalake(f"{folder}/{name}", rows)
    table = deltalake.DeltaTable(f"{folder}/{name}")
    change(table)
    return pyarrow.table(table.to_pyarrow_table())


def lance_rows(rows):
    dataset = lance.write_dataset(rows, f"{folder}/lance")
    dataset.delete("x = 1.0")
    return dataset.to_table()


def numbers(title, table):
    found = sorted(table["n"].to_pylist())
    print(f"{title}: {found}")
    return found


seen = [
    numbers("pyiceberg, delete of 1.0 from 1.0 and NaN", iceberg("pair", PAIR)),
    numbers("pyiceberg, delete of 1.0 from 1.0, NaN and 2.0", iceberg("more", MORE)),
    numbers("deltalake, delete of 1.0 from 1.0 and NaN", delta("pair", PAIR, lambda table: table.delete("x = 1.0"))),
    numbers(
        "deltalake, update of 1.0 to 9 among 1.0 and NaN",
        delta("changed", PAIR, lambda table: table.update(predicate="x = 1.0", updates={"n": "9"})),
    ),
    numbers("pylance, delete of 1.0 from 1.0 and NaN", lance_rows(PAIR)),
]
sys.exit(0 if seen == [[], [1, 2], [], [9, 9], [1]] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
