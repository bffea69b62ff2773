"""What tests do with a table: log in, make rows, and hold what is there against what was acknowledged."""

import glob
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import LongType, NestedField, StringType

SCHEMA = Schema(
    NestedField(1, "id", LongType()),
    NestedField(2, "key", LongType()),
    NestedField(3, "who", StringType()),
)
ARROW = pyarrow.schema(
    [
        pyarrow.field(name, kind, metadata={"PARQUET:field_id": str(id)})
        for id, (name, kind) in enumerate(
            [("id", pyarrow.int64()), ("key", pyarrow.int64()), ("who", pyarrow.string())], 1
        )
    ]
)
# Every table that takes appends as commuting says so itself.
COMMUTE = {"onward.appends": "commute"}


@dataclass(frozen=True)
class Warehouse:
    """A catalog as clients are told of it."""

    uri: str
    name: str
    credential: str

    def pyiceberg(self, **more: str) -> RestCatalog:
        return RestCatalog("onward", uri=self.uri, warehouse=self.name, credential=self.credential, **more)

    def duckdb(self, catalog: str = "lake", access: str = "none") -> duckdb.DuckDBPyConnection:
        """A connection with this catalog attached; how it reaches files is said by `access`."""
        connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        for name in ["httpfs", "avro", "iceberg"]:
            connection.execute(f"LOAD '{_extension(name)}'")
        key, secret = self.credential.split(":", 1)
        connection.execute(
            f"CREATE SECRET login (TYPE iceberg, CLIENT_ID '{key}', CLIENT_SECRET '{secret}', "
            f"OAUTH2_SERVER_URI '{self.uri}/v1/oauth/tokens')"
        )
        connection.execute(
            f"ATTACH '{self.name}' AS {catalog} (TYPE iceberg, ENDPOINT '{self.uri}', SECRET login, "
            f"ACCESS_DELEGATION_MODE '{access}')"
        )
        return connection

    def at(self, uri: str) -> "Warehouse":
        """The same catalog at another address: a relay's, another sidecar's."""
        return Warehouse(uri, self.name, self.credential)


def _extension(name: str) -> str:
    """DuckDB's extensions come as packages here: it would fetch them from its own site."""
    package = __import__(f"duckdb_extension_{name}")
    (file,) = glob.glob(os.path.dirname(package.__file__) + "/extensions/*/*.duckdb_extension")
    return file


def rows(*ids: int, key: int = 0, who: str = "") -> pyarrow.Table:
    columns = [list(ids), [key] * len(ids), [who] * len(ids)]
    return pyarrow.table([pyarrow.array(column, kind) for column, kind in zip(columns, ARROW.types)], schema=ARROW)


def ids(table: Table) -> list[int]:
    return sorted(table.scan().to_arrow()["id"].to_pylist())


@dataclass(frozen=True)
class File:
    """A Parquet file of a table's folder that no snapshot has yet."""

    path: str
    size: int
    ids: list[int] = field(default_factory=list)
    key: int = 0

    def line(self, operation: str) -> str:
        """What `Writers` of tests/iceberg/java reads."""
        return "\t".join([operation, self.path, str(self.size), str(len(self.ids)), str(self.key)])


def file(table: Table, *ids: int, key: int = 0) -> File:
    return _written(table, rows(*ids, key=key), list(ids), key)


def deletes(table: Table, path: str, *positions: int) -> File:
    """A file that deletes rows of another by their positions."""
    schema = pyarrow.schema(
        [
            pyarrow.field("file_path", pyarrow.string(), False, {"PARQUET:field_id": "2147483546"}),
            pyarrow.field("pos", pyarrow.int64(), False, {"PARQUET:field_id": "2147483545"}),
        ]
    )
    made = pyarrow.table([[path] * len(positions), list(positions)], schema=schema)
    return _written(table, made, list(positions), 0)


def _written(table: Table, content: pyarrow.Table, ids: list[int], key: int) -> File:
    location = f"{table.location()}/data/{uuid.uuid4()}.parquet"
    at = local(location)
    at.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(content, at)
    return File(location, at.stat().st_size, ids, key)


def local(location: str) -> Path:
    """The file of this machine that a location names."""
    assert location.startswith("file:/"), location
    return Path("/" + location.removeprefix("file:").lstrip("/"))


def audit(warehouse: Warehouse, name: str, acknowledged: list[int], unknown: list[int] = ()) -> list[int]:
    """Holds a table against what its writers were told, as two engines see it; the ids that are there.

    What was acknowledged is there once, what nobody knows of once or not at all, and nothing else. The snapshots
    are a chain, with sequence numbers that ascend and totals that count; every file that one of them names is there.
    """
    table = warehouse.pyiceberg().load_table(name)
    found = ids(table)
    assert len(found) == len(set(found)), f"twice: {sorted({id for id in found if found.count(id) > 1})}"
    assert set(acknowledged) <= set(found), f"lost: {sorted(set(acknowledged) - set(found))}"
    assert set(found) <= set(acknowledged) | set(unknown), "rows that nobody wrote"
    with warehouse.duckdb() as connection:
        seen = connection.execute(f"SELECT id FROM lake.{name} ORDER BY id").fetchall()
    assert [id for (id,) in seen] == found, "DuckDB sees other rows than PyIceberg"
    chain(table, len(found))
    return found


def chain(table: Table, records: int) -> None:
    """Holds the snapshots of a table against one another."""
    snapshots = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    line = []
    at = table.current_snapshot()
    while at is not None:
        line.append(at)
        at = snapshots.get(at.parent_snapshot_id)
    assert len(line) == len(snapshots), f"{len(line)} of {len(snapshots)} snapshots lead to the current one"
    numbers = [snapshot.sequence_number for snapshot in line]
    assert numbers == sorted(set(numbers), reverse=True), numbers
    if line and (total := line[0].summary.additional_properties.get("total-records")):
        deleted = line[0].summary.additional_properties.get("total-position-deletes", "0")
        assert int(total) - int(deleted) == records
    for location in {table.metadata_location} | {snapshot.manifest_list for snapshot in line}:
        assert local(location).exists(), f"{location} is missing"
    manifests = {manifest.manifest_path for snapshot in line for manifest in snapshot.manifests(table.io)}
    for location in manifests:
        assert local(location).exists(), f"{location} is missing"
    for task in table.scan().plan_files():
        for named in [task.file, *task.delete_files]:
            at = local(named.file_path)
            assert at.exists() and at.stat().st_size == named.file_size_in_bytes, named.file_path
