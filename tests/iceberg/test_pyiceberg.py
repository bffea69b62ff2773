"""PyIceberg: what its users do with tables, one writer at a time. `test_races.py` has several."""

import pyarrow
import pytest
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.expressions import EqualTo
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import IntegerType, LongType, NestedField, StringType
from support import ARROW, SCHEMA, audit, chain, ids, local, rows

ODD_NAMES = ["a.b", "a b", "ä ö", "a/b", "a%2Fb", "a+b", "A", "a@b", "#?&="]


def test_namespaces(catalog):
    catalog.create_namespace("other", {"owner": "ops"})
    catalog.create_namespace(("other", "inner"))
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace("other")
    assert catalog.list_namespaces() == [("db",), ("other",)]
    assert catalog.list_namespaces("other") == [("other", "inner")]
    summary = catalog.update_namespace_properties("other", removals={"owner", "none"}, updates={"team": "lake"})
    assert (summary.removed, summary.updated, summary.missing) == (["owner"], ["team"], ["none"])
    assert catalog.load_namespace_properties("other")["team"] == "lake"
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("other")
    catalog.drop_namespace("other.inner")
    catalog.drop_namespace("other")
    with pytest.raises(NoSuchNamespaceError):
        catalog.load_namespace_properties("other")
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_table("other.t", SCHEMA)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(catalog, name):
    catalog.create_namespace((name,))
    catalog.create_namespace((name, name))
    table = catalog.create_table((name, name, name), SCHEMA)
    table.append(rows(1))
    assert ids(catalog.load_table((name, name, name))) == [1]
    assert (name,) in catalog.list_namespaces()
    assert catalog.list_namespaces((name,)) == [(name, name)]
    assert catalog.list_tables((name, name)) == [(name, name, name)]
    catalog.drop_table((name, name, name))
    assert catalog.list_tables((name, name)) == []


def test_tables_come_and_go(catalog):
    table = catalog.create_table("db.t", SCHEMA)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table("db.t", SCHEMA)
    table.append(rows(1))
    catalog.rename_table("db.t", "db.u")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("db.t")
    assert ids(catalog.load_table("db.u")) == [1]
    assert catalog.list_tables("db") == [("db", "u")]
    metadata = catalog.load_table("db.u").metadata_location
    catalog.drop_table("db.u")
    assert not catalog.table_exists("db.u")
    # Made anew under the old name it is another table.
    again = catalog.create_table("db.u", SCHEMA)
    assert again.metadata.table_uuid != table.metadata.table_uuid
    assert ids(again) == []
    # What was dropped is still there, and can be registered under another name.
    assert ids(catalog.register_table("db.back", metadata)) == [1]


def test_a_table_of_another_uuid_takes_no_commit_for_the_old_one(catalog):
    old = catalog.create_table("db.t", SCHEMA)
    catalog.drop_table("db.t")
    catalog.create_table("db.t", SCHEMA)
    # The server says 409; PyIceberg loads the table for another try, and sees it itself.
    with pytest.raises(ValueError, match="UUID"):
        old.append(rows(1))
    assert ids(catalog.load_table("db.t")) == []


@pytest.mark.parametrize("properties", [{}, {"format-version": "1"}, {"commit.manifest-merge.enabled": "true"}])
def test_appends(catalog, warehouse, properties):
    merge = {"commit.manifest.min-count-to-merge": "2"} if "commit.manifest-merge.enabled" in properties else {}
    table = catalog.create_table("db.t", SCHEMA, properties=properties | merge)
    for id in range(6):
        table.append(rows(id))
    assert ids(table) == list(range(6))
    if properties.get("format-version") != "1":
        audit(warehouse, "db.t", list(range(6)))
    if merge:
        assert len(table.current_snapshot().manifests(table.io)) < 6


def test_overwrite_delete_and_upsert(table, warehouse):
    table.append(rows(1, 2, 3, key=1))
    table.append(rows(4, key=2))
    table.delete(EqualTo("id", 2))
    assert ids(table) == [1, 3, 4]
    table.overwrite(rows(5, key=1), overwrite_filter=EqualTo("key", 1))
    assert ids(table) == [4, 5]
    done = table.upsert(rows(5, 6, key=9), join_cols=["id"])
    assert (done.rows_updated, done.rows_inserted) == (1, 1)
    assert table.scan(row_filter=EqualTo("id", 5)).to_arrow()["key"].to_pylist() == [9]
    audit(warehouse, "db.t", [4, 5, 6])
    table.overwrite(rows(7))
    audit(warehouse, "db.t", [7])


def test_dynamic_partition_overwrite(catalog):
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "key"))
    table = catalog.create_table("db.t", SCHEMA, partition_spec=spec)
    table.append(rows(1, key=1))
    table.append(rows(2, key=2))
    table.dynamic_partition_overwrite(rows(3, key=2))
    assert ids(table) == [1, 3]


def test_schema_and_spec_evolve(catalog, table):
    table.append(rows(1))
    with table.update_schema() as update:
        update.add_column("extra", StringType())
        update.rename_column("who", "author")
        update.make_column_optional("id")
    with table.update_spec() as update:
        update.add_field("id", BucketTransform(4), "bucket")
    with table.update_sort_order() as update:
        update.asc("key", IdentityTransform())
    table = catalog.load_table("db.t")
    assert [field.name for field in table.schema().fields] == ["id", "key", "author", "extra"]
    table.append(rows(2).rename_columns(["id", "key", "author"]).append_column("extra", pyarrow.array(["x"])))
    found = table.scan().to_arrow().sort_by("id").to_pylist()
    assert [(row["id"], row["extra"]) for row in found] == [(1, None), (2, "x")]
    with table.update_spec() as update:
        update.remove_field("bucket")
    with table.update_schema() as update:
        update.delete_column("extra")
    assert len(catalog.load_table("db.t").metadata.schemas) == 3
    chain(table, 2)


def test_a_column_is_widened_and_moved(catalog):
    schema = Schema(NestedField(1, "n", IntegerType()), NestedField(2, "s", StringType()))
    table = catalog.create_table("db.t", schema)
    with table.update_schema() as update:
        update.update_column("n", LongType(), doc="wide")
        update.move_first("s")
    fields = catalog.load_table("db.t").schema().fields
    assert [(field.name, str(field.field_type), field.doc) for field in fields] == [
        ("s", "string", None),
        ("n", "long", "wide"),
    ]


def test_a_table_is_made_with_spec_order_and_properties(catalog):
    table = catalog.create_table(
        "db.t",
        SCHEMA,
        partition_spec=PartitionSpec(PartitionField(1, 1000, BucketTransform(8), "b")),
        sort_order=SortOrder(SortField(2, IdentityTransform())),
        properties={"owner": "ops"},
    )
    table.append(rows(*range(20)))
    loaded = catalog.load_table("db.t")
    assert loaded.properties["owner"] == "ops"
    assert ids(loaded) == list(range(20))
    with loaded.transaction() as change:
        change.set_properties(team="lake")
        change.remove_properties("owner")
    assert catalog.load_table("db.t").properties.get("team") == "lake"


def test_branches_tags_and_rollback(catalog, table):
    table.append(rows(1))
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "v1").create_branch(first, "audit").commit()
    table.append(rows(2))
    table.append(rows(3), branch="audit")
    table = catalog.load_table("db.t")
    assert ids(table) == [1, 2]
    scan = {ref: sorted(table.scan(snapshot_id=at.snapshot_id).to_arrow()["id"].to_pylist()) for ref, at in table.refs().items()}
    assert scan == {"main": [1, 2], "audit": [1, 3], "v1": [1]}
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    assert ids(catalog.load_table("db.t")) == [1]
    table.append(rows(4))
    assert ids(catalog.load_table("db.t")) == [1, 4]
    table.manage_snapshots().remove_branch("audit").remove_tag("v1").commit()
    assert set(catalog.load_table("db.t").refs()) == {"main"}


def test_snapshots_expire(catalog, table):
    for id in range(4):
        table.append(rows(id))
    first = table.metadata.snapshots[0].snapshot_id
    table.maintenance.expire_snapshots().by_id(first).commit()
    loaded = catalog.load_table("db.t")
    assert len(loaded.metadata.snapshots) == 3
    assert ids(loaded) == list(range(4))


def test_a_transaction_is_one_commit(catalog, table):
    with table.transaction() as change:
        change.append(rows(1))
        change.set_properties(loaded="yes")
        with change.update_schema() as update:
            update.add_column("extra", StringType())
        change.append(rows(2).append_column("extra", pyarrow.array(["x"])))
    loaded = catalog.load_table("db.t")
    assert ids(loaded) == [1, 2]
    assert len(loaded.metadata.snapshots) == 2
    # As made, and once changed.
    assert len(loaded.metadata.metadata_log) == 1


def test_a_table_is_made_and_filled_in_one_commit(catalog):
    with catalog.create_table_transaction("db.t", SCHEMA) as change:
        change.append(rows(1))
        assert not catalog.table_exists("db.t")
    assert ids(catalog.load_table("db.t")) == [1]
    with pytest.raises(CommitFailedException):
        with catalog.create_table_transaction("db.u", SCHEMA) as change:
            catalog.create_table("db.u", SCHEMA)
            change.append(rows(1))
    assert ids(catalog.load_table("db.u")) == []


def test_files_that_are_there_are_added(catalog, table):
    at = f"{table.location()}/data/given.parquet"
    local(at).parent.mkdir(parents=True, exist_ok=True)
    plain = pyarrow.schema([pyarrow.field(field.name, field.type) for field in ARROW])
    pyarrow.parquet.write_table(rows(1, 2).cast(plain), local(at))
    table.add_files([at])
    assert ids(catalog.load_table("db.t")) == [1, 2]


def test_a_location_elsewhere_is_refused(catalog, tmp_path):
    with pytest.raises(BadRequestError, match="location"):
        catalog.create_table("db.t", SCHEMA, location=tmp_path.as_uri())
    with pytest.raises(BadRequestError):
        catalog.register_table("db.t", "file:///etc/passwd")
    assert catalog.list_tables("db") == []


def test_a_purge_is_refused_and_says_what_to_do(catalog, table):
    table.append(rows(1))
    with pytest.raises(RESTError, match="Drop it without purge"):
        catalog.purge_table("db.t")
    assert ids(catalog.load_table("db.t")) == [1]


def test_metadata_that_history_needs_is_not_deleted_by_a_client(catalog):
    """With this property PyIceberg itself deletes old metadata files, which branches and older commits name."""
    wish = {"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "1"}
    table = catalog.create_table("db.t", SCHEMA, properties=wish)
    named = []
    for id in range(4):
        table.append(rows(id))
        named.append(table.metadata_location)
    assert all(local(location).exists() for location in named)
