#!/bin/bash
# deltalake 1.6.6: application transactions (app id and version) are how a Delta writer makes a write repeatable, and
# Spark passes over a version that it has seen. Here they are written to the log and never compared: the
# same version written twice is there twice, and a lower one sets the table's record back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import sys, tempfile
import deltalake, pyarrow
from deltalake import CommitProperties, Transaction

where = tempfile.mkdtemp(dir=".") + "/table"


def write(version):
    properties = CommitProperties(app_transactions=[Transaction(app_id="nightly", version=version)])
    deltalake.write_deltalake(where, pyarrow.table({"n": [1, 2, 3]}), mode="append", commit_properties=properties)
    table = deltalake.DeltaTable(where)
    return table.to_pyarrow_table().num_rows, table.transaction_version("nightly")


seen = [write(7), write(7), write(3)]
for version, (rows, recorded) in zip([7, 7, 3], seen):
    print(f"version {version} written: {rows} rows, recorded version {recorded}")
sys.exit(0 if seen == [(3, 7), (6, 7), (9, 3)] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
