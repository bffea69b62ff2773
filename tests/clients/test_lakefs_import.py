"""Imports of a folder, and refs that are dumped and restored."""

from datetime import timedelta

import lakefs
import lakefs_sdk
import pytest
from lakefs.exceptions import ForbiddenException, ImportManagerException, NotFoundException, PermissionException
from support import changes, commit, content, local_path, namespace, read

POLL = timedelta(milliseconds=50)


@pytest.fixture
def folder(source):
    """A folder outside of the server's storage, with files."""
    files = {"1.csv": b"a,b\n", "2.csv": b"", "deep/er/3.bin": bytes(range(256))}
    for name, data in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return source, files


def test_a_folder_is_imported_where_it_lies(repo, main, folder):
    root, files = folder
    before = commit(main, {"raw/old": b"1", "raw/1.csv": b"replaced", "rawer": b"beside"})
    manager = main.import_data("the import", metadata={"from": "folder"})
    manager.prefix(f"{root.as_uri()}/", "raw/")
    status = manager.run(POLL)

    assert status.completed
    assert status.error is None
    assert status.ingested_objects == len(files)
    assert status.commit.id == main.head.id
    details = main.get_commit()
    assert (details.message, details.parents) == ("the import", [before])
    assert details.metadata["from"] == "folder"
    # The destination shows the folder as it is: what is not in it goes, what is beside it stays.
    assert content(main) == {"rawer": b"beside"} | {f"raw/{name}": data for name, data in files.items()}
    # Nothing is copied.
    assert local_path(main.object("raw/1.csv").stat().physical_address) == root / "1.csv"
    assert changes(main.uncommitted()) == []


def test_single_objects_are_imported_too(main, folder):
    root, files = folder
    manager = main.import_data("one by one")
    manager.object((root / "1.csv").as_uri(), "here/one.csv").prefix(f"{(root / 'deep').as_uri()}/", "there/")
    manager.start()
    status = manager.wait(POLL)
    assert status.ingested_objects == 2
    assert content(main) == {"here/one.csv": files["1.csv"], "there/er/3.bin": files["deep/er/3.bin"]}
    assert manager.status().completed


def test_an_import_without_a_message_gets_one(main, folder):
    root, _ = folder
    main.import_data().prefix(f"{root.as_uri()}/", "raw/").run(POLL)
    assert main.get_commit().message


def test_an_import_of_nothing_fails(main, source):
    head = main.head.id
    manager = main.import_data("nothing").object((source / "absent").as_uri(), "x")
    with pytest.raises((ImportManagerException, lakefs.exceptions.ServerException)):
        manager.run(POLL)
    assert main.head.id == head


def test_an_import_that_has_ended_is_not_cancelled(client, repo, main, folder):
    root, _ = folder
    manager = main.import_data("done").prefix(f"{root.as_uri()}/", "raw/")
    head = manager.run(POLL).commit.id
    imports = client.sdk_client.import_api
    for wanted, task in [(409, manager.import_id), (404, "no-such-import")]:
        with pytest.raises(lakefs_sdk.ApiException) as refused:
            imports.import_cancel(repo.id, "main", task)
        assert refused.value.status == wanted
    assert main.head.id == head


def test_an_import_that_nobody_started(client, repo, source):
    with pytest.raises(lakefs_sdk.ApiException) as unknown:
        client.sdk_client.import_api.import_status(repo.id, "main", "no-such-import")
    assert unknown.value.status == 404
    with pytest.raises(NotFoundException):
        repo.branch("none").import_data("x").prefix(f"{source.as_uri()}/", "y/").start()


def test_only_folders_that_the_operator_allowed_are_imported_from(main, folder, tmp_path):
    root, _ = folder
    (tmp_path / "secret").write_bytes(b"of the server's machine")
    head = main.head.id
    for elsewhere in [tmp_path.as_uri(), f"{tmp_path.as_uri()}/", root.parent.parent.as_uri(), "s3://bucket/folder/"]:
        with pytest.raises(ForbiddenException, match="--allow-source"):
            main.import_data("not this").prefix(elsewhere, "x/").start()
    # One location that is not allowed is enough.
    with pytest.raises(ForbiddenException):
        mixed = main.import_data("not these").prefix(f"{root.as_uri()}/", "x/")
        mixed.object((tmp_path / "secret").as_uri(), "y").start()
    assert main.head.id == head


@pytest.mark.parametrize("way", ["..", "%2e%2e", "none/../.."])
def test_no_spelling_leads_out_of_an_allowed_folder(main, folder, way):
    root, _ = folder
    with pytest.raises(ForbiddenException, match="--allow-source"):
        main.import_data("not this").prefix(f"{root.parent.as_uri()}/{way}/", "x/").start()


def test_a_link_to_elsewhere_is_kept_and_not_read(client, repo, main, tmp_path):
    (tmp_path / "secret").write_bytes(b"of the server's machine")
    address = (tmp_path / "secret").as_uri()
    wanted = lakefs_sdk.ObjectStageCreation(physical_address=address, checksum="c", size_bytes=23)
    client.sdk_client.internal_api.stage_object(repo.id, "main", "linked", wanted)
    assert main.object("linked").stat().physical_address == address
    with pytest.raises(PermissionException):
        read(main, "linked")


@pytest.fixture
def history(repo, main):
    """A repository with branches, a merge and a tag."""
    commit(main, {"a": b"1"}, "one")
    side = repo.branch("side").create("main")
    commit(side, {"b": b"2"}, "two", metadata={"k": "v"})
    repo.tag("t").create(side)
    side.merge_into(main, message="merge")
    return repo


def refs(repo) -> dict[str, object]:
    """All that refs say, and the content behind them."""
    names = [branch.id for branch in repo.branches()] + [tag.id for tag in repo.tags()]
    return {
        name: (
            [(entry.id, entry.parents, entry.message, entry.metadata) for entry in repo.ref(name).log()],
            content(repo.ref(name)),
        )
        for name in names
    }


def damage(history) -> dict[str, object]:
    """Takes a branch and a tag away, moves another branch on, makes a new one; what refs are then to be."""
    before = refs(history)
    history.branch("side").delete()
    history.tag("t").delete()
    commit(history.branch("main"), {"later": b"3"}, "since the dump")
    history.branch("new").create("main")
    return before | {name: refs(history)[name] for name in ["main", "new"]}


def test_refs_are_dumped_and_restored(client, history):
    internal = client.sdk_client.internal_api
    dumped = internal.dump_refs(history.id)
    expected = damage(history)
    # What is gone comes back at its commit; what is there stays as it is.
    for _ in range(2):
        internal.restore_refs(history.id, lakefs_sdk.RefsRestore(**dumped.dict()))
        assert refs(history) == expected


def finished(ask):
    """What a task says when it is done. Each question waits for the server, the number of them is bounded."""
    for _ in range(10_000):
        status = ask()
        if status.done:
            return status
    raise AssertionError("the task does not end")


def test_refs_are_dumped_and_restored_by_tasks(client, history):
    repositories = client.sdk_client.repositories_api
    task = repositories.dump_submit(history.id).id
    dumped = finished(lambda: repositories.dump_status(history.id, task))
    assert not dumped.error
    expected = damage(history)
    task = repositories.restore_submit(history.id, lakefs_sdk.RefsRestore(**dumped.refs.dict())).id
    assert not finished(lambda: repositories.restore_status(history.id, task)).error
    assert refs(history) == expected


def test_a_dump_that_is_not_of_this_repository_is_404(client, history, new_name):
    internal, repositories = client.sdk_client.internal_api, client.sdk_client.repositories_api
    other = lakefs.Repository(new_name(), client).create(namespace("other"))
    dumped = internal.dump_refs(history.id)
    parts = ["commits_meta_range_id", "tags_meta_range_id", "branches_meta_range_id"]
    unknown = lakefs_sdk.RefsRestore(**dict.fromkeys(parts, "0" * 31 + "1"))
    for where, what in [(history, unknown), (other, lakefs_sdk.RefsRestore(**dumped.dict()))]:
        before = refs(where)
        with pytest.raises(lakefs_sdk.ApiException) as refused:
            internal.restore_refs(where.id, what)
        assert refused.value.status == 404
        task = repositories.restore_submit(where.id, what).id
        assert finished(lambda id=where.id, task=task: repositories.restore_status(id, task)).error
        assert refs(where) == before
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        internal.restore_refs(history.id, lakefs_sdk.RefsRestore(**dict.fromkeys(parts, "not a dump")))
    assert refused.value.status == 400


def test_bare_repositories_are_refused(client, new_name):
    wanted = lakefs_sdk.RepositoryCreation(name=new_name(), storage_namespace=namespace("bare"))
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        client.sdk_client.repositories_api.create_repository(wanted, bare=True)
    assert refused.value.status == 501
