#!/bin/bash
# pandas 3.1.1, to_stata: whole numbers of 32 bits from 2147483621 on, signed or not, are written as they are, and Stata keeps
# the largest ones for what is missing: pandas itself and pyreadstat 1.3.7 read nothing there. In a column of 64 bits the
# same numbers are written as doubles and come back, as 16 and 8 bits are widened. Nothing is said.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pandas==3.1.1 pyreadstat==1.3.7
cat > "$work/run.py" <<'PY'
import sys, warnings
import pandas, pyreadstat

warnings.simplefilter("error")


def seen(kind, value):
    frame = pandas.DataFrame({"x": pandas.array([1, value], dtype=kind)})
    frame.to_stata("rows.dta", write_index=False)
    read = [pandas.read_stata("rows.dta"), pyreadstat.read_dta("rows.dta")[0]]
    found = [None if pandas.isna(one.x[1]) else int(one.x[1]) for one in read]
    print(f"{value} of {kind}: {found}")
    return found


lost = [seen(kind, value) for kind in ("int32", "Int32", "uint32") for value in (2147483621, 2147483647)]
kept = [("int32", 2147483620), ("int64", 2147483621), ("int64", 2147483647), ("int16", 32767), ("int8", 127)]
as_described = lost == [[None, None]] * 6 and all(seen(kind, value) == [value, value] for kind, value in kept)
sys.exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
