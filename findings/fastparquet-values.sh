#!/bin/bash
# fastparquet 2026.9.0 with pandas 2.3.3, without a word: a column of datetime64[s] is written a million times too small,
# so that 2026 is a day in 1970 for every reader; a filter with "not in" leaves out row groups with rows that it asks
# for; zero bytes at the end of fixed-size binary values (a UUID, a hash) are cut off; a list of structs is null in
# every row. pyarrow 21.0.0 writes and reads all of it right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install fastparquet==2026.9.0 pandas==2.3.3 pyarrow==21.0.0
cat > "$work/run.py" <<'PY'
import sys
import pandas, pyarrow, pyarrow.parquet

MOMENT = pandas.Timestamp("2026-01-01 12:00:00")


def read(file, engine, **more):
    return pandas.read_parquet(file, engine=engine, **more)


times = pandas.DataFrame({unit: pandas.Series([MOMENT]).astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us")})
written = {}
for engine in ["fastparquet", "pyarrow"]:
    times.to_parquet(f"{engine}.parquet", engine=engine)
    written[engine] = [pandas.Timestamp(value) for value in read(f"{engine}.parquet", "pyarrow").iloc[0]]
    print(f"{MOMENT} as seconds, milliseconds, microseconds, written by {engine}: {[str(time) for time in written[engine]]}")

pyarrow.parquet.write_table(pyarrow.table({"n": range(6)}), "rows.parquet", row_group_size=2)
filters = [("n", "not in", [1, 2])]
kept = {engine: read("rows.parquet", engine, filters=filters)["n"].tolist() for engine in ["fastparquet", "pyarrow"]}
print(f"0 to 5 not in [1, 2]: {kept}")

key = bytes([1, 2, 3, 0])
lists = pyarrow.array([[{"a": 1}]], pyarrow.list_(pyarrow.struct([("a", pyarrow.int64())])))
pyarrow.parquet.write_table(pyarrow.table({"key": pyarrow.array([key], pyarrow.binary(4)), "lists": lists}), "values.parquet")
found = {engine: read("values.parquet", engine).iloc[0].to_dict() for engine in ["fastparquet", "pyarrow"]}
print(f"{key} and a list of one struct: {found}")

as_described = written["pyarrow"] == [MOMENT] * 3
as_described &= [time.year for time in written["fastparquet"]] == [1970, 2026, 2026]
as_described &= kept == {"fastparquet": [4, 5], "pyarrow": [0, 3, 4, 5]}
as_described &= found["fastparquet"] == {"key": key[:3], "lists": None}
as_described &= found["pyarrow"]["key"] == key and list(found["pyarrow"]["lists"]) == [{"a": 1}]
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
