//! The bucket behind a store on S3: what somebody must know who signs requests to it himself, or lets others do so.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::backend::Path;
use crate::model::error::Result;

/// A bucket of S3, as this process reaches it.
#[derive(Clone)]
pub struct Bucket {
    name: String,
    /// Where the store's root lies in it.
    prefix: Option<Path>,
    endpoint: Option<String>,
    region: String,
    is_host: bool,
    logins: Arc<dyn LogIn>,
}

/// What requests to a bucket are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The access key's id.
    pub key_id: String,
    /// The secret that goes with the id.
    pub secret: String,
    /// What goes along with keys that end.
    pub token: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Where logins come from: settings, a web identity, the machine. Those that end are fetched anew in time.
trait LogIn: Send + Sync {
    fn log_in(&self) -> BoxFuture<'_, Result<Login>>;
}

impl Bucket {
    /// What the bucket is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The address of the service, without the bucket; none for that of Amazon.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether the bucket is named in the path of URLs, and not in their host.
    pub fn is_in_path(&self) -> bool {
        self.endpoint.is_some() && !self.is_host
    }

    /// What the object `key` of the store is called in the bucket.
    pub fn key(&self, key: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{key}"),
            None => key.to_owned(),
        }
    }

    /// What to sign with now. One request at most, where the last login has ended.
    pub async fn log_in(&self) -> Result<Login> {
        self.logins.log_in().await
    }

    /// The same bucket, with the store's root below a folder.
    pub(super) fn below(self, prefix: Option<Path>) -> Self {
        Self { prefix, ..self }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(feature = "aws")]
mod amazon {
    use super::super::backend::AwsCredentialProvider;
    use super::*;
    use crate::model::error::Error;

    /// What is signed for where no region is said, as the client of the store does.
    const REGION: &str = "us-east-1";

    impl Bucket {
        pub(in super::super) fn new(
            name: &str,
            endpoint: Option<String>,
            region: Option<String>,
            is_host: bool,
            logins: AwsCredentialProvider,
        ) -> Self {
            let endpoint = endpoint.map(|endpoint| match is_host {
                true => without_bucket(&endpoint, name),
                false => endpoint.trim_end_matches('/').to_owned(),
            });
            Self {
                name: name.to_owned(),
                prefix: None,
                endpoint,
                region: region.unwrap_or_else(|| REGION.to_owned()),
                is_host,
                logins: Arc::new(Keys(logins)),
            }
        }
    }

    /// An endpoint whose host begins with the bucket, as the store's client wants it, without that.
    fn without_bucket(endpoint: &str, bucket: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        let Some((scheme, host)) = endpoint.split_once("://") else { return endpoint.to_owned() };
        let host =
            host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.')).unwrap_or(host);
        format!("{scheme}://{host}")
    }

    struct Keys(AwsCredentialProvider);

    impl LogIn for Keys {
        fn log_in(&self) -> BoxFuture<'_, Result<Login>> {
            Box::pin(async {
                let failed = "the credentials of the storage cannot be had";
                let key = self.0.get_credential().await;
                let key = key.map_err(|error| Error::unavailable(failed).with_source(error))?;
                let (key_id, secret) = (key.key_id.clone(), key.secret_key.clone());
                Ok(Login { key_id, secret, token: key.token.clone() })
            })
        }
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::super::store::Objects;
    use super::*;

    fn open(url: &str, more: &[(&str, &str)]) -> Option<Bucket> {
        let key = [("aws_access_key_id", "KEY"), ("aws_secret_access_key", "SECRET")];
        let options: Vec<(String, String)> =
            key.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Objects::open_with(url, &options).unwrap().bucket().cloned()
    }

    #[tokio::test]
    async fn a_bucket_is_known_as_its_clients_must_know_it() {
        let at = |endpoint| ("aws_endpoint", endpoint);
        let hosted = ("aws_virtual_hosted_style_request", "true");
        let plain =
            open("s3://b/folder/of/it/", &[at("http://127.0.0.1:9/"), ("aws_region", "eu")]);
        let plain = plain.unwrap();
        assert_eq!((plain.name(), plain.region()), ("b", "eu"));
        assert_eq!((plain.endpoint(), plain.is_in_path()), (Some("http://127.0.0.1:9"), true));
        assert_eq!(plain.key("x/y"), "folder/of/it/x/y");
        let login = plain.log_in().await.unwrap();
        assert_eq!((login.key_id.as_str(), login.secret.as_str()), ("KEY", "SECRET"));
        assert!(!format!("{login:?}").contains("SECRET"));
        let host = open("s3://b", &[at("https://b.s3.example.com"), hosted]).unwrap();
        assert_eq!((host.endpoint(), host.is_in_path()), (Some("https://s3.example.com"), false));
        assert_eq!(host.key("x"), "x");
        assert!(open("s3://b", &[("aws_skip_signature", "true")]).is_none());
        assert!(Objects::open("memory://").unwrap().bucket().is_none());
    }
}
