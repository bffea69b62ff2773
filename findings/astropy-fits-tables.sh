#!/bin/bash
# astropy 8.0.2 writes a table to FITS. A column of 8-bit integers becomes one of booleans: -128, 0 and 127 come back as true,
# false, true (astropy#11963, open; FITS has signed bytes by TZERO, and fitsio 1.4.2 writes them so). Of a column with
# missing values the fill value is written for null, by default 999999 as far as it fits, 63 in a column of bytes: every
# real 63 comes back as missing, too (astropy#4708, open). Nothing is said.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install astropy==8.0.2 fitsio==1.4.2 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import fitsio, numpy
from astropy.table import MaskedColumn, Table


def seen(title, column):
    """The values before and after a table with the column was written and read again, None where one is missing."""
    Table({"x": column}).write("rows.fits", overwrite=True)
    before, after = column.tolist(), Table.read("rows.fits")["x"].tolist()
    print(f"{title}: {before} became {after}")
    return after


def with_a_gap(kind, *values):
    return MaskedColumn(numpy.array([*values, 0], kind), mask=[False] * len(values) + [True])


signed = seen("signed bytes", numpy.array([-128, 0, 127], "int8"))
with fitsio.FITS("by-fitsio.fits", "rw", clobber=True) as file:
    file.write(numpy.array([(-128,), (0,), (127,)], [("x", "int8")]))
by_fitsio = Table.read("by-fitsio.fits")["x"].tolist()
print(f"by fitsio: {by_fitsio}")
small = seen("bytes with a gap", with_a_gap("uint8", 62, 63, 64))
wide = seen("numbers with a gap", with_a_gap("int32", 999998, 999999))
whole = seen("bytes without one", numpy.array([62, 63, 64], "uint8"))
as_described = signed == [True, False, True] and by_fitsio == [-128, 0, 127]
as_described &= small == [62, None, 64, None] and wide == [999998, None, None] and whole == [62, 63, 64]
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
