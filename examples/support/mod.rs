//! A private Redis and local files for one example, removed when it ends.

use onward::local::{self, LocalInstance};
use onward::{Config, Error, Onward, Result};

/// Runs `example` on a local instance of its own.
pub async fn with_local_instance(example: impl AsyncFnOnce(&Onward) -> Result<()>) -> Result<()> {
    let dir = tempfile::tempdir().map_err(|error| {
        Error::unavailable("there is no place for temporary files").with_source(error)
    })?;
    // Starting and stopping a server blocks.
    let at = dir.path().to_owned();
    let started = tokio::task::spawn_blocking(move || LocalInstance::ensure(at)).await;
    let local = started.map_err(|error| Error::internal(error.to_string()))??;
    let onward = Onward::connect(Config::new(local.redis_url, local.storage_url)).await?;
    let result = example(&onward).await;
    onward.close().await;
    let at = dir.path().to_owned();
    let stopped = tokio::task::spawn_blocking(move || local::stop(at)).await;
    stopped.map_err(|error| Error::internal(error.to_string()))??;
    result
}
