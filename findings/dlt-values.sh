#!/bin/bash
# dlt 1.31.0 loads rows as they come and keeps to the types and names that it found first. Names that it normalizes to one
# are one: of {"userId": 1, "user_id": 2} the 1 is gone, without a word (dlt#423, closed; an Arrow table with both it refuses). A
# column that began with false takes 5 and 0.2 for true; one of numbers takes the text "007" for 7 and "1_000" for 1000; one
# of days takes the number 20260101 for seconds, 1970-08-23. Other texts and numbers that don't fit get a column of
# their own beside it, so that one expects nothing to be lost.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install 'dlt[duckdb,parquet]==1.31.0' duckdb==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import datetime, os, sys

os.environ.update(DLT_DATA_DIR=os.path.abspath("dlt"), RUNTIME__DLTHUB_TELEMETRY="false")
import dlt, duckdb, pyarrow
from dlt.pipeline.exceptions import PipelineStepFailed


def seen(name, *loads):
    """The columns and rows of a table after several loads of one row each."""
    pipeline = dlt.pipeline(name, destination=dlt.destinations.duckdb(f"{name}.duckdb"), dataset_name="lake")
    try:
        for rows in loads:
            pipeline.run(rows, table_name="rows")
    except PipelineStepFailed as error:
        print(f"{name}: refused")
        return "collision" in str(error)
    found = duckdb.connect(f"{name}.duckdb", read_only=True).execute("SELECT * EXCLUDE (_dlt_load_id, _dlt_id) FROM lake.rows")
    columns, rows = [column[0] for column in found.description], found.fetchall()
    print(f"{name}: {columns} {rows}")
    return columns, sorted(rows, key=str)


names = seen("names", [{"userId": 1, "user_id": 2}])
refused = seen("names_of_arrow", pyarrow.table({"userId": [1], "user_id": [2]}))
flags = seen("flags", [{"n": 1, "x": False}], [{"n": 2, "x": 5}], [{"n": 3, "x": 0.2}])
texts = seen("texts", [{"n": 1, "x": 1}], [{"n": 2, "x": "1_000"}], [{"n": 3, "x": "007"}], [{"n": 4, "x": "A7"}])
days = seen("days", [{"n": 1, "x": datetime.date(2026, 1, 1)}], [{"n": 2, "x": 20260101}])
as_described = names == (["user_id"], [(2,)]) and refused is True
as_described &= flags == (["n", "x"], [(1, False), (2, True), (3, True)])
as_described &= texts == (["n", "x", "x__v_text"], [(1, 1, None), (2, 1000, None), (3, 7, None), (4, None, "A7")])
as_described &= days == (["n", "x"], [(1, datetime.date(2026, 1, 1)), (2, datetime.date(1970, 8, 23))])
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
