//! Connections: many idle ones, the end of the sidecar, other transports.

use std::io::ErrorKind;
use std::time::Duration;

use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::{LAKE, MAIN};
use crate::support::lake::Deployment;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

/// Idle connections; each is two file descriptors of this process.
const IDLE: usize = 400;

async fn metric(sidecar: &Sidecar, line: &str) -> Option<f64> {
    let (_, text) = told(sidecar.plain("GET", "/metrics")).await;
    let line = text.as_str().unwrap().lines().find_map(|l| l.strip_prefix(line))?.trim().parse();
    line.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_in_nobodys_way() {
    let sidecar = Sidecar::start().await;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(sidecar.address()).await.unwrap());
    }
    until_async("all are counted", || async {
        metric(&sidecar, "onward_http_connections ").await.unwrap() >= IDLE as f64
    })
    .await;
    let change = json!({"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}});
    let (status, _) =
        sidecar.send("POST", &format!("{MAIN}/changes"), json!({"changes": [change]})).await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let sidecar =
        Sidecar::with(|config| config.limits.head_timeout = Duration::from_millis(200)).await;
    let mut socket = TcpStream::connect(sidecar.address()).await.unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost").await.unwrap();
    let mut rest = Vec::new();
    // It ends: with an answer that says so, or without.
    socket.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_his_answers_is_let_go() {
    let sidecar =
        Sidecar::with(|config| config.limits.write_timeout = Duration::from_millis(200)).await;
    let socket = TcpStream::connect(sidecar.address()).await.unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    until_async("the connection is closed", || async {
        socket.try_write(ask).is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_under_way_until_it_is_read_or_given_up() {
    let sidecar = Sidecar::with(|config| config.limits.requests_per_key = 1).await;
    let upload = sidecar.request("POST", &format!("{LAKE}/branches/main/objects?path=large"));
    // More than the system keeps for a connection.
    let (status, body) = told(upload.body(vec![7; 40_000_000])).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let (id, secret) = sidecar.key(Role::Read).await;
    let download = || {
        let request = sidecar.plain("GET", &format!("{LAKE}/refs/main/objects?path=large"));
        request.basic_auth(&id, Some(&secret)).send()
    };
    let head = || {
        let request = sidecar.plain("GET", LAKE).basic_auth(&id, Some(&secret));
        async { told(request).await.0 }
    };
    let given_up = download().await.unwrap();
    assert_eq!(given_up.status(), StatusCode::OK);
    assert_eq!(given_up.content_length(), Some(40_000_000));
    assert_eq!(head().await, StatusCode::TOO_MANY_REQUESTS);
    drop(given_up);
    until_async("its place is free", || async { head().await == StatusCode::OK }).await;
    until_async("the next one gets it", || async {
        match download().await.unwrap() {
            response if response.status() == StatusCode::OK => {
                response.bytes().await.unwrap().len() == 40_000_000
            }
            _ => false,
        }
    })
    .await;
    until_async("it is free again", || async { head().await == StatusCode::OK }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_finished_before_the_sidecar_ends() {
    let mut sidecar = Sidecar::start().await;
    // Known before Redis stands still.
    assert_eq!(sidecar.get(&format!("{MAIN}/queue")).await.0, StatusCode::OK);
    sidecar.deployment.redis.pause();
    let change = json!({"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}});
    let request =
        sidecar.request("POST", &format!("{MAIN}/changes")).json(&json!({"changes": [change]}));
    let waiting = tokio::spawn(told(request));
    let idle = TcpStream::connect(sidecar.address()).await.unwrap();
    until_async("the commit is under way", || async {
        metric(&sidecar, "onward_http_in_flight ").await.unwrap() >= 2.0
    })
    .await;
    sidecar.stopper.cancel();
    until_async("nobody new is let in", || async {
        TcpStream::connect(sidecar.address()).await.is_err()
    })
    .await;
    sidecar.deployment.redis.resume();
    let (status, body) = waiting.await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert!((&mut sidecar.serving).await.unwrap(), "it ended in time");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_takes_nothing_back() {
    let sidecar = Sidecar::start().await;
    let before = sidecar.onward.repo("lake").branch("main").show().await.unwrap().done;
    let change = json!({"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}});
    let body = json!({"changes": [change], "op_id": "00000000-0000-4000-8000-000000000007"});
    sidecar.deployment.redis.pause();
    let request = sidecar.request("POST", &format!("{MAIN}/changes")).json(&body);
    let gone = tokio::spawn(told(request));
    until_async("the commit is under way", || async {
        metric(&sidecar, "onward_http_in_flight ").await.unwrap() >= 2.0
    })
    .await;
    gone.abort();
    sidecar.deployment.redis.resume();
    // Whether it was accepted or not, asking again under its id gives the one outcome.
    let (status, again) = sidecar.send("POST", &format!("{MAIN}/changes"), body).await;
    assert_eq!(status, StatusCode::CREATED, "{again}");
    assert_eq!(sidecar.onward.repo("lake").branch("main").show().await.unwrap().done, before + 1);
    until_async("its request is over", || async {
        metric(&sidecar, "onward_http_in_flight ").await.unwrap() == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_what_is_away() {
    let mut sidecar = Sidecar::start().await;
    let ready = async |sidecar: &Sidecar| told(sidecar.plain("GET", "/readyz")).await;
    let pings =
        || sidecar.onward.coordinator().lanes().calls().get("ping").copied().unwrap_or_default();
    let before = pings();
    let all = futures::future::join_all((0..40).map(|_| ready(&sidecar))).await;
    assert!(all.iter().all(|(status, _)| *status == StatusCode::OK), "{all:?}");
    assert!(pings() - before < 20, "who asks meanwhile is told the same");
    sidecar.deployment.redis.stop();
    until_async("it is not ready", || async {
        let (status, body) = ready(&sidecar).await;
        assert_eq!(body["storage"], "ok", "{body}");
        status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(told(sidecar.plain("GET", "/healthz")).await.0, StatusCode::OK);
    sidecar.deployment.redis.start();
    until_async("it is ready again", || async {
        told(sidecar.plain("GET", "/readyz")).await.0 == StatusCode::OK
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("onward.sock");
    let listen = format!("unix://{}", path.display());
    let sidecar = Sidecar::with(|config| config.listen = listen.parse().unwrap()).await;
    assert_eq!(sidecar.url, listen);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut socket = UnixStream::connect(&path).await.unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A second one does not take it away.
    let (deployment, onward) = Deployment::lake().await;
    let mut config = onward_server::ServerConfig::new(listen.parse().unwrap());
    config.admin = Some(("ANOTHER".into(), "a secret that is long enough".into()));
    let error = onward_server::Server::bind(onward, config).await.err().unwrap();
    assert!(error.message().contains("somebody listens"), "{error}");
    drop(deployment);
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn connections_may_be_encrypted() {
    use std::sync::Arc;
    let file = |name: &str| crate::support::root::root().join("tests/fixtures/tls").join(name);
    let tls = onward_server::TlsFiles { cert: file("server.pem"), key: file("server.key") };
    let sidecar = Sidecar::with(|config| config.tls = Some(tls)).await;
    let address = sidecar.url.strip_prefix("https://").unwrap();
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_file(file("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let plain = TcpStream::connect(address).await.unwrap();
    let mut socket = connector.connect("localhost".try_into().unwrap(), plain).await.unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // Whether the end is announced or not.
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    // Who speaks in the clear gets nowhere.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_promised_is_measured() {
    let sidecar = Sidecar::start().await;
    let change = json!({"put": {"path": "a", "address": "mem://x", "checksum": "c", "size": 1}});
    sidecar.send("POST", &format!("{MAIN}/changes"), json!({"changes": [change]})).await;
    let (_, text) = told(sidecar.plain("GET", "/metrics")).await;
    let text = text.as_str().unwrap();
    for name in [
        "onward_commit_seconds_bucket{outcome=\"committed\",le=\"+Inf\"}",
        "onward_commit_rounds_bucket",
        "onward_commits_in_flight",
        "onward_batch_ops_bucket",
        "onward_lost_races_total",
        "onward_helped_total",
        "onward_outcomes_total{kind=\"commit\",outcome=\"committed\"}",
        "onward_bytes_wasted_total",
        "onward_redis_seconds_bucket{script=\"submit\"",
        "onward_objects_seconds_bucket{op=\"create\"",
        "onward_stack_depth_bucket",
        "onward_folds_total",
        "onward_adopted_total",
        "onward_invariant_violations_total 0",
        "onward_failed_rounds_total",
        "onward_http_requests_total{method=\"POST\",route=\"/onward/v1/repositories/{repo}/branches/{branch}/changes\",status=\"201\"}",
        "onward_http_seconds_bucket",
        "onward_http_connections",
        "# HELP onward_logins_failed_total",
        "# HELP onward_ranges_written_total",
        "# HELP onward_ranges_reused_total",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
}
