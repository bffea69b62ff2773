#!/bin/bash
# deltalake 1.6.6, a table that is partitioned by a decimal: appending the price -0.50 writes "0.-50" to the log (and
# -1.05 becomes "-1.-5"; Delta's protocol, Partition Value Serialization, wants "-0.50"). The caller is told that it
# failed, but the commit is there, and from then on nobody can read the table, none of its rows: neither deltalake
# nor polars 2.1.0 nor duckdb 1.5.5. Positive values and whole negative ones are well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb_extension_delta==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, json, os, sys, tempfile
from decimal import Decimal
import deltalake, duckdb, duckdb_extension_delta, polars, pyarrow

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
READERS = {
    "deltalake": lambda path: pyarrow.table(deltalake.DeltaTable(path).to_pyarrow_table()).num_rows,
    "polars": lambda path: polars.read_delta(path).height,
    "duckdb": lambda path: connection.execute(f"SELECT count(price) FROM delta_scan('{path}')").fetchone()[0],
}


def attempt(work):
    try:
        return work()
    except Exception:
        return "failed"


def append(name, prices):
    """What the appends were told, what the log says of each, and how many rows readers find."""
    path, told = f"{folder}/{name}", []
    for price in prices:
        row = pyarrow.table({"price": pyarrow.array([Decimal(price)], pyarrow.decimal128(10, 2)), "item": ["book"]})
        write = lambda: deltalake.write_deltalake(path, row, mode="append", partition_by=["price"])
        told.append(attempt(write) or "done")
    lines = [json.loads(line) for log in sorted(glob.glob(f"{path}/_delta_log/*.json")) for line in open(log)]
    written = [line["add"]["partitionValues"]["price"] for line in lines if "add" in line]
    found = {reader: attempt(lambda: rows(path)) for reader, rows in READERS.items()}
    print(f"{prices}: told {told}, in the log {written}, rows {found}")
    return told, written, set(found.values())


sound = append("sound", ["1.50", "0.05", "-2.00"])
broken = append("broken", ["1.50", "0.05", "-0.50"])
other = append("other", ["-1.05"])
as_described = sound == (["done"] * 3, ["1.50", "0.05", "-2.00"], {3})
as_described &= broken == (["done", "done", "failed"], ["1.50", "0.05", "0.-50"], {"failed"})
as_described &= other[1:] == (["-1.-5"], {"failed"})
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
