//! Checksums of bodies, in headers and behind the body, right and wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use reqwest::StatusCode;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;

use super::Gateway;
use super::call::{CHUNKS, Last, UNSIGNED_TRAILER};

const BODY: &str = "123456789";

/// Every algorithm, and its value of [`BODY`].
fn sums() -> [(&'static str, String); 5] {
    let mut hasher = ChecksumHasher {
        crc32: Some(s3s::crypto::Crc32::new()),
        crc32c: Some(s3s::crypto::Crc32c::new()),
        crc64nvme: Some(s3s::crypto::Crc64Nvme::new()),
        sha1: Some(s3s::crypto::Sha1::new()),
        sha256: Some(s3s::crypto::Sha256::new()),
    };
    hasher.update(BODY.as_bytes());
    let sums = hasher.finalize();
    [
        ("crc32", sums.checksum_crc32.unwrap()),
        ("crc32c", sums.checksum_crc32c.unwrap()),
        ("crc64nvme", sums.checksum_crc64nvme.unwrap()),
        ("sha1", sums.checksum_sha1.unwrap()),
        ("sha256", sums.checksum_sha256.unwrap()),
    ]
}

/// The same bytes but the first, in base64.
fn wrong(sum: &str) -> String {
    let mut bytes = STANDARD.decode(sum).unwrap();
    bytes[0] ^= 1;
    STANDARD.encode(bytes)
}

#[test]
fn the_sums_are_those_of_their_catalogues() {
    // CRC RevEng's check values, and NIST's way of SHA.
    let expected = [("crc32", "y/Q5Jg=="), ("crc32c", "4waSgw=="), ("crc64nvme", "rosUhgp5mIg=")];
    for (name, value) in expected {
        assert!(sums().contains(&(name, value.to_owned())), "{name}: {:?}", sums());
    }
}

#[tokio::test]
async fn what_a_header_says_of_a_body_is_compared() {
    let s3 = Gateway::start().await;
    for (name, sum) in sums() {
        let header = format!("x-amz-checksum-{name}");
        let path = format!("/lake/main/{name}");
        let refused = s3.call("PUT", &path).header(&header, wrong(&sum)).body(BODY).send().await;
        assert_eq!(refused.told(), (400, "BadDigest".into()), "{name}");
        assert!(s3.stat("main", name).await.is_none());
        let put = s3.call("PUT", &path).header(&header, sum.as_str()).body(BODY).send().await;
        assert_eq!(put.status, StatusCode::OK, "{name}: {}", put.text());
        assert_eq!(put.header(&header), sum);
        let head = s3.call("HEAD", &path).header("x-amz-checksum-mode", "ENABLED").send().await;
        assert_eq!(head.header(&header), sum);
        assert_eq!(s3.call("HEAD", &path).send().await.header(&header), "");
    }
    // What was refused has left nothing.
    assert_eq!(s3.stored("lake/data").await, 5);
}

#[tokio::test]
async fn what_follows_a_body_is_compared() {
    let s3 = Gateway::start().await;
    for (name, sum) in sums() {
        let header = format!("x-amz-checksum-{name}");
        let path = format!("/lake/main/{name}");
        let refused = s3.call("PUT", &path).with_trailer(BODY, &header, &wrong(&sum)).send().await;
        assert_eq!(refused.told(), (400, "BadDigest".into()), "{name}: {}", refused.text());
        assert!(s3.stat("main", name).await.is_none());
        let put = s3.call("PUT", &path).with_trailer(BODY, &header, &sum).send().await;
        assert_eq!(put.status, StatusCode::OK, "{name}: {}", put.text());
        assert_eq!(s3.get(&path).await.text(), BODY);
        // How it was cut up is no property of the object.
        assert_eq!(s3.get(&path).await.header("content-encoding"), "");
    }
    let other = s3.call("PUT", "/lake/main/other");
    let other = other.with_trailer(BODY, "x-amz-checksum-crc32", "").send().await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST, "{}", other.text());
    assert_eq!(s3.stored("lake/data").await, 5);
}

#[tokio::test]
async fn digests_of_older_clients_are_compared_too() {
    let s3 = Gateway::start().await;
    let md5 = STANDARD.encode(Md5::digest(BODY));
    let put = |md5: String| s3.call("PUT", "/lake/main/a").header("content-md5", md5).body(BODY);
    assert_eq!(put(wrong(&md5)).send().await.told(), (400, "BadDigest".into()));
    assert_eq!(put("nonsense".to_owned()).send().await.told(), (400, "InvalidDigest".into()));
    assert_eq!(put(md5).send().await.status, StatusCode::OK);
    let said = s3.call("PUT", "/lake/main/b").payload(&"0".repeat(64)).body(BODY).send().await;
    assert_eq!(said.told(), (400, "XAmzContentSHA256Mismatch".into()), "{}", said.text());
    let two = s3
        .call("PUT", "/lake/main/b")
        .header("x-amz-checksum-crc32", "y/Q5Jg==")
        .header("x-amz-checksum-sha1", "x")
        .body(BODY)
        .send()
        .await;
    assert_eq!(two.told(), (400, "InvalidRequest".into()));
    assert!(s3.stat("main", "b").await.is_none());
}

#[tokio::test]
async fn pieces_that_are_signed_one_by_one_are_checked_one_by_one() {
    let s3 = Gateway::start().await;
    let pieces = ["x".repeat(8192), "the rest".to_owned()];
    let pieces = [pieces[0].as_str(), pieces[1].as_str()];
    let put = s3.call("PUT", "/lake/main/a").send_chunks(&pieces, Last::Right).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    assert_eq!(s3.get("/lake/main/a").await.text(), pieces.concat());
    let broken = s3.call("PUT", "/lake/main/b").send_chunks(&pieces, Last::Forged).await;
    assert_eq!(broken.told(), (403, "SignatureDoesNotMatch".into()), "{}", broken.text());
    assert!(s3.stat("main", "b").await.is_none());
}

#[tokio::test]
async fn a_body_in_pieces_that_breaks_off_is_not_taken_for_a_whole_one() {
    let s3 = Gateway::start().await;
    let pieces = ["x".repeat(8192), "the rest".to_owned()];
    let pieces = [pieces[0].as_str(), pieces[1].as_str()];
    let cut = s3.call("PUT", "/lake/main/a").send_chunks(&pieces, Last::Missing).await;
    assert_eq!(cut.told(), (400, "IncompleteBody".into()), "{}", cut.text());
    // All of it as it says, but for its length.
    let short = |len: usize| {
        let call = s3.call("PUT", "/lake/main/a").header("x-amz-trailer", "x-amz-checksum-crc32");
        call.header("x-amz-decoded-content-length", len.to_string())
            .payload(UNSIGNED_TRAILER)
            .body(format!("9\r\n{BODY}\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"))
    };
    for len in [8, 10] {
        let refused = short(len).send().await;
        assert_eq!(refused.told(), (400, "IncompleteBody".into()), "{}", refused.text());
    }
    assert!(s3.stat("main", "a").await.is_none());
    assert_eq!(s3.stored("lake/data").await, 0);
    assert_eq!(short(9).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_long_piece_is_taken_unless_it_is_signed() {
    let s3 = Gateway::start().await;
    let long = "0123456789abcdef".repeat(3 << 16);
    let mut hasher =
        ChecksumHasher { crc32: Some(s3s::crypto::Crc32::new()), ..ChecksumHasher::default() };
    hasher.update(long.as_bytes());
    let sum = hasher.finalize().checksum_crc32.unwrap();
    let put = s3.call("PUT", "/lake/main/a").with_trailer(&long, "x-amz-checksum-crc32", &sum);
    let put = put.send().await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    assert_eq!(s3.get("/lake/main/a").await.body, long);
    let announced = (16 << 20) + 1;
    let refused = s3
        .call("PUT", "/lake/main/b")
        .header("x-amz-decoded-content-length", announced.to_string())
        .payload(CHUNKS)
        .body(format!("{announced:x};chunk-signature={}\r\nabc", "0".repeat(64)))
        .send()
        .await;
    assert_eq!(refused.told(), (400, "EntityTooLarge".into()), "{}", refused.text());
    assert!(refused.text().contains("16777216"), "{}", refused.text());
}

#[tokio::test]
async fn a_list_of_keys_to_delete_is_compared_before_anything_is_deleted() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let body = "<Delete><Object><Key>main/a</Key></Object></Delete>";
    let md5 = STANDARD.encode(Md5::digest(body));
    for (name, value) in [("content-md5", wrong(&md5)), ("x-amz-checksum-crc32", "AAAAAA==".into())]
    {
        let call = s3.call("POST", "/lake?delete=").header(name, value).body(body);
        assert_eq!(call.send().await.told(), (400, "BadDigest".into()), "{name}");
        assert!(s3.stat("main", "a").await.is_some());
    }
    let call = s3.call("POST", "/lake?delete=").header("content-md5", md5).body(body);
    assert_eq!(call.send().await.status, StatusCode::OK);
    assert!(s3.stat("main", "a").await.is_none());
}
