//! Links to pages: names of any kind go in, and come out again as they were.
//!
//! Names of repositories, branches, tags and commits may be parts of a path. What may be anything, as paths
//! of objects, belongs into the query: a part that is `..` means the folder above to a browser, however it
//! is spelled.

use maud::Render;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is written with `%`: all but letters, digits and the marks that mean nothing anywhere.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The address of a page of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// The page whose path has these parts below `/ui`.
    pub fn to(parts: &[&str]) -> Self {
        let parts = parts.iter().map(|part| format!("/{}", utf8_percent_encode(part, ESCAPED)));
        Self(format!("/ui{}", parts.collect::<String>()))
    }

    /// The same page, asked for with a parameter.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        let sign = if self.0.contains('?') { '&' } else { '?' };
        let (name, value) =
            (utf8_percent_encode(name, ESCAPED), utf8_percent_encode(value, ESCAPED));
        Self(format!("{}{sign}{name}={value}", self.0))
    }

    /// The link as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Render for Link {
    fn render_to(&self, buffer: &mut String) {
        self.0.as_str().render_to(buffer);
    }
}

/// The page of all queues.
pub fn queues() -> Link {
    Link::to(&["queues"])
}

/// The page of all repositories.
pub fn repos() -> Link {
    Link::to(&["repos"])
}

/// The page of a repository.
pub fn repo(repo: &str) -> Link {
    Link::to(&["repos", repo])
}

/// The page of a branch's queue.
pub fn queue(repo: &str, branch: &str) -> Link {
    Link::to(&["repos", repo, "branches", branch, "queue"])
}

/// The stream of what changes on the page of a branch's queue.
pub fn queue_live(repo: &str, branch: &str) -> Link {
    Link::to(&["repos", repo, "branches", branch, "queue", "live"])
}

/// The page that asks whether an op is really to be called off.
pub fn cancel(repo: &str, branch: &str) -> Link {
    Link::to(&["repos", repo, "branches", branch, "queue", "cancel"])
}

/// The page of where events of a repository go.
pub fn sinks(repo: &str) -> Link {
    Link::to(&["repos", repo, "sinks"])
}

/// Where a form is sent that lets a sink of a repository go on.
pub fn revive(repo: &str) -> Link {
    Link::to(&["repos", repo, "sinks", "revive"])
}

/// The page of this sidecar and what it stands on.
pub fn deployment() -> Link {
    Link::to(&["deployment"])
}

/// Where to log in.
pub fn login() -> Link {
    Link::to(&["login"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_go_into_a_link_and_stay_in_their_place() {
        let link =
            Link::to(&["repos", "a/b", "größe", "100%"]).with("path", "../x y&z=#?").with("n", "");
        assert_eq!(
            link.as_str(),
            "/ui/repos/a%2Fb/gr%C3%B6%C3%9Fe/100%25?path=..%2Fx%20y%26z%3D%23%3F&n="
        );
        assert_eq!(maud::html! { a href=(link) {} }.into_string().matches("&amp;").count(), 1);
    }
}
