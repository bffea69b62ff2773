//! One object: what is known of it, and what it looks like.

use axum::response::Response;
use futures::TryStreamExt;
use maud::{Markup, html};
use serde::Deserialize;

use onward::{Entry, ObjectPath, RefExpr};

use super::at::{At, Tab};
use super::folders::Folder;
use super::preview::{self, Preview, READ_LEN};
use super::words::{name, size};
use crate::content::open;
use crate::error::ApiResult;
use crate::extract::Query;
use crate::page::layout::table;
use crate::page::links::Link;
use crate::page::words::moment;

/// Which object is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectQuery {
    #[serde(rename = "ref", default)]
    reference: String,
    path: String,
}

impl ObjectQuery {
    /// One at a ref, or on the default branch for none.
    pub fn new(reference: String, path: String) -> Self {
        Self { reference, path }
    }

    /// The object that is asked for.
    pub async fn find(&self, at: &At) -> ApiResult<(RefExpr, ObjectPath, Entry)> {
        let (reference, path) =
            (at.reference(&self.reference).await?, ObjectPath::new(self.path.as_str())?);
        let entry = at.repo.stat(&reference, &path).await?;
        Ok((reference, path, entry))
    }
}

/// An object with its facts and a preview. Costs a lookup and [`READ_LEN`] bytes.
pub async fn show(at: At, Query(query): Query<ObjectQuery>) -> ApiResult<Response> {
    let (reference, path, entry) = query.find(&at).await?;
    let reference = reference.to_string();
    let links = at.links();
    let folder = Folder { top: links.objects(&reference, ""), prefix: path.as_str(), after: "" };
    let bytes = links.bytes(&reference, path.as_str());
    let head = head(&at, &entry, READ_LEN).await;
    let body = html! {
        (folder.trail())
        dl.facts {
            dt { "Ref" } dd { a href=(folder.top) { (name(&reference)) } }
            dt { "Size" } dd { (size(entry.size)) }
            dt { "Modified" } dd { (moment(entry.mtime.saturating_mul(1000))) }
            dt { "Checksum" } dd { code { (entry.checksum) } }
            dt { "Type" } dd { (name(entry.content_type.as_deref().unwrap_or("not said"))) }
            dt { "Lies at" } dd { code { (name(&entry.address)) } }
        }
        @if !entry.metadata.is_empty() {
            h2 { "Metadata" }
            (table("Metadata", html! {
                thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } } }
                tbody { @for (key, value) in &entry.metadata { tr { th scope="row" { (name(key)) } td { (name(value)) } } } }
            }))
        }
        h2 { "Preview" }
        @match &head {
            // Bytes that cannot be read are no reason to show nothing else.
            Err(why) => p.notice { (why.message()) },
            Ok(head) => {
                (shown(&path, &entry, head, &bytes))
                p { a.button href=(bytes.clone().with("download", "true")) { "Download" } }
            }
        }
    };
    let title = path.as_str().rsplit('/').find(|part| !part.is_empty()).unwrap_or("Object");
    Ok(at.show(super::words::cut(title, 80), Tab::Objects, body))
}

/// The preview, or why there is none.
fn shown(path: &ObjectPath, entry: &Entry, head: &[u8], bytes: &Link) -> Markup {
    match preview::of(path, entry.size, head) {
        Preview::Nothing(why) => html! { p.empty { (why) } },
        Preview::Picture(_) => {
            html! { p.picture { img src=(bytes) alt={ "The picture " (path) }; } }
        }
        Preview::Text(text, goes_on) => html! {
            div.scroll role="region" aria-label="Text" tabindex="0" { pre { (text) } }
            (further(goes_on, entry))
        },
        Preview::Table(rows, goes_on) => html! {
            (table("Rows", html! {
                @let mut rows = rows.iter();
                @if let Some(head) = rows.next() {
                    thead { tr { @for cell in head { th scope="col" { (cell) } } } }
                }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }))
            (further(goes_on, entry))
        },
    }
}

fn further(goes_on: bool, entry: &Entry) -> Markup {
    html! {
        @if goes_on { p { small { "It goes on: this is the beginning of " (size(entry.size)) ". Download it to see all." } } }
    }
}

/// The first bytes of an object, at most so many.
pub async fn head(at: &At, entry: &Entry, most: u64) -> ApiResult<Vec<u8>> {
    let part = (entry.size > 0).then(|| 0..entry.size.min(most));
    let streamed = open(&at.app, &at.repo, entry, part).await?;
    let mut chunks = streamed.chunks;
    let mut head = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        let left = (most as usize).saturating_sub(head.len());
        head.extend_from_slice(chunk.get(..chunk.len().min(left)).unwrap_or_default());
        if head.len() as u64 >= most {
            break;
        }
    }
    Ok(head)
}
