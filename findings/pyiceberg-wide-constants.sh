#!/bin/bash
# pyiceberg 0.12.0: a filter by a number that the column's type cannot hold, as x < 3000000000 of an int or x > -1e300 of a
# float, becomes "always": a scan finds rows with nulls by it, and a delete and an overwrite take them away, all rows of the
# table here. By a number within the type, x < 100, nulls are neither found nor deleted. duckdb 1.5.5 finds none by either.
# The same in a column that was an int when the file was written and is a long now.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 \
  'pyiceberg[sql-sqlite,pyiceberg-core]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
import duckdb, pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import GreaterThan, LessThan
from pyiceberg.types import LongType

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")


def made(name, kind):
    """A table with 1, null and 5."""
    rows = pyarrow.table({"n": [0, 1, 2], "x": pyarrow.array([1, None, 5], kind)})
    table = catalog.create_table(f"lake.{name}", rows.schema)
    table.append(rows)
    return table


def seen(table, expression, sql):
    query = f"SELECT n FROM iceberg_scan('{table.metadata_location}') WHERE {sql} ORDER BY n"
    found = {
        "pyiceberg": sorted(table.scan(expression).to_arrow()["n"].to_pylist()),
        "duckdb": [n for (n,) in connection.execute(query).fetchall()],
    }
    print(f"{sql}: {found}")
    return list(found.values())


ints, floats, widened = made("ints", pyarrow.int32()), made("floats", pyarrow.float32()), made("widened", pyarrow.int32())
with widened.update_schema() as change:
    change.update_column("x", LongType())
large = 3_000_000_000
wrong, right = [[0, 1, 2], [0, 2]], [[0, 2], [0, 2]]
as_described = seen(ints, LessThan("x", large), f"x < {large}") == wrong
as_described &= seen(floats, GreaterThan("x", -1e300), "x > -1e300") == wrong
as_described &= seen(widened, LessThan("x", large), f"x < {large}") == wrong
as_described &= seen(ints, LessThan("x", 100), "x < 100") == right
left = []
for limit in (100, large):
    table = made(f"deleted_{limit}", pyarrow.int32())
    table.delete(LessThan("x", limit))
    left.append(table.scan().to_arrow()["n"].to_pylist())
print(f"after a delete of x < 100 {left[0]} is left, of x < {large} {left[1]}")
written = made("overwritten", pyarrow.int32())
new = pyarrow.table({"n": [9], "x": pyarrow.array([9], pyarrow.int32())})
written.overwrite(new, overwrite_filter=LessThan("x", large))
kept = written.scan().to_arrow()["n"].to_pylist()
print(f"after an overwrite by x < {large}: {kept}")
sys.exit(0 if as_described and left == [[1], []] and kept == [9] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
