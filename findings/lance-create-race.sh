#!/bin/bash
# pylance 14.0.2, local files: write_dataset(mode="create") is to fail when there is a dataset. Of eight processes that
# start together several succeed, and the dataset has the rows of one of them: the others' were replaced
# (their version is there, the newest is without them) after they had been told that all went well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pylance==14.0.2 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import multiprocessing, sys, tempfile
import pyarrow


def create(folder, who, start, said):
    start.wait()
    try:
        make(f"{folder}/table", pyarrow.table({"writer": [who]}))
        said.put(who)
    except Exception:
        said.put(None)


def contest(writers):
    context = multiprocessing.get_context("spawn")
    folder, said, start = tempfile.mkdtemp(dir="."), context.Queue(), context.Barrier(writers)
    crew = [context.Process(target=create, args=(folder, who, start, said)) for who in range(writers)]
    for one in crew:
        one.start()
    told = [said.get() for _ in crew]
    for one in crew:
        one.join()
    return sorted(who for who in told if who is not None), read(f"{folder}/table")


def make(where, rows):
    import lance
    lance.write_dataset(rows, where, mode="create")


def read(where):
    import lance
    return sorted(lance.dataset(where).to_table()["writer"].to_pylist())


if __name__ == "__main__":
    for number in range(12):
        winners, rows = contest(8)
        print(f"round {number}: created by {winners}, rows of {rows}")
        if len(winners) > 1 and len(rows) == 1:
            sys.exit(0)
    sys.exit(1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
