//! The object store as one process sees it: far away, sometimes failing, and silent when the
//! process is not running.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use onward::internals::objects::backend::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, Path, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::process::Process;
use super::world::StoreFate;

/// One process's way to the store.
pub struct Storage {
    inner: Arc<dyn ObjectStore>,
    process: Process,
}

impl Storage {
    pub fn new(inner: Arc<dyn ObjectStore>, process: Process) -> Self {
        Self { inner, process }
    }
}

async fn travel<T>(
    process: &Process,
    what: &str,
    key: &Path,
    creates: bool,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    process.gate().await;
    let world = process.world();
    let (fate, there, back) = world.store_fate(creates);
    world.note(|| format!("{} {what} {key} {fate:?}", process.name()));
    tokio::time::sleep(there).await;
    let result = match fate {
        StoreFate::Fine => work.await,
        StoreFate::Fails => Err(broken()),
        StoreFate::Lost => work.await.and(Err(broken())),
        StoreFate::FalseConflict => {
            Err(Error::AlreadyExists { path: key.to_string(), source: "409".into() })
        }
    };
    tokio::time::sleep(back).await;
    process.gate().await;
    result
}

fn broken() -> Error {
    let source = Box::new(io::Error::from(io::ErrorKind::ConnectionReset));
    Error::Generic { store: "Storage", source }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage of {}", self.process.name())
    }
}

#[async_trait::async_trait]
impl ObjectStore for Storage {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let creates = options.mode == PutMode::Create;
        let what = if creates { "create" } else { "put" };
        let work = self.inner.put_opts(location, payload, options);
        travel(&self.process, what, location, creates, work).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let work = self.inner.get_opts(location, options);
        travel(&self.process, "get", location, false, work).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (process, folder) = (self.process.clone(), prefix.cloned().unwrap_or_default());
        let inner = Arc::clone(&self.inner);
        let start = async move {
            let asked = travel(&process, "list", &folder, false, async { Ok(()) }).await;
            match asked {
                Ok(()) => inner.list(Some(&folder)),
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
            }
        };
        futures::stream::once(start).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        let work = self.inner.list_with_delimiter(prefix);
        travel(&self.process, "list", &folder, false, work).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
