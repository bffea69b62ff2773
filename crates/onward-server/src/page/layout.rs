//! What all pages have in common: the head, the ways to the others, the foot.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, Render, html};

use super::assets;
use super::links::{self, Link};
use super::visitor::Visitor;

/// Which of the ways at the top a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What waits to be decided.
    Queues,
    /// What there is in the lake.
    Repositories,
    /// What it stands on.
    Deployment,
    /// None of them: the login, an error.
    None,
}

/// A page, ready to be shown.
pub struct Page {
    title: String,
    section: Section,
    /// The pages above it, the outermost first.
    above: Vec<(String, Link)>,
    body: Markup,
}

impl Page {
    /// A page of a section, with a title that says what it shows. `body` begins below the title.
    pub fn new(title: impl Into<String>, section: Section, body: Markup) -> Self {
        Self { title: title.into(), section, above: Vec::new(), body }
    }

    /// A page that needs no login.
    pub fn without_login(title: impl Into<String>, body: Markup) -> Self {
        Self::new(title, Section::None, body)
    }

    /// The same page, with the way to one that it is below of: the outermost is named first.
    #[must_use]
    pub fn below(mut self, name: impl Into<String>, link: Link) -> Self {
        self.above.push((name.into(), link));
        self
    }

    /// The answer with this page.
    pub fn show(self, visitor: &Visitor) -> Response {
        self.answer(StatusCode::OK, Some(visitor))
    }

    /// The answer with this page and another status, for somebody or for nobody known.
    pub fn answer(self, status: StatusCode, visitor: Option<&Visitor>) -> Response {
        (status, Html(self.markup(visitor).into_string())).into_response()
    }

    fn markup(&self, visitor: Option<&Visitor>) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Onward" }
                    link rel="icon" type="image/svg+xml" href=(assets::ICON.link());
                    link rel="stylesheet" href=(assets::STYLE.link());
                    script src=(assets::SCRIPT.link()) defer {}
                }
                body {
                    a.skip href="#content" { "Skip to content" }
                    header.top { (self.ways(visitor)) }
                    @if !self.above.is_empty() {
                        nav.trail aria-label="Breadcrumb" {
                            ol {
                                @for (name, link) in &self.above { li { a href=(link) { (name) } } }
                                li aria-current="page" { (self.title) }
                            }
                        }
                    }
                    main #content tabindex="-1" {
                        h1 { (self.title) }
                        (self.body)
                    }
                    footer {
                        p {
                            "Onward " (env!("CARGO_PKG_VERSION")) " · "
                            a href="/docs" { "API" } " · " a href="/metrics" { "Metrics" }
                        }
                    }
                }
            }
        }
    }

    fn ways(&self, visitor: Option<&Visitor>) -> Markup {
        let way = |section: Section, link: Link, name: &str| {
            html! { li { a href=(link) aria-current=[(self.section == section).then_some("true")] { (name) } } }
        };
        html! {
            a.brand href=(Link::to(&[])) { "Onward" }
            @if let Some(visitor) = visitor {
                nav aria-label="Main" {
                    ul {
                        (way(Section::Queues, links::queues(), "Queues"))
                        (way(Section::Repositories, links::repos(), "Repositories"))
                        (way(Section::Deployment, links::deployment(), "Deployment"))
                    }
                }
                form.who method="post" action=(Link::to(&["logout"])) {
                    (visitor.token())
                    span { (visitor.caller.key.name) " (" (visitor.caller.key.role) ")" }
                    button { "Log out" }
                }
            }
        }
    }
}

/// The first row of a table: what each column has.
pub fn head<T: Render>(columns: impl IntoIterator<Item = T>) -> Markup {
    html! { thead { tr { @for column in columns { th scope="col" { (column) } } } } }
}

/// A table that scrolls by itself where it is wider than the page: so the page never does.
pub fn table(label: &str, content: Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table { (content) }
        }
    }
}
