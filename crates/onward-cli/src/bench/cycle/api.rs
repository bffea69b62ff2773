//! The little of lakeFS's API that a cycle takes.

use std::time::Duration;

use onward::internals::encryption;
use onward::{Error, ErrorKind, Result};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of an answer that are shown where it is a refusal.
const SHOWN_MAX: usize = 300;

/// The branch that everything is merged into.
const MAIN: &str = "main";

/// Who logs in.
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A server, as one who is logged in.
pub struct Api {
    client: Client,
    server: Url,
    keys: Keys,
}

/// A request that did not do what it should.
#[derive(Debug)]
pub struct Refused {
    /// The status of the answer; `None` where none came.
    pub status: Option<u16>,
    /// What else there is to say.
    pub why: String,
}

/// What a server that tells it has asked of Redis and of its storage.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Calls of Redis.
    pub redis: f64,
    /// Requests to the storage.
    pub objects: f64,
}

impl Asked {
    /// What was asked after `before`.
    pub fn since(self, before: Self) -> Self {
        Self { redis: self.redis - before.redis, objects: self.objects - before.objects }
    }
}

enum Body {
    None,
    Json(Value),
    Bytes(Vec<u8>),
}

impl Api {
    /// Of the server at this address.
    pub fn new(server: &str, keys: Keys) -> Result<Self> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format!(
                "'{server}' is not the address of a server ({why}): write http://127.0.0.1:8000 or https://lakefs.example.org"
            ))
        };
        let url = Url::parse(server).map_err(|error| wrong(&error))?;
        if url.cannot_be_a_base() || !url.has_host() {
            return Err(wrong(&"it names no host"));
        }
        encryption::ready();
        let client = Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Error::internal("HTTP requests cannot be made").with_source(error))?;
        Ok(Self { client, server: url, keys })
    }

    /// Makes a repository.
    pub async fn create_repository(&self, repo: &str, lies_at: &str) -> Result<()> {
        let wanted = json!({"name": repo, "storage_namespace": lies_at, "default_branch": MAIN});
        let made = self.call(Method::POST, &["repositories"], None, Body::Json(wanted)).await;
        made.map(drop).map_err(|refused| refused.during("a repository cannot be made"))
    }

    /// Removes one.
    pub async fn delete_repository(&self, repo: &str) -> Result<()> {
        let gone = self.call(Method::DELETE, &["repositories", repo], None, Body::None).await;
        gone.map(drop).map_err(|refused| {
            refused.during(&format!("repository '{repo}' stays, because it cannot be removed"))
        })
    }

    /// Fails where the branch that everything is merged into is not there.
    pub async fn require_branch(&self, repo: &str) -> Result<()> {
        let path = ["repositories", repo, "branches", MAIN];
        let found = self.call(Method::GET, &path, None, Body::None).await;
        found.map(drop).map_err(|refused| {
            refused.during(&format!("branch '{MAIN}' of repository '{repo}' cannot be read"))
        })
    }

    /// Makes a branch of main.
    pub async fn branch(&self, repo: &str, branch: &str) -> Result<(), Refused> {
        let wanted = json!({"name": branch, "source": MAIN});
        let path = ["repositories", repo, "branches"];
        self.call(Method::POST, &path, None, Body::Json(wanted)).await.map(drop)
    }

    /// Uploads an object.
    pub async fn upload(
        &self,
        repo: &str,
        branch: &str,
        object: &str,
        bytes: Vec<u8>,
    ) -> Result<(), Refused> {
        let path = ["repositories", repo, "branches", branch, "objects"];
        self.call(Method::POST, &path, Some(("path", object)), Body::Bytes(bytes)).await.map(drop)
    }

    /// Commits what is staged.
    pub async fn commit(&self, repo: &str, branch: &str) -> Result<(), Refused> {
        let path = ["repositories", repo, "branches", branch, "commits"];
        let wanted = json!({"message": "bench"});
        self.call(Method::POST, &path, None, Body::Json(wanted)).await.map(drop)
    }

    /// Merges a branch into main.
    pub async fn merge(&self, repo: &str, branch: &str) -> Result<(), Refused> {
        let path = ["repositories", repo, "refs", branch, "merge", MAIN];
        self.call(Method::POST, &path, None, Body::Json(json!({}))).await.map(drop)
    }

    /// What Onward's sidecar counts, and what counting asks for itself; `None` of others.
    pub async fn asked(&self) -> Option<(Asked, Asked)> {
        let first = self.scraped().await?;
        let second = self.scraped().await?;
        Some((second, second.since(first)))
    }

    async fn scraped(&self) -> Option<Asked> {
        let mut url = self.server.clone();
        url.set_path("/metrics");
        let text = self.client.get(url).send().await.ok()?.text().await.ok()?;
        Some(Asked {
            redis: sum_of(&text, "onward_redis_seconds_count")?,
            objects: sum_of(&text, "onward_objects_seconds_count")?,
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: Option<(&str, &str)>,
        body: Body,
    ) -> Result<String, Refused> {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let request = self.client.request(method, url);
        let request = request.basic_auth(&self.keys.id, Some(&self.keys.secret));
        let typed = |request: reqwest::RequestBuilder, of: &str| request.header("content-type", of);
        let request = match body {
            Body::None => request,
            Body::Json(value) => typed(request, "application/json").body(value.to_string()),
            Body::Bytes(bytes) => typed(request, "application/octet-stream").body(bytes),
        };
        let answer = request.send().await.map_err(|error| Refused::unanswered(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| Refused::unanswered(&error))?;
        match status.is_success() {
            true => Ok(text),
            false => Err(Refused {
                status: Some(status.as_u16()),
                why: text.chars().take(SHOWN_MAX).collect(),
            }),
        }
    }
}

impl Refused {
    fn unanswered(error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let why: Vec<String> = causes.map(ToString::to_string).collect();
        Self { status: None, why: why.join(": ") }
    }

    /// An error that ends the measurement.
    fn during(self, what: &str) -> Error {
        let Self { status, why } = self;
        match status {
            None => Error::unavailable(format!("{what}: the server does not answer: {why}")),
            Some(401 | 403) => Error::new(
                ErrorKind::Forbidden,
                format!("{what}: the server does not let this access key do it ({why})"),
            ),
            Some(404) => Error::not_found(format!("{what}: the server does not know it ({why})")),
            Some(status) => Error::invalid(format!("{what}: the server says {status}: {why}")),
        }
    }
}

/// The sum of a series over its labels.
fn sum_of(metrics: &str, name: &str) -> Option<f64> {
    let of_it = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let values = of_it.filter(|rest| rest.starts_with(['{', ' ']));
    let numbers: Vec<f64> =
        values.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_summed_over_its_labels_and_not_with_its_neighbours() {
        let metrics = "# HELP a_count x\na_count{op=\"x y\"} 2\na_count{op=\"z\"} 3\na_counted 9\n";
        assert_eq!(sum_of(metrics, "a_count"), Some(5.0));
        assert_eq!(sum_of(metrics, "b_count"), None);
    }
}
