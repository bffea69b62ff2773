//! What an object store is like, put in front of the real one: the latencies of a cloud store, and
//! times in which nothing answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use onward::internals::clock;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, Path,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::watch;

/// One request in so many is slow.
const SLOW_ONE_IN: u64 = 100;

/// How long a slow one takes.
const SLOW: Duration = Duration::from_millis(500);

/// What does not answer at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stalled {
    /// Nothing: all is well.
    Nothing,
    /// Writes.
    Writes,
    /// Any request.
    All,
}

/// What the store is like at present. Clones speak of the same store.
#[derive(Debug, Clone)]
pub struct Weather {
    latency: Option<Duration>,
    stalled: watch::Sender<Stalled>,
}

impl Weather {
    /// Each request takes `latency` longer, give or take a third of it; one in a hundred takes
    /// 500 ms instead. Without one requests take what they take.
    pub fn new(latency: Option<Duration>) -> Self {
        Self { latency, stalled: watch::Sender::new(Stalled::Nothing) }
    }

    /// What each request takes longer.
    pub fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// From now on such requests wait, and others go on.
    pub fn stall(&self, stalled: Stalled) {
        self.stalled.send_replace(stalled);
    }

    /// Puts it in front of a store, which is used as one so far away is.
    pub fn over(&self, objects: Objects) -> Objects {
        let weather = self.clone();
        let objects = objects.behind(|inner| Arc::new(Store { inner, weather }));
        if self.latency.is_some() { objects.hedged() } else { objects }
    }

    /// Waits as long as a read has to.
    async fn pass(&self) {
        self.pass_as(Stalled::All).await;
    }

    /// Waits as long as a request has to that goes on unless `held` stalls.
    async fn pass_as(&self, held: Stalled) {
        if let Some(typical) = self.latency {
            let third = u64::try_from(typical.as_micros() / 3).unwrap_or(u64::MAX / 4);
            let jitter = Duration::from_micros(clock::random_u64() % (2 * third + 1));
            let latency = match clock::random_u64().is_multiple_of(SLOW_ONE_IN) {
                true => SLOW.max(typical),
                false => typical - Duration::from_micros(third) + jitter,
            };
            tokio::time::sleep(latency).await;
        }
        // The sender lives as long as `self`: this ends only when the stall does.
        let _ = self.stalled.subscribe().wait_for(|stalled| *stalled < held).await;
    }
}

/// A store with weather.
#[derive(Debug, Clone)]
struct Store {
    inner: Arc<dyn ObjectStore>,
    weather: Weather,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with added latencies", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Store {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.weather.pass_as(Stalled::Writes).await;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.weather.pass_as(Stalled::Writes).await;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { inner, weather: self.weather.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.weather.pass().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (weather, deleted) = (self.weather.clone(), self.inner.delete_stream(locations));
        after(weather, deleted)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        after(self.weather.clone(), self.inner.list(prefix))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.weather.pass().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.weather.pass().await;
        self.inner.copy_opts(from, to, options).await
    }
}

/// A stream of answers, of which the first has to be waited for.
fn after<T: Send + 'static>(
    weather: Weather,
    answers: BoxStream<'static, T>,
) -> BoxStream<'static, T> {
    let begin = async move {
        weather.pass().await;
        answers
    };
    futures::stream::once(begin).flatten().boxed()
}

/// An upload in parts, each of which is a request.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    weather: Weather,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (weather, part) = (self.weather.clone(), self.inner.put_part(data));
        Box::pin(async move {
            weather.pass_as(Stalled::Writes).await;
            part.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.weather.pass_as(Stalled::Writes).await;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.weather.pass().await;
        self.inner.abort().await
    }
}
