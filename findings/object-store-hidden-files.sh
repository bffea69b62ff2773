#!/bin/bash
# obstore 0.12.1 over the crate object_store: the local store keeps names that end in '#' and digits for its own
# unfinished writes. A file that somebody else named so is left out of listings in silence; asking for it
# by name is an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install obstore==0.12.1
cat > "$work/run.py" <<'PY'
import pathlib, sys, tempfile
import obstore
from obstore.store import LocalStore

folder = pathlib.Path(tempfile.mkdtemp(dir="."))
for name in ["run#1", "run#2.csv", "run-3"]:
    (folder / name).write_text("x")
store = LocalStore(str(folder))
listed = sorted(meta["path"] for chunk in store.list() for meta in chunk)
try:
    store.head("run#1")
    by_name = "found"
except Exception as error:
    by_name = f"{type(error).__name__}: {str(error).splitlines()[0]}"
print(f"on disk: {sorted(path.name for path in folder.iterdir())}")
print(f"listed: {listed}")
print(f"run#1 by name: {by_name}")
sys.exit(0 if listed == ["run#2.csv", "run-3"] and by_name != "found" else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
