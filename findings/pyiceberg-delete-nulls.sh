#!/bin/bash
# pyiceberg 0.12.0: what delete() deletes isn't what scan() finds by the same filter, and depends on the other rows of a
# file. x != 'a' finds no nulls; its delete takes them along where no row of the file is 'a', and keeps them where one
# is. x not in ('a', 'q') finds nulls; its delete keeps them. (Whole files are judged by Iceberg's rule, by which null
# is not 'a'; rows by one filter of pyarrow when reading, by another when a file is written anew.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import pyarrow
from pyiceberg.catalog.sql import SqlCatalog

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


def compared(name, values, condition):
    """The values that a scan finds by a condition, and those that a delete by it takes away."""
    rows = pyarrow.table({"x": pyarrow.array(values, pyarrow.string())})
    table = catalog.create_table(f"lake.{name}", rows.schema)
    table.append(rows)
    found = table.scan(condition).to_arrow()["x"].to_pylist()
    table.delete(condition)
    kept = table.scan().to_arrow()["x"].to_pylist()
    deleted = [value for value in values if value not in kept]
    print(f"{values}, {condition}: a scan finds {found}, a delete deletes {deleted}")
    return found, deleted


seen = [
    compared("whole", ["b", None], "x != 'a'"),
    compared("part", ["a", "b", None], "x != 'a'"),
    compared("nulls", [None], "x != 'a'"),
    compared("list", ["a", "b", None], "x not in ('a', 'q')"),
]
sys.exit(0 if seen == [(["b"], ["b", None]), (["b"], ["b"]), ([], [None]), (["b", None], ["b"])] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
