//! Encrypted connections, by the command: which authorities it trusts is the system's setting.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::redis::{Listen, RedisServer, free_port};
use crate::support::root::root;

fn file(name: &str) -> String {
    let path = root().join("tests/fixtures/tls").join(name);
    path.to_str().unwrap().to_owned()
}

/// A server with a second, encrypted port.
fn server() -> (RedisServer, u16) {
    let port = free_port();
    let server = RedisServer::with(
        Listen::Socket,
        &[
            ["--tls-port", &port.to_string()],
            ["--tls-cert-file", &file("server.pem")],
            ["--tls-key-file", &file("server.key")],
            ["--tls-ca-cert-file", &file("ca.pem")],
            ["--tls-auth-clients", "no"],
        ]
        .concat(),
    );
    (server, port)
}

fn onward(dir: &Path, trusted: &str, port: u16, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onward"))
        .current_dir(dir)
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .args(["--redis", &format!("rediss://localhost:{port}")])
        .args(["--storage", &format!("file://{}/store", dir.display())])
        .args(words)
        .output()
        .unwrap()
}

#[test]
fn a_connection_is_encrypted_and_its_server_must_be_who_it_says() {
    let (_server, port) = server();
    let dir = TempDir::new().unwrap();
    let trusted = file("ca.pem");
    let told = onward(dir.path(), &trusted, port, &["repo", "create", "lake"]);
    assert!(told.status.success(), "{told:?}");
    let words = ["commit", "lake/main", "-m", "encrypted", "--allow-empty"];
    let told = onward(dir.path(), &trusted, port, &words);
    assert!(told.status.success(), "{told:?}");
    // The certificate of somebody else's authority.
    let told = onward(dir.path(), "/dev/null", port, &["repo", "list"]);
    assert_eq!(told.status.code(), Some(5), "{told:?}");
}
