"""Engines that read and write tables of files: DuckDB, polars, pyarrow."""

import duckdb
import glob
import os
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
from gateway import Lake

ROWS = pyarrow.table({"day": ["1", "1", "2"], "id": [1, 2, 3], "amount": [1.5, 2.0, 4.25]})


def duck(lake: Lake) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = __import__("duckdb_extension_httpfs")
    (extension,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    connection.execute(
        f"CREATE SECRET lake (TYPE s3, KEY_ID '{lake.key}', SECRET '{lake.secret}', ENDPOINT '{lake.host}', "
        "REGION 'us-east-1', URL_STYLE 'path', USE_SSL false)"
    )
    return connection


def arrow(lake: Lake) -> pyarrow.fs.S3FileSystem:
    return pyarrow.fs.S3FileSystem(
        access_key=lake.key, secret_key=lake.secret, endpoint_override=lake.host, scheme="http", region="us-east-1"
    )


def test_duckdb_writes_partitions_and_reads_them_by_a_glob(lake):
    with duck(lake) as connection:
        rows = ROWS
        connection.execute(f"COPY (FROM rows) TO '{lake.url('orders')}' (FORMAT parquet, PARTITION_BY (day))")
        assert [key.rsplit("/", 1)[0] for key in lake.keys()] == ["main/orders/day=1", "main/orders/day=2"]
        found = connection.execute(f"SELECT id FROM '{lake.url('orders/*/*.parquet')}' ORDER BY id").fetchall()
        assert found == [(1,), (2,), (3,)]
        scanned = connection.execute(
            f"SELECT sum(amount) FROM read_parquet('{lake.url('orders/**')}', hive_partitioning = true) WHERE day = '1'"
        )
        assert scanned.fetchall() == [(3.5,)]
        connection.execute(f"COPY (SELECT range AS n, repeat('x', 100) AS s FROM range(200000)) TO '{lake.url('large.csv')}'")
        counted = connection.execute(f"SELECT count(*), max(n) FROM '{lake.url('large.csv')}'").fetchall()
        assert counted == [(200000, 199999)]
        # What is committed goes on being read, whatever is staged.
        lake.commit()
        connection.execute(f"COPY (SELECT 1 AS n) TO '{lake.url('large.csv')}'")
        assert connection.execute(f"SELECT count(*) FROM '{lake.url('large.csv', 'main@')}'").fetchall() == [(200000,)]


def test_polars_scans_and_sinks(lake):
    options = {
        "aws_access_key_id": lake.key, "aws_secret_access_key": lake.secret, "aws_endpoint_url": lake.endpoint,
        "aws_region": "us-east-1", "aws_allow_http": "true",
    }
    frame = polars.from_arrow(ROWS)
    frame.write_parquet(lake.url("orders/a.parquet"), storage_options=options)
    frame.lazy().sink_parquet(lake.url("orders/b.parquet"), storage_options=options)
    scan = polars.scan_parquet(lake.url("orders/*.parquet"), storage_options=options)
    assert scan.select(polars.col("amount").sum()).collect().item() == 15.5
    assert scan.filter(polars.col("id") == 3).collect().height == 2
    frame.lazy().sink_csv(lake.url("orders.csv"), storage_options=options)
    assert polars.scan_csv(lake.url("orders.csv"), storage_options=options).collect().height == 3
    assert polars.read_parquet(lake.url("orders/a.parquet"), storage_options=options).equals(frame)


def test_pyarrow_writes_datasets_and_moves_files(lake):
    files = arrow(lake)
    root = f"{lake.name}/main"
    pyarrow.dataset.write_dataset(
        ROWS, f"{root}/orders", filesystem=files, format="parquet",
        partitioning=pyarrow.dataset.partitioning(pyarrow.schema([("day", pyarrow.string())]), flavor="hive"),
    )
    dataset = pyarrow.dataset.dataset(f"{root}/orders", filesystem=files, partitioning="hive")
    assert sorted(dataset.to_table()["id"].to_pylist()) == [1, 2, 3]
    pyarrow.parquet.write_table(ROWS, f"{root}/one.parquet", filesystem=files)
    assert pyarrow.parquet.read_table(f"{root}/one.parquet", filesystem=files).num_rows == 3
    with files.open_output_stream(f"{root}/large") as out:
        for _ in range(12):
            out.write(os.urandom(1 << 20))
    assert files.get_file_info(f"{root}/large").size == 12 << 20
    with files.open_input_file(f"{root}/large") as source:
        source.seek(5 << 20)
        assert len(source.read(1 << 20)) == 1 << 20
    files.copy_file(f"{root}/one.parquet", f"{root}/two.parquet")
    files.move(f"{root}/two.parquet", f"{root}/three.parquet")
    files.create_dir(f"{root}/folder")
    assert files.get_file_info(f"{root}/folder").type == pyarrow.fs.FileType.Directory
    names = [info.base_name for info in files.get_file_info(pyarrow.fs.FileSelector(root))]
    assert {"orders", "one.parquet", "three.parquet", "large"} <= set(names) and "two.parquet" not in names
    files.delete_dir(f"{root}/orders")
    files.delete_file(f"{root}/one.parquet")
    assert [key for key in lake.keys() if not key.endswith("/")] == ["main/large", "main/three.parquet"]
    with pytest.raises(FileNotFoundError):
        files.open_input_file(f"{root}/one.parquet")
