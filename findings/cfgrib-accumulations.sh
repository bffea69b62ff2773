#!/bin/bash
# cfgrib 0.9.15.1: rain of hours 0 to 12 and rain of hours 6 to 12 are two messages of a GRIB file that end at one step, and
# weather services send both. Opened as a dataset only the one that comes first in the file is there, whichever it is, and
# nothing says what was left out or which one it is: the key that tells them apart, stepRange, isn't looked at. A message
# that is sent again with corrected values behind the first one is dropped in the same way. With stepRange among
# read_keys and filter_by_keys each is found.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install cfgrib==0.9.15.1 eccodes==2.50.0 eccodeslib==2.50.0.33 xarray==2026.9.0 numpy==2.4.6
cat > "$work/run.py" <<'PY'
import sys
import cfgrib, eccodes, numpy

RAIN = {"0-12": 30.0, "6-12": 10.0}


def written(path, messages):
    """A file of messages, each with one value everywhere: rain of some hours since a forecast began."""
    with open(path, "wb") as file:
        for hours, value in messages:
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            for key, said in {
                "productDefinitionTemplateNumber": 8, "dataDate": 20261129, "dataTime": 0,
                "typeOfStatisticalProcessing": 1, "shortName": "tp", "stepRange": hours,
            }.items():
                eccodes.codes_set(message, key, said)
            eccodes.codes_set_values(message, numpy.full(eccodes.codes_get_size(message, "values"), value))
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)
    return path


def seen(path, **more):
    rain = cfgrib.open_dataset(path, indexpath="", **more).tp
    return float(rain.min()), float(rain.max()), rain.attrs.get("GRIB_stepRange")


found = {}
for first, second in [("0-12", "6-12"), ("6-12", "0-12")]:
    path = written(f"{first}.grib", [(first, RAIN[first]), (second, RAIN[second])])
    found[first] = seen(path)
    many = [float(one.tp.max()) for one in cfgrib.open_datasets(path, backend_kwargs={"indexpath": ""})]
    print(f"hours {first}, then {second}: {found[first]}; by open_datasets {many}")
    found[first] += (many,)
corrected = seen(written("corrected.grib", [("6-12", 99.0), ("6-12", RAIN["6-12"])]))
print(f"99.0, then corrected to 10.0: {corrected}")
named = {hours: seen(path, read_keys=["stepRange"], filter_by_keys={"stepRange": hours}) for hours in RAIN}
print(f"asked for by stepRange: {named}")
as_described = all(found[hours] == (value, value, None, [value]) for hours, value in RAIN.items())
as_described &= corrected == (99.0, 99.0, None)
as_described &= all(named[hours] == (value, value, hours) for hours, value in RAIN.items())
sys.exit(0 if as_described else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log" && [ ! -s "$work/log" ]; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
