#!/bin/bash
# duckdb 1.5.5 writes a Bloom filter for a Parquet column with few values, nothing configured, and asks it wrongly: for
# x = 0.0 where the rows have -0.0, which it takes for equal otherwise and which has other bytes, and for bytes that
# aren't ASCII by the text that it shows them as (\xFF; duckdb#23829 mends that, not in 1.5.5). Of 2,000 rows the 1,000 are in
# a table of the file, and no row is found in the file itself. polars 2.1.0 and pyarrow 26.0.1 find them there.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 polars==2.1.0 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import sys
import duckdb, polars, pyarrow.dataset



def seen(name, kind, value, other, sought, plain):
    """Whether the file has a Bloom filter, and how many rows are found in the file and elsewhere."""
    file = f"{name}.parquet"
    rows = f"SELECT CASE WHEN i % 2 = 0 THEN {value}::{kind} ELSE {other}::{kind} END AS x FROM range(2000) rows(i)"
    duckdb.sql(f"COPY ({rows}) TO '{file}'")
    duckdb.sql(f"CREATE TABLE {name} AS FROM '{file}'")
    (bloom,) = duckdb.sql(f"SELECT bloom_filter_offset IS NOT NULL FROM parquet_metadata('{file}')").fetchone()
    in_file, in_table = (
        duckdb.sql(f"SELECT count(*) FROM {place} WHERE x = {sought}::{kind}").fetchone()[0] for place in (f"'{file}'", name)
    )
    by_polars = polars.scan_parquet(file).filter(polars.col("x") == plain).collect().height
    by_pyarrow = pyarrow.dataset.dataset(file).to_table(filter=pyarrow.dataset.field("x") == plain).num_rows
    print(f"{name}: a Bloom filter {bloom}; rows by duckdb in the file {in_file}, in a table {in_table}, polars {by_polars}, pyarrow {by_pyarrow}")
    return bloom, in_file, in_table, by_polars, by_pyarrow


zero = seen("zero", "DOUBLE", "'-0.0'", "'7.0'", "'0.0'", 0.0)
key = seen("key", "BLOB", "'\\xFF\\x80'", "'a'", "'\\xFF\\x80'", b"\xff\x80")
control = seen("ascii", "BLOB", "'b'", "'a'", "'b'", b"b")
lost, found = (True, 0, 1000, 1000, 1000), (True, 1000, 1000, 1000, 1000)
sys.exit(0 if zero == lost and key == lost and control == found else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
