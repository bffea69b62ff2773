"""Iceberg's Java client (Spark, Flink and Kafka Connect commit by it), and the tests it has for catalogs."""

import subprocess

import java
import pytest
from support import COMMUTE, SCHEMA, File, audit, deletes, file, ids

# Tests of the kit that ask for what this catalog refuses by design, each with why. All others hold.
LEFT_OUT = {
    "testDropTableWithPurge": "a purge is refused: branches, tags and history name the files",
    "dropAfterRenameDoesntCorruptTable": "it purges too",
    "testLoadTableWithMissingMetadataFile": "the catalog keeps metadata that it has served, and serves it again",
}


def test_the_tests_that_iceberg_has_for_catalogs(table, warehouse, tmp_path):
    root = table.location().rsplit("/", 1)[0]
    select = ["--select-class", "Conformance", "--disable-banner", "--details", "summary", "--disable-ansi-colors"]
    left_out = [f"--exclude-methodname=.*#{name}\\(?.*" for name in LEFT_OUT]
    command = [*java.JVM, "org.junit.platform.console.ConsoleLauncher", "execute", *select, *left_out]
    done = subprocess.run(
        command,
        env=java.environment(warehouse) | {"ICEBERG_ROOT": root},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=java.COMMAND_SECONDS,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if "JUnit Jupiter:" in line or "=>" in line]
    assert done.returncode == 0, "\n".join(failed) or done.stdout + done.stderr


@pytest.mark.parametrize("operation", ["append", "fast"])
@pytest.mark.parametrize("threads", [8, 32])
@pytest.mark.parametrize("how", ["usual", "rebase"])
def test_no_append_fails_for_a_race(catalog, warehouse, operation, threads, how):
    merge = {"commit.manifest.min-count-to-merge": "5"}
    table = catalog.create_table("db.t", SCHEMA, properties=merge | (COMMUTE if how == "rebase" else {}))
    # Without rebase a table takes one writer after the other.
    each = 4 if how == "rebase" else 1
    files = [file(table, id) for id in range(threads * each)]
    told = java.write(warehouse, "db.t", threads, [one.line(operation) for one in files])
    assert told.failed == {}
    audit(warehouse, "db.t", told.ids(files))


@pytest.mark.parametrize("operation", ["row-delta", "overwrite", "once"])
def test_validations_hold_among_writers_who_race(catalog, warehouse, operation):
    """Each key is wanted by four writers who check that nobody else has added it: one gets it."""
    table = catalog.create_table("db.t", SCHEMA)
    # These validate against what came after the snapshot they read, so there must be one.
    java.write(warehouse, "db.t", 1, [file(table, 0, key=-1).line("fast")])
    files = [file(table, 100 * key + writer, key=key) for key in range(1, 3) for writer in range(4)]
    told = java.write(warehouse, "db.t", 8, [one.line(operation) for one in files])
    assert len(told.ok) + len(told.failed) == len(files)
    assert all("ValidationException" in why or "is there" in why for why in told.failed.values()), told.failed
    found = audit(warehouse, "db.t", [0, *told.ids(files)])
    assert sorted(id // 100 for id in found) == [0, 1, 2]


def test_deletes_go_beside_appends(catalog, warehouse):
    table = catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    first = [file(table, *range(10 * n, 10 * n + 10)) for n in range(4)]
    java.write(warehouse, "db.t", 1, [one.line("fast") for one in first])
    tasks = [deletes(table, one.path, 0, 1).line("delete-rows") for one in first[:3]]
    tasks.append(first[3].line("delete"))
    more = [file(table, 1000 + n) for n in range(12)]
    tasks[2:2] = [one.line("fast") for one in more]
    told = java.write(warehouse, "db.t", 8, tasks)
    assert told.failed == {}
    left = [id for n in range(3) for id in range(10 * n + 2, 10 * n + 10)]
    assert ids(catalog.load_table("db.t")) == sorted(left + [id for one in more for id in one.ids])
    audit(warehouse, "db.t", left + [id for one in more for id in one.ids])


def test_transactions_over_two_tables_are_whole(catalog, warehouse):
    table = catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    catalog.create_table("db.t2", SCHEMA, properties=COMMUTE)
    both = [file(table, id) for id in range(6)]
    alone = [file(table, 100 + id) for id in range(3)]
    tasks = [one.line("both") for one in both]
    tasks[3:3] = [one.line("append") for one in alone]
    told = java.write(warehouse, "db.t", 6, tasks)
    assert told.failed == {}
    audit(warehouse, "db.t", told.ids([*both, *alone]))
    audit(warehouse, "db.t2", told.ids(both))


def test_version_3_with_vectors_of_deletes_and_ids_of_rows(shared, catalog, warehouse):
    """Version 3 as the reference implementation writes it, which PyIceberg does not."""
    field = {"id": 1, "name": "id", "type": "long", "required": False}
    fields = [field, field | {"id": 2, "name": "key"}, field | {"id": 3, "name": "who", "type": "string"}]
    made = {
        "name": "t",
        "schema": {"type": "struct", "schema-id": 0, "fields": fields},
        "properties": {"format-version": "3", **COMMUTE},
    }
    shared.post(f"/iceberg/v1/{warehouse.name}@main/namespaces/db/tables", made)
    table = catalog.load_table("db.t")
    first = [file(table, *range(10 * n, 10 * n + 10)) for n in range(4)]
    assert java.write(warehouse, "db.t", 4, [one.line("fast") for one in first]).failed == {}
    more = [file(table, 1000 + n) for n in range(12)]
    tasks = [one.line("append") for one in more]
    # The first three rows of three files.
    vectors = [File(one.path, 0, [0, 1, 2], key=n) for n, one in enumerate(first[:3])]
    tasks[2:2] = [one.line("vector") for one in vectors]
    assert java.write(warehouse, "db.t", 8, tasks).failed == {}
    left = [id for n in range(3) for id in range(10 * n + 3, 10 * n + 10)] + first[3].ids
    expected = sorted(left + [id for one in more for id in one.ids])
    table = catalog.load_table("db.t")
    assert table.metadata.format_version == 3
    assert ids(table) == expected
    with warehouse.duckdb() as connection:
        found = connection.execute("SELECT id FROM lake.db.t ORDER BY id").fetchall()
    assert found == [(id,) for id in expected]
    line = sorted(table.metadata.snapshots, key=lambda one: one.sequence_number)
    rows = 0
    for snapshot in line:
        assert snapshot.first_row_id == rows, "ids of rows have a gap, or are given twice"
        rows += snapshot.added_rows
    assert rows == table.metadata.next_row_id == 52


def test_no_client_deletes_a_file_that_is_in_use(catalog, warehouse):
    """A 409 for a commit that landed would make Java delete the files of a living table."""
    table = catalog.create_table("db.t", SCHEMA, properties=COMMUTE)
    files = [file(table, id) for id in range(32)]
    told = java.write(warehouse, "db.t", 16, [one.line("append") for one in files])
    assert not set(told.deleted) & {one.path for one in files}
    audit(warehouse, "db.t", told.ids(files))
