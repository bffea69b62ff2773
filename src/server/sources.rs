//! Objects that lie elsewhere: where a sidecar may look for its clients.
//!
//! A client can link any address. What the sidecar itself reads or lists for a client is only what
//! its operator has allowed: else whoever may write to a repository could read every file of the
//! sidecar's machine.

use std::ops::Range;

use url::Url;

use super::error::{ApiError, ApiResult};
use crate::model::error::{Result, quoted};
use crate::objects::{Source, Streamed};

/// A folder that the sidecar may read.
struct Allowed {
    /// Its URL, with a slash at its end.
    url: String,
    source: Source,
}

/// All folders that the sidecar may read.
#[derive(Default)]
pub struct Sources {
    allowed: Vec<Allowed>,
}

impl Sources {
    /// The folders with these URLs, and all that is below them.
    pub fn new(urls: &[String]) -> Result<Self> {
        let open = |url: &String| {
            let url = format!("{}/", url.trim_end_matches('/'));
            Ok(Allowed { source: Source::open(&url, &[])?, url })
        };
        Ok(Self { allowed: urls.iter().map(open).collect::<Result<_>>()? })
    }

    /// Fails where the sidecar may not look.
    pub fn check(&self, address: &str) -> ApiResult<()> {
        self.find(address).map(drop)
    }

    /// The bytes at an address; `None` if there are none.
    pub async fn stream(
        &self,
        address: &str,
        range: Option<Range<u64>>,
    ) -> ApiResult<Option<Streamed>> {
        let (allowed, name) = self.find(address)?;
        Ok(allowed.source.stream(&name, range).await?)
    }

    fn find(&self, address: &str) -> ApiResult<(&Allowed, String)> {
        let found = self.allowed.iter().find_map(|allowed| {
            let rest = format!("{}/", address.trim_end_matches('/'));
            let rest = rest.strip_prefix(&allowed.url)?.trim_end_matches('/');
            Some((allowed, key_of(&allowed.url, rest)))
        });
        found.ok_or_else(|| {
            ApiError::forbidden(format!(
                "'{}' lies elsewhere, and this sidecar does not look there: read it yourself, or ask the operator to allow it with --allow-source",
                quoted(address)
            ))
        })
    }
}

/// The key of an address below a folder: addresses of files are escaped like URLs.
fn key_of(folder: &str, rest: &str) -> String {
    if !folder.starts_with("file://") {
        return rest.to_owned();
    }
    let path = Url::parse(&format!("file:///{rest}")).ok().and_then(|url| url.to_file_path().ok());
    let plain = path.and_then(|path| path.to_str().map(|path| path.trim_matches('/').to_owned()));
    plain.unwrap_or_else(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_an_allowed_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = format!("file://{}", dir.path().display());
        let sources = Sources::new(std::slice::from_ref(&root)).unwrap();
        for inside in ["a", "a/b%20c"] {
            assert!(sources.check(&format!("{root}/{inside}")).is_ok(), "{inside}");
        }
        assert_eq!(sources.find(&format!("{root}/a%20b")).unwrap().1, "a b");
        for outside in
            ["file:///etc/passwd", "s3://b/a", "", "/", &format!("{root}x/a"), &format!("{root}x")]
        {
            assert!(sources.check(outside).is_err(), "{outside}");
        }
        // What is spelled with dots never leaves the folder.
        assert_eq!(sources.find(&format!("{root}/../../etc/passwd")).unwrap().1, "etc/passwd");
        assert!(Sources::default().check(&root).is_err());
    }
}
