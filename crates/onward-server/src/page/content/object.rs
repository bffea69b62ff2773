//! One object: what is known of it, and what it looks like.

use axum::response::Response;
use maud::html;
use serde::Deserialize;

use onward::{Entry, ObjectPath, RefExpr};

use super::at::{At, Tab};
use super::folders::Folder;
use super::looks::{self, look};
use super::words::{name, size};
use crate::error::ApiResult;
use crate::extract::Query;
use crate::page::layout::{head, table};
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

/// An object with its facts and a preview. Costs a lookup, and what [`look`] reads.
pub async fn show(at: At, Query(query): Query<ObjectQuery>) -> ApiResult<Response> {
    let (reference, path, entry) = query.find(&at).await?;
    let reference = reference.to_string();
    let links = at.links();
    let folder = Folder { top: links.objects(&reference, ""), prefix: path.as_str(), after: "" };
    let bytes = links.bytes(&reference, path.as_str());
    let shown = look(&at, &path, &entry).await;
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
                (head(["Key", "Value"]))
                tbody { @for (key, value) in &entry.metadata { tr { th scope="row" { (name(key)) } td { (name(value)) } } } }
            }))
        }
        h2 { "Preview" }
        @match &shown {
            // Bytes that cannot be read are no reason to show nothing else.
            Err(why) => p.notice { (why.message()) },
            Ok(shown) => {
                (looks::show(shown, &entry, &bytes))
                p { a.button href=(bytes.clone().with("download", "true")) { "Download" } }
            }
        }
    };
    let title = path.as_str().rsplit('/').find(|part| !part.is_empty()).unwrap_or("Object");
    Ok(at.show(super::words::cut(title, 80), Tab::Objects, body))
}
