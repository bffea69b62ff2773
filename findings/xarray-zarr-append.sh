#!/bin/bash
# xarray 2026.9.0, to_zarr(append_dim="time"), here into an Icechunk 1.1.21 repository that commits each append. Times that the
# unit of the store cannot hold are written in a finer one, with a warning that says so, and the unit of the store
# stays: appended to days, 2026-01-03 06:00 is 2026-02-24 (pydata/xarray#5969 is closed, #10639 open). And without a word:
# integers too wide for the store come as others (2**33 as 0), and the other coordinates are replaced by those of the
# append, so that its reversed latitudes turn around the rows of before (#11101).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install xarray==2026.9.0 zarr==3.1.6 icechunk==1.1.21 pandas==3.1.1 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys, warnings
import icechunk, numpy, pandas, xarray


def appended(title, first, second):
    """What is in the repository after both were committed, and what was warned of."""
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for rows, options in [(first, {}), (second, {"append_dim": "time"})]:
            session = repository.writable_session("main")
            rows.to_zarr(session.store, consolidated=False, zarr_format=3, **options)
            session.commit(title)
    units = [str(warning.message) for warning in told if "serialized faithfully" in str(warning.message)]
    found = xarray.open_zarr(repository.readonly_session("main").store, consolidated=False).load()
    return found, units, [str(warning.message) for warning in told if str(warning.message) not in units]


def at(*times):
    return xarray.Dataset({"value": ("time", numpy.arange(float(len(times))))}, {"time": pandas.to_datetime(list(times))})


found, units, _ = appended("times", at("2026-01-01", "2026-01-02"), at("2026-01-03 06:00", "2026-01-03 12:00"))
times = [str(time)[:16] for time in found["time"].values]
print(f"times: {times}, warned {bool(units)}")

counts = [numpy.array([1, 2], "int32"), numpy.array([2**33, 2**33 + 5], "int64")]
found, _, told = appended("integers", *(xarray.Dataset({"count": ("time", count)}) for count in counts))
integers = found["count"].values.tolist()
print(f"integers: {integers}, warned {bool(told)}")


def row(values, latitudes, time):
    coordinates = {"time": pandas.to_datetime([time]), "latitude": latitudes}
    return xarray.Dataset({"warmth": (("time", "latitude"), [values])}, coordinates)


found, _, silent = appended("latitudes", row([10.0, 20.0], [0, 50], "2026-01-01"), row([21.0, 11.0], [50, 0], "2026-01-02"))
warmth = [found["warmth"].sel(latitude=0, time=day).item() for day in ["2026-01-01", "2026-01-02"]]
print(f"latitudes: at 0 it was {warmth}, and 10.0 and 11.0 were written; warned {bool(silent)}")

as_described = times == ["2026-01-01T00:00", "2026-01-02T00:00", "2026-02-24T00:00", "2026-03-02T00:00"] and len(units) == 1
as_described &= integers == [1, 2, 0, 5] and warmth == [20.0, 11.0] and not told and not silent
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
