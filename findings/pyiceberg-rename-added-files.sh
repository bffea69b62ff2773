#!/bin/bash
# pyiceberg 0.12.0, a Parquet file without field ids that add_files took in, as it is meant for. Its column "name" is renamed
# to "old_name", and a new column "name" is added: the new one has the values, and the old one has none, for
# pyiceberg, duckdb 1.5.5 and polars 2.1.0. Such a file's columns are found by the table's name mapping, and the name
# goes over to the column that got it last (so it is in Iceberg's Java, MappingUtil). In a table whose rows were appended
# all is as one expects: columns are found by ids there.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_avro==1.5.5 duckdb_extension_iceberg==1.5.5 polars==2.1.0 \
  'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
import duckdb, polars, pyarrow, pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import StringType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ["avro", "iceberg"]:
    package = __import__(f"duckdb_extension_{name}")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
ROWS = pyarrow.table({"id": [1], "name": ["Ada"]})
FILE = f"{folder}/rows.parquet"
pyarrow.parquet.write_table(ROWS, FILE)


def seen(title, fill):
    """The row after the rename, and after the new column, as each of the readers has it."""
    table = catalog.create_table(f"lake.{title}", ROWS.schema)
    fill(table)
    with table.update_schema() as change:
        change.rename_column("name", "old_name")
    found = [table.scan().to_arrow().to_pylist()]
    with table.update_schema() as change:
        change.add_column("name", StringType())
    found += [
        table.scan().to_arrow().to_pylist(),
        connection.execute(f"SELECT * FROM iceberg_scan('{table.metadata_location}')").to_arrow_table().to_pylist(),
        polars.scan_iceberg(table).collect().to_dicts(),
    ]
    print(f"{title}: {found}")
    return found


renamed = [{"id": 1, "old_name": "Ada"}]
right = [{"id": 1, "old_name": "Ada", "name": None}]
moved = [{"id": 1, "old_name": None, "name": "Ada"}]
appended = seen("appended", lambda table: table.append(ROWS))
added = seen("added", lambda table: table.add_files([f"file://{FILE}"]))
sys.exit(0 if appended == [renamed] + [right] * 3 and added == [renamed] + [moved] * 3 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
