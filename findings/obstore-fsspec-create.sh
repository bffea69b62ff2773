#!/bin/bash
# fsspec 2026.9.0 has mode="create" for pipe_file and put_file: fail where the file is there. The local file system
# keeps to it in pipe_file, and copies over what is there in put_file; obstore 0.12.1's FsspecStore takes the word
# and replaces in both, though obstore.put itself has this mode and keeps to it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install fsspec==2026.9.0 obstore==0.12.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
import fsspec, obstore
from obstore.exceptions import AlreadyExistsError
from obstore.fsspec import FsspecStore
from obstore.store import LocalStore

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
with open(f"{folder}/source", "wb") as source:
    source.write(b"second")


def put_with_obstore(store):
    obstore.put(store, "plain", b"second", mode="create")


def outcome(path, create):
    with open(path, "wb") as file:
        file.write(b"first")
    try:
        create()
        told = "done"
    except (FileExistsError, AlreadyExistsError):
        told = "exists"
    with open(path, "rb") as file:
        return told, file.read()


seen = {}
for name, fs in {"local": fsspec.filesystem("file"), "obstore": FsspecStore("file")}.items():
    path = f"{folder}/{name}"
    seen[f"{name}, pipe_file"] = outcome(path, lambda: fs.pipe_file(path, b"second", mode="create"))
    seen[f"{name}, put_file"] = outcome(path, lambda: fs.put_file(f"{folder}/source", path, mode="create"))
seen["obstore.put"] = outcome(f"{folder}/plain", lambda: put_with_obstore(LocalStore(folder)))
for name, (told, left) in seen.items():
    print(f"{name}: {told}, {left!r} is left")
kept, replaced = ("exists", b"first"), ("done", b"second")
as_described = list(seen.values()) == [kept, replaced, replaced, replaced, kept]
sys.stdout.flush()
os._exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
