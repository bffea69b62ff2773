"""Campaigns: sidecars are killed, Redis is emptied, requests and replies are lost, files of tables are collected, while
PyIceberg, Java and DuckDB write.

ICEBERG_SEED=N repeats one; ICEBERG_ROUNDS=N makes that many, each with the next seed.
"""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import java
import pytest
from conftest import warehouse_of
from relay import Relay
from support import COMMUTE, SCHEMA, Warehouse, audit, chain, file, ids, rows
from test_gc import age, collect, files
from writers import appenders

FIRST = int(os.environ.get("ICEBERG_SEED", "1"))
ROUNDS = int(os.environ.get("ICEBERG_ROUNDS", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
@pytest.mark.parametrize("properties", [COMMUTE, {}], ids=["rebase", "usual"])
def test_what_was_acknowledged_is_there_once(deploy, seed, properties):
    print(f"ICEBERG_SEED={seed}")
    draw = random.Random(seed)
    deployment = deploy()
    deployment.another()
    warehouse = warehouse_of(deployment)
    catalog = warehouse.pyiceberg()
    catalog.create_namespace("db")
    table = catalog.create_table("db.t", SCHEMA, properties=properties)
    garbage = lost(deployment, warehouse)
    over, collected = threading.Event(), []

    def break_things() -> None:
        while not over.wait(draw.uniform(0.3, 1.2)):
            happens = draw.choice(["kill", "kill", "empty"])
            if happens == "empty":
                deployment.redis.command("FLUSHALL")
            else:
                deployment.kill(draw.randrange(2))

    def collects() -> None:
        # Where Redis is emptied under it, a collection removes nothing, and is run again.
        while not over.wait(0.2):
            try:
                collected.append(collect(deployment, warehouse.name, "--tables"))
            except AssertionError as error:
                print(f"gc: {str(error)[-300:]}")

    with Relay([sidecar.port for sidecar in deployment.sidecars], seed, rate=0.3) as relay:
        there = warehouse.at(relay.uri)
        written = [file(table, 10_000 + n) for n in range(24)]
        running = java.start(there, "db.t", 6, [one.line("append") for one in written])
        join = appenders(there, "db.t", 4, 6)
        # Where it would have to wait for its turn DuckDB gives up too early, and deletes what it wrote: docs/iceberg.md.
        duck = ThreadPoolExecutor(1).submit(insert, there, 12 if properties else 0)
        breaker, collector = threading.Thread(target=break_things), threading.Thread(target=collects)
        breaker.start()
        collector.start()
        try:
            appended, (inserted, tried), told = join(), duck.result(), java.told(running)
        finally:
            over.set()
            breaker.join()
            collector.join()
        assert relay.done, "nothing was lost"
    acknowledged = appended.acknowledged + inserted + told.ids(written)
    unknown = appended.unknown + tried + [id for one in written for id in one.ids]
    found = audit(warehouse, "db.t", acknowledged, unknown)
    collected.append(collect(deployment, warehouse.name, "--tables"))
    assert not garbage & files(deployment, warehouse.name), "what nothing needs is still there"
    assert sum(told["removed"] for told in collected) <= len(garbage), collected
    print(f"{len(acknowledged)} acknowledged, {len(found)} there; {dict(relay.done)}; {len(collected)} collections")
    assert acknowledged
    # Whoever comes afterwards is served as if nothing had been.
    after = appenders(warehouse, "db.t", 2, 2, first=20_000)()
    assert after.errors == []
    audit(warehouse, "db.t", acknowledged + after.acknowledged, unknown)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_what_was_acknowledged_is_in_one_of_the_tables_that_had_the_name(deploy, seed):
    """Each table loses the name among its writers, and lives on under another.

    DuckDB is left out: told that nobody knows, as of a commit to a table that got another name, it deletes what it
    wrote.
    """
    print(f"ICEBERG_SEED={seed}")
    draw = random.Random(seed)
    deployment = deploy()
    deployment.another()
    warehouse = warehouse_of(deployment)
    catalog = warehouse.pyiceberg()
    catalog.create_namespace("db")
    catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    over = threading.Event()
    names = ["db.t"]

    def rename_things() -> None:
        while not over.wait(draw.uniform(0.5, 1.5)):
            to = f"db.t{len(names)}"
            catalog.rename_table("db.t", to)
            names.append(to)
            catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
            deployment.kill(1)

    with Relay([sidecar.port for sidecar in deployment.sidecars], seed, rate=0.3) as relay:
        there = warehouse.at(relay.uri)
        join = appenders(there, "db.t", 6, 8)
        renamer = threading.Thread(target=rename_things)
        renamer.start()
        try:
            appended = join()
        finally:
            over.set()
            renamer.join()
    acknowledged, found = appended.acknowledged, []
    for name in names:
        table = catalog.load_table(name)
        rows = ids(table)
        chain(table, len(rows))
        found += rows
    print(f"{len(acknowledged)} acknowledged, {len(found)} there in {len(names)} tables; {dict(relay.done)}")
    assert len(names) > 1 and acknowledged
    assert len(found) == len(set(found)), f"twice: {sorted({id for id in found if found.count(id) > 1})}"
    assert set(acknowledged) <= set(found), f"lost: {sorted(set(acknowledged) - set(found))}"
    assert set(found) <= set(acknowledged) | set(appended.unknown), "rows that nobody wrote"


def lost(deployment, warehouse) -> set:
    """Files of a table that only a branch had which is gone, old enough to go. What clients write is young."""
    api = f"/api/v1/repositories/{warehouse.name}/branches"
    before = files(deployment, warehouse.name)
    deployment.post(api, {"name": "gone", "source": "main"})
    gone = Warehouse(warehouse.uri, f"{warehouse.name}@gone", warehouse.credential).pyiceberg()
    for id in range(3):
        gone.create_table(f"db.lost{id}", SCHEMA).append(rows(id))
    deployment.request("DELETE", f"{api}/gone")
    garbage = files(deployment, warehouse.name) - before
    age(deployment.lake)
    return garbage


def insert(warehouse, rows: int) -> tuple[list[int], list[int]]:
    """DuckDB's user: what it was told is there, and what it tried."""
    acknowledged, tried = [], []
    for id in range(30_000, 30_000 + rows):
        try:
            with warehouse.duckdb() as duck:
                tried.append(id)
                duck.execute(f"INSERT INTO lake.db.t VALUES ({id}, 0, 'duck')")
                acknowledged.append(id)
        except Exception as error:
            print(f"DuckDB: {id}: {str(error)[-200:]}")
    return acknowledged, tried
