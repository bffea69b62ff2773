#!/bin/bash
# quilt3 8.0.0, a registry in a local folder: revisions of a package are listed under the second in which they were made.
# Of several that are built within one second all but the last are missing from the list of versions, though
# each caller was given its hash, by which it can still be had.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install quilt3==8.0.0
cat > "$work/run.py" <<'PY'
import pathlib, sys, tempfile, time
import quilt3

folder = pathlib.Path(tempfile.mkdtemp(dir=".")).resolve()
registry = f"file://{folder}/registry"


def build(name, number):
    file = folder / "orders.csv"
    file.write_text(f"{number}")
    package = quilt3.Package()
    package.set("orders.csv", file.as_uri())
    return package.build(name, registry=registry, message=f"{number}")


for attempt in range(10):
    name, begun = f"lake/orders{attempt}", int(time.time())
    built = [build(name, number) for number in range(3)]
    if int(time.time()) == begun:
        break
listed = {top_hash for _, top_hash in quilt3.list_package_versions(name, registry=registry)}
kept = [quilt3.Package.browse(name, registry=registry, top_hash=one).top_hash for one in built]
print(f"built in one second: {[one[:8] for one in built]}")
print(f"listed: {[one[:8] for one in listed]}; to be had by their hash: {[one[:8] for one in kept]}")
sys.exit(0 if listed == {built[-1]} and kept == built else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
