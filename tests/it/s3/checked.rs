//! A branch whose commits are checked before they are accepted, by what clients of S3 are told.

use onward::admin::{WriteRule, Written};
use reqwest::StatusCode;

use super::Gateway;
use crate::events::receiver::{Receiver, Reply, refusal};

/// A gateway where what is written below `tables/` of `main` is a commit of its own, and who is asked about those.
async fn checked() -> (Gateway, Receiver) {
    let s3 = Gateway::with(|config| config.allow_sinks = vec!["127.0.0.1".into()]).await;
    let rule = WriteRule::new("main", Written::Committed).below("tables/");
    s3.sidecar.onward.repo("lake").set_write_rule(rule).await.unwrap();
    let receiver = Receiver::start().await;
    receiver.checks(&s3.sidecar).await;
    (s3, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_refuses_is_denied_with_its_reason_and_leaves_nothing() {
    let (s3, receiver) = checked().await;
    assert_eq!(s3.put("/lake/main/tables/a", "first").await.status, StatusCode::OK);
    let data = receiver.got().remove(0).event["data"].clone();
    assert_eq!(data["changes"]["first"][0]["path"], "tables/a");
    assert_eq!(data["message"], "S3: put tables/a");
    let kept = s3.stored("lake/data").await;
    receiver.answers(|_| refusal("no loads on Sundays"));
    for path in ["tables/a", "tables/b"] {
        let answer = s3.put(&format!("/lake/main/{path}"), "second").await;
        assert_eq!(answer.told(), (403, "AccessDenied".into()), "{}", answer.text());
        assert!(answer.element("Message").contains("no loads on Sundays"), "{}", answer.text());
    }
    let gone = s3.call("DELETE", "/lake/main/tables/a").send().await;
    assert_eq!(gone.told(), (403, "AccessDenied".into()), "{}", gone.text());
    let keys = "<Object><Key>main/tables/a</Key></Object>";
    let many = s3.call("POST", "/lake?delete=").body(format!("<Delete>{keys}</Delete>"));
    let answer = many.send().await;
    assert_eq!((answer.status, answer.element("Code")), (StatusCode::OK, "AccessDenied".into()));
    assert!(answer.element("Message").contains("no loads on Sundays"), "{}", answer.text());
    let copy =
        s3.call("PUT", "/lake/main/tables/c").header("x-amz-copy-source", "lake/main/tables/a");
    assert_eq!(copy.send().await.told(), (403, "AccessDenied".into()));
    assert_eq!(s3.get("/lake/main/tables/a").await.text(), "first");
    for path in ["tables/b", "tables/c"] {
        assert!(s3.stat("main", path).await.is_none());
    }
    assert_eq!(s3.stored("lake/data").await, kept, "what was uploaded in vain is gone");
    // Each was asked about once, and what is staged never.
    let asked = receiver.got().len();
    assert_eq!(asked, 6);
    assert_eq!(s3.put("/lake/main/a", "staged").await.status, StatusCode::OK);
    assert_eq!(receiver.got().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_that_a_check_refuses_is_still_there_to_be_completed() {
    let (s3, receiver) = checked().await;
    let begun = s3.call("POST", "/lake/main/tables/p?uploads=").send().await;
    let id = begun.element("UploadId");
    let part = format!("/lake/main/tables/p?partNumber=1&uploadId={id}");
    let etag = s3.call("PUT", &part).body("part").send().await.etag();
    let complete = || {
        let part = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
        let body = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
        s3.call("POST", &format!("/lake/main/tables/p?uploadId={id}")).body(body).send()
    };
    receiver.answers(|_| refusal("not today"));
    let refused = complete().await;
    assert_eq!(refused.element("Code"), "AccessDenied", "{}", refused.text());
    assert!(s3.stat("main", "tables/p").await.is_none());
    receiver.answers(|_| Reply::Status(204));
    let done = complete().await;
    assert_eq!(
        (done.status, done.element("Code")),
        (StatusCode::OK, String::new()),
        "{}",
        done.text()
    );
    assert_eq!(s3.get("/lake/main/tables/p").await.text(), "part");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_check_is_away_clients_are_told_to_come_back() {
    let (s3, receiver) = checked().await;
    receiver.answers(|_| Reply::Status(500));
    let answer = s3.put("/lake/main/tables/a", "x").await;
    assert_eq!(answer.told(), (503, "ServiceUnavailable".into()), "{}", answer.text());
    assert!(answer.element("Message").contains("nothing was done"), "{}", answer.text());
    assert!(s3.stat("main", "tables/a").await.is_none());
    assert_eq!(receiver.got().len(), 1, "who asks again is the client");
    receiver.answers(|_| Reply::Status(200));
    assert_eq!(s3.put("/lake/main/tables/a", "x").await.status, StatusCode::OK);
}
