//! A visit to the pages, without scripts: it follows links and sends forms with what they have in them.

use onward_server::auth::Role;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};

use crate::page::browser::Browser;
use crate::support::sidecar::Sidecar;

/// Somebody who has logged in.
pub struct Visit(Browser);

/// What a page was answered with.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Visit {
    /// The administrator's.
    pub async fn of(sidecar: &Sidecar) -> Self {
        Self(Browser::of_admin(sidecar).await)
    }

    /// That of somebody with this role.
    pub async fn with_role(sidecar: &Sidecar, role: Role) -> Self {
        Self(Browser::with_role(sidecar, role).await)
    }

    /// A page.
    pub async fn get(&self, link: &str) -> Page {
        Page::of(self.0.request("GET", link).send().await.unwrap()).await
    }

    /// A page that is there.
    pub async fn page(&self, link: &str) -> Page {
        let page = self.get(link).await;
        assert_eq!(page.status, StatusCode::OK, "{link}: {}", page.text);
        page
    }

    /// The bytes behind a link.
    pub async fn bytes(&self, link: &str) -> Vec<u8> {
        self.0.request("GET", link).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// The answer to a form with these fields and no others.
    pub async fn post(&self, action: &str, fields: &[(&str, &str)]) -> Page {
        Page::of(self.0.form(action, fields).send().await.unwrap()).await
    }

    /// The answer to the form of a page that goes to `action`, with what it hides, and these fields.
    pub async fn send(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let hidden = page.hidden(action);
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = hidden.chain(fields.iter().copied()).collect();
        self.post(action, &all).await
    }
}

impl Page {
    async fn of(answer: Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        Self { status, headers, text: answer.text().await.unwrap() }
    }

    /// Where its answer leads.
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers[LOCATION].to_str().unwrap()
    }

    /// Every link of it.
    pub fn links(&self) -> Vec<String> {
        self.values("href=\"")
    }

    /// The link with this text, whatever is around it.
    pub fn link(&self, text: &str) -> Option<String> {
        let at = self.text.find(&format!(">{text}</a>"))?;
        let before = &self.text[..at];
        let begin = before.rfind("href=\"")? + 6;
        Some(plain(before[begin..].split('"').next()?))
    }

    fn values(&self, before: &str) -> Vec<String> {
        let found = self.text.split(before).skip(1);
        found.map(|rest| plain(rest.split('"').next().unwrap())).collect()
    }

    /// What the form that goes to `action` hides.
    pub fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let form = self
            .text
            .split("<form")
            .skip(1)
            .map(|form| form.split("</form>").next().unwrap())
            .find(|form| {
                form.contains("method=\"post\"") && form.contains(&format!("action=\"{action}\""))
            })
            .unwrap_or_else(|| panic!("no form to {action}: {}", self.text));
        let inputs = form.split("<input type=\"hidden\"").skip(1).map(|input| {
            let tag = input.split('>').next().unwrap();
            let value = |name: &str| {
                let value = tag.split(&format!("{name}=\"")).nth(1).unwrap();
                plain(value.split('"').next().unwrap())
            };
            (value("name"), value("value"))
        });
        inputs.collect()
    }
}

/// A text as markup has it, as it was.
fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}
