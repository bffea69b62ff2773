"""Imports of a folder, and refs that are dumped and restored."""

from datetime import timedelta

import lakefs
import lakefs_sdk
import pytest
import requests
from lakefs.exceptions import ImportManagerException, NotFoundException
from support import changes, commit, content, local_path

POLL = timedelta(milliseconds=50)


@pytest.fixture
def folder(tmp_path):
    """A folder outside of the server's storage."""
    files = {"1.csv": b"a,b\n", "2.csv": b"", "deep/er/3.bin": bytes(range(256))}
    for name, data in files.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "source", files


def test_a_folder_is_imported_where_it_lies(repo, main, folder):
    root, files = folder
    before = commit(main, {"raw/old": b"1", "raw/1.csv": b"replaced"})
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
    assert content(main) == {"raw/old": b"1"} | {f"raw/{name}": data for name, data in files.items()}
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


def test_an_import_of_nothing_fails(main, tmp_path):
    head = main.head.id
    manager = main.import_data("nothing").object((tmp_path / "absent").as_uri(), "x")
    with pytest.raises((ImportManagerException, lakefs.exceptions.ServerException)):
        manager.run(POLL)
    assert main.head.id == head


def test_an_import_that_nobody_started(client, repo):
    with pytest.raises(lakefs_sdk.ApiException) as unknown:
        client.sdk_client.import_api.import_status(repo.id, "main", "no-such-import")
    assert unknown.value.status == 404
    with pytest.raises(NotFoundException):
        repo.branch("none").import_data("x").prefix("file:///tmp/", "y/").start()


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


@pytest.fixture
def bare_copy(server, client, history, new_name) -> lakefs.Repository:
    """A repository without refs over the storage of `history`: what refs are restored into."""
    # Not by the SDK, which may refuse what the server calls that storage.
    wanted = {"name": new_name(), "storage_namespace": history.properties.storage_namespace}
    answer = requests.post(
        f"{server.api}/repositories", params={"bare": "true"}, json=wanted, auth=server.basic, timeout=30
    )
    assert answer.status_code == 201, answer.text
    copy = lakefs.Repository(wanted["name"], client)
    assert list(copy.branches()) == []
    return copy


def test_refs_are_dumped_and_restored(client, history, bare_copy):
    dumped = client.sdk_client.internal_api.dump_refs(history.id)
    client.sdk_client.internal_api.restore_refs(bare_copy.id, lakefs_sdk.RefsRestore(**dumped.dict()))
    assert refs(bare_copy) == refs(history)


def finished(ask):
    """What a task says when it is done. Each question waits for the server, the number of them is bounded."""
    for _ in range(10_000):
        status = ask()
        if status.done:
            assert not status.error
            return status
    raise AssertionError("the task does not end")


def test_refs_are_dumped_and_restored_by_tasks(client, history, bare_copy):
    repositories = client.sdk_client.repositories_api
    task = repositories.dump_submit(history.id).id
    dumped = finished(lambda: repositories.dump_status(history.id, task)).refs
    task = repositories.restore_submit(bare_copy.id, lakefs_sdk.RefsRestore(**dumped.dict())).id
    finished(lambda: repositories.restore_status(bare_copy.id, task))
    assert refs(bare_copy) == refs(history)


def test_refs_are_restored_into_an_empty_repository_only(client, history):
    dumped = client.sdk_client.internal_api.dump_refs(history.id)
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        client.sdk_client.internal_api.restore_refs(history.id, lakefs_sdk.RefsRestore(**dumped.dict()))
    assert refused.value.status == 400
