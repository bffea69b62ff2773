//! Who is listened to: signatures, clocks, roles, and the brake on guessing.

use onward_server::auth::{FAILURES_MAX, Role};
use reqwest::StatusCode;

use super::Gateway;

#[tokio::test]
async fn only_who_signs_with_a_key_of_the_deployment_is_listened_to() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let get = || s3.call("GET", "/lake/main/a");
    assert_eq!(get().send_anonymous().await.told(), (403, "AccessDenied".into()));
    let key = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
    let unknown = get().of(&key("NOBODY", "whatever")).send().await;
    assert_eq!(unknown.told(), (403, "InvalidAccessKeyId".into()));
    let wrong = get().of(&key(&s3.key.0, "not the secret")).send().await;
    assert_eq!(wrong.told(), (403, "SignatureDoesNotMatch".into()));
    let old = get().header("authorization", format!("AWS {}:c2lnbmF0dXJl", s3.key.0));
    let old = old.send_anonymous().await;
    assert_eq!(old.status, StatusCode::BAD_REQUEST);
    assert!(old.text().contains("SigV4"), "{}", old.text());
    // What its sender has not signed changes nothing.
    let added = s3
        .call("PUT", "/lake/main/b")
        .unsigned_header("x-amz-copy-source", "lake/main/a")
        .send()
        .await;
    assert_eq!(added.told(), (403, "AccessDenied".into()));
    assert!(s3.stat("main", "b").await.is_none());
    assert_eq!(get().send().await.text(), "x");
}

#[tokio::test]
async fn a_request_is_good_for_a_quarter_of_an_hour_and_a_url_for_as_long_as_it_says() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let get = || s3.call("GET", "/lake/main/a");
    for (later, is_good) in [(-14 * 60, true), (14 * 60, true), (-16 * 60, false), (16 * 60, false)]
    {
        let answer = get().later(later).send().await;
        let expected = if is_good { 200 } else { 403 };
        assert_eq!(answer.status.as_u16(), expected, "{later}: {}", answer.text());
    }
    assert_eq!(get().send_presigned("60").await.text(), "x");
    assert_eq!(get().later(-59).send_presigned("604800").await.text(), "x");
    let over = get().later(-61).send_presigned("60").await;
    assert_eq!(over.told(), (403, "AccessDenied".into()));
    for bad in ["604801", "0", "-1", "x"] {
        assert_eq!(get().send_presigned(bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let put = s3.call("PUT", "/lake/main/b").body("by a URL").send_presigned("60").await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    assert_eq!(s3.get("/lake/main/b").await.text(), "by a URL");
}

#[tokio::test]
async fn keys_that_may_only_read_change_nothing() {
    let s3 = Gateway::start().await;
    s3.put("/lake/main/a", "x").await;
    let reader = s3.sidecar.key(Role::Read).await;
    let writer = s3.sidecar.key(Role::Write).await;
    for (method, path) in [
        ("PUT", "/lake/main/b"),
        ("DELETE", "/lake/main/a"),
        ("POST", "/lake/main/b?uploads="),
        ("POST", "/lake?delete="),
        ("GET", "/lake?uploads="),
    ] {
        let answer = s3.call(method, path).of(&reader).body("<Delete></Delete>").send().await;
        assert_eq!(answer.told(), (403, "AccessDenied".into()), "{method} {path}");
    }
    for path in ["/", "/lake?list-type=2", "/lake/main/a"] {
        assert_eq!(s3.call("GET", path).of(&reader).send().await.status, StatusCode::OK, "{path}");
    }
    let put = s3.call("PUT", "/lake/main/b").of(&writer).body("y").send().await;
    assert_eq!(put.status, StatusCode::OK);
    s3.sidecar.keys.delete(&writer.0).await.unwrap();
}

#[tokio::test]
async fn who_guesses_is_not_listened_to_for_a_while_and_who_was_right_is() {
    let s3 = Gateway::start().await;
    let victim = s3.sidecar.key(Role::Read).await;
    let guess = (victim.0.clone(), "a guess".to_owned());
    let call = |key: &(String, String)| s3.call("GET", "/").of(key);
    for _ in 0..FAILURES_MAX {
        assert_eq!(call(&guess).send().await.told().1, "SignatureDoesNotMatch");
    }
    let braked = call(&guess).send().await;
    assert_eq!(braked.told(), (503, "SlowDown".into()));
    assert!(!braked.header("retry-after").is_empty());
    // His secret was never seen to be right: it might be the next guess.
    assert_eq!(call(&victim).send().await.told().1, "SlowDown");
    // Somebody whose secret was is not locked out by others behind the same address.
    let known = s3.sidecar.key(Role::Read).await;
    assert_eq!(call(&known).send().await.status, StatusCode::OK);
    let guess = (known.0.clone(), "a guess".to_owned());
    for _ in 0..=FAILURES_MAX {
        call(&guess).send().await;
    }
    assert_eq!(call(&known).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn forms_and_too_many_headers_are_refused_before_anything_is_read() {
    let s3 = Gateway::start().await;
    let form = s3
        .call("POST", "/lake")
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\n")
        .send_anonymous()
        .await;
    assert_eq!(form.told(), (501, "NotImplemented".into()));
    let many = (0..120).fold(s3.call("GET", "/lake/main/a"), |call, n| {
        call.unsigned_header(&format!("x-header-{n}"), "v")
    });
    assert!(many.send().await.status.is_client_error());
}
