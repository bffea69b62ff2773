"""Merges through the lakeFS SDKs: contents, parents, strategies, conflicts."""

import pytest
from lakefs.exceptions import BadRequestException, ConflictException
from support import changes, commit, content, put


def test_a_merge_brings_what_the_source_changed(repo, main):
    commit(main, {"keep": b"1", "change": b"1", "remove": b"1"})
    side = repo.branch("side").create("main")
    put(side, {"change": b"2", "add": b"2"})
    side.object("remove").delete()
    tip = side.commit("side").id
    before = commit(main, {"meanwhile": b"3"})

    merged = side.merge_into(main, message="bring it", metadata={"reviewed": "yes"})
    assert main.head.id == merged
    details = main.get_commit()
    assert details.parents == [before, tip]
    assert details.message == "bring it"
    assert details.metadata["reviewed"] == "yes"
    assert content(main) == {"keep": b"1", "change": b"2", "add": b"2", "meanwhile": b"3"}
    # The source stays as it was.
    assert side.head.id == tip


def test_a_merge_into_an_unchanged_branch_is_a_merge_commit_too(repo, main):
    base = commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    tip = commit(side, {"b": b"1"})
    merged = side.merge_into("main")
    assert repo.ref(merged).get_commit().parents == [base, tip]
    assert "side" in repo.ref(merged).get_commit().message


def test_any_ref_can_be_merged(repo, main):
    side = repo.branch("side").create("main")
    first = commit(side, {"a": b"1"})
    commit(side, {"b": b"1"})
    repo.ref(first).merge_into(main)
    assert content(main) == {"a": b"1"}
    repo.tag("t").create(side)
    repo.tag("t").merge_into(main)
    assert content(main) == {"a": b"1", "b": b"1"}


@pytest.fixture
def conflict(repo, main):
    """A branch that changed what main changed, and something else."""
    commit(main, {"both": b"0", "removed": b"0"})
    side = repo.branch("side").create("main")
    commit(side, {"both": b"side", "removed": b"side", "side": b"side"})
    put(main, {"both": b"main", "main": b"main"})
    main.object("removed").delete()
    main.commit("main")
    return side


def test_a_conflict_is_refused_and_changes_nothing(main, conflict):
    head = main.head.id
    assert changes(main.diff(conflict)) == [("conflict", "both"), ("conflict", "removed"), ("added", "side")]
    with pytest.raises(ConflictException) as refused:
        conflict.merge_into(main)
    assert refused.value.status_code == 409
    assert main.head.id == head
    assert content(main) == {"both": b"main", "main": b"main"}


def test_source_wins(main, conflict):
    conflict.merge_into(main, strategy="source-wins")
    assert content(main) == {"both": b"side", "removed": b"side", "side": b"side", "main": b"main"}


def test_dest_wins(main, conflict):
    conflict.merge_into(main, strategy="dest-wins")
    assert content(main) == {"both": b"main", "side": b"side", "main": b"main"}


def test_an_unknown_strategy_is_refused(main, conflict):
    with pytest.raises(BadRequestException):
        conflict.merge_into(main, strategy="coin-toss")


def test_the_same_change_on_both_sides_is_no_conflict(repo, main):
    commit(main, {"a": b"0"})
    side = repo.branch("side").create("main")
    commit(side, {"a": b"1", "b": b"1"})
    commit(main, {"a": b"1"})
    side.merge_into(main)
    assert content(main) == {"a": b"1", "b": b"1"}


def test_equal_content_under_a_new_name_is_kept(repo, main):
    # base {b}, source {a, b}, destination {}: a is new whatever it looks like.
    commit(main, {"b": b"same", "other": b"0"})
    side = repo.branch("side").create("main")
    commit(side, {"a": b"same"})
    main.object("b").delete()
    main.commit("removes b")
    side.merge_into(main)
    assert content(main) == {"a": b"same", "other": b"0"}


def test_a_squash_merge_has_one_parent(repo, main):
    before = commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"}, "one")
    commit(side, {"b": b"2", "c": b"2"}, "two")
    merged = side.merge_into(main, squash_merge=True, message="squashed")
    assert repo.ref(merged).get_commit().parents == [before]
    assert content(main) == {"a": b"1", "b": b"2", "c": b"2"}
    assert "one" not in [entry.message for entry in main.log()]


def test_a_merge_without_changes_is_refused_unless_asked_for(repo, main):
    commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    with pytest.raises(BadRequestException, match="no changes"):
        side.merge_into(main)
    merged = side.merge_into(main, allow_empty=True)
    assert main.head.id == merged
    assert content(main) == {"a": b"1"}


def test_a_second_merge_brings_only_what_is_new(repo, main):
    commit(main, {"a": b"0"})
    side = repo.branch("side").create("main")
    commit(side, {"a": b"1"})
    side.merge_into(main)
    # Changed back on main: the first merge is the base now.
    commit(main, {"a": b"main"})
    commit(side, {"b": b"1"})
    side.merge_into(main)
    assert content(main) == {"a": b"main", "b": b"1"}


def test_the_merge_base(client, repo, main):
    base = commit(main, {"a": b"0"})
    side = repo.branch("side").create("main")
    source = commit(side, {"b": b"1"})
    destination = commit(main, {"c": b"1"})
    found = client.sdk_client.refs_api.find_merge_base(repo.id, "side", "main")
    assert found.base_commit_id == base
    # lakeFS itself is said to swap these two, so only the pair is held against it.
    assert {found.source_commit_id, found.destination_commit_id} == {source, destination}


def test_what_is_staged_on_the_destination_stays_staged(repo, main):
    commit(main, {"a": b"0"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"})
    main.object("staged").upload(b"later")
    side.merge_into(main)
    assert changes(main.uncommitted()) == [("added", "staged")]
    assert content(main) == {"a": b"0", "b": b"1", "staged": b"later"}
