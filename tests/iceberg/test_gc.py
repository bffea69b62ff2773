"""`onward gc --tables` where clients have written: every branch, tag and commit is read whole afterwards, by two engines."""

import json
import os
import subprocess
import time
from pathlib import Path

import java
from conftest import warehouse_of
from pyiceberg.exceptions import NoSuchTableError
from support import COMMUTE, SCHEMA, File, Warehouse, file, local, rows

# Longer than what files of tables are kept for.
AGE_SECONDS = 8 * 24 * 3600
TABLES = ["db.t", "db.v"]


def collect(deployment, name: str, *words: str) -> dict:
    """What the command says at its end."""
    place = ["--redis", deployment.redis.url, "--storage", deployment.storage]
    command = [os.environ["ONWARD_BIN"], "gc", name, "--json", *words, *place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["tables"]


def age(folder: Path) -> None:
    """As if days had passed."""
    then = time.time() - AGE_SECONDS
    for at in folder.rglob("*"):
        if at.is_file():
            os.utime(at, (then, then))


def files(deployment, name: str) -> set[Path]:
    return {at for at in (deployment.lake / "_iceberg" / name).rglob("*") if at.is_file()}


def seen(deployment, warehouse: Warehouse, ref: str) -> dict[str, list[int]]:
    """The rows of each table at a ref, as PyIceberg and DuckDB find them."""
    at = Warehouse(warehouse.uri, f"{warehouse.name}@{ref}", warehouse.credential)
    catalog, found = at.pyiceberg(), {}
    for name in TABLES:
        try:
            table = catalog.load_table(name)
        except NoSuchTableError:
            continue
        found[name] = sorted(table.scan().to_arrow()["id"].to_pylist())
        # Snapshots that the table has kept are read, too.
        for snapshot in table.metadata.snapshots:
            table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
        with at.duckdb() as connection:
            rows = connection.execute(f"SELECT id FROM lake.{name} ORDER BY id").fetchall()
        assert [id for (id,) in rows] == found[name], f"{name} at {ref}"
    return found


def commits(deployment, warehouse: Warehouse, ref: str) -> list[str]:
    told = deployment.get(f"/api/v1/repositories/{warehouse.name}/refs/{ref}/commits?amount=1000")
    return [commit["id"] for commit in told["results"]]


def version_3(deployment, warehouse: Warehouse, name: str) -> None:
    """A table of version 3, which PyIceberg does not make."""
    field = {"id": 1, "name": "id", "type": "long", "required": False}
    fields = [field, field | {"id": 2, "name": "key"}, field | {"id": 3, "name": "who", "type": "string"}]
    schema = {"type": "struct", "schema-id": 0, "fields": fields}
    made = {"name": name, "schema": schema, "properties": {"format-version": "3", **COMMUTE}}
    deployment.post(f"/iceberg/v1/{warehouse.name}@main/namespaces/db/tables", made)


def test_all_that_can_be_reached_is_read_after_the_rest_is_removed(deploy):
    deployment = deploy()
    warehouse = warehouse_of(deployment)
    catalog = warehouse.pyiceberg()
    catalog.create_namespace("db")
    api = f"/api/v1/repositories/{warehouse.name}"
    # PyIceberg: appends, an overwrite, a delete that rewrites a file, an expiry.
    table = catalog.create_table("db.t", SCHEMA)
    table.append(rows(1, 2, 3))
    table.append(rows(4, 5))
    table.delete("id == 2")
    deployment.post(f"{api}/tags", {"id": "v1", "ref": "main"})
    first = table.metadata.snapshots[0].snapshot_id
    table.overwrite(rows(6, 7))
    table.maintenance.expire_snapshots().by_id(first).commit()
    # Java: deletion vectors and statistics in Puffin files.
    version_3(deployment, warehouse, "v")
    vectors = catalog.load_table("db.v")
    written = [file(vectors, *range(10 * n, 10 * n + 10)) for n in range(3)]
    assert java.write(warehouse, "db.v", 1, [one.line("fast") for one in written]).failed == {}
    deployment.post(f"{api}/branches", {"name": "try", "source": "main"})
    tasks = [File(one.path, 0, [0, 1], key=n).line("vector") for n, one in enumerate(written[:2])]
    statistics = f"{vectors.location()}/metadata/made.stats"
    tasks.append(File(statistics, 0).line("statistics"))
    assert java.write(warehouse, "db.v", 1, tasks).failed == {}
    side = Warehouse(warehouse.uri, f"{warehouse.name}@try", warehouse.credential)
    side.pyiceberg().load_table("db.t").append(rows(100))
    # What nobody can reach any more, and what nobody ever could.
    before = files(deployment, warehouse.name)
    deployment.post(f"{api}/branches", {"name": "gone", "source": "main"})
    gone = Warehouse(warehouse.uri, f"{warehouse.name}@gone", warehouse.credential)
    gone.pyiceberg().load_table("db.t").append(rows(200))
    gone.pyiceberg().create_table("db.lost", SCHEMA).append(rows(201))
    deployment.request("DELETE", f"{api}/branches/gone")
    file(table, 202)
    garbage = files(deployment, warehouse.name) - before
    # Metadata, a list, a manifest and a file of each append, the first metadata, and the file that was only written.
    assert len(garbage) == 4 + 5 + 1, garbage
    refs = ["main", "try", "v1", *commits(deployment, warehouse, "main"), *commits(deployment, warehouse, "try")]
    known = {ref: seen(deployment, warehouse, ref) for ref in refs}
    assert known["main"] == {"db.t": [6, 7], "db.v": [*range(2, 10), *range(12, 20), *range(20, 30)]}
    assert known["v1"]["db.t"] == [1, 3, 4, 5]

    assert collect(deployment, warehouse.name, "--tables")["removed"] == 0, "all of it is young"
    age(deployment.lake)
    counted = collect(deployment, warehouse.name)
    assert counted["removed"] == len(garbage) and counted["dry_run"] and files(deployment, warehouse.name) >= garbage
    told = collect(deployment, warehouse.name, "--tables")
    assert told["unreadable"] == [] and told["halted"] is None, told
    assert told["removed"] == len(garbage)
    assert files(deployment, warehouse.name) == before
    assert local(statistics).exists()
    # Sidecars remember metadata: one that has just started reads all of it.
    deployment.kill(0)
    assert {ref: seen(deployment, warehouse, ref) for ref in refs} == known
    # Whoever writes afterwards finds all he needs.
    catalog.load_table("db.t").append(rows(8))
    assert java.write(warehouse, "db.v", 1, [file(vectors, 99).line("append")]).failed == {}
    assert seen(deployment, warehouse, "main")["db.t"] == [6, 7, 8]
