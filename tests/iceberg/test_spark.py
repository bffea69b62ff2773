"""A job of Spark's, by PySpark and Iceberg's runtime for it. Only with `scripts/test-iceberg --spark`: it takes its time."""

import os
import sys

import pytest
from support import COMMUTE, audit, rows

pytestmark = pytest.mark.skipif("ICEBERG_SPARK" not in os.environ, reason="scripts/test-iceberg --spark runs it")

MERGE_ON_READ = {f"write.{what}.mode": "merge-on-read" for what in ["delete", "update", "merge"]}


@pytest.fixture(scope="module")
def session():
    """One JVM with one core. Catalogs are added to it by each test."""
    sys.path.insert(0, os.environ["ICEBERG_SPARK"])
    from pyspark.sql import SparkSession

    settings = {
        "spark.jars": os.environ["ICEBERG_SPARK_JAR"],
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
    }
    builder = SparkSession.builder.master("local[1]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def spark(session, warehouse):
    """The catalog of this test, as `lake`; of a name of its own in Spark, which keeps catalogs for ever."""
    name = warehouse.name.replace("-", "_")
    settings = {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": "rest",
        ".uri": warehouse.uri,
        ".warehouse": warehouse.name,
        ".credential": warehouse.credential,
        ".oauth2-server-uri": f"{warehouse.uri}/v1/oauth/tokens",
        ".cache-enabled": "false",
    }
    for key, value in settings.items():
        session.conf.set(f"spark.sql.catalog.{name}{key}", value)
    return lambda words: [tuple(row) for row in session.sql(words.replace("lake.", f"{name}.")).collect()]


def properties(version: int, **more: str) -> str:
    all = {"format-version": str(version), **COMMUTE, **more}
    return ", ".join(f"'{key}'='{value}'" for key, value in all.items())


@pytest.mark.parametrize("version, more", [(2, {}), (2, MERGE_ON_READ), (3, MERGE_ON_READ)], ids=["v2", "v2-mor", "v3"])
def test_a_job_of_spark(spark, warehouse, version, more):
    spark(
        "CREATE TABLE lake.db.t (id BIGINT, key BIGINT, who STRING) USING iceberg "
        f"TBLPROPERTIES ({properties(version, **more)})"
    )
    spark("INSERT INTO lake.db.t SELECT id, id % 3, 'first' FROM range(10)")
    spark("INSERT INTO lake.db.t VALUES (10, 1, 'second')")
    spark("CREATE TABLE lake.db.news USING iceberg AS SELECT id, 7L AS key, 'new' AS who FROM range(9, 13)")
    spark(
        "MERGE INTO lake.db.t t USING lake.db.news n ON t.id = n.id "
        "WHEN MATCHED AND n.id = 10 THEN DELETE WHEN MATCHED THEN UPDATE SET t.key = n.key, t.who = n.who "
        "WHEN NOT MATCHED THEN INSERT *"
    )
    spark("DELETE FROM lake.db.t WHERE id = 0")
    spark("UPDATE lake.db.t SET who = 'changed' WHERE id = 1")
    spark("ALTER TABLE lake.db.t ADD COLUMN extra STRING")
    expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert spark("SELECT id FROM lake.db.t ORDER BY id") == [(id,) for id in expected]
    assert spark("SELECT who FROM lake.db.t WHERE id IN (1, 9) ORDER BY id") == [("changed",), ("new",)]
    if version == 3:
        lines = spark("SELECT id, _row_id, _last_updated_sequence_number FROM lake.db.t ORDER BY id")
        assert len({row for _, row, _ in lines}) == len(lines) and all(None not in line for line in lines)
        deletes = spark("SELECT file_format FROM lake.db.t.delete_files")
        assert deletes and {kind for (kind,) in deletes} == {"PUFFIN"}
    operations = spark("SELECT operation FROM lake.db.t.snapshots ORDER BY committed_at")
    assert len(operations) == 5
    table = warehouse.pyiceberg().load_table("db.t")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == expected
    with warehouse.duckdb() as connection:
        assert connection.execute("SELECT id FROM lake.db.t ORDER BY id").fetchall() == [(id,) for id in expected]


def test_appends_of_spark_and_others_land_and_branches_are_merged(spark, shared, warehouse):
    spark(f"CREATE TABLE lake.db.t (id BIGINT, key BIGINT, who STRING) USING iceberg TBLPROPERTIES ({properties(2)})")
    spark("INSERT INTO lake.db.t VALUES (1, 1, 'spark')")
    shared.post(f"/api/v1/repositories/{warehouse.name}/branches", {"name": "try", "source": "main"})
    spark("INSERT INTO lake.db.t VALUES (2, 1, 'spark')")
    side = type(warehouse)(warehouse.uri, f"{warehouse.name}@try", warehouse.credential)
    side.pyiceberg().load_table("db.t").append(rows(3))
    shared.post(f"/api/v1/repositories/{warehouse.name}/refs/try/merge/main", {})
    assert spark("SELECT id FROM lake.db.t ORDER BY id") == [(1,), (2,), (3,)]
    audit(warehouse, "db.t", [1, 2, 3])
