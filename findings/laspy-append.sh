#!/bin/bash
# laspy 2.7.0, points of LAS files from a laser scanner, which are whole numbers by the scale and offset of their file.
# Appended to a file that has others (open with mode "a"), they keep their numbers and so lie somewhere else: 1001.125 m
# becomes 11.25 m, and the header's bounds say so too. Written to a new file of the same header (mode "w") they are computed
# anew and right. An intensity above 65535 is wrapped: 70000 becomes 4464. Both without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install laspy==2.7.0 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import laspy, numpy


def written(path, scale, offset, metres):
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [scale] * 3, [offset] * 3
    points = laspy.LasData(header)
    points.x = points.y = points.z = numpy.array(metres)
    points.write(path)


written("first.las", 0.01, 0, [1.25, 2.5])
written("second.las", 0.001, 1000, [1001.125, 1002.5])
second = laspy.read("second.las")
header = laspy.read("first.las").header
with laspy.open("first.las", mode="a") as file:
    file.append_points(second.points)
with laspy.open("new.las", mode="w", header=header) as file:
    file.write_points(second.points)
appended, new = laspy.read("first.las"), laspy.read("new.las")
found = [[float(one) for one in numpy.round(points.x, 3)] for points in (second, appended, new)]
print(f"second {found[0]}; first with second appended {found[1]}, up to {appended.header.maxs[0]}; in a new file {found[2]}")
points = laspy.LasData(laspy.LasHeader(point_format=3))
points.intensity = numpy.array([70000])
print(f"intensity 70000: {points.intensity[0]}")
as_described = found[1] == [1.25, 2.5, 11.25, 25.0] and appended.header.maxs[0] == 25 and points.intensity[0] == 4464
sys.exit(0 if as_described and found[0] == [1001.125, 1002.5] and found[2] in ([1001.12, 1002.5], [1001.13, 1002.5]) else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
