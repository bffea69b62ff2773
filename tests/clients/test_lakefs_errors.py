"""What clients see of errors: the types that the SDK makes of status codes, and messages that say something."""

import lakefs
import lakefs_sdk
import pytest
import requests
from lakefs.exceptions import (
    BadRequestException,
    ConflictException,
    NotAuthorizedException,
    NotFoundException,
    ObjectNotFoundException,
)
from support import commit, namespace, read


def test_what_is_not_there_is_404(client, repo, main):
    nowhere = lakefs.Repository("no-such-repository", client)
    for absent in [
        lambda: nowhere.properties,
        lambda: nowhere.metadata,
        lambda: list(nowhere.branches()),
        lambda: list(nowhere.tags()),
        lambda: nowhere.delete(),
        lambda: nowhere.branch("main").head,
        lambda: repo.branch("none").head,
        lambda: repo.branch("none").delete(),
        lambda: repo.branch("none").commit("x"),
        lambda: repo.branch("new").create("none"),
        lambda: list(repo.branch("none").objects()),
        lambda: list(repo.branch("none").uncommitted()),
        lambda: list(repo.ref("none").log()),
        lambda: repo.ref("none").get_commit(),
        lambda: repo.ref("main~99").get_commit(),
        lambda: repo.ref("c0ffee" * 8).get_commit(),
        lambda: list(main.diff("none")),
        lambda: main.merge_into("none"),
        lambda: repo.ref("none").merge_into(main),
        lambda: main.revert("none"),
        lambda: main.cherry_pick("none"),
        lambda: repo.tag("none").get_commit(),
        lambda: repo.tag("none").delete(),
        lambda: repo.tag("new").create("none"),
    ]:
        with pytest.raises(NotFoundException) as error:
            absent()
        assert error.value.body["message"]


def test_an_object_that_is_not_there_is_a_file_not_found(repo, main):
    with pytest.raises(ObjectNotFoundException) as error:
        main.object("none").stat()
    assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(NotFoundException):
        repo.branch("none").object("a").upload(b"x")


def test_names_that_exist_are_409(client, repo, main):
    commit(main, {"a": b"1"})
    repo.branch("b").create("main")
    repo.tag("t").create("main")
    for taken in [
        lambda: lakefs.Repository(repo.id, client).create(namespace(repo.id)),
        lambda: repo.branch("b").create("main"),
        lambda: repo.tag("t").create("main"),
        # A ref has one meaning: branches and tags share their names.
        lambda: repo.branch("t").create("main"),
        lambda: repo.tag("b").create("main"),
    ]:
        with pytest.raises(ConflictException) as error:
            taken()
        assert error.value.body["message"]
    # Who does not mind does not notice.
    assert repo.branch("b").create("main", exist_ok=True).head.id == main.head.id


@pytest.mark.parametrize("name", ["UPPER", "ab", "-leading", "with space", "dot.ted", "x" * 64])
def test_bad_repository_names_are_400(server, name):
    # The SDK refuses them before it asks.
    wanted = {"name": name, "storage_namespace": namespace("any")}
    answer = requests.post(f"{server.api}/repositories", json=wanted, auth=server.basic, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("name", ["with space", "sla/sh", "-leading", "til~de", "at@", "ünï"])
def test_bad_branch_names_are_400(repo, name):
    with pytest.raises(BadRequestException):
        repo.branch(name).create("main")
    assert [branch.id for branch in repo.branches()] == ["main"]


@pytest.mark.parametrize("name", ["with space", "sla/sh", ".leading", "two..dots", "end.lock"])
def test_bad_tag_names_are_400(repo, name):
    with pytest.raises(BadRequestException):
        repo.tag(name).create("main")
    assert list(repo.tags()) == []


def test_bad_refs_are_400(repo):
    for ref in ["main^7", "main@@", "with space"]:
        with pytest.raises(BadRequestException):
            repo.ref(ref).get_commit()


def test_no_body_and_a_broken_body_are_400(server, repo):
    branches = f"{server.api}/repositories/{repo.id}/branches"
    for body in [None, "{", '{"name": 7, "source": "main"}', '{"source": "main"}']:
        answer = requests.post(
            branches, data=body, auth=server.basic, headers={"Content-Type": "application/json"}, timeout=30
        )
        assert answer.status_code == 400, body
        assert answer.json()["message"]


def test_a_wrong_login_is_401(server, repo):
    for wrong in [
        {"password": "wrong" * 8},
        {"username": "AKIANOBODY"},
        {"username": "", "password": ""},
    ]:
        stranger = lakefs.Client(**{**server.login, **wrong})
        with pytest.raises(NotAuthorizedException):
            list(lakefs.repositories(stranger))
        with pytest.raises(NotAuthorizedException):
            lakefs.Repository(repo.id, stranger).branch("main").object("a").upload(b"x", pre_sign=False)
    nobody = requests.get(f"{server.api}/repositories", timeout=30)
    assert nobody.status_code == 401
    assert nobody.json()["message"]


def test_a_token_is_as_good_as_a_key(server, client, repo, main):
    main.object("a").upload(b"1")
    key = lakefs_sdk.LoginInformation(access_key_id=server.access_key_id, secret_access_key=server.secret_access_key)
    given = client.sdk_client.auth_api.login(key)
    with_token = lakefs.Client(host=server.endpoint, access_token=given.token)
    assert read(lakefs.Repository(repo.id, with_token).branch("main"), "a") == b"1"

    key.secret_access_key = "wrong" * 8
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        client.sdk_client.auth_api.login(key)
    assert refused.value.status == 401
    with pytest.raises(NotAuthorizedException):
        list(lakefs.repositories(lakefs.Client(host=server.endpoint, access_token=given.token + "x")))


def test_a_client_without_arguments_takes_the_environment(server, repo):
    assert repo.id in [listed.id for listed in lakefs.repositories()]


def test_what_the_server_says_of_itself(server, client):
    # lakefs-spec splits it at the dots and takes the parts for numbers.
    assert all(part.isdigit() for part in client.version.split("."))
    storage = client.storage_config
    assert storage.blockstore_type == "local"
    assert storage.pre_sign_support is False
    assert storage.import_support is True
    sdk = client.sdk_client
    assert sdk.config_api.get_config().storage_config.blockstore_namespace_validity_regex
    assert sdk.internal_api.get_storage_config().blockstore_type == "local"
    assert sdk.internal_api.get_lake_fs_version().version == client.version
    assert sdk.internal_api.get_setup_state().state == "initialized"
    assert sdk.auth_api.get_current_user().user.id
    assert sdk.health_check_api.health_check_with_http_info().status_code == 204
    assert requests.get(f"{server.api}/healthcheck", timeout=30).status_code == 204


def test_statistics_are_taken_and_forgotten(client):
    event = lakefs_sdk.StatsEvent(**{"class": "test", "name": "event", "count": 1})
    posted = client.sdk_client.internal_api.post_stats_events_with_http_info(lakefs_sdk.StatsEventsList(events=[event]))
    assert posted.status_code == 204


def test_an_unknown_path_is_404(server):
    answer = requests.get(f"{server.api}/no-such-thing", auth=server.basic, timeout=30)
    assert answer.status_code == 404
    assert answer.json()["message"]


NOT_OFFERED = [
    ("GET", "settings/gc_rules"),
    ("PUT", "settings/gc_rules"),
    ("POST", "branches/main/commits?source_metarange=abc"),
]
NOT_KNOWN = [
    ("GET", "actions/runs"),
    ("GET", "pulls"),
    ("GET", "metadata/meta_range/abc"),
    ("POST", "branches/main/commits/async"),
    ("POST", "refs/main/merge/main/async"),
    ("POST", "branches/main/staging/pmpu?path=a&parts=2"),
]


def test_what_is_not_offered_says_so(server, repo):
    for wanted, operations in [(501, NOT_OFFERED), (404, NOT_KNOWN)]:
        for method, path in operations:
            address = f"{server.api}/repositories/{repo.id}/{path}"
            body = {"message": "x"} if method != "GET" else None
            answer = requests.request(method, address, json=body, auth=server.basic, timeout=30)
            assert answer.status_code == wanted, path
            assert answer.json()["message"]


@pytest.mark.parametrize("wish", [{"read_only": True}, {"sample_data": True}])
def test_kinds_of_repositories_that_are_not_offered(server, new_name, wish):
    wanted = {"name": new_name(), "storage_namespace": namespace("any")} | wish
    answer = requests.post(f"{server.api}/repositories", json=wanted, auth=server.basic, timeout=30)
    assert answer.status_code == 501


def test_a_field_that_nobody_knows_is_not_left_out_in_silence(server, repo):
    wanted = {"name": "new", "source": "main", "frozen": True}
    branches = f"{server.api}/repositories/{repo.id}/branches"
    answer = requests.post(branches, json=wanted, auth=server.basic, timeout=30)
    assert answer.status_code == 400
    assert "frozen" in answer.json()["message"]


@pytest.mark.parametrize("operation", ["commits", "merge"])
def test_an_idempotency_key_makes_a_request_once(server, repo, main, operation):
    side = repo.branch("side").create("main")
    commit(side, {"a": b"1"})
    path = {"commits": "branches/main/commits", "merge": "refs/side/merge/main"}[operation]

    def send(key, message="once"):
        return requests.post(
            f"{server.api}/repositories/{repo.id}/{path}",
            json={"message": message, "allow_empty": True},
            headers={"Idempotency-Key": key},
            auth=server.basic,
            timeout=30,
        )

    first, again, other = send("one"), send("one"), send("two")
    assert first.ok and again.json() == first.json() != other.json()
    assert len(list(main.log(first_parent=True))) == 3
    assert again.headers["Idempotency-Replayed"] == "true"
    assert send("").status_code == 400
    assert send("one", message="another").status_code == 422
