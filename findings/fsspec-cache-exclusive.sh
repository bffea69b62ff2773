#!/bin/bash
# fsspec 2026.9.0: mode 'xb' (exclusive creation) is kept by the local file system, and lost when the same file
# is opened through a cache: the cache's own temporary file is new, and is then put over the target.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install fsspec==2026.9.0
cat > "$work/run.py" <<'PY'
import pathlib, sys, tempfile
import fsspec

folder = pathlib.Path(tempfile.mkdtemp(dir=".")).resolve()


def create(protocol, **options):
    target = folder / "report"
    target.write_bytes(b"first")
    files = fsspec.filesystem(protocol, **options)
    try:
        with files.open(str(target), "xb") as out:
            out.write(b"second")
        said = "created"
    except FileExistsError:
        said = "exists"
    return said, target.read_bytes()


plain = create("file")
simple = create("simplecache", target_protocol="file")
whole = create("filecache", target_protocol="file", cache_storage=tempfile.mkdtemp(dir="."))
for name, seen in [("file", plain), ("simplecache over file", simple), ("filecache over file", whole)]:
    print(f"{name}: {seen}")
lost = ("created", b"second")
sys.exit(0 if plain == ("exists", b"first") and simple == lost and whole == lost else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
