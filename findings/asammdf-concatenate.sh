#!/bin/bash
# asammdf 8.8.28, MDF.concatenate of measurement files (ASAM MDF 4) with the same channels, as a logger writes them one after
# the other. How raw values are read is taken from the first file alone: where a later one has another conversion
# (another scale of the sensor), its 10 is read as -35; where it has wider integers, their bytes are read as narrow
# ones, 300 and 20 as 44 and 1. Nothing is said. Each file by itself is read right, and so are files that are alike.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install asammdf==8.8.28 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import numpy
from asammdf import MDF, Signal


def file(name, samples, kind, conversion):
    mdf = MDF(version="4.10")
    times = numpy.arange(len(samples), dtype="float64")
    mdf.append(Signal(numpy.array(samples, kind), times, name="speed", conversion=conversion))
    mdf.save(f"{name}.mf4", overwrite=True)
    return f"{name}.mf4"


def values(mdf):
    return mdf.get("speed").samples.tolist()


def seen(title, first, second):
    """The values of each file by itself, and of both together."""
    files = [file("first", *first), file("second", *second)]
    alone = [value for one in files for value in values(MDF(one))]
    MDF.concatenate(files).save("both.mf4", overwrite=True)
    together = values(MDF("both.mf4"))
    print(f"{title}: alone {alone}, together {together}")
    return alone, together


half, whole = {"a": 0.5, "b": -40}, {"a": 1, "b": 0}
conversions = seen("conversions", ([10, 20], "uint8", half), ([10, 20], "uint8", whole))
widths = seen("widths", ([10, 20], "uint8", whole), ([300, 20], "uint16", whole))
same = seen("same", ([10, 20], "uint8", half), ([30, 40], "uint8", half))
as_described = conversions == ([-35, -30, 10, 20], [-35, -30, -35, -30])
as_described &= widths == ([10, 20, 300, 20], [10, 20, 44, 1])
sys.exit(0 if as_described and same[0] == same[1] == [-35, -30, -25, -20] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
