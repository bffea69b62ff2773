//! Objects that lie elsewhere: where a sidecar may look for its clients.
//!
//! A client can link any address. What the sidecar itself reads or lists for a client is only what
//! its operator has allowed: else whoever may write to a repository could read every file of the
//! sidecar's machine.

use std::ops::Range;

use super::error::{ApiError, ApiResult};
use onward::internals::model::error::quoted;
use onward::internals::objects::{Objects, Source, Streamed};
use onward::{Error, Result};

/// All folders that the sidecar may read. Symbolic links in them are followed, wherever they lead but
/// into the storage of the deployment: whoever may write into such a folder decides what can be read
/// through it.
#[derive(Default)]
pub struct Sources {
    allowed: Vec<Source>,
}

impl Sources {
    /// The folders with these URLs, and all that is below them. None of them may overlap with the
    /// storage of the deployment, where its secrets lie.
    pub fn new(urls: &[String], own: &Objects) -> Result<Self> {
        let open = |url: &String| {
            let url = format!("{}/", url.trim_end_matches('/'));
            let source = Source::open(&url, &[])?;
            if source.overlaps(own) {
                return Err(Error::invalid(format!(
                    "'{url}' and this deployment's own storage {} lie inside each other: whoever may link objects could read its secrets; allow a folder apart from it",
                    own.url()
                )));
            }
            Ok(source.apart_from(own))
        };
        Ok(Self { allowed: urls.iter().map(open).collect::<Result<_>>()? })
    }

    /// Fails where the sidecar may not look for all objects of a folder.
    pub fn check_folder(&self, url: &str) -> ApiResult<()> {
        self.find(url)?;
        self.check(url, Source::open(url, &[])?)
    }

    /// Fails where the sidecar may not look for one object.
    pub fn check_object(&self, url: &str) -> ApiResult<()> {
        self.find(url)?;
        self.check(url, Source::open_object(url, &[])?)
    }

    /// By what will be opened: a URL can say one thing and lead to another.
    fn check(&self, url: &str, source: Source) -> ApiResult<()> {
        match self.allowed.iter().any(|allowed| source.is_within(allowed)) {
            true => Ok(()),
            false => Err(refused(url)),
        }
    }

    /// The bytes at an address; `None` if there are none.
    pub async fn stream(
        &self,
        address: &str,
        range: Option<Range<u64>>,
    ) -> ApiResult<Option<Streamed>> {
        let (allowed, name) = self.find(address)?;
        Ok(allowed.stream(&name, range).await?)
    }

    /// The allowed folder that an address lies in, and its name there.
    fn find(&self, address: &str) -> ApiResult<(&Source, String)> {
        let found = self
            .allowed
            .iter()
            .find_map(|allowed| allowed.name_of(address).map(|name| (allowed, name)));
        found.ok_or_else(|| refused(address))
    }
}

fn refused(address: &str) -> ApiError {
    ApiError::forbidden(format!(
        "'{}' lies elsewhere, and this sidecar does not look there: read it yourself, or ask the operator to allow it with --allow-source",
        quoted(address)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_an_allowed_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("in/a b")).unwrap();
        std::fs::create_dir_all(dir.path().join("out")).unwrap();
        let url = |path: &str| format!("file://{}/{path}", dir.path().display());
        let own = Objects::open(&url("store")).unwrap();
        let root = url("in");
        let sources = Sources::new(std::slice::from_ref(&root), &own).unwrap();
        for inside in ["in/", "in/a%20b/"] {
            sources.check_folder(&url(inside)).unwrap();
        }
        sources.check_object(&url("in/a%20b/c")).unwrap();
        assert_eq!(sources.find(&url("in/a%20b/c")).unwrap().1, "a b/c");
        for outside in ["in/../out/", "in/%2e%2e/out/", "in/a%20b/../../out/", "out/", "inx/"] {
            assert!(sources.check_folder(&url(outside)).is_err(), "{outside}");
        }
        for outside in ["in/../out/x", "in/%2e%2e/out/x", "in/a%20b/../../out/x"] {
            assert!(sources.check_object(&url(outside)).is_err(), "{outside}");
        }
        for outside in ["file:///etc/passwd", "s3://b/a", "", "/", &url("inx"), &url("inx/a")] {
            assert!(sources.find(outside).is_err(), "{outside}");
        }
        assert!(Sources::default().find(&root).is_err());
        // A folder with the deployment's secrets in it, or within it, cannot be allowed.
        for own_url in [url(""), url("store"), url("store/lake")] {
            std::fs::create_dir_all(dir.path().join("store/lake")).unwrap();
            assert!(Sources::new(&[own_url], &own).is_err());
        }
    }

    #[tokio::test]
    async fn no_link_leads_into_the_storage_of_the_deployment() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("in/sub")).unwrap();
        let url = |path: &str| format!("file://{}/{path}", dir.path().display());
        let own = Objects::open(&url("store")).unwrap();
        own.put("secret", "x".into()).await.unwrap();
        std::fs::write(at("beside"), "y").unwrap();
        for (target, link) in [
            ("../store/secret", "in/direct"),
            ("../store", "in/storage"),
            ("../..", "in/sub/above"),
            ("../beside", "in/beside"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        let sources = Sources::new(&[url("in")], &own).unwrap();
        for secret in ["direct", "storage/secret", "sub/above/store/secret"] {
            let read = sources.stream(&url(&format!("in/{secret}")), None).await;
            assert!(read.ok().flatten().is_none(), "{secret}");
        }
        for open in ["beside", "sub/above/beside"] {
            let read = sources.stream(&url(&format!("in/{open}")), None).await;
            assert_eq!(read.ok().flatten().unwrap().size, 1, "{open}");
        }
    }
}
