"""DuckDB with its iceberg extension."""

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
from pyiceberg.table import StaticTable
from support import COMMUTE, SCHEMA, audit, ids, local, rows


def test_attach_insert_and_read(warehouse, catalog, table):
    table.append(rows(1, 2))
    with warehouse.duckdb() as duck:
        duck.execute("INSERT INTO lake.db.t VALUES (3, 0, 'duck')")
        duck.execute("INSERT INTO lake.db.t SELECT range, 1, 'duck' FROM range(4, 10)")
        assert duck.execute("SELECT count(*) FROM lake.db.t").fetchone() == (9,)
    audit(warehouse, "db.t", list(range(1, 10)))


def test_metadata_that_is_compressed_is_opened_by_its_path(warehouse, catalog):
    table = catalog.create_table("db.t", SCHEMA, properties={"write.metadata.compression-codec": "gzip"})
    table.append(rows(1, 2))
    at = table.refresh().metadata_location
    assert at.endswith(".gz.metadata.json")
    assert ids(StaticTable.from_metadata(at)) == [1, 2]
    with warehouse.duckdb() as duck:
        assert duck.execute(f"SELECT id FROM iceberg_scan('{local(at)}') ORDER BY id").fetchall() == [(1,), (2,)]


def test_schemas_and_tables_are_made_and_dropped(warehouse, catalog):
    with warehouse.duckdb() as duck:
        duck.execute("CREATE SCHEMA lake.made")
        duck.execute("CREATE TABLE lake.made.t AS SELECT 1 AS id, 'x' AS who")
        duck.execute("CREATE TABLE lake.made.empty (id BIGINT)")
        assert catalog.list_tables("made") == [("made", "empty"), ("made", "t")]
        assert ids(catalog.load_table("made.t")) == [1]
        duck.execute("DROP TABLE lake.made.t")
        duck.execute("DROP TABLE lake.made.empty")
        duck.execute("DROP SCHEMA lake.made")
    assert catalog.list_namespaces() == [("db",)]


def test_update_and_delete(warehouse, table):
    table.append(rows(1, 2, 3))
    with warehouse.duckdb() as duck:
        duck.execute("DELETE FROM lake.db.t WHERE id = 2")
        duck.execute("UPDATE lake.db.t SET who = 'duck' WHERE id = 3")
        assert duck.execute("SELECT id, who FROM lake.db.t ORDER BY id").fetchall() == [(1, ""), (3, "duck")]
    audit(warehouse, "db.t", [1, 3])


def begin_in_both(duck) -> None:
    """A transaction that adds row 1 to two tables."""
    duck.execute("BEGIN")
    duck.execute("INSERT INTO lake.db.a VALUES (1, 0, '')")
    duck.execute("INSERT INTO lake.db.b VALUES (1, 0, '')")


def test_two_tables_in_one_transaction(warehouse, catalog):
    one, two = catalog.create_table("db.a", SCHEMA), catalog.create_table("db.b", SCHEMA)
    with warehouse.duckdb() as duck:
        begin_in_both(duck)
        assert ids(catalog.load_table("db.a")) == []
        duck.execute("COMMIT")
        assert (ids(one.refresh()), ids(two.refresh())) == ([1], [1])
        duck.execute("BEGIN")
        duck.execute("INSERT INTO lake.db.a VALUES (2, 0, '')")
        duck.execute("ROLLBACK")
    audit(warehouse, "db.a", [1])
    audit(warehouse, "db.b", [1])


def test_a_transaction_that_lost_a_race_changes_no_table(warehouse, catalog):
    one, two = catalog.create_table("db.a", SCHEMA), catalog.create_table("db.b", SCHEMA)
    with warehouse.duckdb() as duck:
        begin_in_both(duck)
        two.append(rows(2))
        with pytest.raises(duckdb.Error):
            duck.execute("COMMIT")
    audit(warehouse, "db.a", [])
    audit(warehouse, "db.b", [2])


def test_no_insert_fails_where_appends_commute(warehouse, catalog):
    catalog.create_table("db.t", SCHEMA, properties=COMMUTE).append(rows(0))

    def insert(writer: int) -> list[int]:
        written = [1000 * writer + n for n in range(1, 6)]
        with warehouse.duckdb() as duck:
            for id in written:
                duck.execute(f"INSERT INTO lake.db.t VALUES ({id}, 0, 'duck')")
        return written

    with ThreadPoolExecutor(8) as pool:
        acknowledged = [id for written in pool.map(insert, range(8)) for id in written]
    audit(warehouse, "db.t", [0, *acknowledged])
