//! What S3 has and we do not: a request that asks for it is refused, not carried out without it.

use http::{HeaderMap, HeaderName, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::error::told;
use crate::extract::parameters;
use onward::internals::model::error::quoted;

/// Headers, by how they begin, that ask of an object what it will not have.
const UNOFFERED: [&str; 7] = [
    "x-amz-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-grant-",
    "x-amz-rename-source",
];

const ACL: &str = "x-amz-acl";

/// Those lists of who may that say what is so anyway.
const PRIVATE: [&[u8]; 3] = [b"private", b"bucket-owner-full-control", b"bucket-owner-read"];

/// Fails with `NotImplemented` where the headers of a write ask for what there is not.
pub fn refuse_unoffered(headers: &HeaderMap) -> S3Result<()> {
    let is_unoffered = |name: &&str| UNOFFERED.iter().any(|begin| name.starts_with(begin));
    let is_public = headers.get(ACL).is_some_and(|acl| !PRIVATE.contains(&acl.as_bytes()));
    let mut names = headers.keys().map(HeaderName::as_str);
    let Some(name) = names.find(is_unoffered).or(is_public.then_some(ACL)) else { return Ok(()) };
    Err(S3Error::with_message(
        S3ErrorCode::NotImplemented,
        format!("the header {name} asks for what is not offered here: send the request without it"),
    ))
}

/// Fails with `NotImplemented` where the query of a write of an object asks for something else than that:
/// s3s takes a sub-resource that it does not know for none. Names that begin with `x-` are of signatures
/// and clients, as in S3; `allowed` are those that the operation has.
pub fn refuse_unknown(uri: &Uri, allowed: &[&str]) -> S3Result<()> {
    for (name, _) in parameters(uri).map_err(told)? {
        let lower = name.to_ascii_lowercase();
        let is_known = lower.starts_with("x-") || allowed.contains(&name.as_str());
        if !is_known || UNOFFERED.iter().any(|begin| lower.starts_with(begin)) {
            return Err(S3Error::with_message(
                S3ErrorCode::NotImplemented,
                format!(
                    "'{}' in the query asks for what is not offered here: send the request without it",
                    quoted(&name)
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_done_is_refused() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )])
        };
        for (name, value) in [
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-rename-source", "a"),
            ("x-amz-acl", "public-read"),
        ] {
            assert!(refuse_unoffered(&headers(name, value)).is_err(), "{name}");
        }
        for query in
            ["renameObject", "partNumber=3", "uploadId=a", "X-Amz-Tagging=a", "versionId=a"]
        {
            let uri: Uri = format!("/lake/main/a?x-id=PutObject&{query}").parse().unwrap();
            assert!(refuse_unknown(&uri, &[]).is_err(), "{query}");
        }
        let signed: Uri = "/a?X-Amz-Signature=ab&x-id=DeleteObject&versionId=null".parse().unwrap();
        assert!(refuse_unknown(&signed, &["versionId"]).is_ok());
        assert!(refuse_unoffered(&headers("x-amz-acl", "private")).is_ok());
        assert!(refuse_unoffered(&headers("x-amz-storage-class", "STANDARD")).is_ok());
    }
}
