#!/bin/bash
# daft 0.7.26, read_parquet(hive_partitioning=True): the type of a partition's column is guessed from the first file alone
# (of a pattern from whichever its listing brings first), and the values of others that aren't of that type are null,
# without a word, in what daft wrote itself: of the text 100 and A-7 comes 100 and null, of the doubles 1.0 and 2.5, for
# which pyarrow 25.0.1 makes folders x=1 and x=2.5, comes 1 and null. polars 2.1.0 and duckdb 1.5.5 lose none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install daft==0.7.26 polars==2.1.0 duckdb==1.5.5 pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import glob, sys
import daft, duckdb, polars, pyarrow
import pyarrow.dataset

FLAVOR = {"format": "parquet", "partitioning_flavor": "hive"}


def seen(name, rows, write):
    """The values of the partitions' column, in the order of the rows, by three readers."""
    write(rows, name)
    files = sorted(glob.glob(f"{name}/**/*.parquet", recursive=True))
    found = {
        "daft": daft.read_parquet(files, hive_partitioning=True).sort("n").to_pydict()["x"],
        "polars": polars.read_parquet(files, hive_partitioning=True).sort("n")["x"].to_list(),
        "duckdb": [
            x for (x,) in duckdb.execute(f"SELECT x FROM read_parquet({files}, hive_partitioning = true) ORDER BY n").fetchall()
        ],
    }
    print(f"{name}: {found}")
    return found


def by_daft(rows, folder):
    daft.from_arrow(rows).write_parquet(folder, partition_cols=["x"])


def by_pyarrow(rows, folder):
    pyarrow.dataset.write_dataset(rows, folder, partitioning=["x"], **FLAVOR)


texts = seen("texts", pyarrow.table({"n": [0, 1], "x": ["100", "A-7"]}), by_daft)
doubles = seen("doubles", pyarrow.table({"n": [0, 1], "x": [1.0, 2.5]}), by_pyarrow)
as_described = texts["daft"] == [100, None] and doubles["daft"] == [1, None]
for reader in ["polars", "duckdb"]:
    as_described &= texts[reader] == ["100", "A-7"] and [float(x) for x in doubles[reader]] == [1.0, 2.5]
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
