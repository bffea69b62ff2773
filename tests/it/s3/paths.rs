//! Paths that mean harm: each names what it says and nothing else, or nothing at all.

use reqwest::StatusCode;

use super::Gateway;

#[tokio::test]
async fn no_path_leads_anywhere_but_into_its_repository() {
    let s3 = Gateway::start().await;
    let main = "main".parse().unwrap();
    s3.sidecar.onward.repo("pond").create(&main).await.unwrap();
    s3.put("/pond/main/secret", "of the pond").await;
    // Escaped once more than s3s undoes, a path is a name like others.
    for (path, name) in [
        ("a%2F..%2F..%2Fpond%2Fmain%2Fsecret", "a/../../pond/main/secret"),
        ("%252e%252e%2Fsecret", "%2e%2e/secret"),
        ("a%20b%2Bc", "a b+c"),
        ("%C3%A9", "é"),
    ] {
        let put = s3.put(&format!("/lake/main/{path}"), name).await;
        assert_eq!(put.status, StatusCode::OK, "{path}: {}", put.text());
        assert_eq!(s3.stat("main", name).await.unwrap().size as usize, name.len(), "{path}");
    }
    assert_eq!(s3.get("/pond/main/secret").await.text(), "of the pond");
    for path in [
        "/lake/..%2F..%2Fpond/main/secret",
        "/lake/%2e%2e/secret",
        "/lake/main@/secret",
        "/lake//main/secret",
        "/lake/main%00/secret",
        "/lake/main",
        "/lake/%2Fetc%2Fpasswd",
        "/_onward/keys/ADMINISTRATOR",
        "/..%2F_onward/token-key",
        "/LAKE/main/secret",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let (status, answer) = s3.call(method, path).body("x").send_raw().await;
            assert!((400..500).contains(&status), "{method} {path}: {answer}");
            assert!(!answer.contains("of the pond"), "{method} {path}: {answer}");
        }
    }
    let nul = s3.put("/lake/main/a%00b", "x").await;
    assert_eq!(nul.status, StatusCode::BAD_REQUEST, "{}", nul.text());
    let long = s3.put(&format!("/lake/main/{}", "x".repeat(1025)), "x").await;
    assert_eq!(long.told(), (400, "KeyTooLongError".into()));
    assert_eq!(s3.get("/pond/main/secret").await.text(), "of the pond");
}
