//! Objects: written, read in parts and on conditions, copied, deleted; and what is read only.

use onward::RefExpr;
use onward_server::auth::Role;
use reqwest::StatusCode;

use super::Gateway;

#[tokio::test]
async fn what_is_put_is_on_the_branch_at_once_and_read_with_all_that_was_said_of_it() {
    let s3 = Gateway::start().await;
    let put = s3
        .call("PUT", "/lake/main/orders/day=1.csv")
        .header("content-type", "text/csv")
        .header("cache-control", "max-age=60")
        .header("x-amz-meta-owner", "orders")
        .body("id,amount")
        .send()
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    let staged = s3.stat("main", "orders/day=1.csv").await.unwrap();
    assert_eq!(put.etag(), format!("\"{}\"", staged.checksum));
    assert_eq!(put.header("x-amz-request-id"), put.header("x-request-id"));
    assert!(!put.header("x-request-id").is_empty());
    assert_eq!(staged.metadata["owner"], "orders");
    for method in ["GET", "HEAD"] {
        let read = s3.call(method, "/lake/main/orders/day=1.csv").send().await;
        assert_eq!(read.status, StatusCode::OK);
        assert_eq!(read.header("content-type"), "text/csv");
        assert_eq!(read.header("cache-control"), "max-age=60");
        assert_eq!(read.header("x-amz-meta-owner"), "orders");
        assert_eq!(read.header("content-length"), "9");
        assert_eq!(read.etag(), put.etag());
        assert!(!read.header("last-modified").is_empty());
    }
    assert_eq!(s3.get("/lake/main/orders/day=1.csv").await.text(), "id,amount");
    // Nothing is committed by that.
    assert!(s3.stat("main@", "orders/day=1.csv").await.is_none());
    let deleted = s3.call("DELETE", "/lake/main/orders/day=1.csv").send().await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert!(s3.stat("main", "orders/day=1.csv").await.is_none());
    let again = s3.call("DELETE", "/lake/main/orders/day=1.csv").send().await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(s3.get("/lake/main/orders/day=1.csv").await.told(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn names_of_metadata_are_spelled_as_they_were_put() {
    let s3 = Gateway::start().await;
    let put = s3.call("PUT", "/lake/main/a").header("x-amz-meta-owner", "orders").body("bytes");
    assert_eq!(put.send().await.status, StatusCode::OK);
    // boto3 makes keys of them: `Owner` would be another one.
    let (status, answer) = s3.call("GET", "/lake/main/a").send_raw().await;
    assert!(status == 200 && answer.contains("x-amz-meta-owner: orders"), "{answer}");
}

#[tokio::test]
async fn parts_of_objects_are_read_as_http_defines_them() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "0123456789").await;
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-300", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=0-300", 206, "0123456789", "bytes 0-9/10"),
    ] {
        let read = s3.call("GET", "/lake/main/a").header("range", range).send().await;
        assert_eq!((read.status.as_u16(), read.text().as_str()), (status, body), "{range}");
        assert_eq!(read.header("content-range"), content_range, "{range}");
    }
    let behind = s3.call("GET", "/lake/main/a").header("range", "bytes=10-").send().await;
    assert_eq!(behind.told(), (416, "InvalidRange".into()));
    let etag = s3.get("/lake/main/a").await.etag();
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), 304),
        ("if-match", "\"other\"", 412),
        ("if-match", etag.as_str(), 200),
        ("if-none-match", "\"other\"", 200),
    ] {
        let read = s3.call("GET", "/lake/main/a").header(name, value).send().await;
        assert_eq!(read.status.as_u16(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn tags_commits_and_committed_heads_are_read_and_never_written() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "committed").await;
    let repo = s3.sidecar.onward.repo("lake");
    repo.branch("main").commit_staged().message("c").commit().await.unwrap();
    let main: RefExpr = "main".parse().unwrap();
    repo.create_tag(&"v1".parse().unwrap(), &main).await.unwrap();
    s3.put("/lake/main/a", "staged").await;
    assert_eq!(s3.get("/lake/main/a").await.text(), "staged");
    let commit = repo.require_commit(&main).await.unwrap().to_string();
    for reference in ["v1", "main@", commit.as_str()] {
        assert_eq!(
            s3.get(&format!("/lake/{reference}/a").replace('@', "%40")).await.text(),
            "committed"
        );
        let path = format!("/lake/{reference}/a").replace('@', "%40");
        let put = s3.put(&path, "x").await;
        assert_eq!(put.told(), (405, "MethodNotAllowed".into()), "{reference}");
        assert!(put.text().contains("read only"), "{}", put.text());
        let deleted = s3.call("DELETE", &path).send().await;
        assert_eq!(deleted.told(), (405, "MethodNotAllowed".into()), "{reference}");
    }
    assert_eq!(s3.put("/lake/nobranch/a", "x").await.told(), (404, "NoSuchKey".into()));
    assert_eq!(s3.put("/nolake/main/a", "x").await.told(), (404, "NoSuchBucket".into()));
    assert_eq!(s3.get("/nolake/main/a").await.told(), (404, "NoSuchBucket".into()));
}

#[tokio::test]
async fn a_copy_within_a_repository_is_a_link_and_between_two_it_has_its_own_bytes() {
    let s3 = Gateway::start().await;
    let main = "main".parse().unwrap();
    s3.sidecar.onward.repo("pond").create(&main).await.unwrap();
    s3.call("PUT", "/lake/main/a").header("x-amz-meta-k", "v").body("bytes").send().await;
    let from = s3.stat("main", "a").await.unwrap();
    let copied =
        s3.call("PUT", "/lake/main/b").header("x-amz-copy-source", "/lake/main/a").send().await;
    assert_eq!(copied.status, StatusCode::OK, "{}", copied.text());
    assert_eq!(copied.element("ETag"), format!("\"{}\"", from.checksum));
    let link = s3.stat("main", "b").await.unwrap();
    assert_eq!((&link.address, &link.metadata["k"]), (&from.address, &"v".to_owned()));
    let replaced = s3
        .call("PUT", "/lake/main/c")
        .header("x-amz-copy-source", "lake/main/a")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-other", "w")
        .send()
        .await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text());
    let replaced = s3.stat("main", "c").await.unwrap();
    assert!(replaced.metadata.contains_key("other") && !replaced.metadata.contains_key("k"));
    let moved =
        s3.call("PUT", "/pond/main/b").header("x-amz-copy-source", "lake/main/a").send().await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text());
    assert_eq!(s3.get("/pond/main/b").await.text(), "bytes");
    assert_eq!(s3.stored("pond/data").await, 1);
    // On what the source is, and on what is replaced.
    for (name, value, expected) in [
        ("x-amz-copy-source-if-match", "\"other\"", 412),
        ("if-none-match", "*", 412),
        ("if-match", "\"other\"", 412),
    ] {
        let copy = s3.call("PUT", "/lake/main/b").header("x-amz-copy-source", "lake/main/a");
        assert_eq!(copy.header(name, value).send().await.status.as_u16(), expected, "{name}");
    }
    let none =
        s3.call("PUT", "/lake/main/b").header("x-amz-copy-source", "lake/main/none").send().await;
    assert_eq!(none.told(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn many_are_deleted_at_once_and_what_cannot_be_is_told_key_by_key() {
    let s3 = Gateway::start().await;
    for path in ["a", "b", "c"] {
        s3.put(&format!("/lake/main/{path}"), path).await;
    }
    let main: RefExpr = "main".parse().unwrap();
    let repo = s3.sidecar.onward.repo("lake");
    repo.branch("main").commit_staged().message("c").commit().await.unwrap();
    repo.create_tag(&"v1".parse().unwrap(), &main).await.unwrap();
    let keys = ["main/a", "main/b", "main/none", "v1/a", "nobranch/a", "main"];
    let keys: String = keys.iter().map(|k| format!("<Object><Key>{k}</Key></Object>")).collect();
    let body = format!("<Delete>{keys}</Delete>");
    let answer = s3.call("POST", "/lake?delete").body(body).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let text = answer.text();
    for deleted in ["main/a", "main/b", "main/none"] {
        assert!(text.contains(&format!("<Deleted><Key>{deleted}</Key></Deleted>")), "{text}");
    }
    let errors = answer.elements("Error").join("\n");
    for (key, code) in
        [("v1/a", "MethodNotAllowed"), ("nobranch/a", "NoSuchKey"), ("main", "NoSuchKey")]
    {
        assert!(errors.contains(&format!("<Key>{key}</Key>")), "{errors}");
        assert!(errors.contains(code), "{errors}");
    }
    assert!(s3.stat("main", "a").await.is_none() && s3.stat("main", "c").await.is_some());
    assert!(s3.stat("v1", "a").await.is_some());
}

#[tokio::test]
async fn the_folder_of_a_branch_is_there_and_can_be_made_without_harm() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let made = s3.put("/lake/main/", "").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let head = s3.call("HEAD", "/lake/main/").send().await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "0"));
    assert_eq!(head.header("content-type"), "application/x-directory");
    assert_eq!(s3.put("/lake/main/", "bytes").await.told(), (400, "InvalidArgument".into()));
    assert_eq!(s3.call("DELETE", "/lake/main/").send().await.status, StatusCode::NO_CONTENT);
    assert_eq!(s3.get("/lake/main/a").await.text(), "x");
    assert_eq!(s3.call("HEAD", "/lake/nobranch/").send().await.status, StatusCode::NOT_FOUND);
    // A folder below a branch is an object like others.
    assert_eq!(s3.put("/lake/main/dir/", "").await.status, StatusCode::OK);
    assert_eq!(s3.stat("main", "dir/").await.unwrap().size, 0);
}

#[tokio::test]
async fn what_clients_ask_of_buckets_is_answered_and_what_is_not_offered_says_so() {
    let s3 = Gateway::start().await;
    assert_eq!(s3.get("/").await.elements("Name"), ["lake"]);
    assert_eq!(s3.call("HEAD", "/lake").send().await.status, StatusCode::OK);
    assert_eq!(s3.call("HEAD", "/nolake").send().await.status, StatusCode::NOT_FOUND);
    for query in ["location", "acl", "versioning"] {
        let answer = s3.get(&format!("/lake?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
    }
    assert_eq!(
        s3.call("PUT", "/lake").send().await.told(),
        (409, "BucketAlreadyOwnedByYou".into())
    );
    assert_eq!(s3.get("/lake?policy").await.told(), (404, "NoSuchBucketPolicy".into()));
    let encrypted = s3
        .call("PUT", "/lake/main/a")
        .header("x-amz-server-side-encryption", "aws:kms")
        .body("x")
        .send()
        .await;
    assert_eq!(encrypted.told(), (501, "NotImplemented".into()));
    assert!(s3.stat("main", "a").await.is_none());
    // A bucket can be a host.
    s3.put("/lake/main/a", "x").await;
    let by_host = s3.call("GET", "/main/a").host("lake.s3.test").send().await;
    assert_eq!(by_host.text(), "x");
}

#[tokio::test]
async fn bytes_that_are_damaged_are_no_key_that_is_not_there() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let entry = s3.stat("main", "a").await.unwrap();
    let repo = s3.sidecar.onward.repo("lake");
    let key = repo.data_key(&entry).unwrap();
    s3.sidecar.deployment.objects.delete(key).await.unwrap();
    let damaged = s3.get("/lake/main/a").await;
    assert_eq!(damaged.told(), (500, "InternalError".into()));
    assert!(damaged.element("Message").contains("there are not the 1 bytes"), "{}", damaged.text());
    assert_eq!(s3.get("/lake/main/b").await.told(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn a_sub_resource_that_there_is_not_is_no_write_of_the_object() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "one").await;
    for (method, query) in [
        ("PUT", "renameObject="),
        ("PUT", "partNumber=3"),
        ("PUT", "uploadId=a"),
        ("PUT", "versionId=null"),
        ("DELETE", "partNumber=3"),
        ("DELETE", "annotation="),
    ] {
        let call = s3.call(method, &format!("/lake/main/a?{query}")).body("two");
        assert_eq!(call.send().await.told(), (501, "NotImplemented".into()), "{method} {query}");
    }
    let renaming = s3.call("PUT", "/lake/main/a").header("x-amz-rename-source", "lake/main/b");
    assert_eq!(renaming.send().await.told(), (501, "NotImplemented".into()));
    let copying =
        s3.call("PUT", "/lake/main/a?annotation=").header("x-amz-copy-source", "lake/main/a");
    assert_eq!(copying.send().await.told(), (501, "NotImplemented".into()));
    assert_eq!(s3.get("/lake/main/a").await.text(), "one");
    let put = s3.call("PUT", "/lake/main/a?x-id=PutObject").body("two").send().await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    let deleted = s3.call("DELETE", "/lake/main/a?versionId=null&x-id=DeleteObject").send().await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
}

#[tokio::test]
async fn what_an_object_is_can_be_asked_for_alone() {
    let s3 = Gateway::start().await;
    let put = s3.call("PUT", "/lake/main/a").header("x-amz-checksum-crc32", "jNwWgw==").body("x");
    assert_eq!(put.send().await.status, StatusCode::OK);
    let asked = async |key: &str, what: &str| {
        let call = s3.call("GET", &format!("/lake/main/{key}?attributes="));
        call.header("x-amz-object-attributes", what).send().await
    };
    let all = asked("a", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.text());
    assert_eq!(all.element("ObjectSize"), "1");
    assert_eq!(all.element("StorageClass"), "STANDARD");
    assert_eq!(all.element("ChecksumCRC32"), "jNwWgw==");
    assert_eq!(all.element("ETag").trim_matches('"'), "9dd4e461268c8034f5c8564e155c67a6");
    assert!(all.elements("ObjectParts").is_empty(), "it is of one piece");
    assert!(!all.header("last-modified").is_empty());
    let size = asked("a", "ObjectSize").await;
    assert_eq!((size.element("ObjectSize"), size.element("ETag")), ("1".into(), String::new()));
    assert_eq!(asked("a", "ObjectSize, Colour").await.told(), (400, "InvalidArgument".into()));
    assert_eq!(asked("b", "ObjectSize").await.told(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn each_object_has_one_version_which_deletes_it() {
    let s3 = Gateway::start().await;
    for key in ["a", "b/1", "b/2"] {
        s3.put(&format!("/lake/main/{key}"), key).await;
    }
    let all = s3.get("/lake?versions=").await;
    assert_eq!(all.elements("Key"), ["main/a", "main/b/1", "main/b/2"]);
    assert_eq!(all.elements("VersionId"), ["null"; 3]);
    assert_eq!(all.elements("IsLatest"), ["true"; 3]);
    let folders = s3.get("/lake?versions=&prefix=main%2F&delimiter=%2F").await;
    assert_eq!(folders.elements("Key"), ["main/a"]);
    let first = s3.get("/lake?versions=&max-keys=2").await;
    assert_eq!(first.element("NextKeyMarker"), "main/b/1");
    assert_eq!(first.element("NextVersionIdMarker"), "null");
    let next = "/lake?versions=&key-marker=main%2Fb%2F1&version-id-marker=null";
    assert_eq!(s3.get(next).await.elements("Key"), ["main/b/2"]);
    let alone = s3.get("/lake?versions=&version-id-marker=null").await;
    assert_eq!(alone.told(), (400, "InvalidArgument".into()));
    let delete = |id: &str| {
        let objects = format!("<Object><Key>main/a</Key><VersionId>{id}</VersionId></Object>");
        s3.call("POST", "/lake?delete=").body(format!("<Delete>{objects}</Delete>")).send()
    };
    let refused = delete("another").await;
    assert_eq!(refused.element("Code"), "NoSuchVersion", "{}", refused.text());
    assert_eq!(delete("null").await.elements("Deleted").len(), 1);
    assert!(s3.stat("main", "a").await.is_none());
}

#[tokio::test]
async fn a_bucket_is_made_by_who_may_make_repositories_and_never_deleted() {
    let s3 = Gateway::start().await;
    let writer = s3.sidecar.key(Role::Write).await;
    // Clients ask for the bucket that they write to, and may go on where it is there.
    let there = s3.call("PUT", "/lake").of(&writer).send().await;
    assert_eq!(there.told(), (409, "BucketAlreadyOwnedByYou".into()));
    let refused = s3.call("PUT", "/another").of(&writer).send().await;
    assert_eq!(refused.told(), (403, "AccessDenied".into()));
    let locked = s3.call("PUT", "/another").header("x-amz-bucket-object-lock-enabled", "true");
    assert_eq!(locked.send().await.told(), (501, "NotImplemented".into()));
    assert_eq!(s3.call("PUT", "/not_a_name").send().await.told().0, 400);
    assert_eq!(s3.get("/").await.elements("Name"), ["lake"]);
    let body = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
    let made = s3.call("PUT", "/another").body(body).send().await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert_eq!(s3.put("/another/main/a", "x").await.status, StatusCode::OK);
    assert_eq!(s3.get("/").await.elements("Name"), ["another", "lake"]);
    let deleted = s3.call("DELETE", "/another").send().await;
    assert_eq!(deleted.told(), (409, "BucketNotEmpty".into()));
    assert!(deleted.text().contains("onward repo delete another"), "{}", deleted.text());
    assert_eq!(s3.call("DELETE", "/another").of(&writer).send().await.told().0, 403);
    assert_eq!(s3.call("DELETE", "/none").send().await.told(), (404, "NoSuchBucket".into()));
    assert_eq!(s3.get("/another/main/a").await.text(), "x");
}
