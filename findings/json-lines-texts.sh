#!/bin/bash
# Strings of JSON lines are strings, and readers make something else of them, in every row, without a word. pandas 3.1.1
# reads "007" as 7, "1e5" as 100000.0, twenty digits as a float, " 7 " as 7 and "NaN" as missing, and numbers in columns
# whose names begin with "timestamp" as dates. duckdb 1.5.5, chdb 4.4.0 and daft 0.7.26 read "2026-1-5" as a day, which is written
# back as 2026-01-05, and duckdb a UUID, in small letters afterwards. Of "2026-11-29T10:00:00+02:00" duckdb, chdb and pyarrow
# 25.0.1 keep 08:00 without a zone. polars 2.1.0 and datafusion 55.0.0 leave all as it is, and so do duckdb with
# types that are given and pandas with dtype=False and convert_dates=False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install pandas==3.1.1 polars==2.1.0 duckdb==1.5.5 daft==0.7.26 datafusion==55.0.0 chdb==4.4.0 \
  chdb-core==26.9.0 pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import datetime, json, sys
import chdb, daft, datafusion, duckdb, pandas, polars, pyarrow
import pyarrow.json

FILE = "rows.jsonl"
ROW = {
    "key": "007", "code": "1e5", "long": "12345678901234567891", "blanks": " 7 ", "name": "NaN", "timestamp_ms": 1764381600123,
    "day": "2026-1-5", "uuid": "6F9619FF-8B86-D011-B42D-00C04FC964FF", "moment": "2026-11-29T10:00:00+02:00",
}
with open(FILE, "w") as out:
    out.writelines(json.dumps(ROW) + "\n" for _ in range(3))


def by_duckdb(more=""):
    found = duckdb.execute(f"FROM read_json('{FILE}'{more}) LIMIT 1")
    return dict(zip([column[0] for column in found.description], found.fetchone()))


def by_datafusion():
    session = datafusion.SessionContext()
    session.register_json("found", FILE, file_extension=".jsonl")
    return session.sql("SELECT * FROM found LIMIT 1").to_pylist()[0]


def by_chdb():
    settings = "SETTINGS output_format_json_quote_64bit_integers = 0"
    return json.loads(chdb.query(f"SELECT * FROM file('{FILE}', JSONEachRow) LIMIT 1 {settings}", "JSONEachRow").bytes())


changed = {}
for reader, row in {
    "pandas": pandas.read_json(FILE, lines=True).iloc[0].to_dict(),
    "duckdb": by_duckdb(),
    "daft": daft.read_json(FILE).to_pylist()[0],
    "chdb": by_chdb(),
    "pyarrow": pyarrow.json.read_json(FILE).to_pylist()[0],
    "polars": polars.read_ndjson(FILE).row(0, named=True),
    "datafusion": by_datafusion(),
    "pandas, as it is": pandas.read_json(FILE, lines=True, dtype=False, convert_dates=False).iloc[0].to_dict(),
    "duckdb, with types": by_duckdb(", columns = {" + ", ".join(
        f"{name}: '{'VARCHAR' if isinstance(value, str) else 'BIGINT'}'" for name, value in ROW.items()) + "}"),
}.items():
    changed[reader] = {name: value for name, value in row.items() if value != ROW[name]}
    print(f"{reader}: {changed[reader]}")

wrong = changed["pandas"]
as_described = [wrong[name] for name in ["key", "code", "blanks"]] == [7, 100000.0, 7] and pandas.isna(wrong["name"])
as_described &= isinstance(wrong["long"], float) and wrong["timestamp_ms"].year == 2025
day, naive = datetime.date(2026, 1, 5), datetime.datetime(2026, 11, 29, 8, 0)
as_described &= changed["duckdb"]["day"] == changed["daft"]["day"] == day
as_described &= str(changed["duckdb"]["uuid"]) == ROW["uuid"].lower()
as_described &= changed["duckdb"]["moment"] == changed["pyarrow"]["moment"] == naive
as_described &= changed["chdb"] == {"day": "2026-01-05", "moment": "2026-11-29 08:00:00"}
as_described &= not any(changed[name] for name in ["polars", "datafusion", "pandas, as it is", "duckdb, with types"])
sys.exit(0 if as_described else 1)
PY
cd "$work"
if TZ=UTC "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
