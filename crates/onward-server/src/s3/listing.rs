//! ListObjects in both versions: what clients ask, and a page in their shape.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::buckets::owner;
use super::gateway::Gateway;
use super::objects::{modified, tag_of};
use super::page::{Asked, PAGE_MAX, Page, page};
use onward::Entry;

/// What stays as it is in a listing whose names are escaped.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// How the names of an answer are written.
#[derive(Clone, Copy)]
pub enum Writing {
    Plain,
    Escaped,
}

impl Writing {
    /// As a client asks for it.
    pub fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Escaped),
            Some(_) => Err(s3_error!(InvalidArgument, "encoding-type is url or is not there")),
        }
    }

    /// A name, as this answer has it.
    pub fn write(self, name: impl AsRef<str>) -> String {
        match self {
            Self::Plain => name.as_ref().to_owned(),
            Self::Escaped => utf8_percent_encode(name.as_ref(), PLAIN).to_string(),
        }
    }

    /// What is said of it.
    pub fn shown(self) -> Option<EncodingType> {
        matches!(self, Self::Escaped).then(|| EncodingType::from_static(EncodingType::URL))
    }
}

/// The items of a page, where a client asks for `max` by what is called `name`.
pub fn amount(max: Option<i32>, name: &str) -> S3Result<usize> {
    match max.map(usize::try_from) {
        None => Ok(PAGE_MAX),
        Some(Ok(max)) => Ok(max.min(PAGE_MAX)),
        Some(Err(_)) => Err(s3_error!(InvalidArgument, "{name} is 0 or more")),
    }
}

/// Text of a query, where there is any.
pub fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn contents(page: &Page, writing: Writing, with_owner: bool) -> Vec<Object> {
    let object = |(key, entry): &(String, Entry)| Object {
        key: Some(writing.write(key)),
        e_tag: Some(ETag::Strong(tag_of(entry))),
        last_modified: modified(entry),
        size: i64::try_from(entry.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: with_owner.then(owner),
        ..Object::default()
    };
    page.objects.iter().map(object).collect()
}

/// The common prefixes of a page.
pub fn common_prefixes(page: &Page, writing: Writing) -> Vec<CommonPrefix> {
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(writing.write(prefix)) };
    page.prefixes.iter().map(prefix).collect()
}

/// Version 2: continued by a token.
pub async fn list_v2(
    gateway: &Gateway,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let amount = amount(input.max_keys, "max-keys")?;
    let after = match &input.continuation_token {
        Some(token) => Some(place_of(token)?),
        None => given(input.start_after.clone()),
    };
    let asked = Asked {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter.clone()),
        after,
        amount,
    };
    let page = page(&gateway.app.onward.repo(input.bucket.as_str()), &asked).await?;
    Ok(S3Response::new(ListObjectsV2Output {
        contents: Some(contents(&page, writing, input.fetch_owner == Some(true))),
        common_prefixes: Some(common_prefixes(&page, writing)),
        is_truncated: Some(page.next.is_some()),
        key_count: i32::try_from(page.len()).ok(),
        next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        continuation_token: input.continuation_token,
        name: Some(input.bucket),
        prefix: Some(writing.write(&asked.prefix)),
        delimiter: asked.delimiter.map(|delimiter| writing.write(delimiter)),
        start_after: input.start_after.map(|after| writing.write(after)),
        max_keys: i32::try_from(amount).ok(),
        encoding_type: writing.shown(),
        ..ListObjectsV2Output::default()
    }))
}

/// The place in a listing that a token stands for. A token is no secret: who makes one up gets what he
/// could have asked for.
fn place_of(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| {
        s3_error!(InvalidArgument, "the continuation token is not one that was given out here")
    })
}

/// Version 1: continued behind a key.
pub async fn list_v1(
    gateway: &Gateway,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let amount = amount(input.max_keys, "max-keys")?;
    let asked = Asked {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter.clone()),
        after: given(input.marker.clone()),
        amount,
    };
    let page = page(&gateway.app.onward.repo(input.bucket.as_str()), &asked).await?;
    Ok(S3Response::new(ListObjectsOutput {
        contents: Some(contents(&page, writing, true)),
        common_prefixes: Some(common_prefixes(&page, writing)),
        is_truncated: Some(page.next.is_some()),
        // S3 gives it with a delimiter alone, and clients take it wherever it is.
        next_marker: page.next.map(|next| writing.write(next)),
        name: Some(input.bucket),
        prefix: Some(writing.write(&asked.prefix)),
        delimiter: asked.delimiter.map(|delimiter| writing.write(delimiter)),
        marker: Some(writing.write(input.marker.unwrap_or_default())),
        max_keys: i32::try_from(amount).ok(),
        encoding_type: writing.shown(),
        ..ListObjectsOutput::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_clients_read_them() {
        let name = "main/a b+c%2f/é.txt";
        assert_eq!(Writing::Escaped.write(name), "main/a%20b%2Bc%252f/%C3%A9.txt");
        assert_eq!(Writing::Plain.write(name), name);
    }

    #[test]
    fn a_token_is_the_place_that_it_was_given_out_for() {
        assert_eq!(place_of(&URL_SAFE_NO_PAD.encode("main/é")).unwrap(), "main/é");
        for bad in ["***", "_w", "main/a"] {
            assert!(place_of(bad).is_err(), "{bad}");
        }
    }
}
