#!/bin/bash
# daft 0.7.26: write_parquet(write_mode="overwrite") writes its files, then removes what is in the folder besides. Of
# processes that overwrite a table at the same moment each removes what the others have just written: all are told
# that they succeeded, and often no row is left, neither theirs nor those of before.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install daft==0.7.26
cat > "$work/run.py" <<'PY'
import glob, multiprocessing, sys, tempfile
import daft

WRITERS, ROUNDS = 4, 12


def overwrite(table, who, start, told):
    start.wait()
    try:
        daft.from_pydict({"writer": [who]}).write_parquet(table, write_mode="overwrite")
        told.put("done")
    except Exception as error:
        told.put(type(error).__name__)


def contest():
    context = multiprocessing.get_context("spawn")
    table, start, told = tempfile.mkdtemp(dir=".") + "/table", context.Barrier(WRITERS), context.Queue()
    daft.from_pydict({"writer": [-1]}).write_parquet(table)
    crew = [context.Process(target=overwrite, args=(table, who, start, told)) for who in range(WRITERS)]
    for one in crew:
        one.start()
    answers = [told.get() for _ in crew]
    for one in crew:
        one.join()
    files = glob.glob(f"{table}/*.parquet")
    return answers, daft.read_parquet(files).to_pydict()["writer"] if files else []


if __name__ == "__main__":
    for number in range(ROUNDS):
        answers, rows = contest()
        print(f"round {number}: {answers}, rows left of {rows or 'nobody'}")
        if answers == ["done"] * WRITERS and not rows:
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
