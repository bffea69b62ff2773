//! Which repository a page is of, and what all of its pages begin with.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use maud::{Markup, html};

use onward::internals::repo::{Branch, Repository};
use onward::{BranchName, RefExpr, RepoName};

use super::links::Links;
use crate::error::{ApiError, ApiResult};
use crate::extract::Path;
use crate::page::layout::{Page, Section};
use crate::page::links::{self, Link};
use crate::page::visitor::Visitor;
use crate::state::AppState;

/// The ways between the pages of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The branches, with their heads.
    Branches,
    /// The names of commits that stay.
    Tags,
    /// The commits of a ref.
    History,
    /// What paths name at a ref.
    Objects,
    /// What differs between two refs.
    Compare,
    /// What may not be done to branches.
    Rules,
    /// Something that is begun from one of these.
    None,
}

/// The repository that the path of a page names, and who looks at it.
pub struct At {
    /// The name that the path has.
    pub name: RepoName,
    /// What the library has of that name.
    pub repo: Repository,
    /// Who looks at the page.
    pub visitor: Visitor,
    /// What the sidecar has.
    pub app: AppState,
}

impl FromRequestParts<AppState> for At {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let Path(name) = Path::<String>::from_request_parts(parts, app).await?;
        let name = RepoName::new(name)?;
        let repo = app.onward.repo(name.as_str());
        Ok(Self { name, repo, visitor, app: app.clone() })
    }
}

impl At {
    /// The links to its pages.
    pub fn links(&self) -> Links<'_> {
        Links::of(&self.name)
    }

    /// A branch of it.
    pub fn branch(&self, name: &BranchName) -> Branch {
        self.repo.branch(name.as_str())
    }

    /// The ref that a text stands for, or the default branch for none.
    pub async fn reference(&self, text: &str) -> ApiResult<RefExpr> {
        match text {
            "" => Ok(RefExpr::plain(self.repo.show().await?.default_branch.as_str())),
            text => Ok(text.parse()?),
        }
    }

    /// A page of it.
    pub fn page(&self, title: impl Into<String>, tab: Tab, body: Markup) -> Page {
        let body = html! { (self.tabs(tab)) (body) };
        let page =
            Page::new(title, Section::Repositories, body).below("Repositories", links::repos());
        match tab {
            Tab::Branches => page,
            _ => page.below(self.name.as_str(), self.links().branches()),
        }
    }

    /// A page of it, shown.
    pub fn show(&self, title: impl Into<String>, tab: Tab, body: Markup) -> Response {
        self.page(title, tab, body).show(&self.visitor)
    }

    fn tabs(&self, tab: Tab) -> Markup {
        let links = self.links();
        let ways: [(Tab, &str, Link); 6] = [
            (Tab::Branches, "Branches", links.branches()),
            (Tab::Tags, "Tags", links.tags()),
            (Tab::History, "History", links.history("")),
            (Tab::Objects, "Objects", links.objects("", "")),
            (Tab::Compare, "Compare", links.compare("", "")),
            (Tab::Rules, "Protection", links.rules()),
        ];
        html! {
            nav.tabs aria-label={ "Repository " (self.name) } {
                ul {
                    @for (of, word, link) in ways {
                        li { a href=(link) aria-current=[(of == tab).then_some("true")] { (word) } }
                    }
                }
            }
        }
    }
}
