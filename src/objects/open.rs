//! From a storage URL to a store: which schemes there are, what each needs, and clear words when
//! something is missing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use url::Url;

use super::backend::{InMemory, ObjectStore, Path};
use super::bucket::Bucket;
use super::local::LocalFiles;
use super::root::LocalRoot;
use crate::model::error::{Error, Result};

/// A store with what is known about it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store, where it is local files.
    pub(super) local: Option<LocalFiles>,
    pub(super) root: Option<Arc<LocalRoot>>,
    /// What makes addresses that anybody can use for a while, where the store has that.
    pub(super) signer: Option<Signing>,
    /// The bucket, where the store is S3 and its requests are signed.
    pub(super) bucket: Option<Bucket>,
}

/// Makes addresses that anybody can use for a while.
pub(super) trait Sign: Send + Sync {
    /// A URL for `method` on `path`, for as long as `valid`.
    fn sign<'a>(
        &'a self,
        method: http::Method,
        path: &'a Path,
        valid: Duration,
    ) -> BoxFuture<'a, super::backend::Result<Url>>;
}

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
impl<T: super::backend::Signer> Sign for T {
    fn sign<'a>(
        &'a self,
        method: http::Method,
        path: &'a Path,
        valid: Duration,
    ) -> BoxFuture<'a, super::backend::Result<Url>> {
        self.signed_url(method, path, valid)
    }
}

/// What makes such addresses, and where in the store the objects lie.
#[derive(Clone)]
pub(super) struct Signing {
    pub(super) signer: Arc<dyn Sign>,
    pub(super) prefix: Option<Path>,
}

/// A store of a cloud: for objects, and for addresses of objects.
struct Cloud {
    store: Arc<dyn ObjectStore>,
    signer: Arc<dyn Sign>,
    bucket: Option<Bucket>,
}

/// Whether listings of a scheme come in the bytewise order of keys, as the services document.
/// (Directory buckets of S3, named `…--x-s3`, do not.)
pub(super) fn lists_in_order(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    matches!(scheme, "memory" | "s3" | "gs" | "az") && !url.contains("--x-s3")
}

/// Whether requests to a scheme go to a service elsewhere, of which some take far longer than others.
pub(super) fn is_elsewhere(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    !matches!(scheme, "memory" | "file")
}

/// Opens `url`. `options` are settings of a cloud client in its environment's spelling, for
/// example `aws_endpoint`; they win over the environment.
pub(super) fn open(url: &str, options: &[(String, String)]) -> Result<Opened> {
    let parsed = Url::parse(url).map_err(|error| {
        wrong(url, "it is not a URL; examples: file:///srv/lake, s3://bucket/lake")
            .with_source(error)
    })?;
    if parsed.fragment().is_some() {
        return Err(wrong(url, "a '#' would cut off what follows it: write it as %23"));
    }
    match parsed.scheme() {
        "file" => {
            let path = parsed.to_file_path().map_err(|()| {
                wrong(
                    url,
                    "a file URL holds an absolute path behind three slashes: file:///srv/lake",
                )
            })?;
            let (root, files) = LocalRoot::open(&path, url)?;
            let root = Arc::new(root);
            let files = LocalFiles::new(files, Arc::clone(&root));
            let store = Arc::new(files.clone());
            Ok(Opened { local: Some(files), root: Some(root), ..plain(store) })
        }
        "memory" => {
            let store = Arc::new(InMemory::new());
            Ok(plain(store))
        }
        "s3" | "gs" | "az" => {
            let bucket =
                parsed.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| {
                    wrong(url, "no bucket is named; it looks like s3://bucket/prefix")
                })?;
            let Cloud { store, signer, bucket } = match parsed.scheme() {
                "s3" => s3(url, bucket, options)?,
                "gs" => gs(url, bucket, options)?,
                _ => az(url, bucket, options)?,
            };
            let prefix = prefix_of(parsed.path())?;
            let store = match prefix.clone() {
                None => store,
                Some(prefix) => Arc::new(super::backend::PrefixStore::new(store, prefix)),
            };
            let bucket = bucket.map(|bucket| bucket.below(prefix.clone()));
            let signer = Some(Signing { signer, prefix });
            Ok(Opened { signer, bucket, ..plain(store) })
        }
        other => Err(wrong(
            url,
            &format!("scheme '{other}' is unknown; there are file, s3, gs, az and memory"),
        )),
    }
}

fn plain(store: Arc<dyn ObjectStore>) -> Opened {
    Opened { store, local: None, root: None, signer: None, bucket: None }
}

fn wrong(url: &str, why: &str) -> Error {
    Error::invalid(format!("storage URL '{}' is not valid: {why}", url.escape_debug()))
}

fn prefix_of(path: &str) -> Result<Option<Path>> {
    super::key::folder(path.trim_start_matches('/'))
        .map_err(|error| error.context("the prefix behind the bucket is not valid"))
}

/// The client of a cloud store repeats requests by itself, for less than the deadline of a call.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn retries() -> super::backend::RetryConfig {
    super::backend::RetryConfig {
        max_retries: 4,
        retry_timeout: std::time::Duration::from_secs(20),
        ..Default::default()
    }
}

/// Applies `options` to a builder; one text for three builders whose types share no trait.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
macro_rules! configured {
    ($url:expr, $options:expr, $builder:expr, $key:ty) => {{
        let mut builder = $builder.with_retry(retries());
        for (name, value) in $options {
            let key: $key = name.to_ascii_lowercase().parse().map_err(|error| {
                wrong($url, &format!("setting '{name}' is unknown")).with_source(error)
            })?;
            builder = builder.with_config(key, value.as_str());
        }
        builder
    }};
}

/// Builds a store that is reached by `endpoint`, where that is said.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
macro_rules! built {
    ($url:expr, $builder:expr, $endpoint:expr) => {{
        let (builder, endpoint): (_, Option<&str>) = ($builder, $endpoint);
        let builder = match endpoint {
            // An endpoint that is spelled http:// is wanted that way (a store on this machine).
            Some(endpoint) if endpoint.starts_with("http://") => builder
                .with_client_options(super::backend::ClientOptions::new().with_allow_http(true)),
            _ => builder,
        };
        crate::encryption::ready();
        let store = builder.build().map_err(|error| {
            Error::invalid(format!("cannot set up {}: check its settings", $url)).with_source(error)
        })?;
        Arc::new(store)
    }};
}

#[cfg(feature = "aws")]
fn s3(url: &str, bucket: &str, options: &[(String, String)]) -> Result<Cloud> {
    use super::backend::{AmazonS3Builder, AmazonS3ConfigKey};
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let builder = configured!(url, options, builder, AmazonS3ConfigKey);
    let value = |key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let is = |key| value(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let endpoint = value(AmazonS3ConfigKey::S3Endpoint).or(value(AmazonS3ConfigKey::Endpoint));
    let region = value(AmazonS3ConfigKey::Region);
    let is_host = is(AmazonS3ConfigKey::VirtualHostedStyleRequest);
    // Directory buckets sign with sessions of their own.
    let signs = !is(AmazonS3ConfigKey::SkipSignature) && lists_in_order(url);
    let store = built!(url, builder, endpoint.as_deref());
    let described = Bucket::new(bucket, endpoint, region, is_host, store.credentials().clone());
    Ok(Cloud { signer: store.clone(), store, bucket: signs.then_some(described) })
}

#[cfg(feature = "gcp")]
fn gs(url: &str, bucket: &str, options: &[(String, String)]) -> Result<Cloud> {
    use super::backend::{GoogleCloudStorageBuilder, GoogleConfigKey};
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    let builder = configured!(url, options, builder, GoogleConfigKey);
    let store = built!(url, builder, None);
    Ok(Cloud { signer: store.clone(), store, bucket: None })
}

#[cfg(feature = "azure")]
fn az(url: &str, bucket: &str, options: &[(String, String)]) -> Result<Cloud> {
    use super::backend::{AzureConfigKey, MicrosoftAzureBuilder};
    let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
    let builder = configured!(url, options, builder, AzureConfigKey);
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let store = built!(url, builder, endpoint.as_deref());
    Ok(Cloud { signer: store.clone(), store, bucket: None })
}

#[cfg(not(feature = "aws"))]
fn s3(url: &str, _: &str, _: &[(String, String)]) -> Result<Cloud> {
    Err(not_built(url, "aws"))
}

#[cfg(not(feature = "gcp"))]
fn gs(url: &str, _: &str, _: &[(String, String)]) -> Result<Cloud> {
    Err(not_built(url, "gcp"))
}

#[cfg(not(feature = "azure"))]
fn az(url: &str, _: &str, _: &[(String, String)]) -> Result<Cloud> {
    Err(not_built(url, "azure"))
}

#[cfg(not(all(feature = "aws", feature = "gcp", feature = "azure")))]
fn not_built(url: &str, feature: &str) -> Error {
    wrong(
        url,
        &format!(
            "this program was built without that store; build it with \
             `cargo build --release --features {feature}`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        match open(url, &[]) {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn wrong_urls_are_refused_with_what_to_write_instead() {
        assert!(refused("/srv/lake").contains("file:///srv/lake"));
        assert!(refused("ftp://x/y").contains("'ftp' is unknown"));
        assert!(refused("file://srv/lake").contains("three slashes"));
        assert!(refused("s3:///x").contains("no bucket"));
        assert!(refused("file:///srv/lake#1").contains("%23"));
    }

    #[test]
    #[cfg(not(feature = "gcp"))]
    fn a_store_that_is_not_built_in_names_its_feature() {
        assert!(refused("gs://bucket/x").contains("--features gcp"));
    }
}
