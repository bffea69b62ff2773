#!/bin/bash
# deltalake 1.6.6, a table that is partitioned by a binary column: the two bytes "ab" are written to the log as
# \u0061\u0062, which is what Delta's protocol says (Partition Value Serialization), and are read back as these twelve
# characters, by deltalake itself and by duckdb 1.5.5, without a word. An update of another column writes the twelve
# down as 72, and the next one fails for the length of the folder's name. Outside of partitions all is well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install deltalake==1.6.6 duckdb==1.5.5 duckdb_extension_delta==1.5.5 pyarrow==26.0.1
cat > "$work/run.py" <<'PY'
import glob, os, sys, tempfile
import deltalake, duckdb, duckdb_extension_delta, pyarrow

folder = os.path.abspath(tempfile.mkdtemp(dir="."))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_delta.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
READERS = {
    "deltalake": lambda path: pyarrow.table(deltalake.DeltaTable(path).to_pyarrow_table()),
    "duckdb": lambda path: connection.execute(f"SELECT * FROM delta_scan('{path}')").to_arrow_table(),
}


def read(path):
    found = {name: reader(path)["key"].to_pylist()[0] for name, reader in READERS.items()}
    print(f"{os.path.basename(path)}: {found}")
    return set(found.values())


def written(name, partitions):
    path = f"{folder}/{name}"
    deltalake.write_deltalake(path, pyarrow.table({"key": [b"ab"], "n": [1]}), partition_by=partitions)
    seen = [read(path)]
    deltalake.DeltaTable(path).update(updates={"n": "2"})
    return [*seen, read(path)]


def escaped(text):
    return "".join(f"\\u{byte:04X}" for byte in text).encode()


once = escaped(b"ab")
plain, partitioned = written("plain", None), written("partitioned", ["key"])
as_described = plain == [{b"ab"}] * 2
as_described &= partitioned == [{once}, {escaped(once)}]
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
