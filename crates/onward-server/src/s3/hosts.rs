//! Names of hosts and buckets: below which domains a bucket is a host, and which names a bucket has.

use onward::internals::model::error::quoted;
use onward::internals::model::name::RepoName;
use onward::{Error, Result};
use s3s::host::{S3Host, VirtualHost};
use s3s::validation::NameValidation;
use s3s::{S3Result, s3_error};

/// The domains below which the first label of a host is a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains(Vec<String>);

impl Domains {
    /// These names, without ports.
    pub fn new(names: &[String]) -> Result<Self> {
        let checked = names.iter().map(|name| {
            let bare = name.trim_end_matches('.').to_ascii_lowercase();
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            if bare.split('.').all(is_label) {
                return Ok(bare);
            }
            Err(Error::invalid(format!(
                "'{}' is not the name of a domain: write it without scheme and port, such as s3.example.com",
                quoted(name)
            )))
        });
        Ok(Self(checked.collect::<Result<_>>()?))
    }

    /// The bucket that a host stands for; none for the domain itself and for every other host.
    fn bucket_of(&self, host: &str) -> Option<String> {
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) => bare,
            _ => host,
        };
        let bare = bare.trim_end_matches('.').to_ascii_lowercase();
        let buckets = self.0.iter().filter_map(|domain| {
            bare.strip_suffix(domain.as_str())?.strip_suffix('.').map(str::to_owned)
        });
        buckets.min_by_key(String::len)
    }
}

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let Some(bucket) = self.bucket_of(host) else { return Ok(VirtualHost::new(host)) };
        if RepoName::new(bucket.as_str()).is_err() {
            return Err(s3_error!(InvalidBucketName));
        }
        Ok(VirtualHost::new(host).with_bucket(bucket))
    }
}

/// Buckets have the names of repositories.
pub struct BucketNames;

impl NameValidation for BucketNames {
    fn validate_bucket_name(&self, name: &str) -> bool {
        RepoName::new(name).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_a_domain_is_a_bucket() {
        let domains =
            Domains::new(&["s3.example.com".to_owned(), "Deep.S3.example.com.".to_owned()])
                .unwrap();
        for (host, bucket) in [
            ("lake.s3.example.com", Some("lake")),
            ("LAKE.s3.example.com:8001", Some("lake")),
            ("lake.deep.s3.example.com", Some("lake")),
            ("s3.example.com", None),
            ("s3.example.com:80", None),
            ("evils3.example.com", None),
            ("localhost:8001", None),
            ("127.0.0.1:8001", None),
            ("[::1]:8001", None),
            ("", None),
        ] {
            assert_eq!(domains.bucket_of(host).as_deref(), bucket, "{host}");
        }
        assert!(domains.parse_host_header("not_one.s3.example.com").is_err());
        assert_eq!(Domains::default().bucket_of("lake.s3.example.com"), None);
        for bad in ["", "http://s3.example.com", "s3.example.com:80", "a..b"] {
            assert!(Domains::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
