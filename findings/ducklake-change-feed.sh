#!/bin/bash
# DuckLake in duckdb 1.5.5, data_inlining off: ducklake_merge_adjacent_files puts files of several snapshots together, and
# then a row is deleted. ducklake_table_changes has no delete in its snapshot, and tells an update of the row in the
# snapshot that inserted it, before and after alike, where the insert was: who follows the feed keeps the row for ever.
# ducklake_rewrite_data_files adds updates of rows that nobody changed. Read at a snapshot, the table is right all along,
# and without maintenance the feed is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install duckdb==1.5.5 duckdb_extension_ducklake==1.5.5
cat > "$work/run.py" <<'PY'
import glob, os, sys
import duckdb, duckdb_extension_ducklake

here = os.getcwd()
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
(extension,) = glob.glob(os.path.dirname(duckdb_extension_ducklake.__file__) + "/extensions/*/*.duckdb_extension")
connection.execute(f"LOAD '{extension}'")
connection.execute(f"ATTACH 'ducklake:{here}/lake.ducklake' AS lake (DATA_PATH '{here}/data', DATA_INLINING_ROW_LIMIT 0)")


def rows(sql):
    return connection.execute(sql).fetchall()


def newest():
    return rows("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]


def seen(name, maintenance):
    """The changes since the table was made, its rows, and what is left for somebody who applies the changes in order."""
    connection.execute(f"CREATE TABLE lake.{name} (x INTEGER)")
    before = newest()
    for x in [1, 2, 3]:
        connection.execute(f"INSERT INTO lake.{name} VALUES ({x})")
    if "merge" in maintenance:
        connection.execute("CALL ducklake_merge_adjacent_files('lake')")
    connection.execute(f"DELETE FROM lake.{name} WHERE x = 2")
    if "rewrite" in maintenance:
        connection.execute(f"CALL ducklake_rewrite_data_files('lake', '{name}', delete_threshold => 0)")
    feed = rows(
        f"SELECT snapshot_id - {before}, change_type, x FROM"
        f" ducklake_table_changes('lake', 'main', '{name}', {before + 1}, {newest()}) ORDER BY ALL"
    )
    table = sorted(x for (x,) in rows(f"FROM lake.{name}"))
    followed = set()
    for _, change, x in sorted(feed, key=lambda row: (row[0], row[1] in ["insert", "update_postimage"])):
        (followed.add if change in ["insert", "update_postimage"] else followed.discard)(x)
    print(f"{name}: {feed}; the table has {table}, who follows {sorted(followed)}")
    return feed, table, sorted(followed)


def updates(snapshot, x):
    return [(snapshot, "update_postimage", x), (snapshot, "update_preimage", x)]


INSERTS = [(1, "insert", 1), (2, "insert", 2), (3, "insert", 3)]
MERGED = [INSERTS[0], *updates(2, 2), INSERTS[2]]
plain = seen("plain", [])
merged = seen("merged", ["merge"])
rewritten = seen("rewritten", ["merge", "rewrite"])
as_described = plain == (INSERTS + [(4, "delete", 2)], [1, 3], [1, 3])
as_described &= merged == (MERGED, [1, 3], [1, 2, 3])
as_described &= sorted(rewritten[0]) == sorted(MERGED + updates(6, 1) + updates(6, 3)) and rewritten[1] == [1, 3]
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
