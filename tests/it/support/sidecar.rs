//! A sidecar inside the test process, over a deployment of its own, and requests to it.

use onward::Onward;
use onward_server::auth::{Keys, Role};
use onward_server::{Listen, Server, ServerConfig};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lake::Deployment;

/// The administrator's key of every sidecar here.
pub const ADMIN: (&str, &str) = ("ADMINISTRATOR", "a secret of tests, long enough");

pub struct Sidecar {
    pub deployment: Deployment,
    pub onward: Onward,
    pub url: String,
    /// That of the S3 gateway, where there is one.
    pub s3_url: Option<String>,
    pub keys: Keys,
    pub stopper: CancellationToken,
    pub serving: JoinHandle<bool>,
    client: reqwest::Client,
}

impl Sidecar {
    /// Over a deployment with a repository `lake` and its branch `main`.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with settings of its own.
    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let (deployment, onward) = Deployment::lake().await;
        Self::over(deployment, onward, change).await
    }

    pub async fn over(
        deployment: Deployment,
        onward: Onward,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig::new("127.0.0.1:0".parse::<Listen>().unwrap());
        config.admin = Some((ADMIN.0.to_owned(), ADMIN.1.to_owned()));
        change(&mut config);
        let server = Server::bind(onward.clone(), config).await.unwrap();
        let (url, s3_url, stopper) = (server.url(), server.s3_url(), server.stopper());
        let keys = Keys::new(deployment.objects.clone());
        let serving = tokio::spawn(server.serve());
        onward::internals::encryption::ready();
        let client = reqwest::Client::new();
        Self { deployment, onward, url, s3_url, keys, stopper, serving, client }
    }

    /// A new key with this role.
    pub async fn key(&self, role: Role) -> (String, String) {
        let new = self.keys.create(role, "somebody", None).await.unwrap();
        (new.key.id, new.secret)
    }

    /// A request without credentials.
    pub fn plain(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request of the administrator.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.plain(method, path).basic_auth(ADMIN.0, Some(ADMIN.1))
    }

    /// The status and body of a request with a JSON body.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        told(self.request(method, path).json(&body)).await
    }

    /// The status and body of a request without one.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        told(self.request("GET", path)).await
    }

    /// Where the sidecar listens, for who speaks over a socket himself.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Status and body of an answer; a body that is no JSON as text.
pub async fn told(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
