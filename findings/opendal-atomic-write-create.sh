#!/bin/bash
# OpenDAL 0.47.12, service fs: the capability says that if_not_exists is offered. Without atomic_write_dir one of
# sixteen concurrent writers of a name wins. With it the target is looked for when the writer is opened and
# the finished file is renamed over whatever is there by then, so all of them may win.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install opendal==0.47.12
cat > "$work/run.py" <<'PY'
import sys, tempfile, threading
import opendal

WRITERS, ROUNDS = 16, 10


def most_winners(operator):
    most = 0
    for number in range(ROUNDS):
        start, winners = threading.Barrier(WRITERS), []

        def write(who):
            start.wait()
            try:
                operator.write(f"round-{number}", f"{who} ".encode() * 2000, if_not_exists=True)
                winners.append(who)
            except opendal.exceptions.Error:
                pass

        threads = [threading.Thread(target=write, args=(who,)) for who in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        most = max(most, len(winners))
    return most


plain = opendal.Operator("fs", root=tempfile.mkdtemp(dir="."))
atomic = opendal.Operator("fs", root=tempfile.mkdtemp(dir="."), atomic_write_dir=tempfile.mkdtemp(dir="."))
offered = atomic.capability().write_with_if_not_exists
one, many = most_winners(plain), most_winners(atomic)
print(f"if_not_exists offered with atomic_write_dir: {offered}")
print(f"most winners of {WRITERS} writers in {ROUNDS} rounds: {one} without atomic_write_dir, {many} with it")
sys.exit(0 if offered and one == 1 and many > 1 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
