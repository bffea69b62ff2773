//! A private deployment with a branch, sinks into it, and what they have brought.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use onward::read::{ListItem, ListRequest};
use onward::{Config, Entry, Onward, RefExpr, Repository};
use onward_kafka::format::{JsonLines, Packing};
use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, Report, Roll, Settings, Sink, Stop};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::redis::RedisServer;
use super::until::until_async;

/// Names that say all about a file.
pub const PATHS: &str = "{topic}/{partition}/{first_offset}-{last_offset}.{ext}";

/// A Redis, a storage in files, and the repository `lake` with the branch `main`.
pub struct Lake {
    pub redis: RedisServer,
    pub storage: TempDir,
    pub onward: Onward,
}

impl Lake {
    pub async fn new() -> Self {
        Self::on(RedisServer::forgetful()).await
    }

    pub async fn on(redis: RedisServer) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let onward = connect(&redis.url(), &url(&storage)).await;
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        Self { redis, storage, onward }
    }

    pub fn repo(&self) -> Repository {
        self.onward.repo("lake")
    }

    pub fn storage_url(&self) -> String {
        url(&self.storage)
    }

    /// Starts a sink with these settings.
    pub fn start(&self, settings: Settings, broker: onward_kafka::Kafka) -> Running {
        let sink = Sink::new(&self.repo(), "main", settings).unwrap();
        Running::of(sink, broker)
    }

    /// Every file on the branch, by its path: its lines.
    pub async fn files(&self) -> BTreeMap<String, Vec<Value>> {
        let mut files = BTreeMap::new();
        for (path, entry) in self.entries().await {
            let chunks = self.repo().open(&entry).await.unwrap().chunks;
            let bytes: Vec<bytes::Bytes> = chunks.try_collect().await.unwrap();
            let text = String::from_utf8(bytes.concat()).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            files.insert(path, lines);
        }
        files
    }

    /// Every path on the branch and what it names.
    pub async fn entries(&self) -> BTreeMap<String, Entry> {
        let (repo, head) = (self.repo(), "main@".parse::<RefExpr>().unwrap());
        let mut entries = BTreeMap::new();
        let mut request = ListRequest::default();
        loop {
            let page = repo.list(&head, &request).await.unwrap();
            for item in page.items {
                let ListItem::Object(path, entry) = item else { panic!("{item:?}") };
                entries.insert(path.to_string(), entry);
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return entries,
            }
        }
    }

    /// The offsets on the branch of each partition of a topic, in the order of the files and of the lines in
    /// them.
    pub async fn offsets(&self, topic: &str) -> BTreeMap<i64, Vec<i64>> {
        let mut offsets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (path, lines) in self.files().await {
            for line in lines.iter().filter(|_| path.starts_with(&format!("{topic}/"))) {
                let partition = line["partition"].as_i64().unwrap();
                offsets.entry(partition).or_default().push(line["offset"].as_i64().unwrap());
            }
        }
        offsets
    }

    /// The pair of metadata in the newest commit that has it.
    pub async fn newest_pair(&self, key: &str) -> Option<String> {
        self.pairs(key).await.into_iter().next()
    }

    /// All that commits have under a key, the newest first.
    pub async fn pairs(&self, key: &str) -> Vec<String> {
        let head = "main@".parse::<RefExpr>().unwrap();
        let log = self.repo().log(&head, &onward::history::LogRequest::default()).await.unwrap();
        let pairs =
            log.try_filter_map(|info| async move { Ok(info.commit.metadata.get(key).cloned()) });
        pairs.try_collect().await.unwrap()
    }
}

fn url(storage: &TempDir) -> String {
    format!("file://{}", storage.path().display())
}

pub async fn connect(redis: &str, storage: &str) -> Onward {
    Onward::connect(Config::new(redis, storage).committer("kafka")).await.unwrap()
}

/// Settings of a sink whose files say everything of each record, and that commits often.
pub fn settings(group: &str, topics: &[&str]) -> Settings {
    let format = Arc::new(JsonLines::new(Packing::None).wrapped());
    let topics = topics.iter().map(|topic| Arc::from(*topic)).collect::<Vec<Arc<str>>>();
    let mut settings = Settings::new(group, topics, format, PathTemplate::parse(PATHS).unwrap());
    settings.roll = Roll { age: Duration::from_millis(200), ..Roll::default() };
    settings.commit_every = Duration::from_millis(200);
    settings.standstill = Duration::from_secs(3);
    settings.assign_patience = Duration::from_secs(20);
    settings
}

/// A sink that runs, and what it has told.
pub struct Running {
    stop: Stop,
    events: Arc<Mutex<Vec<Event>>>,
    task: JoinHandle<onward::Result<Report>>,
}

impl Running {
    pub fn of(sink: Sink, broker: onward_kafka::Kafka) -> Self {
        let (stop, events) = (Stop::new(), Arc::<Mutex<Vec<Event>>>::default());
        let told = Arc::clone(&events);
        let watch = move |event| {
            if std::env::var_os("ONWARD_TEST_SHOW").is_some() {
                eprintln!("{event:?}");
            }
            told.lock().unwrap().push(event);
        };
        let task = tokio::spawn(sink.run(broker, stop.clone(), watch));
        Self { stop, events, task }
    }

    /// Whether something of this kind was told.
    pub fn has_told(&self, kind: impl Fn(&Event) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(kind)
    }

    /// Waits until something of this kind is told; panics where it ends without.
    pub async fn until_told(&self, what: &str, kind: impl Fn(&Event) -> bool + Copy) {
        until_async(what, || async {
            assert!(!self.is_over() || self.has_told(kind), "it ended: {:?}", self.events());
            self.has_told(kind)
        })
        .await;
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it in order.
    pub async fn stop(self) -> onward::Result<Report> {
        self.stop.stop();
        self.end().await
    }

    /// Waits until it ends by itself.
    pub async fn end(mut self) -> onward::Result<Report> {
        (&mut self.task).await.unwrap()
    }
}

/// A test that fails ends: its runtime waits for the thread of the sink.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
