"""Campaigns: sidecars are killed, Redis is emptied, requests and replies are lost, while PyIceberg, Java and DuckDB
write.

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
from support import COMMUTE, SCHEMA, audit, chain, file, ids
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
    over = threading.Event()

    def break_things() -> None:
        while not over.wait(draw.uniform(0.3, 1.2)):
            happens = draw.choice(["kill", "kill", "empty"])
            if happens == "empty":
                deployment.redis.command("FLUSHALL")
            else:
                deployment.kill(draw.randrange(2))

    with Relay([sidecar.port for sidecar in deployment.sidecars], seed, rate=0.3) as relay:
        there = warehouse.at(relay.uri)
        files = [file(table, 10_000 + n) for n in range(24)]
        running = java.start(there, "db.t", 6, [one.line("append") for one in files])
        join = appenders(there, "db.t", 4, 6)
        # Where it would have to wait for its turn DuckDB gives up too early, and deletes what it wrote: docs/iceberg.md.
        duck = ThreadPoolExecutor(1).submit(insert, there, 12 if properties else 0)
        breaker = threading.Thread(target=break_things)
        breaker.start()
        try:
            appended, (inserted, tried), told = join(), duck.result(), java.told(running)
        finally:
            over.set()
            breaker.join()
        assert relay.done, "nothing was lost"
    acknowledged = appended.acknowledged + inserted + told.ids(files)
    unknown = appended.unknown + tried + [id for one in files for id in one.ids]
    found = audit(warehouse, "db.t", acknowledged, unknown)
    print(f"{len(acknowledged)} acknowledged, {len(found)} there; {dict(relay.done)}")
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
