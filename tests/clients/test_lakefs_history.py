"""Commits, logs, diffs, reverts and cherry-picks through the lakeFS SDKs."""

from datetime import datetime, timezone

import lakefs
import pytest
from lakefs.exceptions import BadRequestException, ConflictException
from support import changes, commit, content, put


def log(ref: lakefs.Reference, **filters) -> list[str]:
    return [entry.message for entry in ref.log(**filters)]


def test_a_commit_says_who_when_and_what(server, main):
    before = main.get_commit()
    main.object("a").upload(b"1")
    done = main.commit("the message\nwith a second line", metadata={"job": "nightly", "run": "42"})
    details = done.get_commit()
    assert details.message == "the message\nwith a second line"
    assert details.metadata == {"job": "nightly", "run": "42"}
    assert details.parents == [before.id]
    assert details.committer
    assert details.creation_date >= before.creation_date
    assert main.head.id == done.id == details.id


def test_a_commit_takes_everything_that_is_staged(repo, main):
    put(main, {"a": b"1", "b/c": b"2"})
    done = main.commit("two")
    assert content(done) == {"a": b"1", "b/c": b"2"}
    # Later changes of the branch do not reach it.
    put(main, {"a": b"later"})
    assert content(done) == {"a": b"1", "b/c": b"2"}


def test_commit_messages_may_be_empty(main):
    main.object("a").upload(b"1")
    assert main.commit("").get_commit().message == ""


def test_a_commit_needs_changes(main):
    head = main.head.id
    with pytest.raises(BadRequestException, match="no changes"):
        main.commit("nothing")
    assert main.head.id == head
    empty = main.commit("nothing, on purpose", allow_empty=True)
    assert empty.get_commit().parents == [head]


def test_the_same_bytes_again_are_no_commit(main):
    head = commit(main, {"a": b"1", "b": b"2"})
    put(main, {"a": b"1", "b": b"2"})
    assert changes(main.uncommitted()) == []
    with pytest.raises(BadRequestException, match="no changes"):
        main.commit("again")
    assert main.head.id == head
    assert commit(main, {"a": b"1", "b": b"3"}) != head


def test_a_commit_may_carry_a_date(main):
    main.object("a").upload(b"1")
    assert main.commit("back then", date=1_500_000_000).get_commit().creation_date == 1_500_000_000


def test_the_log_is_newest_first_and_in_pages(main):
    for number in range(12):
        commit(main, {"n": str(number).encode()}, f"c{number}")
    newest_first = [f"c{number}" for number in reversed(range(12))]
    assert log(main)[:12] == newest_first
    assert log(main, amount=5)[:12] == newest_first
    assert log(main, max_amount=3) == newest_first[:3]
    assert log(lakefs.Reference(main.repo_id, "main~4", main._client), max_amount=2) == ["c7", "c6"]


def test_a_limited_log_is_one_page(main):
    for number in range(3):
        commit(main, {"n": str(number).encode()}, f"c{number}")
    page = main._client.sdk_client.refs_api.log_commits(main.repo_id, "main", amount=2, limit=True)
    assert [entry.message for entry in page.results] == ["c2", "c1"]


def test_the_log_of_paths(main):
    commit(main, {"a/1": b"1"}, "adds a/1")
    commit(main, {"b/1": b"1"}, "adds b/1")
    commit(main, {"a/2": b"1", "b/1": b"2"}, "adds a/2, changes b/1")
    main.object("a/1").delete()
    main.commit("removes a/1")
    assert log(main, objects=["a/1"]) == ["removes a/1", "adds a/1"]
    assert log(main, prefixes=["b/"]) == ["adds a/2, changes b/1", "adds b/1"]
    assert log(main, prefixes=["a/"], amount=1) == ["removes a/1", "adds a/2, changes b/1", "adds a/1"]
    assert log(main, objects=["a/2"], prefixes=["b/"]) == ["adds a/2, changes b/1", "adds b/1"]
    assert log(main, objects=["nowhere"]) == []
    # Who made a change, and not who brought it.
    side = lakefs.Branch(main.repo_id, "side", main._client).create("main")
    commit(side, {"b/2": b"1"}, "adds b/2")
    side.merge_into(main)
    assert log(main, prefixes=["b/2"]) == ["adds b/2"]


def test_the_log_since_a_time(main):
    # Years apart, and later than the repository's first commit.
    for year in (2101, 2102, 2103, 2104):
        date = int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp())
        commit(main, {"year": str(year).encode()}, str(year), date=date)
    since = datetime(2102, 6, 1, tzinfo=timezone.utc)
    assert log(main, since=since) == ["2104", "2103"]


def test_the_log_up_to_a_commit(main):
    ids = [commit(main, {"n": str(number).encode()}, f"c{number}") for number in range(5)]
    # The description leaves open whether what it stops at belongs to it.
    assert log(main, stop_at=ids[2]) in (["c4", "c3"], ["c4", "c3", "c2"])


def test_the_log_along_first_parents(repo, main):
    commit(main, {"a": b"1"}, "on main")
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"}, "on side")
    side.merge_into(main, message="the merge")
    assert log(main)[:3] == ["the merge", "on side", "on main"]
    assert log(main, first_parent=True)[:2] == ["the merge", "on main"]


def test_a_three_dot_diff_is_what_a_merge_would_bring(repo, main):
    commit(main, {"a": b"1", "b": b"1", "c": b"1"})
    side = repo.branch("side").create("main")
    put(side, {"b": b"2", "d": b"2"})
    side.object("c").delete()
    side.commit("side")
    commit(main, {"a": b"main"})

    assert changes(main.diff(side)) == [("changed", "b"), ("removed", "c"), ("added", "d")]
    assert changes(main.diff(side, prefix="d")) == [("added", "d")]
    assert changes(main.diff(side, amount=1)) == [("changed", "b"), ("removed", "c"), ("added", "d")]
    assert changes(main.diff(side, after="b")) == [("removed", "c"), ("added", "d")]
    assert changes(side.diff(main)) == [("changed", "a")]


def test_a_two_dot_diff_is_what_is_different(repo, main):
    commit(main, {"a": b"1", "b": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"2", "d": b"2"})
    commit(main, {"a": b"main", "e": b"main"})
    assert changes(main.diff(side, type="two_dot")) == [
        ("changed", "a"),
        ("changed", "b"),
        ("added", "d"),
        ("removed", "e"),
    ]


def test_a_diff_knows_conflicts(repo, main):
    commit(main, {"a": b"1", "b": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"a": b"side", "b": b"2"})
    commit(main, {"a": b"main"})
    assert changes(main.diff(side)) == [("conflict", "a"), ("changed", "b")]


def test_a_diff_with_a_delimiter(repo, main):
    commit(main, {"x/1": b"1", "y/1": b"1", "z": b"1"})
    side = repo.branch("side").create("main")
    put(side, {"x/1": b"2", "x/2": b"2", "w": b"2"})
    side.commit("side")
    grouped = [(change.path_type, change.path) for change in main.diff(side, delimiter="/")]
    assert grouped == [("object", "w"), ("common_prefix", "x/")]


def test_a_diff_of_commits(repo, main):
    first = commit(main, {"a": b"1"})
    second = commit(main, {"b": b"1"})
    assert changes(repo.ref(first).diff(second)) == [("added", "b")]
    assert changes(repo.ref(second).diff(first, type="two_dot")) == [("removed", "b")]
    assert changes(repo.ref(first).diff(first)) == []


def test_a_revert_undoes_one_commit(repo, main):
    commit(main, {"a": b"1", "b": b"1"})
    wrong = commit(main, {"a": b"wrong", "c": b"wrong"}, "a mistake")
    good = commit(main, {"b": b"2"})
    done = main.revert(wrong)
    assert done.parents == [good]
    assert main.head.id == done.id
    assert content(main) == {"a": b"1", "b": b"2"}
    # One parent, so its number may be given.
    again = main.revert(done.id, parent_number=1)
    assert again.parents == [done.id]
    assert content(main) == {"a": b"wrong", "b": b"2", "c": b"wrong"}


def test_a_revert_of_a_merge_needs_to_know_against_which_parent(repo, main):
    commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"})
    commit(main, {"c": b"1"})
    merged = side.merge_into(main)
    with pytest.raises(ConflictException):
        main.revert(merged)
    main.revert(merged, parent_number=1)
    assert content(main) == {"a": b"1", "c": b"1"}


def test_a_cherry_pick_takes_one_commit_along(repo, main):
    commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"}, "not this")
    wanted = commit(side, {"c": b"1", "a": b"2"}, "this one", metadata={"ticket": "7"})
    done = main.cherry_pick(wanted)
    assert done.message == "this one"
    assert done.metadata["ticket"] == "7"
    assert main.head.id == done.id
    assert content(main) == {"a": b"2", "c": b"1"}
    # With its parent's number, as other clients send it.
    third = repo.branch("third").create("main~1")
    third.cherry_pick(repo.ref(wanted), parent_number=1)
    assert content(third) == {"a": b"2", "c": b"1"}
