//! Clients without credentials for S3: who is given which, and who is not.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use onward::Onward;
use onward::internals::objects::Objects;
use onward_server::auth::Role;
use onward_server::{IcebergAccess, Server, ServerConfig, VendedKey, VendedRole};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{MAIN, at, new_table, refused, send_with};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::s3::S3Server;
use crate::support::sidecar::{Sidecar, told};

const DELEGATION: &str = "X-Iceberg-Access-Delegation";

/// A sidecar whose tables lie in S3, with a table `a.t`.
struct InS3 {
    _s3: S3Server,
    sidecar: Sidecar,
}

impl InS3 {
    async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let s3 = S3Server::start().await;
        let objects = Objects::open_with(&s3.url(), &s3.options()).unwrap();
        let deployment = Deployment { redis: RedisServer::new(), objects };
        let onward: Onward = deployment.connect().await;
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        let sidecar = Sidecar::over(deployment, onward, change).await;
        let spaces = format!("{MAIN}/namespaces");
        sidecar.send("POST", &spaces, json!({"namespace": ["a"]})).await;
        let made = sidecar.send("POST", &format!("{spaces}/a/tables"), new_table("t")).await;
        assert_eq!(made.0, StatusCode::OK, "{made:?}");
        Self { _s3: s3, sidecar }
    }

    /// What a client is told with the table that asks so.
    async fn loaded(&self, how: &str, key: Option<&(String, String)>) -> (Value, String) {
        let request = match key {
            Some((id, secret)) => self.sidecar.plain("GET", &at("t")).basic_auth(id, Some(secret)),
            None => self.sidecar.request("GET", &at("t")),
        };
        let answer = request.header(DELEGATION, how).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let e_tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (answer.json().await.unwrap(), e_tag)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_a_way_that_he_does_not_take() {
    let lake = InS3::with(standing).await;
    for (how, given) in [
        ("vended-credentials", true),
        ("remote-signing, vended-credentials", true),
        ("remote-signing", false),
        ("something-new", false),
    ] {
        let (loaded, _) = lake.loaded(how, None).await;
        assert_eq!(loaded["config"] != json!({}), given, "{how}: {}", loaded["config"]);
        assert_eq!(loaded.get("storage-credentials").is_some(), given, "{how}");
    }
    let (status, plain) = lake.sidecar.get(&at("t")).await;
    assert_eq!((status, &plain["config"]), (StatusCode::OK, &json!({})));
    let (told, _) = lake.loaded("vended-credentials", None).await;
    assert_eq!(told["config"]["s3.delete-enabled"], "false");
    assert_eq!(told["config"]["client.region"], "us-east-1");
    assert_eq!(told["config"]["s3.path-style-access"], "true");
    // One that is being made, too: its files come before its commit.
    let mut staged = new_table("staged");
    staged["stage-create"] = true.into();
    let url = format!("{MAIN}/namespaces/a/tables");
    let header = (DELEGATION, "vended-credentials");
    let (_, staged) = send_with(&lake.sidecar, &url, header, &staged).await;
    assert_eq!(staged["config"]["s3.access-key-id"], "WRITERS");
    assert_eq!(staged["metadata-location"], json!(null));
    let offered = |told: &Value| {
        let mut endpoints = told["endpoints"].as_array().unwrap().iter();
        endpoints.any(|one| one.as_str().unwrap().ends_with("/credentials"))
    };
    let (_, config) = lake.sidecar.get("/iceberg/v1/config?warehouse=lake").await;
    assert!(offered(&config), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_unless_the_operator_says_so() {
    for lake in [InS3::with(|_| {}).await.sidecar, super::catalog().await] {
        let (status, _) =
            lake.send("POST", &format!("{MAIN}/namespaces/a/tables"), new_table("u")).await;
        assert_eq!(status, StatusCode::OK);
        let request = lake.request("GET", &at("u")).header(DELEGATION, "vended-credentials");
        let (_, loaded) = told(request).await;
        assert_eq!(loaded["config"], json!({}));
        assert_eq!(loaded.get("storage-credentials"), None);
        let (_, config) = lake.get("/iceberg/v1/config?warehouse=lake").await;
        assert!(!config.to_string().contains("/credentials"), "{config}");
        let none = lake.get(&format!("{}/credentials", at("u"))).await;
        refused(&none, 406, "UnsupportedOperationException");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_contradict_each_other_or_the_storage_are_refused() {
    let (deployment, onward) = Deployment::lake().await;
    let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap());
    standing(&mut config);
    let refused = Server::bind(onward, config).await.err().unwrap();
    assert!(refused.to_string().contains("the tables lie in memory://"), "{refused}");
    drop(deployment);
}

fn standing(config: &mut ServerConfig) {
    let key = |id: &str| Some(VendedKey { id: id.to_owned(), secret: format!("secret of {id}") });
    let (write_key, read_key) = (key("WRITERS"), key("READERS"));
    config.iceberg_access = IcebergAccess { write_key, read_key, ..IcebergAccess::default() };
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_stand_go_to_whose_role_they_are_for_and_are_kept_by_nobody() {
    let lake = InS3::with(standing).await;
    let reader = lake.sidecar.key(Role::Read).await;
    let (writes, of_writer) = lake.loaded("vended-credentials", None).await;
    let (reads, of_reader) = lake.loaded("vended-credentials", Some(&reader)).await;
    for (told, id) in [(&writes, "WRITERS"), (&reads, "READERS")] {
        let [given] = told["storage-credentials"].as_array().unwrap().as_slice() else {
            panic!("{told}")
        };
        let location = told["metadata"]["location"].as_str().unwrap();
        assert_eq!(given["prefix"], format!("{location}/"));
        assert_eq!(given["config"]["s3.access-key-id"], id);
        assert_eq!(told["config"]["s3.secret-access-key"], format!("secret of {id}"));
    }
    // What one has is not what the other would be told.
    assert_ne!(of_writer, of_reader);
    let (_, plain) = lake.loaded("", None).await;
    assert_ne!(of_writer, plain);
    let load = |e_tag: &str| {
        let request = lake.sidecar.request("GET", &at("t")).header("If-None-Match", e_tag);
        request.header(DELEGATION, "vended-credentials").send()
    };
    assert_eq!(load(&of_writer).await.unwrap().status(), StatusCode::NOT_MODIFIED);
    for of_another in [&of_reader, &plain] {
        let answer = load(of_another).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let given = lake.sidecar.get(&format!("{}/credentials", at("t"))).await;
    assert_eq!(given.1["storage-credentials"], writes["storage-credentials"]);
    refused(
        &lake.sidecar.get(&format!("{}/credentials", at("absent"))).await,
        404,
        "NoSuchTableException",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_told_what_its_sender_may_have() {
    let lake = InS3::with(standing).await;
    let url = format!("{MAIN}/namespaces/a/tables");
    let create = |stage: bool, how: &'static str| {
        let mut body = new_table("once");
        body["stage-create"] = stage.into();
        let request = lake.sidecar.request("POST", &url).json(&body).header(DELEGATION, how);
        told(request.header(
            "Idempotency-Key",
            format!("0198c1d2-0000-7000-8000-00000000000{}", u8::from(stage)),
        ))
    };
    for stage in [true, false] {
        let (status, first) = create(stage, "vended-credentials").await;
        assert_eq!(status, StatusCode::OK, "{first}");
        assert_eq!(first["config"]["s3.access-key-id"], "WRITERS");
        // With what is asked for by then, and with the same outcome.
        let (status, second) = create(stage, "remote-signing").await;
        assert_eq!(status, StatusCode::OK, "{second}");
        assert_eq!(second["config"], json!({}), "{stage}");
        assert_eq!(second.get("storage-credentials"), None, "{stage}");
    }
}

/// Answers as Amazon's STS does: with a session, unless it finds the policy too large.
#[derive(Clone, Default)]
struct Sts {
    asked: Arc<AtomicUsize>,
}

impl Sts {
    /// Starts one that finds every policy too large that has one of these in it. Returns its address.
    async fn start(&self, large: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let sts = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sts = sts.clone();
                let answer = service_fn(move |request| sts.clone().answer(request, large));
                let served = hyper::server::conn::http1::Builder::new();
                tokio::spawn(served.serve_connection(TokioIo::new(stream), answer));
            }
        });
        at
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        large: &[&str],
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut asked = url::form_urlencoded::parse(&body);
        let (_, policy) = asked.find(|(name, _)| name == "Policy").unwrap();
        let (status, told) = match large.iter().any(|one| policy.contains(one)) {
            true => (400, TOO_LARGE),
            false => (200, SESSION),
        };
        let answer = Response::builder().status(status);
        Ok(answer.body(Full::from(told)).unwrap())
    }
}

const TOO_LARGE: &str = "<ErrorResponse><Error><Code>PackedPolicyTooLarge</Code><Message>of arn:aws:iam::1:role/t</Message></Error></ErrorResponse>";
const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>SESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_sts_refuses_is_one_tables_trouble_alone() {
    let sts = Sts::default();
    let endpoint = sts.start(&["/large/", "/other/"]).await;
    let lake = InS3::with(|config| {
        let lifetime = Duration::from_secs(3600);
        let role = Some(VendedRole { arn: "arn:aws:iam::1:role/t".to_owned(), lifetime });
        config.iceberg_access =
            IcebergAccess { role, sts_endpoint: Some(endpoint), ..IcebergAccess::default() };
    })
    .await;
    let (_, table) = lake.sidecar.get(&at("t")).await;
    let location = table["metadata"]["location"].as_str().unwrap();
    let (folder, _) = location.rsplit_once('/').unwrap();
    let url = format!("{MAIN}/namespaces/a/tables");
    // One whose own folder is refused, and one that names such a folder beside its own.
    for (name, location, data) in [
        ("refused", format!("{folder}/large/x"), format!("{folder}/large/x/data")),
        ("partly", format!("{folder}/partly"), format!("{folder}/other/x")),
        ("unsaid", format!("{folder}/unsaid"), format!("{folder}/\u{3a9}")),
    ] {
        let mut body = new_table(name);
        body["location"] = location.into();
        body["properties"] = json!({"write.data.path": data});
        assert_eq!(lake.sidecar.send("POST", &url, body).await.0, StatusCode::OK, "{name}");
    }
    let load = |name: &str| {
        told(lake.sidecar.request("GET", &at(name)).header(DELEGATION, "vended-credentials"))
    };
    for _ in 0..2 {
        let none = load("refused").await;
        refused(&none, 503, "ServiceUnavailableException");
        assert!(!none.1.to_string().contains("arn:"), "names of the operator's: {}", none.1);
    }
    assert_eq!(sts.asked.load(Ordering::Relaxed), 1, "it is told again without asking");
    for (name, asked) in [("t", 1), ("partly", 2), ("unsaid", 1)] {
        let before = sts.asked.load(Ordering::Relaxed);
        let (status, given) = load(name).await;
        assert_eq!(status, StatusCode::OK, "{name}: {given}");
        assert_eq!(given["config"]["s3.access-key-id"], "SESSION", "{name}: {given}");
        assert_eq!(sts.asked.load(Ordering::Relaxed) - before, asked, "{name}");
    }
}
