//! What an object looks like: its bytes are read as far as that takes, and written into the page.

use bytes::Bytes;
use maud::{Markup, html};

use onward::{Entry, ObjectPath};

use super::at::At;
use super::parquet::frame::{FOOTER_LEN, MAGIC, METADATA_LEN_MAX, Shown, metadata_len};
use super::part::part;
use super::preview::{self, Preview, READ_LEN};
use super::words::{name, size};
use crate::error::ApiResult;
use crate::page::layout::{head, table};
use crate::page::links::Link;
use crate::page::words::count;

/// Bytes of the end of a Parquet file that are read first: the metadata of most is in there.
const TAIL_LEN: u64 = 64 * 1024;

/// What is shown of an object.
pub enum Look {
    /// By its first bytes.
    Begun(Preview),
    /// Of a Parquet file.
    Parquet(Box<Shown>),
}

/// Reads what it takes to show an object: [`READ_LEN`] bytes; of a Parquet file its metadata, 1 MiB at most,
/// and 8 MiB of its first columns.
pub async fn look(at: &At, path: &ObjectPath, entry: &Entry) -> ApiResult<Look> {
    let head = part(at, entry, 0..READ_LEN).await?;
    if !head.starts_with(MAGIC) {
        return Ok(Look::Begun(preview::of(path, entry.size, &head)));
    }
    Ok(match of_parquet(at, entry).await {
        Ok(shown) => Look::Parquet(Box::new(shown)),
        Err(why) => {
            Look::Begun(Preview::Nothing(format!("The first rows cannot be shown: {why}.")))
        }
    })
}

/// What is shown of a Parquet file, or why there is nothing.
async fn of_parquet(at: &At, entry: &Entry) -> Result<Shown, String> {
    let size = entry.size;
    let read =
        async |begun| part(at, entry, begun).await.map_err(|error| error.message().to_owned());
    // Before more is read of it: who waits for a place holds nothing.
    let place = at.app.page.parquet.place().await?;
    let mut tail = read(size.saturating_sub(TAIL_LEN)..size).await?;
    let len = metadata_len(&tail).filter(|len| len + FOOTER_LEN < size);
    let len = len.ok_or("it begins like a Parquet file, and does not end like one")?;
    if len > METADATA_LEN_MAX {
        return Err(format!(
            "the metadata of this Parquet file has {} bytes, and {} are read at most",
            count(len),
            count(METADATA_LEN_MAX)
        ));
    }
    // What reads it gets the metadata and no more.
    let end = len + FOOTER_LEN;
    tail = match (tail.len() as u64).checked_sub(end) {
        Some(before) => tail.slice(usize::try_from(before).unwrap_or_default()..),
        None => read(size - end..size).await?,
    };
    let mut parts: Vec<Bytes> = Vec::new();
    for begun in place.parts(size, &tail).await? {
        parts.push(read(begun).await?);
    }
    place.shown(size, &tail, parts).await
}

/// What is shown, as a part of the page. `bytes` is where the object's bytes are.
pub fn show(look: &Look, entry: &Entry, bytes: &Link) -> Markup {
    match look {
        Look::Parquet(shown) => parquet(shown),
        Look::Begun(Preview::Nothing(why)) => html! { p.empty { (why) } },
        Look::Begun(Preview::Picture(_)) => {
            html! { p.picture { img src=(bytes) alt="The picture in this object"; } }
        }
        Look::Begun(Preview::Text(text, goes_on)) => {
            html! { (scrolled("Text", text)) (further(*goes_on, entry)) }
        }
        Look::Begun(Preview::Table(rows, goes_on)) => {
            let head = rows.first().map(Vec::as_slice).unwrap_or_default();
            html! { (cells(head, rows.get(1..).unwrap_or_default())) (further(*goes_on, entry)) }
        }
    }
}

fn parquet(shown: &Shown) -> Markup {
    html! {
        p {
            "A Parquet file: " (count(u64::try_from(shown.rows_total).unwrap_or_default())) " rows in " (shown.groups)
            " groups, written by " (name(&shown.written_by)) "."
        }
        @match &shown.no_rows {
            Some(why) => p.notice { (why) },
            None => (cells(&shown.columns, &shown.rows)),
        }
        @if shown.has_more_columns { p { small { "These are its first columns; the schema has all." } } }
        h3 { "Schema" }
        (scrolled("Schema", &shown.schema))
    }
}

fn scrolled(label: &str, text: &str) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { pre { (text) } } }
}

fn cells(columns: &[String], rows: &[Vec<String>]) -> Markup {
    table(
        "Rows",
        html! {
            (head(columns))
            tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
        },
    )
}

fn further(goes_on: bool, entry: &Entry) -> Markup {
    html! {
        @if goes_on { p { small { "It goes on: this is the beginning of " (size(entry.size)) ". Download it to see all." } } }
    }
}
