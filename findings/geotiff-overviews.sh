#!/bin/bash
# rasterio 1.4.4 (GDAL). A GeoTIFF with overviews that is opened with r+ and written over has the old overviews still: read
# small, as maps and dask do, it shows the values of before, and read in full the new ones. Merged, rasters are put side by
# side as stored: of a raster with scale 0.1 beside one with 0.01 both come without a scale, and what doesn't fit the type
# of the first is cut to it: 70000 to 4464, 1.75 to 1. All without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install rasterio==1.4.4 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import numpy, rasterio
from rasterio.enums import Resampling
from rasterio.merge import merge
from rasterio.transform import from_origin

SIZE = 512


def written(path, left, kind, value, scale=1.0, factors=()):
    profile = dict(driver="GTiff", height=SIZE, width=SIZE, count=1, dtype=kind, crs="EPSG:32632", tiled=True)
    with rasterio.open(path, "w", transform=from_origin(left, SIZE, 1, 1), **profile) as raster:
        raster.write(numpy.full((SIZE, SIZE), value, kind), 1)
        raster.scales = [scale]
        if factors:
            raster.build_overviews(factors, Resampling.average)
    return path


def merged(first, second):
    """The first and the last pixel of two rasters side by side, and the scale that the file of both says."""
    merge([first, second], dst_path="both.tif")
    with rasterio.open("both.tif") as raster:
        pixels = raster.read(1)
        return [pixels[0, 0].item(), pixels[0, -1].item()], raster.scales


path = written("one.tif", 0, "int16", 1, factors=[2, 4])
with rasterio.open(path, "r+") as raster:
    raster.write(numpy.full((SIZE, SIZE), 7, "int16"), 1)
with rasterio.open(path) as raster:
    full, small = [set(raster.read(1, out_shape=(size, size)).ravel().tolist()) for size in (SIZE, SIZE // 4)]
print(f"1 and then 7: in full {full}, read at a quarter of its size {small}")
scaled = merged(written("hundredths.tif", 0, "int16", 100, 0.01), written("tenths.tif", SIZE, "int16", 100, 0.1))
wide = merged(written("small.tif", 0, "int16", 100), written("wide.tif", SIZE, "int32", 70000))
real = merged("small.tif", written("real.tif", SIZE, "float32", 1.75))
print(f"1.0 and 10.0, as 100 by two scales, merged: {scaled}; 100 and 70000: {wide}; 100 and 1.75: {real}")
as_described = (full, small) == ({7}, {1}) and scaled == ([100, 100], (1.0,))
sys.exit(0 if as_described and wide[0] == [100, 4464] and real[0] == [100, 1] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
