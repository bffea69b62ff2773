#!/bin/bash
# JSON lines have no schema, and readers guess one from the first rows (polars 2.1.0 from 100, datafusion 55.0.0 from 1,000,
# duckdb 1.5.5 from 20,480, chdb 4.4.0 from 25,000, daft 0.7.26 from the first file). What comes later and doesn't fit
# should be an error, and often is; without a word, though: polars, datafusion and chdb drop a field that is new; after
# whole numbers duckdb reads 1.5 as 2, datafusion and daft as 1, and chdb 2^63 as -2^63; after true duckdb reads 5 as true.
# pyarrow 25.0.1 sees all rows first and reads the new field and 1.5 right, and with types that are given duckdb does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install polars==2.1.0 duckdb==1.5.5 daft==0.7.26 datafusion==55.0.0 chdb==4.4.0 chdb-core==26.9.0 \
  pyarrow==25.0.1
cat > "$work/run.py" <<'PY'
import json, os, sys
import chdb, daft, datafusion, duckdb, polars, pyarrow
import pyarrow.json

ROWS = 30_000
FILES = ["rows/first.jsonl", "rows/last.jsonl"]
os.mkdir("rows")


def by_duckdb(files):
    found = duckdb.execute(f"FROM read_json({files}) ORDER BY n DESC LIMIT 1")
    return dict(zip([column[0] for column in found.description], found.fetchone()))


def by_datafusion(files):
    session = datafusion.SessionContext()
    session.register_json("found", files[0] if len(files) == 1 else "rows/", file_extension=".jsonl")
    return session.sql("SELECT * FROM found ORDER BY n DESC LIMIT 1").to_pylist()[0]


def by_chdb(files):
    settings = "SETTINGS output_format_json_quote_64bit_integers = 0"
    source = f"file('{files[0] if len(files) == 1 else 'rows/*.jsonl'}', JSONEachRow)"
    return json.loads(chdb.query(f"SELECT * FROM {source} ORDER BY n DESC LIMIT 1 {settings}", "JSONEachRow").bytes())


READERS = {
    "polars": lambda files: polars.scan_ndjson(files).sort("n").collect().rows(named=True)[-1],
    "duckdb": by_duckdb,
    "datafusion": by_datafusion,
    "chdb": by_chdb,
    "daft": lambda files: {name: values[-1] for name, values in daft.read_json(files).sort("n").to_pydict().items()},
    "pyarrow": lambda files: pyarrow.concat_tables(
        [pyarrow.json.read_json(file) for file in files], promote_options="permissive"
    ).to_pylist()[-1],
}


def seen(title, usual, last, files=FILES[:1]):
    """The last row as each reader has it; the rows lie in one file, or the last one in a file of its own."""
    lines = [json.dumps({"n": n, **usual}) for n in range(ROWS)] + [json.dumps({"n": ROWS, **last})]
    parts = [lines] if len(files) == 1 else [lines[:-1], lines[-1:]]
    for file, part in zip(files, parts):
        with open(file, "w") as out:
            out.write("\n".join(part) + "\n")
    found = {}
    for reader, read in READERS.items():
        try:
            row = read(files)
            found[reader] = row.get("x", "dropped")
        except Exception:
            found[reader] = "refused"
    for file in files:
        os.remove(file)
    print(f"{title}, {usual} and then {last}: {found}")
    return found


field = seen("a new field", {}, {"x": 7})
number = seen("numbers", {"x": 1}, {"x": 1.5})
two_files = seen("numbers, a file each", {"x": 1}, {"x": 1.5}, FILES)
wide = seen("wide numbers", {"x": 1}, {"x": 2**63})
flag = seen("a number after flags", {"x": True}, {"x": 5})
as_described = [field[reader] for reader in ["polars", "datafusion", "chdb"]] == ["dropped"] * 3
as_described &= field["duckdb"] == "refused" and field["daft"] == field["pyarrow"] == 7
as_described &= (number["duckdb"], number["datafusion"], number["polars"]) == (2, 1, "refused")
as_described &= two_files["daft"] == 1 and number["daft"] == number["pyarrow"] == two_files["pyarrow"] == 1.5
as_described &= wide["chdb"] == -(2**63) and flag["duckdb"] is True and flag["daft"] == 5
with open(FILES[0], "w") as out:
    out.writelines(json.dumps({"n": n, "x": 1 if n < ROWS else 1.5}) + "\n" for n in range(ROWS + 1))
columns = "{n: 'BIGINT', x: 'DOUBLE'}"
right = duckdb.execute(f"SELECT x FROM read_json('{FILES[0]}', columns = {columns}) ORDER BY n DESC LIMIT 1").fetchone()[0]
print(f"duckdb, with types: {right}")
sys.exit(0 if as_described and right == 1.5 else 1)
PY
cd "$work"
if "$work/venv/bin/python" run.py 2>"$work/log"; then
  echo "as described"
else
  tail -20 "$work/log"
  echo "CHANGED: it behaves otherwise now"
  exit 1
fi
