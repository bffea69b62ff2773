#!/bin/bash
# pyarrow 26.0.1: write_dataset refuses a folder that isn't empty (existing_data_behavior="error", the default). It looks
# once, at the beginning. Of two that write to a new folder at the same time both succeed, under the same
# names of files, and the rows of the one that ends first are gone. A third is refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import pyarrow, pyarrow.dataset

SCHEMA = pyarrow.schema([("writer", pyarrow.string())])
folder = tempfile.mkdtemp(dir=".") + "/table"
told = {}


def batches(writer, meanwhile):
    yield pyarrow.record_batch({"writer": [writer]}, SCHEMA)
    meanwhile()
    yield pyarrow.record_batch({"writer": [writer]}, SCHEMA)


def write(writer, meanwhile=lambda: None):
    try:
        pyarrow.dataset.write_dataset(batches(writer, meanwhile), folder, schema=SCHEMA, format="parquet")
        told[writer] = "done"
    except pyarrow.ArrowInvalid:
        told[writer] = "refused"


write("slow", meanwhile=lambda: write("fast"))
rows = pyarrow.dataset.dataset(folder).to_table()["writer"].to_pylist()
write("late")
print(f"{told}; rows of {rows} in {os.listdir(folder)}")
sys.exit(0 if told == {"fast": "done", "slow": "done", "late": "refused"} and rows == ["slow"] * 2 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
