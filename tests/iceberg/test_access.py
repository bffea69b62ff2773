"""Clients that have no credentials for S3, and get some that are made for them."""

import base64
import json
import urllib.error
import urllib.request
import uuid

import duckdb
import java
import pyarrow.parquet
import pytest
import stores
from conftest import warehouse_of
from support import SCHEMA, File, Warehouse, ids, rows

VENDED = {"header.X-Iceberg-Access-Delegation": "vended-credentials"}
S3_OF_JAVA = {"io-impl": "org.apache.iceberg.aws.s3.S3FileIO"}


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    stores.without_login()
    made = stores.SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def with_role(store, tmp_path_factory):
    """A deployment on S3 that gives sessions of a role."""
    made = stores.OnS3(tmp_path_factory.mktemp("role"), store, *role_at(store))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def with_keys(store, tmp_path_factory):
    """The same with keys that stand."""
    flags = ["--iceberg-vended-key-id", stores.WRITER[0], "--iceberg-vended-read-key-id", stores.READER[0]]
    secrets = {"ONWARD_ICEBERG_VENDED_SECRET": stores.WRITER[1], "ONWARD_ICEBERG_VENDED_READ_SECRET": stores.READER[1]}
    made = stores.OnS3(tmp_path_factory.mktemp("keys"), store, *flags, **secrets)
    yield made
    made.stop()


def role_at(store: stores.SeaweedFS) -> list[str]:
    return ["--iceberg-vended-role", stores.ROLE, "--iceberg-sts-endpoint", store.endpoint]


def with_namespace(deployment) -> Warehouse:
    made = warehouse_of(deployment)
    made.pyiceberg().create_namespace("db")
    return made


def reader_of(deployment, warehouse: Warehouse) -> Warehouse:
    """The same catalog for a key that may read and no more."""
    made = deployment.cli("key", "create", "--role", "read", "reader")
    return Warehouse(warehouse.uri, warehouse.name, f"{made['access_key_id']}:{made['secret_access_key']}")


def data_file(table, *written: int) -> File:
    """A Parquet file in a table's folder, by the table's own file system."""
    location = f"{table.location()}/data/{uuid.uuid4()}.parquet"
    with table.io.new_output(location).create() as out:
        pyarrow.parquet.write_table(rows(*written), out)
    return File(location, len(table.io.new_input(location)), list(written))


def ask(warehouse: Warehouse, what: str) -> dict:
    """A request of a client's about the table `db.t`."""
    login = base64.b64encode(warehouse.credential.encode()).decode()
    request = urllib.request.Request(
        f"{warehouse.uri}/v1/{warehouse.name}@main/namespaces/db/tables/t/{what}",
        headers={"Authorization": f"Basic {login}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return json.load(answer)


@pytest.fixture(params=["with_role", "with_keys"])
def vending(request) -> Warehouse:
    return with_namespace(request.getfixturevalue(request.param))


def test_pyiceberg_writes_and_reads_by_credentials(vending):
    # What PyIceberg asks for by itself.
    catalog = vending.pyiceberg()
    table = catalog.create_table("db.t", SCHEMA)
    table.append(rows(1, 2))
    table.delete("id = 1")
    assert ids(catalog.load_table("db.t")) == [2]
    assert type(table.io).__name__ == "PyArrowFileIO"


def test_java_commits_by_credentials(vending):
    table = vending.pyiceberg().create_table("db.t", SCHEMA)
    files = [data_file(table, id) for id in range(4)]
    told = java.write(vending, "db.t", 2, [file.line("append") for file in files], **VENDED, **S3_OF_JAVA)
    assert told.failed == {}
    assert ids(table.refresh()) == [0, 1, 2, 3]


def test_duckdb_writes_and_reads_by_credentials(vending):
    vending.pyiceberg().create_table("db.t", SCHEMA).append(rows(1))
    with vending.duckdb(access="vended_credentials") as duck:
        duck.execute("INSERT INTO lake.db.t VALUES (2, 0, 'duck')")
        assert duck.execute("SELECT id FROM lake.db.t ORDER BY id").fetchall() == [(1,), (2,)]
        duck.execute("CREATE TABLE lake.db.made AS SELECT 7 AS id")
        assert duck.execute("SELECT id FROM lake.db.made").fetchall() == [(7,)]


def test_who_asks_for_nothing_is_given_nothing(with_role):
    warehouse = with_namespace(with_role)
    warehouse.pyiceberg().create_table("db.t", SCHEMA).append(rows(1))
    with warehouse.duckdb() as duck, pytest.raises(duckdb.Error):
        duck.execute("SELECT id FROM lake.db.t")


def credentials_of(table) -> tuple[str, ...]:
    names = ["s3.access-key-id", "s3.secret-access-key", "s3.session-token"]
    return tuple(table.io.properties[name] for name in names if name in table.io.properties)


def allowed(call) -> bool:
    try:
        call()
        return True
    except Exception as error:
        assert "AccessDenied" in str(error), error
        return False


def test_a_session_reaches_its_table_and_no_further(store, with_role):
    warehouse = with_namespace(with_role)
    catalog = warehouse.pyiceberg()
    table, other = catalog.create_table("db.t", SCHEMA), catalog.create_table("db.other", SCHEMA)
    table.append(rows(1))
    elsewhere = with_namespace(with_role).pyiceberg().create_table("db.t", SCHEMA)
    read = reader_of(with_role, warehouse).pyiceberg().load_table("db.t")
    assert ids(read) == [1]

    def keys(of) -> str:
        return of.location().removeprefix(f"s3://{stores.BUCKET}/")

    writer, reader = (store.client(credentials_of(one)) for one in [table, read])
    (task,) = table.scan().plan_files()
    file = task.file.file_path.removeprefix(f"s3://{stores.BUCKET}/")
    new = f"{keys(table)}/data/new"
    for client in [writer, reader]:
        assert allowed(lambda: client.get_object(Bucket=stores.BUCKET, Key=file))
        assert allowed(lambda: client.list_objects_v2(Bucket=stores.BUCKET, Prefix=keys(table) + "/"))
        assert not allowed(lambda: client.list_objects_v2(Bucket=stores.BUCKET, Prefix=""))
        assert not allowed(lambda: client.delete_object(Bucket=stores.BUCKET, Key=file))
        for foreign in [other, elsewhere]:
            at = foreign.metadata_location.removeprefix(f"s3://{stores.BUCKET}/")
            assert not allowed(lambda: client.get_object(Bucket=stores.BUCKET, Key=at))
            assert not allowed(lambda: client.put_object(Bucket=stores.BUCKET, Key=keys(foreign) + "/x", Body=b""))
    assert not allowed(lambda: reader.put_object(Bucket=stores.BUCKET, Key=new, Body=b""))
    assert allowed(lambda: writer.put_object(Bucket=stores.BUCKET, Key=new, Body=b""))


def test_keys_that_stand_are_of_the_role(with_keys):
    warehouse = with_namespace(with_keys)
    table = warehouse.pyiceberg().create_table("db.t", SCHEMA)
    table.append(rows(1))
    assert credentials_of(table) == stores.WRITER
    read = reader_of(with_keys, warehouse).pyiceberg().load_table("db.t")
    assert (credentials_of(read), ids(read)) == (stores.READER, [1])


def test_credentials_that_have_ended_are_refused_and_new_ones_come(tmp_path):
    store = stores.SeaweedFS(tmp_path / "seaweedfs", session="4s")
    deployment = stores.OnS3(tmp_path / "short", store, *role_at(store))
    try:
        warehouse = with_namespace(deployment)
        catalog = warehouse.pyiceberg()
        table = catalog.create_table("db.t", SCHEMA)
        first = credentials_of(table)
        key = table.metadata_location.removeprefix(f"s3://{stores.BUCKET}/")

        def read(credentials) -> bool:
            try:
                store.client(credentials).get_object(Bucket=stores.BUCKET, Key=key)
                return True
            except Exception as error:
                assert "InvalidAccessKeyId" in str(error) or "ExpiredToken" in str(error), error
                return False

        while read(first):
            pass
        assert credentials_of(catalog.load_table("db.t")) != first
        # A slow machine may have to ask more than once.
        assert any(read(credentials_of(catalog.load_table("db.t"))) for _ in range(20))
        # DuckDB asks for others by itself, and Java by `/credentials`.
        (given,) = ask(warehouse, "credentials")["storage-credentials"]
        assert given["prefix"] == f"{table.location()}/"
        assert int(given["config"]["s3.session-token-expires-at-ms"]) > 0
    finally:
        deployment.stop()
        store.stop()


def test_a_storage_that_is_away_is_told_in_the_words_of_the_specification(tmp_path):
    store = stores.SeaweedFS(tmp_path / "seaweedfs")
    deployment = stores.OnS3(tmp_path / "away", store, *role_at(store))
    try:
        warehouse = with_namespace(deployment)
        warehouse.pyiceberg().create_table("db.t", SCHEMA)
        # A key that the sidecar knows, and that has no session yet.
        reader = reader_of(deployment, warehouse)
        assert reader.pyiceberg().list_tables("db") == [("db", "t")]
        store.stop()
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(reader, "credentials")
        told = json.load(refused.value)
        assert (refused.value.code, told["error"]["type"]) == (503, "ServiceUnavailableException")
        assert refused.value.headers["Retry-After"]
    finally:
        deployment.stop()
