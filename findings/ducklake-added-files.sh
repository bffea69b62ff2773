#!/bin/bash
# DuckLake in duckdb 1.5.5: a Parquet file without statistics (they are optional in the format; pyarrow 26.0.1's
# write_statistics=False) is added to a table by ducklake_add_data_files, and then a row is inserted. From then on the
# bounds that the table is taken to have are those of that row alone: all other rows, also those from before, are in a
# scan, and no filter finds them, and min() is wrong. With statistics in the file all is well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_ducklake==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys
import duckdb, duckdb_extension_ducklake, pyarrow, pyarrow.parquet

here = os.getcwd()
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_ducklake.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
connection.execute(f"ATTACH 'ducklake:{here}/lake.ducklake' AS lake (DATA_PATH '{here}/data')")


def seen(name, statistics):
    """The rows of a scan, those that filters by their values find, and the least one, before and after the last insert."""
    file = f"{here}/{name}.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.array([2], pyarrow.int32())}), file, write_statistics=statistics)
    connection.execute(f"CREATE TABLE lake.{name} (x INTEGER)")
    connection.execute(f"INSERT INTO lake.{name} VALUES (1)")
    connection.execute(f"CALL ducklake_add_data_files('lake', '{name}', '{file}')")
    states = []
    for insert in [None, f"INSERT INTO lake.{name} VALUES (3)"]:
        if insert:
            connection.execute(insert)
        rows = sorted(x for (x,) in connection.execute(f"FROM lake.{name}").fetchall())
        found = [x for x in rows if connection.execute(f"FROM lake.{name} WHERE x = {x}").fetchall()]
        least = connection.execute(f"SELECT min(x) FROM lake.{name}").fetchone()[0]
        states.append((rows, found, least))
        print(f"{name}: rows {rows}, found by their values {found}, min {least}")
    return states


without, with_them = seen("without_statistics", False), seen("with_statistics", True)
as_described = without == [([1, 2], [1, 2], 1), ([1, 2, 3], [3], 3)]
as_described &= with_them == [([1, 2], [1, 2], 1), ([1, 2, 3], [1, 2, 3], 1)]
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
