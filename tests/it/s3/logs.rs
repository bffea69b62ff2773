//! What the log of a sidecar says of requests of S3, however much of it is asked for.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use reqwest::StatusCode;

use super::call::Call;
use crate::cli::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_and_no_secret_is_logged_at_any_level() {
    let desk = Desk::new();
    let mut up = desk
        .command(&["up", "-vvv", "--json", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(up.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut stderr = up.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let said: serde_json::Value = serde_json::from_str(&first).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    let (url, key) = (text("s3_listen"), (text("access_key_id"), text("secret_access_key")));
    let right = Call::new(&url, "GET", "/", &key).send().await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.text());
    let guess = (key.0.clone(), "a guess at the secret".to_owned());
    let wrong = Call::new(&url, "GET", "/", &guess).send().await;
    assert_eq!(wrong.told().1, "SignatureDoesNotMatch");
    let pid = nix::unistd::Pid::from_raw(up.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(up.wait().unwrap().success());
    let log = reading.join().unwrap();
    assert!(log.contains("ListBuckets"), "requests are in the log: {log}");
    for secret in [key.1.as_str(), "Signature=", "expected=", "s3s::"] {
        assert!(!log.contains(secret), "the log has '{secret}'");
    }
}
