//! Lists of any length, a page of them at a time.

use maud::{Markup, html};
use onward::internals::repo::NamesRequest;
use serde::Deserialize;

use super::links::Link;

/// Rows of a page.
pub const ROWS: usize = 100;

/// Which page of a list of names, as links and the form above the list say it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamesQuery {
    /// Only names behind this one.
    pub after: String,
    /// Only names that begin with this.
    pub prefix: String,
}

impl NamesQuery {
    /// What to ask the library for.
    pub fn request(&self) -> NamesRequest {
        NamesRequest { prefix: self.prefix.clone(), after: self.after.clone(), amount: ROWS }
    }

    /// Links to the first page and to the next one, which begins behind `last` if there is one. `list` is
    /// the list without a place in it.
    pub fn further(&self, list: Link, last: Option<&str>) -> Markup {
        let list = match self.prefix.is_empty() {
            true => list,
            false => list.with("prefix", &self.prefix),
        };
        further(&list, !self.after.is_empty(), last.map(|last| list.clone().with("after", last)))
    }

    /// The form that asks for names with a beginning.
    pub fn filter(&self, list: &Link, label: &str) -> Markup {
        html! {
            form.filter method="get" action=(list) role="search" {
                label for="prefix" { (label) }
                input #prefix type="search" name="prefix" value=(self.prefix) autocomplete="off" spellcheck="false";
                button { "Show" }
            }
        }
    }
}

/// Links to the first page of a list, where this is not it, and to the next one, where there is one.
pub fn further(first: &Link, is_further: bool, next: Option<Link>) -> Markup {
    html! {
        @if is_further || next.is_some() {
            nav.pages aria-label="Pages" {
                @if is_further { a href=(first) { "First page" } }
                @if let Some(next) = next { a href=(next) rel="next" { "Next page" } }
            }
        }
    }
}
