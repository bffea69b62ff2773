//! The bytes of an object for a browser: a picture as a picture, anything else as a file to keep. Never as
//! something of this server's that runs.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::at::At;
use super::object::ObjectQuery;
use super::part::part;
use super::preview::picture;
use crate::content::open;
use crate::error::ApiResult;
use crate::extract::{Flag, Query};

/// Bytes by which a picture is known.
const MARK_LEN: u64 = 16;

/// What bytes may load or do, should a browser take them for a page: nothing.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// Which object, and what for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesQuery {
    #[serde(rename = "ref", default)]
    reference: String,
    path: String,
    #[serde(default)]
    download: Flag,
}

/// Sends the bytes of an object.
pub async fn send(at: At, Query(query): Query<BytesQuery>) -> ApiResult<Response> {
    let BytesQuery { reference, path, download } = query;
    let (_, path, entry) = ObjectQuery::new(reference, path).find(&at).await?;
    let shown = match download.0 {
        true => None,
        false => picture(&part(&at, &entry, 0..MARK_LEN).await?),
    };
    let streamed = open(&at.app, &at.repo, &entry, None).await?;
    let mut answer = Body::from_stream(streamed.chunks).into_response();
    let headers = answer.headers_mut();
    let media_type = shown.unwrap_or("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_LENGTH, entry.size.into());
    let how = if shown.is_some() { "inline" } else { "attachment" };
    if let Ok(disposition) = HeaderValue::from_str(&format!("{how}; {}", file_name(path.as_str())))
    {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(answer)
}

/// The name to keep a file under (RFC 6266): what stands behind the last slash of its path.
fn file_name(path: &str) -> String {
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("object");
    format!("filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_end_of_its_path_whatever_that_is() {
        assert_eq!(file_name("a/b.csv"), "filename*=UTF-8''b%2Ecsv");
        assert_eq!(file_name("a/\"; x=\r\n\u{e9}/"), "filename*=UTF-8''%22%3B%20x%3D%0D%0A%C3%A9");
        assert_eq!(file_name("//"), "filename*=UTF-8''object");
    }
}
