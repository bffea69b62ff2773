//! What a browser does, over HTTP: keeps a cookie, follows nothing by itself, says where a form is from.

use onward_server::auth::Role;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use crate::support::sidecar::{ADMIN, Sidecar};

/// What a browser accepts of a page.
const PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Somebody with a browser.
pub struct Browser {
    url: String,
    client: Client,
    /// The cookie of its session, as `NAME=VALUE`.
    pub cookie: String,
}

impl Browser {
    /// One that nobody has logged in with.
    pub fn new(sidecar: &Sidecar) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { url: sidecar.url.clone(), client, cookie: String::new() }
    }

    /// The same browser, at the address of another sidecar.
    pub fn at(&self, url: String) -> Self {
        Self { url, client: self.client.clone(), cookie: self.cookie.clone() }
    }

    /// One that somebody has logged in with.
    pub async fn of(sidecar: &Sidecar, (id, secret): (&str, &str)) -> Self {
        let mut browser = Self::new(sidecar);
        let answer = browser.log_in(id, secret).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        browser.take_cookie(&answer);
        browser
    }

    /// One that the administrator has logged in with.
    pub async fn of_admin(sidecar: &Sidecar) -> Self {
        Self::of(sidecar, ADMIN).await
    }

    /// One that somebody with a new key of this role has logged in with.
    pub async fn with_role(sidecar: &Sidecar, role: Role) -> Self {
        let (id, secret) = sidecar.key(role).await;
        Self::of(sidecar, (&id, &secret)).await
    }

    /// A request as a browser makes one.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        let request = self.client.request(method.parse().unwrap(), url).header("Accept", PAGES);
        match self.cookie.is_empty() {
            true => request,
            false => request.header("Cookie", &self.cookie),
        }
    }

    /// A page.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.request("GET", path).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// A form that is sent from a page of the sidecar, as it is.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.request("POST", path)
            .header("Origin", &self.url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// A form of this session, with what its page puts into it.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token().await;
        let fields = [&[("token", token.as_str())], fields].concat();
        self.form(path, &fields).send().await.unwrap()
    }

    /// What the forms of this session have in them.
    pub async fn token(&self) -> String {
        let (_, page) = self.get("/ui/queues").await;
        let (_, behind) = page.split_once("name=\"token\" value=\"").unwrap();
        behind.split('"').next().unwrap().to_owned()
    }

    /// The answer to a login.
    pub async fn log_in(&self, id: &str, secret: &str) -> Response {
        let fields = [("access_key_id", id), ("secret_access_key", secret), ("next", "")];
        self.form("/ui/login", &fields).send().await.unwrap()
    }

    /// Keeps the cookie that an answer gives.
    pub fn take_cookie(&mut self, answer: &Response) {
        let set = answer.headers()["set-cookie"].to_str().unwrap();
        self.cookie = set.split(';').next().unwrap().to_owned();
    }
}

/// A value of a form.
fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
