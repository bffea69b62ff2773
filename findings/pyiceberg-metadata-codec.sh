#!/bin/bash
# pyiceberg 0.12.0: a table that says write.metadata.compression-codec=gzip has plain metadata with SqlCatalog, without a
# word: nothing in it reads the property. (By the name of a file it packs and unpacks; the catalog never gives it one that
# ends in .gz.metadata.json.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import gzip, os, sys, tempfile
import pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
rows = pyarrow.table({"x": [1, 2, 3]})
table = catalog.create_table("lake.t", rows.schema, properties={"write.metadata.compression-codec": "gzip"})
table.append(rows)
path = table.metadata_location.removeprefix("file://")
with open(path, "rb") as file:
    written = file.read()
is_packed = written[:2] == b"\x1f\x8b"
packed = path.replace(".metadata.json", ".gz.metadata.json")
with open(packed, "wb") as file:
    file.write(gzip.compress(written))
reads = StaticTable.from_metadata(f"file://{packed}").scan().to_arrow().num_rows
print(f"gzip is asked for: {os.path.basename(path)} begins with {written[:2]}; of a packed copy it reads {reads} rows")
sys.exit(0 if not is_packed and not path.endswith(".gz.metadata.json") and reads == 3 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
