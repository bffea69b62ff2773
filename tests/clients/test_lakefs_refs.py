"""Repositories, branches and tags through the lakeFS SDKs."""

import lakefs
import lakefs_sdk
import pytest
from lakefs.exceptions import ForbiddenException, NotFoundException, PermissionException
from support import changes, commit, content, namespace, put, read


def test_a_repository_from_its_creation_to_its_end(client, new_name):
    name = new_name()
    repo = lakefs.Repository(name, client).create(namespace(name), default_branch="trunk")
    properties = repo.properties
    assert (properties.id, properties.default_branch) == (name, "trunk")
    assert properties.creation_date > 1_600_000_000

    again = lakefs.Repository(name, client).properties
    assert (again.id, again.storage_namespace) == (name, properties.storage_namespace)
    assert [branch.id for branch in repo.branches()] == ["trunk"]
    assert name in [listed.id for listed in lakefs.repositories(client)]
    # A new repository has a first commit without parents and without objects.
    first = repo.branch("trunk").get_commit()
    assert first.parents == []
    assert content(repo.branch("trunk")) == {}

    existing = lakefs.Repository(name, client).create(namespace(name), exist_ok=True)
    assert existing.properties.default_branch == "trunk"
    repo.delete()
    assert name not in [listed.id for listed in lakefs.repositories(client)]
    with pytest.raises(NotFoundException):
        lakefs.Repository(name, client).properties  # noqa: B018


def test_repositories_are_listed_by_prefix_and_in_pages(client, new_name):
    prefix = new_name("many")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        lakefs.Repository(name, client).create(namespace(name))

    def listed(**more):
        return [repo.id for repo in lakefs.repositories(client, **more)]

    assert listed(prefix=prefix) == names
    assert listed(prefix=prefix, amount=2) == names
    assert listed(prefix=prefix, after=names[2]) == names[3:]


def test_repository_metadata(client, repo):
    assert repo.metadata == {}
    internal = client.sdk_client.internal_api
    internal.set_repository_metadata(repo.id, lakefs_sdk.RepositoryMetadataSet(metadata={"team": "a", "tier": "1"}))
    internal.set_repository_metadata(repo.id, lakefs_sdk.RepositoryMetadataSet(metadata={"team": "b"}))
    assert repo.metadata == {"team": "b", "tier": "1"}
    internal.delete_repository_metadata(repo.id, lakefs_sdk.RepositoryMetadataKeys(keys=["tier"]))
    assert repo.metadata == {"team": "b"}


def test_a_protected_branch_changes_by_merges_only(client, repo, main):
    repositories = client.sdk_client.repositories_api
    first = commit(main, {"a": b"1"})
    side = repo.branch("side").create("main")
    commit(side, {"b": b"1"})

    def protect(*patterns, **more):
        rules = [lakefs_sdk.BranchProtectionRule(pattern=pattern) for pattern in patterns]
        repositories.set_branch_protection_rules(repo.id, rules, **more)

    protect("ma*", "release")
    answer = repositories.get_branch_protection_rules_with_http_info(repo.id)
    assert [rule.pattern for rule in answer.data] == ["ma*", "release"]
    for change in [
        lambda: main.object("c").upload(b"1", pre_sign=False),
        lambda: main.object("a").delete(),
        lambda: main.commit("x", allow_empty=True),
        lambda: main.revert("main"),
        lambda: main.cherry_pick("side"),
    ]:
        # The wrapper has a type of its own for objects.
        with pytest.raises((ForbiddenException, PermissionException)):
            change()
    assert main.head.id == first
    side.merge_into(main)
    assert content(main) == {"a": b"1", "b": b"1"}

    protect("release", if_match=answer.headers["ETag"])
    commit(main, {"c": b"1"})
    with pytest.raises(lakefs_sdk.ApiException) as late:
        protect(if_match=answer.headers["ETag"])
    assert late.value.status == 412


def test_a_branch_begins_where_its_source_is(repo, main):
    first = commit(main, {"a": b"1"})
    second = commit(main, {"a": b"2"})
    main.object("a").upload(b"staged only")

    from_branch = repo.branch("from-branch").create(main)
    assert from_branch.head.id == second
    # What is staged stays where it is.
    assert content(from_branch) == {"a": b"2"}
    assert repo.branch("from-commit").create(first).head.id == first
    assert repo.branch("from-ref").create("main~1").head.id == first
    assert {branch.id for branch in repo.branches()} == {"main", "from-branch", "from-commit", "from-ref"}


def test_branches_do_not_see_each_other(repo, main):
    commit(main, {"a": b"1"})
    other = repo.branch("other").create("main")
    put(other, {"a": b"2", "b": b"2"})
    assert content(main) == {"a": b"1"}
    other.commit("there")
    assert content(main) == {"a": b"1"}
    assert content(other) == {"a": b"2", "b": b"2"}


def test_deleting_a_branch(repo, main):
    branch = repo.branch("short").create("main")
    commit(branch, {"a": b"1"})
    branch.delete()
    assert [listed.id for listed in repo.branches()] == ["main"]
    with pytest.raises(NotFoundException):
        branch.head  # noqa: B018
    # The name is free again, and what was on it is gone.
    again = repo.branch("short").create("main")
    assert content(again) == {}


def test_hidden_branches_are_listed_on_request(repo):
    repo.branch("seen").create("main")
    hidden = repo.branch("unseen").create("main", hidden=True)
    assert [branch.id for branch in repo.branches()] == ["main", "seen"]
    assert [branch.id for branch in repo.branches(show_hidden=True)] == ["main", "seen", "unseen"]
    hidden.object("works").upload(b"like any other")
    assert read(hidden, "works") == b"like any other"


def test_branches_are_listed_in_pages(repo):
    names = [f"b-{number:02}" for number in range(25)]
    for name in names:
        repo.branch(name).create("main")
    assert [branch.id for branch in repo.branches(prefix="b-", amount=4)] == names
    assert [branch.id for branch in repo.branches(prefix="b-", after="b-20")] == names[21:]
    assert [branch.id for branch in repo.branches(max_amount=3)] == names[:3]


def test_uncommitted_changes(main):
    commit(main, {"keep": b"1", "change": b"1", "remove": b"1"})
    assert changes(main.uncommitted()) == []
    put(main, {"add": b"2", "change": b"2"})
    main.object("remove").delete()
    assert changes(main.uncommitted()) == [("added", "add"), ("changed", "change"), ("removed", "remove")]
    assert changes(main.uncommitted(prefix="re")) == [("removed", "remove")]
    assert changes(main.uncommitted(amount=1)) == [("added", "add"), ("changed", "change"), ("removed", "remove")]
    main.commit("all")
    assert changes(main.uncommitted()) == []


def test_reset_takes_back_what_is_staged(main):
    commit(main, {"a/1": b"1", "a/2": b"1", "b": b"1"})
    put(main, {"a/1": b"2", "a/3": b"2", "b": b"2", "c": b"2"})
    main.object("a/2").delete()

    main.reset_changes("object", "b")
    assert changes(main.uncommitted()) == [
        ("changed", "a/1"),
        ("removed", "a/2"),
        ("added", "a/3"),
        ("added", "c"),
    ]
    main.reset_changes("common_prefix", "a/")
    assert content(main) == {"a/1": b"1", "a/2": b"1", "b": b"1", "c": b"2"}
    main.reset_changes()
    assert content(main) == {"a/1": b"1", "a/2": b"1", "b": b"1"}
    assert changes(main.uncommitted()) == []


def test_hard_reset_moves_a_branch(client, repo, main):
    first = commit(main, {"a": b"1"})
    second = commit(main, {"a": b"2", "b": b"2"})
    experimental = client.sdk_client.experimental_api
    experimental.hard_reset_branch(repo.id, "main", ref="main~1")
    assert main.head.id == first
    assert content(main) == {"a": b"1"}
    experimental.hard_reset_branch(repo.id, "main", ref=second)
    assert content(main) == {"a": b"2", "b": b"2"}


def test_tags(repo, main):
    first = commit(main, {"a": b"1"})
    repo.tag("v1").create(main)
    second = commit(main, {"a": b"2"})
    repo.tag("v2").create(second)

    assert [tag.id for tag in repo.tags()] == ["v1", "v2"]
    assert repo.tag("v1").get_commit().id == first
    assert content(repo.tag("v1")) == {"a": b"1"}
    # A tag is as good as any ref.
    assert repo.ref("v2~1").get_commit().id == first
    assert changes(repo.tag("v1").diff("v2")) == [("changed", "a")]
    assert repo.branch("old").create("v1").head.id == first

    assert repo.tag("v1").create(second, exist_ok=True).get_commit().id == first
    repo.tag("v1").delete()
    assert [tag.id for tag in repo.tags()] == ["v2"]
    with pytest.raises(NotFoundException):
        repo.tag("v1").get_commit()


def test_tags_are_listed_in_pages(repo):
    names = [f"t-{number:02}" for number in range(12)]
    for name in names:
        repo.tag(name).create("main")
    assert [tag.id for tag in repo.tags(amount=5)] == names
    assert [tag.id for tag in repo.tags(prefix="t-1")] == names[10:]


def test_ref_expressions(repo, main):
    ids = [commit(main, {"n": str(number).encode()}) for number in range(4)]
    assert repo.ref("main").get_commit().id == ids[3]
    assert repo.ref("main~2").get_commit().id == ids[1]
    assert repo.ref("main^").get_commit().id == ids[2]
    assert repo.ref(f"{ids[3]}~1").get_commit().id == ids[2]
    main.object("n").upload(b"staged")
    assert read(repo.ref("main"), "n") == b"staged"
    assert read(repo.ref("main@"), "n") == b"3"
