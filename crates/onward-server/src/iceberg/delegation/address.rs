//! How clients reach a bucket of S3: where its service is, and whether the bucket is named in the path.

use http::Uri;

use onward::internals::objects::Bucket;
use onward::{Error, Result};

/// How clients reach a bucket.
#[derive(Debug, Clone)]
pub struct Address {
    /// The service's address, where it is not Amazon's.
    endpoint: Option<String>,
    is_in_path: bool,
}

impl Address {
    /// The address of a bucket for clients who reach it at `endpoint`, or else where the sidecar does.
    pub fn new(bucket: &Bucket, endpoint: Option<&str>) -> Result<Self> {
        let own = bucket.endpoint().map(str::to_owned);
        let Some(given) = endpoint.filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(Self { endpoint: own, is_in_path: bucket.is_in_path() });
        };
        let is_in_path = bucket.is_in_path() || own.is_none();
        Ok(Self { endpoint: Some(service_at(given)?), is_in_path })
    }

    /// The service's address, where clients do not know it by themselves.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether clients are to name the bucket in the path.
    pub fn is_in_path(&self) -> bool {
        self.is_in_path
    }
}

/// The address of a service that lies at no path.
fn service_at(url: &str) -> Result<String> {
    let uri: Option<Uri> = url.parse().ok();
    let is_plain = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path() == "/"
            && !url.contains(['?', '#'])
    });
    match is_plain {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(Error::invalid(format!(
            "'{}' is no address of an S3 service: it looks like https://s3.example.com, without a path",
            url.escape_debug()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_service_has_a_scheme_a_host_and_no_more() {
        assert_eq!(
            service_at("https://s3.example.com:9000/").unwrap(),
            "https://s3.example.com:9000"
        );
        for bad in ["127.0.0.1:9000", "ftp://a", "http://a/b", "http://a?b", "http://u@a", "s3://b"]
        {
            assert!(service_at(bad).is_err(), "{bad}");
        }
    }
}
