//! The only place that names the `object_store` crate, so that its next breaking release touches
//! this folder and nothing else. Tests reach the trait through here to decorate a store.

pub use object_store::memory::InMemory;
pub use object_store::path::Path;
pub use object_store::prefix::PrefixStore;
pub use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UpdateVersion, UploadPart,
};

pub(super) use object_store::local::LocalFileSystem;

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
pub(super) use object_store::{ClientOptions, RetryConfig, signer::Signer};

#[cfg(feature = "aws")]
pub(super) use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};

#[cfg(feature = "gcp")]
pub(super) use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

#[cfg(feature = "azure")]
pub(super) use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
