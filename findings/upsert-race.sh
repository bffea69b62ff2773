#!/bin/bash
# Two writers that read the same version each upsert the same new key. pyiceberg 0.12.0 (upsert; the key is the
# identifier field) and pylance 14.0.2 (merge_insert) tell both that they inserted one row, and the key is there
# twice; deltalake 1.6.6 (merge) refuses the second, and so does pyiceberg where both update a key that is there.
# One file that two add with pyiceberg's add_files(check_duplicate_files=True) is in the table twice, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'pyiceberg[sql-sqlite]==0.12.0' pylance==14.0.2 deltalake==1.6.6 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import deltalake, lance, pyarrow, pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
SCHEMA = pyarrow.schema([pyarrow.field("id", pyarrow.int64(), nullable=False), ("who", pyarrow.string())])


def row(id, who):
    return pyarrow.table({"id": [id], "who": [who]}, schema=SCHEMA)


def iceberg(name):
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace_if_not_exists("lake")
    id = NestedField(1, "id", LongType(), required=True)
    schema = Schema(id, NestedField(2, "who", StringType()), identifier_field_ids=[1])
    catalog.create_table_if_not_exists(f"lake.{name}", schema)
    return catalog.load_table(f"lake.{name}")


def delta(name):
    deltalake.write_deltalake(f"{folder}/{name}", row(0, "first"), mode="ignore")
    return deltalake.DeltaTable(f"{folder}/{name}")


def lance_dataset():
    if not os.path.exists(f"{folder}/lance"):
        lance.write_dataset(row(0, "first"), f"{folder}/lance")
    return lance.dataset(f"{folder}/lance")


def iceberg_upsert(table, who):
    done = table.upsert(row(1, who))
    return f"{done.rows_inserted} inserted, {done.rows_updated} updated"


def lance_upsert(dataset, who):
    merge = dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    return f"{merge.execute(row(1, who))['num_inserted_rows']} inserted"


def delta_upsert(table, who):
    merge = table.merge(row(1, who), "source.id = target.id", source_alias="source", target_alias="target")
    done = merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return f"{done['num_target_rows_inserted']} inserted"


def add_file(table, who):
    table.add_files([f"file://{folder}/file.parquet"], check_duplicate_files=True)
    return "added"


def two_at_once(name, open_table, write):
    handles, told = {"a": open_table(), "b": open_table()}, []
    for who, table in handles.items():
        try:
            told.append(write(table, who))
        except Exception as error:
            told.append(f"refused ({type(error).__name__})")
    print(f"{name}: {told}")
    return told


def rows(table, id):
    return sum(found == id for found in table["id"].to_pylist())


pyarrow.parquet.write_table(row(2, "file"), f"{folder}/file.parquet")
new = two_at_once("pyiceberg, upsert of a new key", lambda: iceberg("new"), iceberg_upsert)
iceberg("old").append(row(1, "first"))
old = two_at_once("pyiceberg, upsert of a key that is there", lambda: iceberg("old"), iceberg_upsert)
added = two_at_once("pyiceberg, add_files", lambda: iceberg("added"), add_file)
merged = two_at_once("pylance, upsert of a new key", lance_dataset, lance_upsert)
compared = two_at_once("deltalake, upsert of a new key", lambda: delta("delta"), delta_upsert)
counts = [rows(iceberg("new").scan().to_arrow(), 1), rows(iceberg("old").scan().to_arrow(), 1)]
counts += [rows(iceberg("added").scan().to_arrow(), 2), rows(lance_dataset().to_table(), 1)]
counts += [rows(delta("delta").to_pyarrow_table(), 1)]
print(f"rows of that key: {counts}")
one = "1 inserted, 0 updated"
as_described = (new, added, merged) == ([one] * 2, ["added"] * 2, ["1 inserted"] * 2) and counts == [2, 1, 2, 2, 1]
as_described &= old[1] == "refused (ValidationException)" and compared == ["1 inserted", "refused (CommitFailedError)"]
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
