#!/bin/bash
# Appending to a table whose column has another type. deltalake 1.6.6 (which says that it raises where the schema differs)
# writes 1.7 as 1, 1e300 as infinity, 7 as true, 2 to the 53rd plus 1 without the 1, and "…+05:00" without its zone;
# its merge writes a time as a day. daft 0.7.26 (write_iceberg) writes a time as a day, 1e300 as infinity and 7 as
# true. All without a word. pyiceberg 0.12.0 and pylance 14.0.2 refuse every one of these.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 daft==0.7.26 'pyiceberg[sql-sqlite]==0.12.0' pylance==14.0.2 pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import os, sys, tempfile
from datetime import date, datetime
import daft, deltalake, lance, pyarrow
from pyiceberg.catalog.sql import SqlCatalog

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("lake")
int32, int64, float32, float64 = pyarrow.int32(), pyarrow.int64(), pyarrow.float32(), pyarrow.float64()
day, time = pyarrow.date32(), pyarrow.timestamp("us")
CASES = {
    "fraction": (int32, float64, 1.7),
    "huge": (float32, float64, 1e300),
    "odd": (float64, int64, 2**53 + 1),
    "seven": (pyarrow.bool_(), int64, 7),
    "zone": (time, pyarrow.string(), "2026-01-01T00:00:00+05:00"),
    "noon": (day, time, datetime(2026, 1, 1, 12)),
}


def delta(name, empty, rows):
    deltalake.write_deltalake(f"{folder}/{name}", empty)
    deltalake.write_deltalake(f"{folder}/{name}", rows, mode="append")
    return pyarrow.table(deltalake.DeltaTable(f"{folder}/{name}").to_pyarrow_table())


def delta_merge(name, empty, rows):
    deltalake.write_deltalake(f"{folder}/merge-{name}", empty)
    table = deltalake.DeltaTable(f"{folder}/merge-{name}")
    table.merge(rows, "false", source_alias="new", target_alias="old").when_not_matched_insert_all().execute()
    return pyarrow.table(table.to_pyarrow_table())


def daft_iceberg(name, empty, rows):
    daft.from_arrow(rows).write_iceberg(catalog.create_table(f"lake.daft_{name}", empty.schema))
    return catalog.load_table(f"lake.daft_{name}").scan().to_arrow()


def iceberg(name, empty, rows):
    table = catalog.create_table(f"lake.{name}", empty.schema)
    table.append(rows)
    return table.scan().to_arrow()


def lance_rows(name, empty, rows):
    lance.write_dataset(empty, f"{folder}/lance-{name}")
    return lance.write_dataset(rows, f"{folder}/lance-{name}", mode="append").to_table()


def appended(title, append):
    found = {}
    for name, (there, new, value) in CASES.items():
        empty = pyarrow.table({"x": pyarrow.array([], there)})
        try:
            found[name] = append(name, empty, pyarrow.table({"x": pyarrow.array([value], new)}))["x"].to_pylist()[0]
        except Exception:
            pass
    print(f"{title}: {found}")
    return found


infinity = float("inf")
as_described = appended("deltalake", delta) == {
    "fraction": 1, "huge": infinity, "odd": 2.0**53, "seven": True, "zone": datetime(2025, 12, 31, 19)
}
as_described &= appended("deltalake, merge", delta_merge).get("noon") == date(2026, 1, 1)
as_described &= appended("daft", daft_iceberg) == {"huge": infinity, "seven": True, "noon": date(2026, 1, 1)}
as_described &= appended("pyiceberg", iceberg) == {} and appended("pylance", lance_rows) == {}
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
