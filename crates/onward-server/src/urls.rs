//! URLs of requests: one that is not text is refused before anybody reads a name from it.
//!
//! Those who read queries put U+FFFD in place of bytes that are not UTF-8, and take an escape that is none
//! for what it looks like: different names would become one. So this is asked of every request, whatever
//! its route reads.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Uri;

use super::error::{ApiError, ApiResult};
use super::refused::refused;
use onward::internals::model::error::quoted;

/// Lets only those requests through whose URL is text.
pub async fn require_text(request: Request, next: Next) -> Result<Response, ApiError> {
    match check(request.uri()) {
        Ok(()) => Ok(next.run(request).await),
        Err(why) => refused(request, why).await,
    }
}

/// Fails where a URL is not text.
pub fn check(uri: &Uri) -> ApiResult<()> {
    is_text(uri.path()).map_err(|why| {
        ApiError::invalid(format!("the path '{}' of the URL {why}", quoted(uri.path())))
    })?;
    for pair in uri.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_text(name).and_then(|()| is_text(value)).map_err(|why| {
            ApiError::invalid(format!("the parameter '{}' of the query {why}", quoted(name)))
        })?;
    }
    Ok(())
}

/// Says what is wrong with a part of a URL that stands for no text.
fn is_text(part: &str) -> Result<(), &'static str> {
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("has a '%' that no two hex digits follow: write %25 for the sign itself");
        };
        decoded.push((high * 16 + low) as u8);
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not UTF-8: names are text; send their bytes in UTF-8, escaped with '%'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_text_is_told_from_what_does_not() {
        for good in
            ["", "a", "a+b", "caf%C3%A9", "caf%c3%a9", "café", "100%25", "%00", "%F0%9F%98%80"]
        {
            assert_eq!(is_text(good), Ok(()), "{good}");
        }
        for bad in [
            "%e9",
            "caf%C3",
            "%C3%28",
            "%ED%A0%80",
            "%c0%af",
            "%",
            "a%",
            "a%4",
            "%zz",
            "%4é",
            "%+1",
        ] {
            assert!(is_text(bad).is_err(), "{bad}");
        }
        let refused = |url: &str| check(&url.parse().unwrap()).unwrap_err().message().to_owned();
        assert!(refused("/a?b=1&path=%ff").contains("'path'"));
        assert!(refused("/a?%ff").contains("query"));
        assert!(refused("/%ff").contains("path"));
    }
}
