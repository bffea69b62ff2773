"""boto3: every operation that the gateway has, and what it refuses."""

import base64
import hashlib
import io
import os
import threading
import urllib.error
import urllib.request

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1 << 20


@pytest.fixture
def s3(lake):
    return lake.boto3()


def code(error) -> tuple[int, str]:
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"], error.value.response["Error"]["Code"]


def refused(status: int, name: str | None, call, **arguments) -> str:
    """The message of an error, which is to have this status and code."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    found = code(error)
    assert found[0] == status and (name is None or found[1] == name), error.value
    return error.value.response["Error"].get("Message", "")


def test_an_object_comes_back_as_it_was_put(lake, s3):
    put = s3.put_object(
        Bucket=lake.name, Key="main/t/größe und mehr+%25.csv", Body=b"id,amount\n", ContentType="text/csv",
        ContentEncoding="identity", CacheControl="max-age=60", Metadata={"from": "orders", "n": "1"},
    )
    got = s3.get_object(Bucket=lake.name, Key="main/t/größe und mehr+%25.csv")
    assert got["Body"].read() == b"id,amount\n"
    head = s3.head_object(Bucket=lake.name, Key="main/t/größe und mehr+%25.csv")
    for answer in [got, head]:
        assert answer["ContentType"] == "text/csv" and answer["CacheControl"] == "max-age=60"
        assert answer["Metadata"] == {"from": "orders", "n": "1"}
        assert answer["ContentLength"] == 10 and answer["ETag"] == put["ETag"]
    assert put["ETag"].strip('"') == hashlib.md5(b"id,amount\n").hexdigest()
    assert lake.keys() == ["main/t/größe und mehr+%25.csv"]
    s3.put_object(Bucket=lake.name, Key="main/empty", Body=b"")
    assert s3.get_object(Bucket=lake.name, Key="main/empty")["Body"].read() == b""


def test_ranges_are_those_of_http(lake, s3):
    s3.put_object(Bucket=lake.name, Key="main/a", Body=b"0123456789")

    def part(wanted: str):
        got = s3.get_object(Bucket=lake.name, Key="main/a", Range=wanted)
        return got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"], got["ContentRange"]

    assert part("bytes=2-4") == (b"234", 206, "bytes 2-4/10")
    assert part("bytes=8-") == (b"89", 206, "bytes 8-9/10")
    assert part("bytes=8-99") == (b"89", 206, "bytes 8-9/10")
    assert part("bytes=-3") == (b"789", 206, "bytes 7-9/10")
    # polars asks for more than there may be.
    assert part("bytes=-65536") == (b"0123456789", 206, "bytes 0-9/10")
    refused(416, "InvalidRange", s3.get_object, Bucket=lake.name, Key="main/a", Range="bytes=10-")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_a_checksum_is_verified_and_given_back(lake, s3, algorithm):
    field = f"Checksum{algorithm}"
    body = os.urandom(100_000)
    s3.put_object(Bucket=lake.name, Key="main/a", Body=body, **_sum(algorithm, body))
    refused(400, None, s3.put_object, Bucket=lake.name, Key="main/a", Body=body + b"!", **_sum(algorithm, body))
    assert s3.get_object(Bucket=lake.name, Key="main/a")["Body"].read() == body
    head = s3.head_object(Bucket=lake.name, Key="main/a", ChecksumMode="ENABLED")
    if field in head:
        assert head[field] == _sum(algorithm, body)[field]


def _sum(algorithm: str, body: bytes) -> dict[str, str]:
    """A checksum as boto3 takes it; CRCs are those that it makes itself."""
    if algorithm == "CRC32":
        import zlib

        digest = zlib.crc32(body).to_bytes(4, "big")
    elif algorithm == "CRC32C":
        digest = _crc32c(body).to_bytes(4, "big")
    else:
        digest = hashlib.new(algorithm.lower(), body).digest()
    return {f"Checksum{algorithm}": base64.b64encode(digest).decode()}


def _crc32c(body: bytes) -> int:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in body:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def test_content_md5_is_verified(lake, s3):
    digest = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    s3.put_object(Bucket=lake.name, Key="main/a", Body=b"body", ContentMD5=digest)
    refused(400, "BadDigest", s3.put_object, Bucket=lake.name, Key="main/a", Body=b"buddy", ContentMD5=digest)
    assert s3.get_object(Bucket=lake.name, Key="main/a")["Body"].read() == b"body"


def test_a_condition_holds_for_one_of_many(lake):
    won, lost = [], []

    def create(number: int) -> None:
        try:
            lake.boto3().put_object(Bucket=lake.name, Key="main/one", Body=str(number), IfNoneMatch="*")
            won.append(number)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed", error
            lost.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(won) == 1 and len(lost) == 15
    s3 = lake.boto3()
    got = s3.get_object(Bucket=lake.name, Key="main/one")
    assert got["Body"].read() == str(won[0]).encode()
    refused(412, "PreconditionFailed", s3.put_object, Bucket=lake.name, Key="main/one", Body=b"x", IfMatch='"another"')
    s3.put_object(Bucket=lake.name, Key="main/one", Body=b"next", IfMatch=got["ETag"])
    refused(412, "PreconditionFailed", s3.put_object, Bucket=lake.name, Key="main/one", Body=b"x", IfMatch=got["ETag"])
    refused(412, "PreconditionFailed", s3.put_object, Bucket=lake.name, Key="main/none", Body=b"x", IfMatch=got["ETag"])
    refused(304, None, s3.get_object, Bucket=lake.name, Key="main/one", IfNoneMatch=s3.head_object(Bucket=lake.name, Key="main/one")["ETag"])
    refused(412, "PreconditionFailed", s3.get_object, Bucket=lake.name, Key="main/one", IfMatch=got["ETag"])


def test_listings_have_pages_folders_and_both_versions(lake, s3):
    for number in range(25):
        s3.put_object(Bucket=lake.name, Key=f"main/t/day={number:02}/a b.csv", Body=b"x")
    every = [f"main/t/day={number:02}/a b.csv" for number in range(25)]
    for name in ["list_objects_v2", "list_objects"]:
        pages = s3.get_paginator(name).paginate(Bucket=lake.name, Prefix="main/t/", PaginationConfig={"PageSize": 4})
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == every, name
        pages = s3.get_paginator(name).paginate(Bucket=lake.name, Prefix="main/t/", Delimiter="/", PaginationConfig={"PageSize": 4})
        folders = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
        assert folders == [f"main/t/day={number:02}/" for number in range(25)], name
    after = s3.list_objects_v2(Bucket=lake.name, Prefix="main/t/", StartAfter="main/t/day=22/a b.csv")
    assert [entry["Key"] for entry in after["Contents"]] == every[23:] and after["KeyCount"] == 2
    after = s3.list_objects(Bucket=lake.name, Prefix="main/t/", Marker="main/t/day=22/a b.csv")
    assert [entry["Key"] for entry in after["Contents"]] == every[23:]
    none = s3.list_objects_v2(Bucket=lake.name, Prefix="main/nothing/")
    assert none["KeyCount"] == 0 and "Contents" not in none
    some = s3.list_objects_v2(Bucket=lake.name, Prefix="main/t/", MaxKeys=2)
    assert some["IsTruncated"] and len(some["Contents"]) == 2
    raw = s3.list_objects_v2(Bucket=lake.name, Prefix="main/t/day=00/", EncodingType="url")
    assert raw["Contents"][0]["Key"] in ("main/t/day%3D00/a%20b.csv", "main/t/day%3D00/a+b.csv", "main/t/day=00/a b.csv")


def test_a_bucket_is_a_repository_and_its_folders_are_refs(lake, s3):
    s3.put_object(Bucket=lake.name, Key="main/a", Body=b"1")
    commit = lake.commit()
    lake.tag("v1")
    s3.put_object(Bucket=lake.name, Key="main/a", Body=b"2")
    assert lake.name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=lake.name)
    s3.get_bucket_location(Bucket=lake.name)
    assert s3.get_bucket_acl(Bucket=lake.name)["Grants"]
    assert s3.get_bucket_versioning(Bucket=lake.name).get("Status") in (None, "Suspended")
    branches = s3.list_objects_v2(Bucket=lake.name, Delimiter="/")
    assert "main/" in [folder["Prefix"] for folder in branches["CommonPrefixes"]]
    for ref, content in [("main", b"2"), ("main@", b"1"), ("v1", b"1"), (commit, b"1"), (commit[:12], b"1")]:
        assert s3.get_object(Bucket=lake.name, Key=f"{ref}/a")["Body"].read() == content, ref
        assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=lake.name, Prefix=f"{ref}/")["Contents"]] == [f"{ref}/a"]
    for ref in ["v1", commit, "main@"]:
        for call, arguments in [(s3.put_object, {"Body": b"3"}), (s3.delete_object, {})]:
            message = refused(405, "MethodNotAllowed", call, Bucket=lake.name, Key=f"{ref}/a", **arguments)
            assert message and ref.rstrip("@") in message, message
    refused(404, "NoSuchBucket", s3.list_objects_v2, Bucket="nothing-of-the-kind")
    refused(404, "404", s3.head_bucket, Bucket="nothing-of-the-kind")
    refused(404, "NoSuchKey", s3.get_object, Bucket=lake.name, Key="main/nothing")
    refused(404, "404", s3.head_object, Bucket=lake.name, Key="main/nothing")
    refused(404, None, s3.get_object, Bucket=lake.name, Key="no-branch/a")
    refused(404, None, s3.put_object, Bucket=lake.name, Key="no-branch/a", Body=b"")


def test_objects_are_copied_without_their_bytes_and_removed_many_at_once(lake, s3):
    put = s3.put_object(Bucket=lake.name, Key="main/a", Body=b"body", ContentType="text/csv", Metadata={"k": "v"})
    copied = s3.copy_object(Bucket=lake.name, Key="main/t/b", CopySource={"Bucket": lake.name, "Key": "main/a"})
    assert copied["CopyObjectResult"]["ETag"] == put["ETag"]
    head = s3.head_object(Bucket=lake.name, Key="main/t/b")
    assert head["ContentType"] == "text/csv" and head["Metadata"] == {"k": "v"}
    s3.copy_object(
        Bucket=lake.name, Key="main/c", CopySource={"Bucket": lake.name, "Key": "main/a"},
        MetadataDirective="REPLACE", ContentType="text/plain", Metadata={"k": "w"},
    )
    head = s3.head_object(Bucket=lake.name, Key="main/c")
    assert head["ContentType"] == "text/plain" and head["Metadata"] == {"k": "w"}
    refused(404, "NoSuchKey", s3.copy_object, Bucket=lake.name, Key="main/d", CopySource={"Bucket": lake.name, "Key": "main/none"})
    s3.delete_object(Bucket=lake.name, Key="main/a")
    s3.delete_object(Bucket=lake.name, Key="main/a")
    assert s3.get_object(Bucket=lake.name, Key="main/t/b")["Body"].read() == b"body"
    keys = ["main/t/b", "main/c", "main/none"]
    done = s3.delete_objects(Bucket=lake.name, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted(entry["Key"] for entry in done["Deleted"]) == sorted(keys) and "Errors" not in done
    assert lake.keys() == []


def test_a_thousand_objects_are_removed_in_one_request(lake, s3):
    for start in range(0, 200):
        s3.put_object(Bucket=lake.name, Key=f"main/{start:03}", Body=b"x")
    keys = [{"Key": f"main/{number:03}"} for number in range(1000)]
    done = s3.delete_objects(Bucket=lake.name, Delete={"Objects": keys, "Quiet": True})
    assert "Errors" not in done and lake.keys() == []


def test_a_large_object_goes_in_parts_at_the_same_time(lake, s3):
    body = os.urandom(17 * MIB + 3)
    transfer = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), lake.name, "main/large", Config=transfer, ExtraArgs={"Metadata": {"k": "v"}})
    into = io.BytesIO()
    s3.download_fileobj(lake.name, "main/large", into, Config=transfer)
    assert into.getvalue() == body
    head = s3.head_object(Bucket=lake.name, Key="main/large")
    assert head["ContentLength"] == len(body) and head["Metadata"] == {"k": "v"}
    assert head["ETag"].strip('"').endswith("-4")
    lake.commit()
    assert s3.get_object(Bucket=lake.name, Key="main@/large")["ContentLength"] == len(body)


def test_parts_are_listed_replaced_copied_and_given_up(lake, s3):
    name = {"Bucket": lake.name, "Key": "main/parts"}
    s3.put_object(Bucket=lake.name, Key="main/source", Body=b"s" * (6 * MIB))
    upload = s3.create_multipart_upload(**name, ContentType="text/csv")["UploadId"]
    first = s3.upload_part(**name, UploadId=upload, PartNumber=1, Body=b"x" * (5 * MIB))["ETag"]
    assert s3.upload_part(**name, UploadId=upload, PartNumber=1, Body=b"1" * (5 * MIB))["ETag"] != first
    s3.upload_part_copy(
        **name, UploadId=upload, PartNumber=2, CopySource={"Bucket": lake.name, "Key": "main/source"},
        CopySourceRange=f"bytes=0-{5 * MIB - 1}",
    )
    s3.upload_part(**name, UploadId=upload, PartNumber=7, Body=b"7")
    parts = s3.list_parts(**name, UploadId=upload)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, 5 * MIB), (2, 5 * MIB), (7, 1)]
    uploads = s3.list_multipart_uploads(Bucket=lake.name, Prefix="main/")["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in uploads] == [("main/parts", upload)]
    assert lake.keys() == ["main/source"], "nothing is there before it is complete"
    named = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    wrong = [{**named[0], "ETag": first}, *named[1:]]
    refused(400, "InvalidPart", s3.complete_multipart_upload, **name, UploadId=upload, MultipartUpload={"Parts": wrong})
    refused(400, "InvalidPartOrder", s3.complete_multipart_upload, **name, UploadId=upload, MultipartUpload={"Parts": named[::-1]})
    s3.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": named}, IfNoneMatch="*")
    assert s3.get_object(**name)["Body"].read() == b"1" * (5 * MIB) + b"s" * (5 * MIB) + b"7"
    assert s3.head_object(**name)["ContentType"] == "text/csv"
    again = s3.create_multipart_upload(**name)["UploadId"]
    part = s3.upload_part(**name, UploadId=again, PartNumber=1, Body=b"x")
    named = [{"PartNumber": 1, "ETag": part["ETag"]}]
    refused(412, "PreconditionFailed", s3.complete_multipart_upload, **name, UploadId=again, MultipartUpload={"Parts": named}, IfNoneMatch="*")
    s3.abort_multipart_upload(**name, UploadId=again)
    refused(404, "NoSuchUpload", s3.upload_part, **name, UploadId=again, PartNumber=1, Body=b"x")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=lake.name)


def test_presigned_addresses_work_and_end(lake, s3):
    def ask(url: str, method: str, body: bytes | None = None):
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    name = {"Bucket": lake.name, "Key": "main/signed"}
    ask(s3.generate_presigned_url("put_object", Params=name, ExpiresIn=60), "PUT", b"by an address")
    url = s3.generate_presigned_url("get_object", Params=name, ExpiresIn=60)
    assert ask(url, "GET") == b"by an address"
    late = s3.generate_presigned_url("get_object", Params=name, ExpiresIn=604_801)
    for wrong, method in [(url, "PUT"), (url.replace("signed?", "other?"), "GET"), (url.replace("Expires=60", "Expires=61"), "GET"), (late, "GET")]:
        with pytest.raises(urllib.error.HTTPError) as error:
            ask(wrong, method, b"x" if method == "PUT" else None)
        assert error.value.code in (400, 403), error.value
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(f"{lake.endpoint}/{lake.name}/main/signed", "GET")
    assert error.value.code == 403, "nobody is let in without a key"


def test_a_wrong_key_is_told_what_is_wrong(lake):
    import boto3

    def client(key: str, secret: str):
        return boto3.client("s3", endpoint_url=lake.endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)

    refused(403, "SignatureDoesNotMatch", client(lake.key, "another-secret-of-mine").list_buckets)
    refused(403, "InvalidAccessKeyId", client("NOBODYATALL", lake.secret).list_buckets)


def test_roles_hold_over_s3(lake):
    import boto3

    if lake.deployment.storage == "memory://":
        pytest.skip("the command has a memory of its own")
    made = lake.deployment.cli("key", "create", "--role", "read", "looker")
    reader = boto3.client(
        "s3", endpoint_url=lake.endpoint, region_name="us-east-1",
        aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"],
    )
    lake.boto3().put_object(Bucket=lake.name, Key="main/a", Body=b"x")
    assert reader.get_object(Bucket=lake.name, Key="main/a")["Body"].read() == b"x"
    refused(403, "AccessDenied", reader.put_object, Bucket=lake.name, Key="main/a", Body=b"y")
    refused(403, "AccessDenied", reader.delete_object, Bucket=lake.name, Key="main/a")


def test_folder_markers_and_empty_paths_do_no_harm(lake, s3):
    s3.put_object(Bucket=lake.name, Key="main/", Body=b"")
    s3.put_object(Bucket=lake.name, Key="main/folder/", Body=b"")
    s3.put_object(Bucket=lake.name, Key="main/folder/a", Body=b"x")
    folder = s3.list_objects_v2(Bucket=lake.name, Prefix="main/folder/", Delimiter="/")
    assert "main/folder/a" in [entry["Key"] for entry in folder["Contents"]]
    s3.delete_object(Bucket=lake.name, Key="main/folder/")
    s3.delete_object(Bucket=lake.name, Key="main/")
    assert lake.keys() == ["main/folder/a"]
    lake.commit()


def test_each_put_is_a_commit_where_the_policy_says_so(lake, s3):
    lake.policy("t/")
    before = len(lake.log())
    put = s3.put_object(Bucket=lake.name, Key="main/t/a", Body=b"1", IfNoneMatch="*")
    assert s3.get_object(Bucket=lake.name, Key="main@/t/a")["Body"].read() == b"1"
    refused(412, "PreconditionFailed", s3.put_object, Bucket=lake.name, Key="main/t/a", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=lake.name, Key="main/t/a", Body=b"2", IfMatch=put["ETag"])
    refused(412, "PreconditionFailed", s3.put_object, Bucket=lake.name, Key="main/t/a", Body=b"3", IfMatch=put["ETag"])
    s3.copy_object(Bucket=lake.name, Key="main/t/b", CopySource={"Bucket": lake.name, "Key": "main/t/a"})
    s3.delete_objects(Bucket=lake.name, Delete={"Objects": [{"Key": "main/t/a"}, {"Key": "main/t/b"}]})
    # The deletion of many is one.
    assert len(lake.log()) == before + 4
    s3.put_object(Bucket=lake.name, Key="main/staged", Body=b"x")
    assert len(lake.log()) == before + 4
    refused(404, "NoSuchKey", s3.get_object, Bucket=lake.name, Key="main@/staged")


def test_what_is_not_offered_says_so(lake, s3):
    for call, more in [
        (s3.get_bucket_lifecycle_configuration, {}),
        (s3.get_bucket_policy, {}),
        (s3.get_bucket_cors, {}),
    ]:
        with pytest.raises(ClientError) as error:
            call(Bucket=lake.name, **more)
        status, name = code(error)
        assert status in (404, 501) and name.startswith(("NoSuch", "NotImplemented")), error.value
    refused(501, "NotImplemented", s3.put_bucket_versioning, Bucket=lake.name, VersioningConfiguration={"Status": "Enabled"})
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=lake.name)


def test_a_bucket_is_made_and_its_objects_have_one_version(lake, s3):
    name = lake.name + "-made"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    refused(409, "BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=name)
    for number in range(5):
        s3.put_object(Bucket=name, Key=f"main/t/{number}", Body=str(number), ChecksumAlgorithm="SHA256")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name, Prefix="main/t/", PaginationConfig={"PageSize": 2})
    found = [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for page in pages for entry in page.get("Versions", [])]
    assert found == [(f"main/t/{number}", "null", True) for number in range(5)]
    told = s3.get_object_attributes(Bucket=name, Key="main/t/1", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"])
    assert (told["ObjectSize"], told["StorageClass"]) == (1, "STANDARD")
    head = s3.head_object(Bucket=name, Key="main/t/1", ChecksumMode="ENABLED")
    assert told["Checksum"]["ChecksumSHA256"] == head["ChecksumSHA256"]
    assert told["ETag"].strip('"') == head["ETag"].strip('"') == hashlib.md5(b"1").hexdigest()
    assert s3.get_object(Bucket=name, Key="main/t/1", VersionId="null")["Body"].read() == b"1"
    # As a bucket with versions is emptied.
    boto3.resource("s3", **_as(s3)).Bucket(name).object_versions.filter(Prefix="main/").delete()
    assert "Contents" not in s3.list_objects_v2(Bucket=name)
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=name)


def test_an_upload_in_parts_says_how_many_they_were(lake, s3):
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(bytes(11 * MIB)), lake.name, "main/large", Config=config)
    told = s3.get_object_attributes(Bucket=lake.name, Key="main/large", ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert (told["ObjectParts"]["TotalPartsCount"], told["ObjectSize"]) == (3, 11 * MIB)


def _as(client) -> dict:
    """What a resource is made of that does as a client does."""
    login = client._request_signer._credentials
    return {
        "endpoint_url": client.meta.endpoint_url, "region_name": client.meta.region_name, "config": client.meta.config,
        "aws_access_key_id": login.access_key, "aws_secret_access_key": login.secret_key,
    }
