#!/bin/bash
# pyarrow 26.0.1 knows no summer time after 2037: it reads the transitions of a zone's file, which end there, and not the
# rule behind them. 2038-07-01 12:00 UTC is 13 o'clock in Berlin by its hour, cast to text and local_timestamp, and noon there
# becomes 11:00 UTC; pandas 3.1.1 gets the same for columns of Arrow's types. The same value is 14 o'clock by pandas's own type,
# duckdb 1.5.5, chdb 4.4.0, and pyarrow itself as a Python object. polars 2.1.0 and datafusion 55.0.0 (chrono-tz) are
# right until 2099, and an hour off from 2100 on. All without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 datafusion==55.0.0 duckdb==1.5.5 \
  chdb==4.4.0 chdb-core==26.9.0
cat > "$work/run.py" <<'PY'
import datetime, json, sys
import chdb, datafusion, duckdb, pandas, polars, pyarrow
import pyarrow.compute

ZONE = "Europe/Berlin"
NOONS = [datetime.datetime(year, 7, 1, 12) for year in (2037, 2038, 2099, 2100)]
here = pyarrow.array(NOONS, pyarrow.timestamp("us", ZONE))


def by_datafusion():
    session = datafusion.SessionContext()
    session.register_record_batches("t", [[pyarrow.record_batch({"x": pyarrow.array(NOONS, pyarrow.timestamp("us", "UTC"))})]])
    query = f"""SELECT date_part('hour', arrow_cast(x, 'Timestamp(Microsecond, Some("{ZONE}"))')) AS hour FROM t ORDER BY x"""
    return [row["hour"] for row in session.sql(query).to_pylist()]


def by_chdb(noon):
    query = f"SELECT toHour(toTimeZone(toDateTime64('{noon}', 0, 'UTC'), '{ZONE}')) AS hour"
    return json.loads(chdb.query(query, "JSONEachRow").bytes())["hour"]


def by_duckdb(noon):
    return duckdb.execute(f"SELECT hour(timezone('{ZONE}', timezone('UTC', TIMESTAMP '{noon}')))").fetchone()[0]


aware = pyarrow.compute.assume_timezone(pyarrow.array(NOONS, pyarrow.timestamp("us")), ZONE)
hours = {
    "pyarrow": pyarrow.compute.hour(here).to_pylist(),
    "pyarrow, local_timestamp": [one.hour for one in pyarrow.compute.local_timestamp(here).to_pylist()],
    "pyarrow, as text": [int(text[11:13]) for text in here.cast(pyarrow.string()).to_pylist()],
    "pandas, Arrow's type": pandas.Series(here, dtype=pandas.ArrowDtype(here.type)).dt.hour.to_list(),
    "pyarrow, as objects": [one.hour for one in here.to_pylist()],
    "pandas": pandas.Series(NOONS).dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.hour.to_list(),
    "duckdb": [by_duckdb(noon) for noon in NOONS],
    "chdb": [by_chdb(noon) for noon in NOONS],
    "polars": polars.Series(NOONS).dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE).dt.hour().to_list(),
    "datafusion": by_datafusion(),
}
print(f"the hour in {ZONE} of noon in UTC on 1 July {[noon.year for noon in NOONS]}")
for library, found in hours.items():
    print(f"  {library}: {found}")
back = [one.hour for one in aware.cast(pyarrow.timestamp("us", "UTC")).to_pylist()]
print(f"and noon in {ZONE} in UTC by pyarrow: {back}")
found = list(hours.values())
as_described = found[:4] == [[14, 13, 13, 13]] * 4 and found[4:8] == [[14] * 4] * 4 and found[8:] == [[14, 14, 14, 13]] * 2
sys.exit(0 if as_described and back == [10, 11, 11, 11] else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
