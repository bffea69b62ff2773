//! Uploads in parts: by any sidecar, once, on conditions; and what is left of those that are not completed.

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use md5::{Digest, Md5};
use onward::Entry;
use onward::internals::repo::gc::GcOptions;
use onward::internals::repo::multipart::Done;
use reqwest::StatusCode;

use super::Gateway;
use super::call::Answer;

const PART_LEN: usize = 5 << 20;

/// A body that says which part it is of.
fn part(letter: u8, len: usize) -> Vec<u8> {
    vec![letter; len]
}

async fn begin(s3: &Gateway, key: &str) -> String {
    let begun = s3.call("POST", &format!("{key}?uploads=")).send().await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
    begun.element("UploadId")
}

async fn upload(s3: &Gateway, key: &str, id: &str, number: usize, body: &[u8]) -> Answer {
    let path = format!("{key}?partNumber={number}&uploadId={id}");
    s3.call("PUT", &path).payload(super::call::UNSIGNED).body(body).send().await
}

fn completing(parts: &[(usize, String)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn complete(s3: &Gateway, key: &str, id: &str, parts: &[(usize, String)]) -> Answer {
    let path = format!("{key}?uploadId={id}");
    s3.call("POST", &path).body(completing(parts)).send().await
}

async fn give_up(s3: &Gateway, key: &str, id: &str) -> Answer {
    s3.call("DELETE", &format!("{key}?uploadId={id}")).send().await
}

fn number(id: &str) -> u128 {
    u128::from_str_radix(id, 16).unwrap()
}

/// The end of an upload whose part 1 is the object.
async fn made(s3: &Gateway, path: &str, id: &str) -> Done {
    let repo = s3.sidecar.onward.repo("lake");
    let part = repo.parts(number(id), &[1]).await.unwrap().remove(&1).unwrap();
    Done {
        branch: "main".parse().unwrap(),
        path: path.parse().unwrap(),
        entry: Some(Entry::new(part.address, part.size, part.md5)),
        is_stored: false,
    }
}

/// What a completion does that ends before the object has its name.
async fn complete_unnamed(s3: &Gateway, path: &str, id: &str) -> Option<Entry> {
    let done = made(s3, path, id).await;
    s3.sidecar.onward.repo("lake").finish_upload(number(id), &done).await.unwrap().entry
}

#[tokio::test]
async fn a_part_that_comes_late_once_more_takes_nothing_from_the_object() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/late";
    let id = begin(&s3, key).await;
    let etag = upload(&s3, key, &id, 1, b"all of it").await.etag();
    complete_unnamed(&s3, "late", &id).await.unwrap();
    let late = upload(&s3, key, &id, 1, b"all of it").await;
    assert_eq!(late.status, StatusCode::OK, "{}", late.text());
    let done = complete(&s3, key, &id, &[(1, etag)]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(s3.get(key).await.text(), "all of it");
}

#[tokio::test]
async fn giving_up_takes_nothing_from_a_completion_that_is_under_way() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/raced";
    let id = begin(&s3, key).await;
    let etag = upload(&s3, key, &id, 1, b"all of it").await.etag();
    let entry = complete_unnamed(&s3, "raced", &id).await.unwrap();
    assert_eq!(give_up(&s3, key, &id).await.status, StatusCode::NO_CONTENT);
    // The completion goes on, or a commit that it queued is decided only now.
    let branch = s3.sidecar.onward.repo("lake").branch("main");
    branch.stage_put("raced".parse().unwrap(), entry, None).await.unwrap();
    assert_eq!(s3.get(key).await.text(), "all of it");
    assert_eq!(s3.stored("lake/uploads").await, 0);

    // The other way round none becomes an object.
    let key = "/lake/main/given-up";
    let id = begin(&s3, key).await;
    upload(&s3, key, &id, 1, b"all of it").await;
    // One who has read the parts before makes nothing of them.
    let done = made(&s3, "given-up", &id).await;
    assert_eq!(give_up(&s3, key, &id).await.status, StatusCode::NO_CONTENT);
    let repo = s3.sidecar.onward.repo("lake");
    let ended = repo.finish_upload(number(&id), &done).await.unwrap();
    assert_eq!((ended.entry, s3.stored("lake/data").await), (None, 1));
    let late = complete(&s3, key, &id, &[(1, etag)]).await;
    assert_eq!(late.told(), (404, "NoSuchUpload".into()));
    assert!(s3.stat("main", "given-up").await.is_none());
}

#[tokio::test]
async fn what_was_completed_is_not_stored_again_over_what_is_newer() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/once";
    let id = begin(&s3, key).await;
    let parts = [(1, upload(&s3, key, &id, 1, b"all of it").await.etag())];
    let objects = &s3.sidecar.deployment.objects;
    let record = format!("lake/uploads/{id}/upload");
    let kept = objects.get(&record).await.unwrap().unwrap();
    assert_eq!(complete(&s3, key, &id, &parts).await.status, StatusCode::OK);
    s3.put(key, "newer").await;
    // As it is where the upload could not be removed behind its completion.
    objects.put(&record, kept).await.unwrap();
    let again = complete(&s3, key, &id, &parts).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    assert_eq!(s3.get(key).await.text(), "newer");
    assert_eq!(s3.stored("lake/uploads").await, 0, "and it goes then");
    assert_eq!(give_up(&s3, key, &id).await.told(), (404, "NoSuchUpload".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_complete_one_upload_none_does_after_the_first_was_told_so() {
    let s3 = Gateway::start().await;
    for round in 0..20 {
        let key = &format!("/lake/main/{round}");
        let id = &begin(&s3, key).await;
        let parts = &[(1, upload(&s3, key, id, 1, b"all of it").await.etag())];
        let mut calls: FuturesUnordered<_> =
            (0..6).map(|_| complete(&s3, key, id, parts)).collect();
        let mut first = true;
        while let Some(answer) = calls.next().await {
            // Whoever comes while the parts go is refused.
            if answer.status == StatusCode::OK && std::mem::take(&mut first) {
                s3.put(key, "newer").await;
            }
        }
        assert!(!first);
        assert_eq!(s3.get(key).await.text(), "newer", "round {round}");
    }
}

#[tokio::test]
async fn success_is_told_only_of_what_has_had_its_name() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/named";
    let id = begin(&s3, key).await;
    let parts = [(1, upload(&s3, key, &id, 1, b"all of it").await.etag())];
    complete_unnamed(&s3, "named", &id).await.unwrap();
    s3.put(key, "first").await;
    let call = s3.call("POST", &format!("{key}?uploadId={id}")).header("if-none-match", "*");
    let refused = call.body(completing(&parts)).send().await;
    assert_eq!(refused.told(), (412, "PreconditionFailed".into()));
    assert_eq!(give_up(&s3, key, &id).await.status, StatusCode::NO_CONTENT);
    let again = complete(&s3, key, &id, &parts).await;
    assert_eq!(again.told(), (404, "NoSuchUpload".into()), "{}", again.text());
    assert_eq!(s3.get(key).await.text(), "first");
}

#[tokio::test]
async fn parts_in_any_order_by_any_sidecar_become_one_object() {
    let mut s3 = Gateway::start().await;
    let key = "/lake/main/big";
    let id = begin(&s3, key).await;
    let mut parts = Vec::new();
    for (number, letter, len) in
        [(3, b'c', 100), (1, b'x', PART_LEN), (2, b'b', PART_LEN), (1, b'a', PART_LEN)]
    {
        let answer = upload(&s3, key, &id, number, &part(letter, len)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        parts.retain(|(other, _)| *other != number);
        parts.push((number, answer.etag()));
    }
    parts.sort();
    let shown = s3.get(&format!("{key}?uploadId={id}&max-parts=2")).await;
    assert_eq!(shown.elements("PartNumber"), ["1", "2"]);
    assert_eq!(shown.element("NextPartNumberMarker"), "2");
    let rest = s3.get(&format!("{key}?uploadId={id}&part-number-marker=2")).await;
    assert_eq!(
        (rest.elements("PartNumber"), rest.element("Size")),
        (vec!["3".into()], "100".into())
    );
    let uploads = s3.get("/lake?uploads=").await;
    assert_eq!(
        (uploads.element("Key"), uploads.element("UploadId")),
        ("main/big".into(), id.clone())
    );
    assert!(s3.stat("main", "big").await.is_none());
    // The first sidecar is gone; another one completes it.
    s3.go_on_elsewhere().await;
    let done = complete(&s3, key, &id, &parts).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let read = s3.get(key).await;
    assert_eq!(read.body.len(), 2 * PART_LEN + 100);
    let expected = [part(b'a', PART_LEN), part(b'b', PART_LEN), part(b'c', 100)];
    assert!(read.body == expected.concat());
    let digests: Vec<u8> = expected.iter().flat_map(|part| Md5::digest(part).to_vec()).collect();
    let hex: String = Md5::digest(digests).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(done.element("ETag"), format!("\"{hex}-3\""));
    assert_eq!(read.etag(), done.element("ETag"));
    // Nothing is left but the object and the part that was replaced; who asks again is told of it.
    assert_eq!(s3.stored("lake/data").await, 2);
    assert_eq!(s3.stored("lake/uploads").await, 0);
    assert_eq!(s3.get("/lake?uploads=").await.elements("Key"), Vec::<String>::new());
    let again = complete(&s3, key, &id, &parts).await;
    assert_eq!(again.element("ETag"), done.element("ETag"), "{}", again.text());
    s3.put(key, "newer").await;
    complete(&s3, key, &id, &parts).await;
    assert_eq!(s3.get(key).await.text(), "newer");
}

#[tokio::test]
async fn a_single_part_is_the_object_and_no_byte_is_moved() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/small";
    let id = begin(&s3, key).await;
    let etag = upload(&s3, key, &id, 1, b"all of it").await.etag();
    let before = s3.sidecar.deployment.objects.counters();
    let done = complete(&s3, key, &id, &[(1, etag)]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let after = s3.sidecar.deployment.objects.counters();
    assert!(after.bytes_written - before.bytes_written < 4096);
    assert_eq!(s3.get(key).await.text(), "all of it");
    assert_eq!(s3.stored("lake/data").await, 1);
}

#[tokio::test]
async fn what_is_not_as_the_client_says_is_not_completed() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/a";
    let id = begin(&s3, key).await;
    let one = upload(&s3, key, &id, 1, b"short").await.etag();
    let two = upload(&s3, key, &id, 2, b"last").await.etag();
    for (parts, code) in [
        (vec![(1, one.clone()), (2, two.clone())], "EntityTooSmall"),
        (vec![(2, two.clone()), (1, one.clone())], "InvalidPartOrder"),
        (vec![(1, two.clone())], "InvalidPart"),
        (vec![(3, one.clone())], "InvalidPart"),
        (vec![], "MalformedXML"),
    ] {
        let answer = complete(&s3, key, &id, &parts).await;
        assert_eq!(answer.told(), (400, code.into()), "{}", answer.text());
    }
    let elsewhere = complete(&s3, "/lake/main/b", &id, &[(2, two.clone())]).await;
    assert_eq!(elsewhere.told(), (404, "NoSuchUpload".into()));
    assert_eq!(upload(&s3, key, &id, 0, b"x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(upload(&s3, key, &id, 10_001, b"x").await.status, StatusCode::BAD_REQUEST);
    assert!(s3.stat("main", "a").await.is_none());
    let gone = s3.call("DELETE", &format!("{key}?uploadId={id}")).send().await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(s3.stored("lake/data").await, 0);
    assert_eq!(s3.stored("lake/uploads").await, 0);
    let late = upload(&s3, key, &id, 1, b"x").await;
    assert_eq!(late.told(), (404, "NoSuchUpload".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_complete_on_the_condition_of_absence_one_does() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/once";
    let completions = (0..8).map(|writer: u8| {
        let s3 = &s3;
        async move {
            let id = begin(s3, key).await;
            let etag = upload(s3, key, &id, 1, &[b'a' + writer; 10]).await.etag();
            let call = s3.call("POST", &format!("{key}?uploadId={id}"));
            let answer = call.header("if-none-match", "*").body(completing(&[(1, etag)]));
            (writer, answer.send().await)
        }
    });
    let answers = join_all(completions).await;
    let won: Vec<_> = answers.iter().filter(|(_, a)| a.status == StatusCode::OK).collect();
    assert_eq!(won.len(), 1);
    let expected = [b'a' + won[0].0; 10];
    assert_eq!(s3.get(key).await.body.as_ref(), expected);
    for (_, lost) in answers.iter().filter(|(_, answer)| answer.status != StatusCode::OK) {
        assert_eq!(lost.told(), (412, "PreconditionFailed".into()));
    }
}

#[tokio::test]
async fn a_part_can_be_of_an_object_that_is_there() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/from", "0123456789").await;
    let key = "/lake/main/to";
    let id = begin(&s3, key).await;
    let copied = s3
        .call("PUT", &format!("{key}?partNumber=1&uploadId={id}"))
        .header("x-amz-copy-source", "/lake/main/from")
        .header("x-amz-copy-source-range", "bytes=2-5")
        .send()
        .await;
    assert_eq!(copied.status, StatusCode::OK, "{}", copied.text());
    let done = complete(&s3, key, &id, &[(1, copied.element("ETag"))]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(s3.get(key).await.text(), "2345");
}

#[tokio::test]
async fn checksums_of_parts_become_that_of_the_object() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/summed";
    let begun = s3
        .call("POST", &format!("{key}?uploads="))
        .header("x-amz-checksum-algorithm", "CRC64NVME")
        .send()
        .await;
    let id = begun.element("UploadId");
    let path = format!("{key}?partNumber=1&uploadId={id}");
    let sum = "rosUhgp5mIg=";
    let sent = s3.call("PUT", &path).header("x-amz-checksum-crc64nvme", sum);
    let etag = sent.body("123456789").send().await.etag();
    let wrong = s3
        .call("POST", &format!("{key}?uploadId={id}"))
        .header("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
        .body(completing(&[(1, etag.clone())]))
        .send()
        .await;
    assert_eq!(wrong.told(), (400, "BadDigest".into()), "{}", wrong.text());
    let done = complete(&s3, key, &id, &[(1, etag)]).await;
    assert_eq!(done.element("ChecksumCRC64NVME"), sum, "{}", done.text());
    let head = s3.call("HEAD", key).header("x-amz-checksum-mode", "ENABLED").send().await;
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), sum);
    assert_eq!(head.header("x-amz-checksum-type"), "FULL_OBJECT");
}

#[tokio::test]
async fn what_a_client_leaves_undone_is_garbage() {
    let s3 = Gateway::start().await;
    let key = "/lake/main/left";
    let id = begin(&s3, key).await;
    upload(&s3, key, &id, 1, b"never completed").await;
    give_up(&s3, "/lake/main/given-up", &begin(&s3, "/lake/main/given-up").await).await;
    assert_eq!(s3.stored("lake/uploads-ended").await, 1);
    s3.put("/lake/main/kept", "kept").await;
    let repo = s3.sidecar.onward.repo("lake");
    repo.branch("main").commit_staged().message("c").commit().await.unwrap();
    let young = repo.gc(&GcOptions::default(), &mut |_| ()).await.unwrap();
    assert_eq!(young.removed(), 0);
    let now_ms = onward::internals::clock::now_ms() + 49 * 3_600_000;
    let options = GcOptions { now_ms: Some(now_ms), ..GcOptions::default() };
    repo.gc(&options, &mut |_| ()).await.unwrap();
    assert_eq!((s3.stored("lake/data").await, s3.stored("lake/uploads").await), (1, 0));
    assert_eq!(s3.stored("lake/uploads-ended").await, 0);
    assert_eq!(s3.get("/lake/main/kept").await.text(), "kept");
    let late = complete(&s3, key, &id, &[(1, "x".to_owned())]).await;
    assert_eq!(late.told(), (404, "NoSuchUpload".into()));
}
