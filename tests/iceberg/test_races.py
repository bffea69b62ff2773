"""Several PyIceberg writers on one table: with its own retries, and no change to it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyiceberg.expressions import EqualTo
from pyiceberg.types import StringType
from support import COMMUTE, SCHEMA, audit, ids, rows
from writers import appenders


@pytest.mark.parametrize("writers, each, properties", [(8, 2, {}), (16, 4, COMMUTE)])
def test_no_append_fails(catalog, warehouse, writers, each, properties):
    catalog.create_table("db.t", SCHEMA, properties=properties)
    outcome = appenders(warehouse, "db.t", writers, each)()
    assert outcome.errors == []
    audit(warehouse, "db.t", outcome.acknowledged)


def test_a_client_may_say_that_its_appends_commute(catalog, warehouse, table):
    table.append(rows(-1))
    outcome = appenders(warehouse, "db.t", 8, 2, **{"header.Onward-Commit-Mode": "commute"})()
    assert outcome.errors == []
    audit(warehouse, "db.t", [-1, *outcome.acknowledged])


def test_appends_that_merge_manifests_lose_no_row(catalog, warehouse):
    merge = {"commit.manifest-merge.enabled": "true", "commit.manifest.min-count-to-merge": "3"}
    catalog.create_table("db.t", SCHEMA, properties=COMMUTE | merge)
    outcome = appenders(warehouse, "db.t", 8, 4)()
    assert outcome.errors == []
    audit(warehouse, "db.t", outcome.acknowledged)


def test_one_who_overwrites_gets_through_among_appenders(catalog, warehouse):
    table = catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    table.append(rows(*range(-5, 0), key=1))
    join = appenders(warehouse, "db.t", 7, 6)
    for version in range(3):
        mine = warehouse.pyiceberg().load_table("db.t")
        mine.overwrite(rows(-10 - version, key=1), overwrite_filter=EqualTo("key", 1))
    outcome = join()
    assert outcome.errors == []
    audit(warehouse, "db.t", [-12, *outcome.acknowledged])


def test_deleters_and_schemas_go_beside_appenders(catalog, warehouse):
    table = catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    table.append(rows(-1))
    table.append(rows(-2))
    join = appenders(warehouse, "db.t", 6, 4)
    catalog.load_table("db.t").delete(EqualTo("id", -1))
    with catalog.load_table("db.t").update_schema() as update:
        update.add_column("extra", StringType())
    with catalog.load_table("db.t").transaction() as change:
        change.set_properties(seen="yes")
    outcome = join()
    assert outcome.errors == []
    audit(warehouse, "db.t", [-2, *outcome.acknowledged])
    assert catalog.load_table("db.t").properties["seen"] == "yes"


def test_one_of_many_who_make_a_table_makes_it(warehouse):
    barrier = threading.Barrier(8)

    def make(_) -> bool:
        catalog = warehouse.pyiceberg()
        barrier.wait()
        try:
            catalog.create_table("db.t", SCHEMA)
            return True
        except Exception as error:
            assert type(error).__name__ == "TableAlreadyExistsError", error
            return False

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert sum(made) == 1
    assert ids(warehouse.pyiceberg().load_table("db.t")) == []


def test_several_sidecars(deploy):
    from conftest import warehouse_of

    deployment = deploy()
    warehouse = warehouse_of(deployment)
    catalog = warehouse.pyiceberg()
    catalog.create_namespace("db")
    catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    joins = [
        appenders(warehouse.at(sidecar.uri), "db.t", 6, 4, first=1000 * n)
        for n, sidecar in enumerate([deployment.sidecar, deployment.another()])
    ]
    outcomes = [join() for join in joins]
    assert [outcome.errors for outcome in outcomes] == [[], []]
    audit(warehouse, "db.t", [id for outcome in outcomes for id in outcome.acknowledged])
