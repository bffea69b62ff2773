"""Objects through the lakeFS SDKs: what is written comes back, by every way of writing and reading it."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import lakefs
import lakefs_sdk
import pytest
from lakefs.exceptions import ObjectExistsException, ObjectNotFoundException
from support import changes, commit, content, local_path, put, read

BINARY = bytes(range(256)) * 41


@pytest.mark.parametrize("pre_sign", [False, None], ids=["direct", "as-the-server-says"])
@pytest.mark.parametrize("data", [b"", b"x", BINARY, "naïve ☃ text"], ids=["empty", "byte", "binary", "text"])
def test_an_upload_is_read_back(main, data, pre_sign):
    expected = data.encode() if isinstance(data, str) else data
    stored = main.object("dir/file").upload(data, pre_sign=pre_sign)

    with stored.reader(pre_sign=pre_sign) as reader:
        assert reader.read() == expected
    stat = stored.stat()
    assert (stat.path, stat.size_bytes) == ("dir/file", len(expected))
    assert stat.checksum == hashlib.md5(expected, usedforsecurity=False).hexdigest()
    assert local_path(stat.physical_address).read_bytes() == expected


def test_the_writer_uploads_when_it_is_closed(main):
    with main.object("rows.csv").writer(mode="w", content_type="text/csv", metadata={"source": "unit"}) as writer:
        for row in range(1000):
            writer.write(f"{row},{row * row}\n")
        assert not main.object("rows.csv").exists()
    stat = main.object("rows.csv").stat()
    assert (stat.content_type, stat.metadata) == ("text/csv", {"source": "unit"})
    with main.object("rows.csv").reader(mode="r") as reader:
        assert list(reader)[-1] == "999,998001\n"


def test_a_writer_that_fails_leaves_nothing(main):
    with pytest.raises(RuntimeError), main.object("half").writer() as writer:
        writer.write(b"half")
        raise RuntimeError
    assert not main.object("half").exists()


def test_the_last_of_two_uploads_stays(main):
    main.object("a").upload("first")
    main.object("a").upload("second, and longer")
    assert read(main, "a") == b"second, and longer"
    assert main.object("a").stat().size_bytes == 18


def test_a_large_object(main):
    data = os.urandom(1 << 20) * 40
    with main.object("large").writer() as writer:
        for start in range(0, len(data), 5 << 20):
            writer.write(data[start : start + (5 << 20)])
    with main.object("large").reader() as reader:
        digest = hashlib.sha256()
        while part := reader.read(7 << 20):
            digest.update(part)
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_the_generated_sdk_uploads_multipart(client, repo, main, tmp_path):
    objects = client.sdk_client.objects_api
    for name, data in {"table.csv": b"a,b\n1,2\n", "blob.bin": BINARY, "nothing": b""}.items():
        (tmp_path / name).write_bytes(data)
        stats = objects.upload_object(repo.id, "main", f"up/{name}", content=str(tmp_path / name))
        assert (stats.path, stats.size_bytes) == (f"up/{name}", len(data))
        assert stats.checksum == hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert objects.get_object(repo.id, "main", f"up/{name}") == data
    assert main.object("up/table.csv").stat().content_type == "text/csv"


def test_ranges_and_seeks(main):
    data = BINARY
    reader = main.object("bytes").upload(data).reader()
    assert reader.read(10) == data[:10]
    assert reader.tell() == 10
    assert reader.read(100) == data[10:110]
    reader.seek(-7, io.SEEK_END)
    assert reader.read() == data[-7:]
    reader.seek(5000)
    reader.seek(3, io.SEEK_CUR)
    assert reader.read(2) == data[5003:5005]
    reader.seek(len(data) - 4)
    assert reader.read(1000) == data[-4:]
    assert reader.read(1000) == b""
    # A reader that does not know the size asks behind the end.
    fresh = main.object("bytes").reader()
    fresh.seek(len(data) + 10)
    assert fresh.read(5) == b""
    fresh.seek(0)
    assert fresh.read() == data


def test_an_empty_object_is_read_in_parts(main):
    reader = main.object("empty").upload(b"").reader()
    assert reader.read(10) == b""
    assert reader.read() == b""


def test_range_headers(client, repo, main):
    main.object("digits").upload(b"0123456789")
    objects = client.sdk_client.objects_api

    part = objects.get_object_with_http_info(repo.id, "main", "digits", range="bytes=2-4")
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    tail = objects.get_object_with_http_info(repo.id, "main", "digits", range="bytes=-3")
    assert (tail.status_code, tail.data) == (206, b"789")
    whole = objects.get_object_with_http_info(repo.id, "main", "digits")
    assert (whole.status_code, whole.headers["Content-Length"]) == (200, "10")
    with pytest.raises(lakefs_sdk.ApiException) as behind:
        objects.get_object(repo.id, "main", "digits", range="bytes=10-11")
    assert (behind.value.status, behind.value.headers["Content-Range"]) == (416, "bytes */10")
    head = objects.head_object_with_http_info(repo.id, "main", "digits")
    assert (head.status_code, head.headers["Content-Length"]) == (200, "10")
    assert head.headers["ETag"] == whole.headers["ETag"]


def test_an_unchanged_object_is_not_sent_again(client, repo, main):
    main.object("same").upload(b"same")
    objects = client.sdk_client.objects_api
    etag = objects.get_object_with_http_info(repo.id, "main", "same").headers["ETag"]
    with pytest.raises(lakefs_sdk.ApiException) as unchanged:
        objects.get_object(repo.id, "main", "same", if_none_match=etag)
    assert unchanged.value.status == 304


def test_mode_x_creates_once(main):
    main.object("once").upload(b"first", mode="xb")
    with pytest.raises(ObjectExistsException):
        main.object("once").upload(b"second", mode="xb")
    assert read(main, "once") == b"first"
    # Committed objects count too, deleted ones do not.
    main.commit("once")
    with pytest.raises(ObjectExistsException):
        main.object("once").upload(b"third", mode="x")
    main.object("once").delete()
    main.object("once").upload(b"fourth", mode="x")
    assert read(main, "once") == b"fourth"


def test_of_many_that_create_with_mode_x_one_wins(main):
    # All ask whether it is there before any of them writes: only the server can decide.
    writers = [main.object("race").writer(mode="xb") for _ in range(16)]

    def write(number: int) -> int | None:
        writers[number].write(str(number).encode())
        try:
            writers[number].close()
        except ObjectExistsException:
            return None
        return number

    with ThreadPoolExecutor(len(writers)) as pool:
        won = [number for number in pool.map(write, range(len(writers))) if number is not None]
    assert len(won) == 1
    assert read(main, "race") == str(won[0]).encode()


def test_if_match_replaces_what_was_read(client, repo, main, tmp_path):
    objects = client.sdk_client.objects_api
    main.object("counter").upload(b"1")
    read_tag = objects.head_object_with_http_info(repo.id, "main", "counter").headers["ETag"]
    (tmp_path / "two").write_bytes(b"2")
    objects.upload_object(repo.id, "main", "counter", if_match=read_tag, content=str(tmp_path / "two"))
    with pytest.raises(lakefs_sdk.ApiException) as stale:
        objects.upload_object(repo.id, "main", "counter", if_match=read_tag, content=str(tmp_path / "two"))
    assert stale.value.status == 412
    assert read(main, "counter") == b"2"


def test_exists_and_stat_of_what_is_not_there(repo, main):
    assert not main.object("nowhere").exists()
    assert not repo.branch("no-such-branch").object("nowhere").exists()
    with pytest.raises(ObjectNotFoundException):
        main.object("nowhere").stat()
    with pytest.raises(ObjectNotFoundException):
        main.object("nowhere").reader().read()


def test_user_metadata_arrives_as_it_was_sent(main):
    stored = main.object("tagged").upload(b"x", metadata={"town": "Orléans", "note": "naïve façade"})
    assert stored.stat().metadata == {"town": "Orléans", "note": "naïve façade"}


def test_user_metadata(client, repo, main):
    stored = main.object("tagged").upload(b"x", metadata={"owner": "etl", "day": "2026-11-21"})
    assert stored.stat().metadata == {"owner": "etl", "day": "2026-11-21"}
    commit_id = main.commit("tagged").id
    listed = list(repo.ref(commit_id).objects(user_metadata=True))
    assert [entry.metadata for entry in listed] == [{"owner": "etl", "day": "2026-11-21"}]

    change = lakefs_sdk.UpdateObjectUserMetadata(set={"owner": "audit"})
    client.sdk_client.objects_api.update_object_user_metadata(repo.id, "main", "tagged", change)
    assert main.object("tagged").stat().metadata == {"owner": "audit"}
    assert read(main, "tagged") == b"x"
    assert changes(main.uncommitted()) == [("changed", "tagged")]


PATHS = [
    "plain",
    "with space",
    "plus+sign",
    "percent%20sign",
    "query?and=that&more",
    "hash#mark",
    "ünï/cödé/☃",
    "colon:at@semi;",
    "a//double//slash",
    "/leading",
    "trailing/",
    ".hidden/..two.dots",
    "quote'\"back`tick",
]


def test_paths_are_kept_as_they_are(repo, main):
    files = {path: f"content of {path}".encode() for path in PATHS}
    put(main, files)
    assert content(main) == files
    commit_id = main.commit("paths").id
    assert content(repo.ref(commit_id)) == files
    main.delete_objects(list(files))
    assert content(main) == {}


def test_listing_follows_the_order_of_bytes(main):
    paths = ["a", "a-b", "a/b", "a/b/c", "a0", "b", "B", "ä", "z"]
    put(main, dict.fromkeys(paths, b""))
    assert [entry.path for entry in main.objects()] == sorted(paths, key=lambda path: path.encode())


def test_listing_with_a_delimiter(main):
    put(main, dict.fromkeys(["top", "a/1", "a/2", "a/b/3", "c/4", "ca"], b"data"))

    def listed(**more):
        return [(type(entry).__name__, entry.path) for entry in main.objects(delimiter="/", **more)]

    assert listed() == [("CommonPrefix", "a/"), ("CommonPrefix", "c/"), ("ObjectInfo", "ca"), ("ObjectInfo", "top")]
    assert listed(prefix="a/") == [("ObjectInfo", "a/1"), ("ObjectInfo", "a/2"), ("CommonPrefix", "a/b/")]
    assert listed(prefix="c") == [("CommonPrefix", "c/"), ("ObjectInfo", "ca")]
    assert listed(after="a/") == [("CommonPrefix", "c/"), ("ObjectInfo", "ca"), ("ObjectInfo", "top")]
    assert listed(prefix="nothing/") == []


def test_listing_goes_on_over_pages(repo, main):
    files = {f"n/{number:04}": b"" for number in range(1050)}
    folders = {f"f/{number % 30:02}/{number}": b"" for number in range(90)}
    put(main, files | folders)
    # A page of 100 after the other, staged and committed.
    assert [entry.path for entry in main.objects(prefix="n/")] == sorted(files)
    committed = repo.ref(main.commit("many").id)
    assert [entry.path for entry in committed.objects()] == sorted(files | folders)
    assert len(list(committed.objects(amount=1000))) == 1140
    # Pages that end in a common prefix go on behind it.
    expected = [f"f/{number:02}/" for number in range(30)]
    assert [entry.path for entry in committed.objects(prefix="f/", delimiter="/", amount=7)] == expected
    assert [entry.path for entry in committed.objects(prefix="n/", after="n/1040", amount=4)] == [
        f"n/{number}" for number in range(1041, 1050)
    ]
    assert len(list(committed.objects(max_amount=17))) == 17


def test_a_page_says_what_it_is(client, repo, main):
    put(main, dict.fromkeys(["a", "b", "c"], b""))
    ls = client.sdk_client.objects_api.list_objects
    page = ls(repo.id, "main", amount=2).pagination
    assert (page.has_more, page.next_offset, page.results) == (True, "b", 2)
    rest = ls(repo.id, "main", amount=2, after=page.next_offset)
    assert [entry.path for entry in rest.results] == ["c"]
    assert (rest.pagination.has_more, rest.pagination.results) == (False, 1)


def test_staged_and_committed_are_one_listing(main):
    commit(main, {"a": b"1", "c": b"1", "e": b"1"})
    put(main, {"b": b"2", "c": b"2"})
    main.object("e").delete()
    assert content(main) == {"a": b"1", "b": b"2", "c": b"2"}
    assert content(lakefs.Reference(main.repo_id, "main@", main._client)) == {"a": b"1", "c": b"1", "e": b"1"}


def test_deleting(main):
    put(main, {f"d/{number}": b"" for number in range(10)})
    main.commit("ten")
    main.object("d/0").delete()
    assert not main.object("d/0").exists()
    # Some that never were are no error.
    main.delete_objects(["d/1", "d/2", "d/none", main.object("d/3")])
    assert [entry.path for entry in main.objects()] == [f"d/{number}" for number in range(4, 10)]
    assert changes(main.uncommitted()) == [("removed", f"d/{number}") for number in range(4)]


def test_copying(repo, main):
    main.object("from").upload(b"old", metadata={"k": "v"}, content_type="text/plain")
    first = main.commit("old").id
    main.object("from").upload(b"new")
    # From the past of this branch, then to another branch.
    copied = repo.ref(first).object("from").copy("main", "to/past")
    assert read(main, "to/past") == b"old"
    stat = copied.stat()
    assert (stat.metadata, stat.content_type) == ({"k": "v"}, "text/plain")
    other = repo.branch("other").create("main")
    main.object("from").copy("other", "to/other")
    assert read(other, "to/other") == b"new"
    # The copy is its own object.
    main.object("from").upload(b"newer")
    assert read(other, "to/other") == b"new"
    with pytest.raises(lakefs.exceptions.NotFoundException):
        main.object("nowhere").copy("main", "x")


def test_linking_a_physical_address(client, repo, main):
    staging = client.sdk_client.staging_api
    location = staging.get_physical_address(repo.id, "main", "linked")
    # An address is a promise of a place; what writes there is the client.
    target = local_path(location.physical_address)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"written aside")
    metadata = lakefs_sdk.StagingMetadata(
        staging=location,
        checksum="0123456789abcdef",
        size_bytes=13,
        content_type="text/plain",
        user_metadata={"by": "hand"},
    )
    stats = staging.link_physical_address(repo.id, "main", "linked", metadata)
    assert (stats.path, stats.checksum, stats.size_bytes) == ("linked", "0123456789abcdef", 13)
    assert read(main, "linked") == b"written aside"
    stat = main.object("linked").stat()
    assert local_path(stat.physical_address) == target
    assert (stat.content_type, stat.metadata) == ("text/plain", {"by": "hand"})
    main.commit("linked")
    assert read(main, "linked") == b"written aside"


def test_two_addresses_are_never_the_same(client, repo):
    staging = client.sdk_client.staging_api
    given = {staging.get_physical_address(repo.id, "main", "one").physical_address for _ in range(20)}
    assert len(given) == 20


def test_an_address_is_good_for_its_own_path_only(client, repo, main):
    staging = client.sdk_client.staging_api
    location = staging.get_physical_address(repo.id, "main", "mine")
    metadata = lakefs_sdk.StagingMetadata(staging=location, checksum="c", size_bytes=0)
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        staging.link_physical_address(repo.id, "main", "yours", metadata)
    assert refused.value.status == 400
    assert not main.object("yours").exists()


def test_linking_with_a_condition(client, repo, main):
    staging = client.sdk_client.staging_api
    main.object("there").upload(b"there")
    location = staging.get_physical_address(repo.id, "main", "there")
    metadata = lakefs_sdk.StagingMetadata(staging=location, checksum="c", size_bytes=0)
    with pytest.raises(lakefs_sdk.ApiException) as refused:
        staging.link_physical_address(repo.id, "main", "there", metadata, if_none_match="*")
    assert refused.value.status == 412
    assert read(main, "there") == b"there"
