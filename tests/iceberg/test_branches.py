"""Branches of a catalog that are merged: what both sides appended is there once, or a conflict says why not."""

import json
import os
import subprocess
import urllib.error

import pytest
from pyiceberg.expressions import EqualTo
from pyiceberg.types import StringType
from support import COMMUTE, SCHEMA, Warehouse, audit, ids, rows
from writers import appenders

MERGED = {"commit.manifest-merge.enabled": "true", "commit.manifest.min-count-to-merge": "3"}


class Lake:
    """A repository whose `main` has the table `db.t`, and a branch `try` of it."""

    def __init__(self, deployment, main: Warehouse, properties: dict[str, str]):
        self.deployment, self.main = deployment, main
        self.side = Warehouse(main.uri, f"{main.name}@try", main.credential)
        self.url = f"/onward/v1/repositories/{main.name}"
        table = main.pyiceberg().create_table("db.t", SCHEMA, properties=properties)
        table.append(rows(1, 2, key=7))
        deployment.post(f"/api/v1/repositories/{main.name}/branches", {"name": "try", "source": "main"})

    def table(self, warehouse: Warehouse):
        return warehouse.pyiceberg().load_table("db.t")

    def append(self, warehouse: Warehouse, *all: int) -> None:
        """One commit for each row."""
        table = self.table(warehouse)
        for id in all:
            table.append(rows(id))

    def merge(self, source: str = "try", dest: str = "main", **more) -> tuple[int, dict]:
        try:
            return 200, self.deployment.post(f"{self.url}/branches/{dest}/merge", {"source": source, **more})
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """The command over the same deployment."""
        place = ["--redis", self.deployment.redis.url, "--storage", self.deployment.storage]
        return subprocess.run([os.environ["ONWARD_BIN"], *words, *place], capture_output=True, text=True)


@pytest.fixture
def lake(shared, warehouse):
    return lambda **properties: Lake(shared, warehouse, properties)


@pytest.mark.parametrize("more", [{}, MERGED], ids=["fast", "merged"])
def test_both_sides_rows_are_there_once(lake, more):
    lake = lake(**COMMUTE | more)
    lake.append(lake.side, *range(10, 14))
    lake.append(lake.main, *range(20, 24))
    status, told = lake.merge()
    assert status == 200 and told["outcome"] == "committed", told
    both = [1, 2, *range(10, 14), *range(20, 24)]
    audit(lake.main, "db.t", both)
    audit(lake.side, "db.t", [1, 2, *range(10, 14)])
    # Again: nothing is brought twice, whichever way.
    assert lake.merge()[1]["outcome"] == "no_changes"
    lake.append(lake.side, 16)
    lake.append(lake.main, 26)
    assert lake.merge()[1]["outcome"] == "committed"
    audit(lake.main, "db.t", [*both, 16, 26])
    lake.append(lake.side, 17)
    assert lake.merge("main", "try")[1]["outcome"] == "committed"
    audit(lake.side, "db.t", [*both, 16, 26, 17])
    lake.append(lake.main, 27)
    assert lake.merge()[1]["outcome"] == "committed"
    audit(lake.main, "db.t", [*both, 16, 26, 17, 27])


def test_the_first_rows_of_both_sides_come_together(shared, warehouse):
    catalog = warehouse.pyiceberg()
    catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    shared.post(f"/api/v1/repositories/{warehouse.name}/branches", {"name": "try", "source": "main"})
    side = Warehouse(warehouse.uri, f"{warehouse.name}@try", warehouse.credential)
    side.pyiceberg().load_table("db.t").append(rows(1))
    catalog.load_table("db.t").append(rows(2))
    merge = f"/api/v1/repositories/{warehouse.name}/refs/try/merge/main"
    assert shared.post(merge, {})["reference"]
    audit(warehouse, "db.t", [1, 2])


def test_what_cannot_be_merged_names_the_table_and_both_snapshots(lake):
    lake = lake(**COMMUTE)
    lake.append(lake.side, 10)
    lake.table(lake.main).overwrite(rows(20, key=7), overwrite_filter=EqualTo("key", 7))
    heads = [lake.table(at).current_snapshot().snapshot_id for at in [lake.side, lake.main]]
    status, told = lake.merge()
    assert status == 409 and told["outcome"] == "conflict", told
    (table,) = told["tables"]
    assert (table["namespace"], table["name"]) == (["db"], "t")
    assert [table["source_snapshot"], table["dest_snapshot"]] == heads
    assert "snapshot that is no append" in table["reason"]
    with pytest.raises(urllib.error.HTTPError) as error:
        lake.deployment.post(f"/api/v1/repositories/{lake.main.name}/refs/try/merge/main", {})
    message = json.loads(error.value.read())["message"]
    assert all(str(word) in message for word in ["db.t", *heads]), message
    done = lake.run("merge", f"{lake.main.name}/try", "main")
    assert done.returncode == 3 and all(str(word) in done.stderr for word in ["table db.t", *heads]), done.stderr
    audit(lake.main, "db.t", [20])
    # A strategy decides as it does for every path.
    assert lake.merge(strategy="source-wins")[1]["outcome"] == "committed"
    audit(lake.main, "db.t", [1, 2, 10])


def test_without_the_owners_word_nothing_is_merged(lake):
    lake = lake()
    lake.append(lake.side, 10)
    lake.append(lake.main, 20)
    status, told = lake.merge()
    assert status == 409 and "onward.appends=commute" in told["tables"][0]["reason"], told
    audit(lake.main, "db.t", [1, 2, 20])


def test_a_table_that_one_side_dropped_is_a_conflict(lake):
    lake = lake(**COMMUTE)
    lake.append(lake.side, 10)
    lake.main.pyiceberg().drop_table("db.t")
    status, told = lake.merge()
    assert status == 409 and "destination has dropped" in told["tables"][0]["reason"], told


def test_columns_of_one_side_and_rows_of_the_other(lake):
    lake = lake(**COMMUTE)
    with lake.table(lake.side).update_schema() as update:
        update.add_column("extra", StringType())
    with lake.table(lake.side).transaction() as change:
        change.set_properties(owner="me")
    lake.append(lake.main, 20)
    assert lake.merge()[1]["outcome"] == "committed"
    table = lake.table(lake.main)
    assert table.schema().find_field("extra") and table.properties["owner"] == "me"
    audit(lake.main, "db.t", [1, 2, 20])
    lake.append(lake.side, 10)
    audit(lake.side, "db.t", [1, 2, 10])
    assert lake.merge()[1]["outcome"] == "committed"
    audit(lake.main, "db.t", [1, 2, 10, 20])


def test_merges_among_writers_of_the_destination(lake):
    lake = lake(**COMMUTE)
    join = appenders(lake.main, "db.t", 6, 6, first=100)
    mine = []
    for turn in range(5):
        mine.append(1000 + turn)
        lake.append(lake.side, mine[-1])
        if turn % 2:
            done = lake.run("merge", f"{lake.main.name}/try", "main")
            assert done.returncode == 0, done.stderr
        else:
            status, told = lake.merge()
            assert status == 200, told
    outcome = join()
    assert outcome.errors == []
    assert lake.merge()[0] in (200, 201)
    audit(lake.main, "db.t", [1, 2, *mine, *outcome.acknowledged])


def test_what_changed_is_told_in_icebergs_words(lake):
    lake = lake(**COMMUTE)
    lake.append(lake.side, 10, 11)
    with lake.table(lake.side).update_schema() as update:
        update.add_column("extra", StringType())
    lake.table(lake.side).delete(EqualTo("id", 1))
    name = lake.main.name
    (line,) = lake.run("diff", f"{name}/main", "try", "--json").stdout.splitlines()
    table = json.loads(line)["table"]
    assert (table["namespace"], table["name"]) == (["db"], "t")
    change = table["change"]
    assert change["rows"]["after"] == 3 == len(ids(lake.table(lake.side)))
    assert change["snapshots_total"] == len(lake.table(lake.side).snapshots()) - 1
    assert change["operations"]["append"] == 2
    assert change["schema"] == ["column 'extra' added: string"]
    words = lake.run("diff", f"{name}/main", "try").stdout
    assert all(word in words for word in ["~ iceberg/db/t.table", "rows: +", "= 3", "column 'extra'"]), words
    told = lake.run("log", f"{name}/try", "--tables", "--json").stdout.splitlines()
    changes = [table["change"] for line in told for table in json.loads(line)["tables"]]
    added = [change["rows"]["added"] for change in changes if change["operations"].get("append")]
    assert sorted(added) == [1, 1, 2]
    assert "table db.t" in lake.run("log", f"{name}/try", "--tables").stdout
    (same,) = lake.deployment.get(f"{lake.url}/refs/main/tables/try")["results"]
    assert (same["type"], same["table"]["change"]) == ("changed", change)
    head = json.loads(told[0])["commit"]
    (last,) = lake.deployment.get(f"{lake.url}/refs/{head}~1/tables/{head}?two_dot=true")["results"]
    assert last["table"]["change"]["rows"]["removed"] >= 1
    # A delete there, and rows here.
    lake.append(lake.main, 20)
    assert "! iceberg/db/t.table" in lake.run("diff", f"{name}/main", "try").stdout
    (apart,) = lake.deployment.get(f"{lake.url}/refs/main/tables/try")["results"]
    assert apart["type"] == "conflict" and "no append" in apart["table"]["conflict"]["reason"]


def test_rows_of_both_sides_are_no_conflict_in_a_diff(lake):
    lake = lake(**COMMUTE)
    lake.append(lake.side, 10)
    lake.append(lake.main, 20)
    name = lake.main.name
    words = lake.run("diff", f"{name}/main", "try").stdout
    assert "~ iceberg/db/t.table" in words and "rows: +1 = 3" in words and "can be merged" in words, words
    assert lake.run("diff", f"{name}/main", "try", "--conflicts").stdout == ""
    assert lake.run("merge", f"{name}/try", "main", "--dry-run").returncode == 0
