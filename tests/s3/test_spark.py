"""A job of Spark's, by PySpark and Hadoop's S3A. Only with `scripts/test-s3 --spark`: it takes its time."""

import os
import sys

import pytest

pytestmark = pytest.mark.skipif("S3_SPARK" not in os.environ, reason="scripts/test-s3 --spark runs it")


@pytest.fixture
def spark(lake):
    """One JVM with one core, with the Hadoop of `java/` before the one that Spark brings."""
    sys.path.insert(0, os.environ["S3_SPARK"])
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.extraClassPath": os.environ["S3_CLASSPATH"].split(":")[0],
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.hadoop.fs.s3a.endpoint": lake.endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.access.key": lake.key,
        "spark.hadoop.fs.s3a.secret.key": lake.secret,
    }
    builder = SparkSession.builder.master("local[1]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_a_job_writes_reads_and_overwrites(spark, lake):
    folder = f"s3a://{lake.name}/main/orders"
    spark.range(1000).selectExpr("id", "id % 3 AS day", "id * 2 AS amount").write.partitionBy("day").parquet(folder)
    # What the job committed, and nothing of how it did.
    assert {key.split("/")[2] for key in lake.keys("main/orders/")} == {"_SUCCESS", "day=0", "day=1", "day=2"}
    lake.commit("a job of Spark's")
    read = lambda ref: spark.read.parquet(f"s3a://{lake.name}/{ref}/orders")  # noqa: E731
    assert read("main").where("day = 1").agg({"amount": "sum"}).collect()[0][0] == sum(2 * n for n in range(1000) if n % 3 == 1)
    spark.range(10).selectExpr("id", "9 AS day", "id AS amount").write.mode("overwrite").partitionBy("day").parquet(folder)
    assert (read("main").count(), read("main@").count()) == (10, 1000), "what is committed stays until the next commit"
    lake.tag("before")
    lake.commit("another job")
    assert (read("main@").count(), read("before").count()) == (10, 1000)
    spark.read.parquet(folder).write.mode("append").json(f"s3a://{lake.name}/main/lines")
    assert spark.read.json(f"s3a://{lake.name}/main/lines").count() == 10
