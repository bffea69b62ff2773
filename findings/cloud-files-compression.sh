#!/bin/bash
# cloud-files 6.4.3, local files: what is put with another compression lies beside what was there under the same name, and
# get takes the uncompressed one first. A put that compresses over one that did not is acknowledged and never
# seen; deleting the name then brings it up, and the listing has the name twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install cloud-files==6.4.3
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
from cloudfiles import CloudFiles

files = CloudFiles("file://" + os.path.abspath(tempfile.mkdtemp(dir=".")))
files.put("head", b"old")
files.put("head", b"new", compress="gzip")
after_put, listed = files.get("head"), sorted(files.list())
files.delete("head")
after_delete = files.get("head")
print(f"b'old' is put, then b'new' with gzip: get has {after_put!r}, list has {listed}")
print(f"after one delete: get has {after_delete!r}")
sys.exit(0 if (after_put, listed, after_delete) == (b"old", ["head", "head"], b"new") else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
