//! An object store that fails as told, around one that does not.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use onward::internals::objects::backend::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, Path, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get,
    Put,
    Create,
    Delete,
    List,
    Multipart,
}

/// What goes wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before anything is done.
    Outage,
    /// The operation is done, then the connection breaks.
    LostReply,
    /// S3's 409: a create is told that the object exists, though nothing was written.
    FalseConflict,
    /// A create is done, its reply is lost, and the client's own retry finds the object there.
    RetriedCreate,
    /// No space is left on the device.
    Full,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The operation waits so long, then is done.
    Delay(Duration),
    /// The operation never returns.
    Hang,
    /// The operation waits until [`FaultyStore::release`], then is done.
    Held,
}

#[derive(Debug, Default)]
struct Plan {
    /// Faults of coming operations, each used once, first match first.
    next: VecDeque<(Op, String, Fault)>,
    /// Faults of all operations of a kind, on keys that contain something, until cleared.
    standing: Vec<(Op, String, Fault)>,
    ignore_conditions: bool,
    log: Vec<(Op, String)>,
}

/// The decorator. Clones share the plan.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Mutex<Plan>>,
    held: Arc<Semaphore>,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, plan: Arc::default(), held: Arc::new(Semaphore::new(0)) }
    }

    /// The next `count` operations of kind `op` fail so.
    pub fn fail_next(&self, op: Op, count: usize, fault: Fault) {
        self.fail_next_at(op, "", count, fault);
    }

    /// The next `count` operations of kind `op` on keys that contain `part` fail so.
    pub fn fail_next_at(&self, op: Op, part: &str, count: usize, fault: Fault) {
        let mut plan = self.plan.lock().unwrap();
        plan.next.extend((0..count).map(|_| (op, part.to_owned(), fault)));
    }

    /// All operations of kind `op` fail so until [`heal`](Self::heal).
    pub fn fail_all(&self, op: Op, fault: Fault) {
        self.fail_all_at(op, "", fault);
    }

    /// All operations of kind `op` on keys that contain `part` fail so until [`heal`](Self::heal).
    pub fn fail_all_at(&self, op: Op, part: &str, fault: Fault) {
        self.plan.lock().unwrap().standing.push((op, part.to_owned(), fault));
    }

    /// All operations that write fail so until [`heal`](Self::heal).
    pub fn fail_writes(&self, fault: Fault) {
        for op in [Op::Put, Op::Create, Op::Delete, Op::Multipart] {
            self.fail_all(op, fault);
        }
    }

    /// Lets one operation that is held, or will be, go on.
    pub fn release(&self) {
        self.held.add_permits(1);
    }

    /// Creates write like puts from now on, as some stores that imitate S3 do.
    pub fn ignore_conditions(&self) {
        self.plan.lock().unwrap().ignore_conditions = true;
    }

    /// Everything works again.
    pub fn heal(&self) {
        let mut plan = self.plan.lock().unwrap();
        plan.ignore_conditions = false;
        plan.next.clear();
        plan.standing.clear();
    }

    /// All operations fail from now on as a line says: a name of [`Fault`] and, for `delay`, how
    /// many milliseconds. An empty line, or any other, heals.
    pub fn obey(&self, line: &str) {
        self.heal();
        let mut words = line.split_whitespace();
        let (name, number) = (words.next().unwrap_or_default(), words.next());
        let every = [Op::Get, Op::Put, Op::Create, Op::Delete, Op::List, Op::Multipart];
        let (ops, fault) = match name {
            "outage" => (&every[..], Fault::Outage),
            "delay" => {
                let ms = number.and_then(|number| number.parse().ok()).unwrap_or(100);
                (&every[..], Fault::Delay(Duration::from_millis(ms)))
            }
            "lost-reply" => (&every[1..3], Fault::LostReply),
            "false-conflict" => (&every[2..3], Fault::FalseConflict),
            "retried-create" => (&every[2..3], Fault::RetriedCreate),
            "full" => (&every[1..3], Fault::Full),
            "read-only" => (&every[1..4], Fault::ReadOnly),
            _ => return,
        };
        for op in ops {
            self.fail_all(*op, fault);
        }
    }

    /// What was asked so far, in order.
    pub fn log(&self) -> Vec<(Op, String)> {
        self.plan.lock().unwrap().log.clone()
    }

    fn draw(&self, op: Op, key: &Path) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.log.push((op, key.to_string()));
        let fits = |(kind, part, _): &&(Op, String, Fault)| {
            *kind == op && key.as_ref().contains(part.as_str())
        };
        match plan.next.iter().position(|planned| fits(&planned)) {
            Some(index) => plan.next.remove(index).map(|(_, _, fault)| fault),
            None => plan.standing.iter().find(fits).map(|(_, _, fault)| *fault),
        }
    }

    async fn run<T>(&self, op: Op, key: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.draw(op, key) {
            None => work.await,
            Some(Fault::Outage) => Err(broken()),
            Some(Fault::LostReply) => work.await.and(Err(broken())),
            Some(Fault::FalseConflict) => Err(exists(key)),
            Some(Fault::RetriedCreate) => work.await.and(Err(exists(key))),
            Some(Fault::Full) => Err(io_error(io::ErrorKind::StorageFull)),
            Some(Fault::ReadOnly) => Err(io_error(io::ErrorKind::ReadOnlyFilesystem)),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                work.await
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Held) => {
                self.held.acquire().await.unwrap().forget();
                work.await
            }
        }
    }
}

fn io_error(kind: io::ErrorKind) -> Error {
    Error::Generic { store: "FaultyStore", source: Box::new(io::Error::from(kind)) }
}

fn broken() -> Error {
    io_error(io::ErrorKind::ConnectionReset)
}

fn exists(key: &Path) -> Error {
    Error::AlreadyExists { path: key.to_string(), source: "409 as told".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let op = if options.mode == PutMode::Create { Op::Create } else { Op::Put };
        if self.plan.lock().unwrap().ignore_conditions {
            options.mode = PutMode::Overwrite;
        }
        self.run(op, location, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(FaultyUpload { inner: upload, store: self.clone(), key: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(Op::Get, location, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let one = futures::stream::iter([Ok(location.clone())]).boxed();
                    let work = async {
                        store.inner.delete_stream(one).next().await.unwrap_or(Ok(location.clone()))
                    };
                    store.run(Op::Delete, &location, work).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, folder) = (self.clone(), prefix.cloned().unwrap_or_default());
        let entries = self.inner.list(prefix);
        let start = async move {
            match store.run(Op::List, &folder, async { Ok(()) }).await {
                Ok(()) => entries,
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
            }
        };
        futures::stream::once(start).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        self.run(Op::List, &folder, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Parts of an upload fail as operations of kind [`Op::Multipart`].
#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: FaultyStore,
    key: Path,
}

#[async_trait::async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> onward::internals::objects::backend::UploadPart {
        let (store, key, work) = (self.store.clone(), self.key.clone(), self.inner.put_part(data));
        Box::pin(async move { store.run(Op::Multipart, &key, work).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
