#!/bin/bash
# netCDF4 1.7.5.1 writes a file in which not every station reported, and gives no fill value, so that the library's own fill
# what is missing. netCDF4 reads those as missing. xarray 2026.9.0 reads them as numbers (xarray#2742, open): a mean is
# 3.3e36, counts are -2147483647, and a copy as Zarr has them for good, without a trace. The other way round netCDF4 takes a
# real 255 of a column of bytes for missing, and what lies outside of valid_range; xarray reads both. With a _FillValue
# that is said, the two agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install netCDF4==1.7.5.1.post1 xarray==2026.9.0 zarr==3.1.6 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import netCDF4, numpy, xarray

with netCDF4.Dataset("stations.nc", "w") as file:
    file.createDimension("time", None)
    file.createDimension("station", 3)
    for name, kind, options in [("rain", "f8", {}), ("count", "i4", {}), ("said", "i4", {"fill_value": -1})]:
        column = file.createVariable(name, kind, ("time", "station"), **options)
        column[0, 0:2] = [1, 2]
    column = file.createVariable("level", "u1", ("time", "station"))
    column[0, :] = [1, 2, 255]
    column = file.createVariable("speed", "f4", ("time", "station"))
    column.valid_range = numpy.array([0, 50], "f4")
    column[0, :] = [1, 2, 60]

with netCDF4.Dataset("stations.nc") as file:
    by_netcdf4 = {name: column[0].tolist() for name, column in file.variables.items()}
opened = xarray.open_dataset("stations.nc", engine="netcdf4")
opened.to_zarr("stations.zarr", consolidated=False)
copied = xarray.open_zarr("stations.zarr", consolidated=False)


def plain(rows, name):
    return [None if numpy.isnan(value) else value for value in rows[name].values[0].tolist()]


by_xarray, as_zarr = ({name: plain(rows, name) for name in by_netcdf4} for rows in [opened, copied])
for title, found in [("netCDF4", by_netcdf4), ("xarray", by_xarray), ("its copy as Zarr", as_zarr)]:
    print(f"{title}: {found}")
mean = opened["rain"].mean().item()
print(f"mean of rain by xarray: {mean:.2g}")
as_described = by_netcdf4 == {name: [1, 2, None] for name in by_netcdf4}
as_described &= by_xarray["rain"][2] > 9e36 and mean > 3e36 and by_xarray["count"] == [1, 2, -2147483647]
as_described &= by_xarray["level"] == [1, 2, 255] and by_xarray["speed"] == [1, 2, 60] and by_xarray["said"] == [1, 2, None]
sys.exit(0 if as_described and as_zarr == by_xarray else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
