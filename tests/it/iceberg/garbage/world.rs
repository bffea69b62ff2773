//! Tables on local files, every file of which a test knows: who needs it is worked out from what was written, and not
//! from what the program reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use futures::TryStreamExt;
use onward::admin::GcOptions;
use onward::history::LogRequest;
use onward::internals::commit::faults::Faults;
use onward::internals::objects::Objects;
use onward::internals::repo::gc::{GcEvent, GcReport};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Entry, Onward, RefExpr};
use onward_iceberg::catalog::{Catalog, GarbageOptions, GarbageReport};
use onward_iceberg::table::Append;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::{MAIN, at, current, new_table};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::sidecar::Sidecar;

/// Longer than what files of tables are kept for.
const AGE: Duration = Duration::from_secs(8 * 24 * 3600);

/// What a snapshot brought, and whether it has what its parent had.
#[derive(Debug, Clone)]
struct Snapshot {
    list: String,
    brought: Vec<String>,
    carries: Option<i64>,
}

pub struct World {
    pub sidecar: Sidecar,
    pub faults: Faults,
    pub store: PathBuf,
    /// By the folder of its table and its id.
    snapshots: BTreeMap<(String, i64), Snapshot>,
    _dir: TempDir,
}

/// What a collection did.
#[derive(Debug)]
pub struct Collected {
    pub own: GcReport,
    pub tables: GarbageReport,
    /// Files that went, or would, as paths below the storage.
    pub gone: BTreeSet<String>,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().canonicalize().unwrap().join("store");
        let url = format!("file://{}", store.display());
        let objects = Objects::open(&url).unwrap();
        let deployment = Deployment { redis: RedisServer::new(), objects };
        let faults = Faults::default();
        let onward = deployment.connect_with(faults.clone()).await;
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
        let world = Self { sidecar, faults, store, snapshots: BTreeMap::new(), _dir: dir };
        world.namespace().await;
        world
    }

    pub async fn namespace(&self) {
        let url = format!("{MAIN}/namespaces");
        let (status, told) = self.sidecar.send("POST", &url, json!({"namespace": ["a"]})).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }

    pub fn onward(&self) -> &Onward {
        &self.sidecar.onward
    }

    pub async fn send(&self, method: &str, url: &str, body: Value) -> Value {
        let (status, told) = self.sidecar.send(method, url, body).await;
        assert!(status.is_success(), "{method} {url}: {status} {told}");
        told
    }

    /// Makes a table on a branch; its metadata.
    pub async fn create(&self, branch: &str, name: &str) -> Value {
        let url = on(branch, &format!("{MAIN}/namespaces/a/tables"));
        self.send("POST", &url, new_table(name)).await["metadata"].clone()
    }

    pub async fn load(&self, branch: &str, name: &str) -> Value {
        let (status, told) = self.sidecar.get(&on(branch, &at(name))).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        told
    }

    /// Commits snapshot `id` with a file of its own: in place of all there is, or besides it.
    pub async fn write(&mut self, branch: &str, name: &str, id: i64, besides: bool) -> Value {
        let known = self.load(branch, name).await["metadata"].clone();
        let body = self.written(&known, id, besides);
        self.send("POST", &on(branch, &at(name)), body).await["metadata"].clone()
    }

    /// Writes the files of snapshot `id` for somebody who knows the table as `known`; what he commits.
    pub fn written(&mut self, known: &Value, id: i64, besides: bool) -> Value {
        let data = format!("{}/data/{id}.parquet", known["location"].as_str().unwrap());
        self.put(&data, b"rows");
        self.written_with(known, id, besides, &data)
    }

    /// The same, with a data file that is there already.
    pub fn written_with(&mut self, known: &Value, id: i64, besides: bool, data: &str) -> Value {
        let location = known["location"].as_str().unwrap().to_owned();
        let parent = current(known);
        let sequence = known["last-sequence-number"].as_i64().unwrap();
        let append = Append {
            location: &location,
            snapshot_id: id,
            parent: parent.map(|parent| (parent, sequence)),
            attempt: 0,
            rows: 1,
            total_rows: None,
            now_ms: known["last-updated-ms"].as_i64().unwrap(),
        };
        let carries = parent.filter(|_| besides);
        let parents = carries.map(|parent| {
            let list = self.snapshots[&(location.clone(), parent)].list.clone();
            std::fs::read(self.store.join(list)).unwrap().into()
        });
        let manifest = append.manifest_naming(data).unwrap();
        let list = append.list(manifest.len(), parents.as_ref()).unwrap();
        self.put(&append.manifest_location(), &manifest);
        self.put(&append.list_location(), &list);
        let brought = vec![self.key(data), self.key(&append.manifest_location())];
        let snapshot = Snapshot { list: self.key(&append.list_location()), brought, carries };
        self.snapshots.insert((location.clone(), id), snapshot);
        append.commit(if besides { "append" } else { "overwrite" })
    }

    /// The path below the storage of what lies at a location.
    pub fn key(&self, location: &str) -> String {
        let key = self.sidecar.deployment.objects.key_of(location);
        key.unwrap_or_else(|| panic!("{location} lies elsewhere")).to_owned()
    }

    pub fn path(&self, location: &str) -> PathBuf {
        self.store.join(self.key(location))
    }

    /// Writes a file, as a client does.
    pub fn put(&self, location: &str, bytes: &[u8]) {
        let path = self.path(location);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// As if days had passed: all that is there is old.
    pub fn age(&self) {
        for key in below(&self.store, &self.store) {
            let file = std::fs::File::options().append(true).open(self.store.join(key)).unwrap();
            file.set_modified(SystemTime::now() - AGE).unwrap();
        }
    }

    /// Every file in the folders of tables.
    pub fn files(&self) -> BTreeSet<String> {
        let mut files = below(&self.store, &self.store.join("_iceberg/lake"));
        files.retain(|key| !key.contains("/.removing/"));
        files
    }

    /// Every file that a table needs at any branch, tag, or commit in their histories.
    pub async fn needed(&self) -> BTreeSet<String> {
        let repo = self.onward().repo("lake");
        let mut refs: Vec<String> =
            repo.branches().await.unwrap().iter().map(|branch| branch.name.to_string()).collect();
        refs.extend(repo.tags().await.unwrap().iter().map(|tag| tag.name.to_string()));
        let mut commits = BTreeSet::new();
        for name in refs {
            let log = repo.log(&RefExpr::plain(name), &LogRequest::default()).await.unwrap();
            let log: Vec<_> = log.try_collect().await.unwrap();
            commits.extend(log.into_iter().map(|info| info.id.to_string()));
        }
        let mut needed = BTreeSet::new();
        for commit in commits {
            for entry in tables(self.onward(), &commit).await {
                needed.extend(self.needed_by(&entry));
            }
        }
        needed
    }

    /// The files of a table as one version of its metadata has it.
    pub fn needed_by(&self, entry: &Entry) -> BTreeSet<String> {
        let mut needed = BTreeSet::from([self.key(&entry.address)]);
        if let Some(list) = entry.metadata.get("iceberg.lost").filter(|list| *list != "nothing") {
            needed.insert(self.key(list));
            needed.extend(self.pages(list));
        }
        let bytes = std::fs::read(self.path(&entry.address)).unwrap();
        let mut plain = Vec::new();
        let metadata: Value = match GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain) {
            Ok(_) => serde_json::from_slice(&plain).unwrap(),
            Err(_) => serde_json::from_slice(&bytes).unwrap(),
        };
        let location = metadata["location"].as_str().unwrap();
        for snapshot in metadata["snapshots"].as_array().unwrap() {
            let mut at = snapshot["snapshot-id"].as_i64();
            needed.insert(self.key(snapshot["manifest-list"].as_str().unwrap()));
            while let Some(id) = at {
                let known = &self.snapshots[&(location.to_owned(), id)];
                needed.extend(known.brought.iter().cloned());
                at = known.carries;
            }
        }
        for kind in ["statistics", "partition-statistics"] {
            for one in metadata[kind].as_array().into_iter().flatten() {
                needed.insert(self.key(one["statistics-path"].as_str().unwrap()));
            }
        }
        needed
    }

    /// The pages that a list of what a table has lost names: it has their locations as text.
    pub fn pages(&self, list: &str) -> BTreeSet<String> {
        let bytes = std::fs::read(self.path(list)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (folder, _) = list.rsplit_once('/').unwrap();
        let ends = text.match_indices(".bin").map(|(at, end)| at + end.len());
        ends.map(|end| {
            let begins = text[..end].rfind(folder).unwrap();
            self.key(&text[begins..end])
        })
        .collect()
    }

    /// A collection by somebody else than the sidecar, which removes.
    pub async fn gc(&self) -> Collected {
        self.gc_told(true, |_| ()).await.unwrap()
    }

    /// The same, or one that only counts, with somebody to tell.
    pub async fn gc_told(
        &self,
        removes: bool,
        mut told: impl FnMut(&GcEvent<'_>) + Send,
    ) -> onward::Result<Collected> {
        let onward = self.sidecar.deployment.connect_with(Faults::default()).await;
        let options = GarbageOptions { removes, list: true, ..GarbageOptions::default() };
        self.gc_by(&onward, &Catalog::new(onward.clone(), None), options, &mut told).await
    }

    pub async fn gc_by(
        &self,
        onward: &Onward,
        catalog: &Catalog,
        options: GarbageOptions,
        told: &mut (dyn FnMut(&GcEvent<'_>) + Send),
    ) -> onward::Result<Collected> {
        let garbage = catalog.garbage(&"lake".parse().unwrap(), options)?;
        let mut gone = BTreeSet::new();
        let beside: Arc<_> = garbage.clone();
        let own = onward
            .repo("lake")
            .gc_beside(&GcOptions::default(), Some(beside), &mut |event| {
                told(&event);
                if let GcEvent::Removed { key, .. } = event {
                    assert!(gone.insert(key.to_owned()), "{key} is told twice");
                }
            })
            .await?;
        Ok(Collected { own, tables: garbage.report(), gone })
    }
}

/// A URL of the catalog of `main`, of another branch.
pub fn on(branch: &str, url: &str) -> String {
    url.replace("lake@main", &format!("lake@{branch}"))
}

/// The tables of a ref.
pub async fn tables(onward: &Onward, reference: &str) -> Vec<Entry> {
    let (repo, reference) = (onward.repo("lake"), reference.parse().unwrap());
    let page = repo.list(&reference, &ListRequest::default()).await.unwrap();
    let entry = |item| match item {
        ListItem::Object(path, entry) if path.as_str().ends_with(".table") => Some(entry),
        _ => None,
    };
    page.items.into_iter().filter_map(entry).collect()
}

/// The files below a folder, as paths below the root.
fn below(root: &Path, folder: &Path) -> BTreeSet<String> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let key = path.strip_prefix(root).unwrap();
                    files.insert(key.to_str().unwrap().to_owned());
                }
            }
        }
    }
    files
}
