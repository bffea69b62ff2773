//! Headers of requests as text. One that cannot be read, or is there more often than it may, is refused
//! by its name: none is left out in silence, as if it had not been sent.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::{ApiError, ApiResult};

/// The text of a header, if it is there: visible ASCII. Refused where it has anything else in it or is
/// there twice.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> ApiResult<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::invalid(format!(
            "the header {name} is there more than once: send it once"
        )));
    }
    readable(name, value).map(Some)
}

/// The text of a header that is a list: all its lines, as one (RFC 9110, 5.3).
pub fn list(headers: &HeaderMap, name: &HeaderName) -> ApiResult<Option<String>> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let lines = headers.get_all(name).iter().map(|value| readable(name, value));
    Ok(Some(lines.collect::<ApiResult<Vec<&str>>>()?.join(",")))
}

fn readable<'a>(name: &HeaderName, value: &'a HeaderValue) -> ApiResult<&'a str> {
    value.to_str().map_err(|_| {
        ApiError::invalid(format!(
            "the header {name} cannot be read: it takes visible ASCII characters"
        ))
    })
}

/// The text of a header whose values may be of any language: UTF-8, or else ISO-8859-1, which is what
/// some clients send and nothing tells apart otherwise. What is ASCII is the same in both.
pub fn any_text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The media type of the body, without parameters and in lower case, if the request says it: media
/// types have no case (RFC 9110, 8.3.1).
pub fn media_type(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let text = text(headers, &header::CONTENT_TYPE)?;
    Ok(text.map(|text| {
        let essence = text.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }))
}

/// How the body is packed: the names of its codings in lower case, which have no case either (RFC 9110,
/// 8.4.1), without those that say nothing.
pub fn codings(headers: &HeaderMap) -> ApiResult<Vec<String>> {
    let names = tokens(headers, &header::CONTENT_ENCODING)?;
    Ok(names.into_iter().filter(|name| name != "identity").collect())
}

/// The names that a header lists, which have no case, in lower case.
pub fn tokens(headers: &HeaderMap, name: &HeaderName) -> ApiResult<Vec<String>> {
    let text = list(headers, name)?.unwrap_or_default();
    let names = text.split(',').map(|name| name.trim().to_ascii_lowercase());
    Ok(names.filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn text_of_any_language_is_read_as_it_was_sent() {
        let read = |bytes: &[u8]| any_text(&HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(read(b"plain"), "plain");
        assert_eq!(read("café 日本".as_bytes()), "café 日本");
        assert_eq!(read(b"caf\xe9"), "café");
        // Every byte that a header can have in it comes back as the character of that number.
        for byte in (0x80..=0xff_u8).chain(0x20..0x7f).chain([b'\t']) {
            assert_eq!(read(&[b'x', byte]), format!("x{}", char::from(byte)));
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_there_twice_is_refused_by_its_name() {
        let twice = headers(&[("range", b"bytes=0-1"), ("range", b"bytes=0-1")]);
        let strange = headers(&[("range", b"bytes=\xff")]);
        for bad in [&twice, &strange] {
            let refused = text(bad, &header::RANGE).unwrap_err();
            assert!(refused.message().contains("header range"), "{}", refused.message());
        }
        assert_eq!(list(&twice, &header::RANGE).unwrap().as_deref(), Some("bytes=0-1,bytes=0-1"));
        assert!(list(&strange, &header::RANGE).is_err());
        assert_eq!(text(&strange, &header::ACCEPT).unwrap(), None);
    }

    #[test]
    fn tokens_have_no_case() {
        let of = |value: &[u8]| media_type(&headers(&[("content-type", value)])).unwrap().unwrap();
        assert_eq!(of(b"Multipart/Form-Data; boundary=B"), "multipart/form-data");
        assert_eq!(of(b" TEXT/Plain ;charset=x"), "text/plain");
        assert_eq!(media_type(&HeaderMap::new()).unwrap(), None);
        let packed =
            headers(&[("content-encoding", b"Identity, GZIP"), ("content-encoding", b"x")]);
        assert_eq!(codings(&packed).unwrap(), ["gzip", "x"]);
        assert!(codings(&HeaderMap::new()).unwrap().is_empty());
    }
}
