#!/bin/bash
# A Delta table partitioned by text, and a row whose text is empty. Delta's protocol (Partition Value Serialization) has no
# empty text there: it stands for null (delta#2100, open). deltalake 1.6.6 writes it without a word, and then doesn't
# agree with itself: its scan as an Arrow table shows null, its SQL finds the row by p = '' and not by p IS NULL, and a
# delete of nulls leaves it. polars 2.1.0 reads the empty text, duckdb 1.5.5, daft 0.7.26 and chdb 4.4.0 (ClickHouse 26.9)
# read null. Compaction, which changes no row, makes a null of it for polars, too, and for deltalake's SQL.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 polars==2.1.0 duckdb==1.5.5 duckdb_extension_delta==1.5.5 daft==0.7.26 \
  chdb==4.4.0 chdb-core==26.9.0 pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys
import chdb, daft, deltalake, duckdb, duckdb_extension_delta, polars, pyarrow

path = os.path.abspath("rows")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
EMPTY, NULL = "p = ''", "p IS NULL"


def by_deltalake(condition):
    session = deltalake.QueryBuilder().register("rows", deltalake.DeltaTable(path))
    found = pyarrow.table(session.execute(f"SELECT id FROM rows WHERE {condition}").read_all())
    return found["id"].to_pylist()


def by_chdb(condition):
    return [int(line) for line in chdb.query(f"SELECT id FROM deltaLakeLocal('{path}') WHERE {condition}").bytes().split()]


READERS = {
    "deltalake": by_deltalake,
    "polars": lambda condition: polars.scan_delta(path).filter(polars.sql_expr(condition)).collect()["id"].to_list(),
    "duckdb": lambda condition: [
        row[0] for row in connection.execute(f"SELECT id FROM delta_scan('{path}') WHERE {condition}").fetchall()
    ],
    "daft": lambda condition: daft.read_deltalake(path).where(condition).to_pydict()["id"],
    "chdb": by_chdb,
}


def seen(title):
    """The rows whose text is empty, and those whose text is null, by each reader; and the texts that a scan shows."""
    found = {reader: [sorted(read(condition)) for condition in [EMPTY, NULL]] for reader, read in READERS.items()}
    table = pyarrow.table(deltalake.DeltaTable(path).to_pyarrow_table()).sort_by("id")
    scan = dict(zip(table["id"].to_pylist(), table["p"].to_pylist()))
    print(f"{title}: empty and null by {found}; a scan by deltalake {scan}")
    return found, scan


rows = pyarrow.table({"id": [1, 2, 3], "p": ["", "a", None]})
deltalake.write_deltalake(path, rows, partition_by=["p"])
written, scan = seen("written")
deltalake.DeltaTable(path).optimize.compact()
compacted, _ = seen("compacted")
deltalake.write_deltalake(path, rows, partition_by=["p"], mode="overwrite")
deltalake.DeltaTable(path).delete("p IS NULL")
_, left = seen("after a delete of nulls")
text, null = [[1], [3]], [[], [1, 3]]
as_described = [written[reader] for reader in READERS] == [text, text, null, null, null]
as_described &= all(found == null for found in compacted.values())
sys.exit(0 if as_described and scan == {1: None, 2: "a", 3: None} and left == {1: None, 2: "a"} else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
