#!/bin/bash
# geopandas 1.2.0 (pyogrio 0.13.0, GDAL), what it writes and reads back. GeoPackage: a column fid is gone, flags with a
# missing one are the texts True and False, whole numbers with a missing one go by a double, so that 2^53+1 becomes 2^53,
# and times are cut to milliseconds. FlatGeobuf: rows come in another order, that of its spatial index. GeoJSON: texts
# like 2026-01-05 and 10:00 are read as dates and times. All without a word; GeoParquet keeps each.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install geopandas==1.2.0 pyogrio==0.13.0 pandas==3.1.1 pyarrow==26.0.1 shapely==2.2.0
cat > "$work/run.py" <<'PY'
import sys, warnings
import geopandas, pandas
from shapely.geometry import Point

warnings.simplefilter("error")
PLACES = [Point(50, 50), Point(-50, -50), Point(10, 10)]
MOMENT = "2026-11-29T10:00:00.123456"


def seen(values, *kinds, name="x"):
    """A column as it is read back from a file of each kind."""
    frame = geopandas.GeoDataFrame({name: values, "other": [1, 2, 3]}, geometry=PLACES, crs=4326)
    found = []
    for kind in kinds:
        if kind == "parquet":
            frame.to_parquet("rows.parquet")
            back = geopandas.read_parquet("rows.parquet")
        else:
            frame.to_file(f"rows.{kind}")
            back = geopandas.read_file(f"rows.{kind}")
        found.append([None if pandas.isna(one) else one for one in back[name]] if name in back else "gone")
    print(f"{list(values)}: {dict(zip(kinds, found))}")
    return found


fid = seen([7, 8, 9], "gpkg", "parquet", name="fid")
flags = seen([True, None, False], "gpkg", "parquet")
numbers = seen(pandas.array([1, None, 2**53 + 1], dtype="Int64"), "gpkg", "parquet")
times = seen(pandas.to_datetime([MOMENT] * 3), "gpkg", "parquet")
order = seen([1, 2, 3], "fgb", "parquet")
days = seen(["2026-01-05"] * 3, "geojson", "parquet")
hours = seen(["10:00"] * 3, "geojson", "parquet")
as_described = fid == ["gone", [7, 8, 9]] and flags == [["True", None, "False"], [True, None, False]]
as_described &= numbers == [[1.0, None, 2.0**53], [1, None, 2**53 + 1]]
as_described &= [one[0].isoformat() for one in times] == [MOMENT[:-3] + "000", MOMENT]
as_described &= order[0] != [1, 2, 3] and sorted(order[0]) == order[1] == [1, 2, 3]
as_described &= [type(one[0]).__name__ for one in days + hours] == ["Timestamp", "str", "time", "str"]
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
