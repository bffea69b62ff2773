//! Imports: what lies in a folder of a store is on the branch, by one commit, where it lies.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use onward::internals::objects::Objects;
use onward::internals::repo::LogRequest;
use onward::internals::repo::import::{ImportPart, ImportRequest, SOURCE_KEY};
use onward::internals::repo::protection::Rule;
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Entry, ErrorKind, Onward, RefExpr};
use tempfile::TempDir;

use crate::support::lake::{Deployment, entry};

/// Files of a few folders, some of them deep, some with names of all kinds.
fn tree(count: usize) -> (TempDir, BTreeMap<String, String>) {
    let dir = tempfile::Builder::new().prefix("onward-import-").tempdir().unwrap();
    let mut files = BTreeMap::new();
    for n in 0..count {
        let name = match n % 5 {
            0 => format!("f{n}"),
            1 => format!("a/b/c/{n}.csv"),
            2 => format!("day={}/é {n}.csv", n % 50),
            3 => format!("b/{n}%.txt"),
            _ => format!("folder {}/{n}", n % 20),
        };
        let content = "x".repeat(n % 13);
        let path = dir.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &content).unwrap();
        files.insert(name, content);
    }
    (dir, files)
}

fn from(source: impl Into<String>) -> ImportRequest {
    ImportRequest { parts: vec![ImportPart::folder(source)], ..ImportRequest::default() }
}

fn under(prefix: &str, source: &str) -> ImportRequest {
    let (url, prefix) = (source.to_owned(), prefix.to_owned());
    ImportRequest { parts: vec![ImportPart::Folder { url, prefix }], ..from(source) }
}

async fn content(onward: &Onward, reference: &str) -> BTreeMap<String, Entry> {
    let mut content = BTreeMap::new();
    let reference: RefExpr = reference.parse().unwrap();
    let mut request = ListRequest::default();
    loop {
        let page = onward.repo("lake").list(&reference, &request).await.unwrap();
        for item in page.items {
            if let ListItem::Object(path, entry) = item {
                content.insert(path.to_string(), entry);
            }
        }
        request.after = page.next;
        if request.after.is_none() {
            return content;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_on_the_branch_by_one_commit_and_nothing_is_copied() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    main.change().put("raw/f0", entry(1)).put("kept", entry(2)).commit().await.unwrap();
    let (dir, files) = tree(6000);
    let source = format!("file://{}/", dir.path().display());
    let before = deployment.objects.counters().bytes_written;
    let request = under("raw/", &source);
    let imported = main.import(&request).await.unwrap();
    let commit = imported.outcome.as_ref().unwrap().commit().unwrap();
    assert_eq!((imported.objects, imported.left_out), (6000, 0));
    let bytes: usize = files.values().map(String::len).sum();
    assert_eq!(imported.bytes, bytes as u64);
    let told = deployment.objects.counters().bytes_written - before;
    println!("{told} bytes written for 6,000 entries");
    let mut there = content(&onward, "main").await;
    assert_eq!(there.remove("kept"), Some(entry(2)));
    assert_eq!(there.len(), files.len());
    for (name, content) in &files {
        let entry = &there[&format!("raw/{name}")];
        assert_eq!(entry.size, content.len() as u64, "{name}");
        let file = url::Url::parse(&entry.address).unwrap().to_file_path().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), *content, "{}", entry.address);
        assert!(!entry.checksum.is_empty() && !entry.checksum.contains('"'));
        assert!(entry.mtime > 1_600_000_000);
    }
    let log = onward.repo("lake").log(&RefExpr::plain("main"), &LogRequest::default()).await;
    let log: Vec<_> = log.unwrap().try_collect().await.unwrap();
    assert_eq!((log.len(), log[0].id), (3, commit));
    assert_eq!(log[0].commit.metadata[SOURCE_KEY], imported.source);
    assert_eq!(log[0].commit.message, format!("Import from {}", imported.source));
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_choose_and_a_dry_run_only_counts() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let (dir, files) = tree(300);
    let request = ImportRequest {
        include: vec!["*.csv".into(), "folder*/*".into()],
        exclude: vec!["a/**".into(), "day=2/*".into()],
        dry_run: true,
        ..from(format!("file://{}", dir.path().display()))
    };
    let counted = main.import(&request).await.unwrap();
    let taken = |name: &&String| {
        (name.ends_with(".csv") || name.starts_with("folder"))
            && !name.starts_with("a/")
            && !name.starts_with("day=2/")
    };
    let expected: Vec<&String> = files.keys().filter(taken).collect();
    assert_eq!(counted.objects as usize, expected.len());
    assert_eq!(counted.left_out as usize, files.len() - expected.len());
    assert_eq!(counted.outcome, None);
    assert_eq!(content(&onward, "main").await.len(), 0);
    main.import(&ImportRequest { dry_run: false, ..request }).await.unwrap();
    let there: Vec<String> = content(&onward, "main").await.into_keys().collect();
    assert!(there.iter().eq(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_refused_and_nothing_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lake");
    let objects = Objects::open(&format!("file://{}", root.display())).unwrap();
    let deployment = Deployment { redis: crate::support::redis::RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    std::fs::create_dir_all(dir.path().join("raw/empty")).unwrap();
    std::os::unix::fs::symlink(&root, dir.path().join("link")).unwrap();
    for inside in ["lake", "lake/lake/log", "", "link", "raw/../lake"] {
        let source = format!("file://{}/{inside}", dir.path().display());
        let error = main.import(&from(source)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{inside}: {error}");
        assert!(error.message().contains("own storage"), "{error}");
    }
    let raw = format!("file://{}/raw", dir.path().display());
    assert_eq!(main.import(&from(&raw)).await.unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(dir.path().join("raw/a"), "x").unwrap();
    // A name that is too long for a path of the lake, found only while listing.
    let request = under(&"p/".repeat(512), &raw);
    let error = main.import(&request).await.unwrap_err();
    assert!(error.message().contains("nothing was imported"), "{error}");
    onward.repo("lake").protect(Rule::new("main")).await.unwrap();
    assert_eq!(main.import(&from(&raw)).await.unwrap_err().kind(), ErrorKind::Forbidden);
    onward.repo("lake").unprotect("main").await.unwrap();
    assert_eq!(main.show().await.unwrap().done, 1);
    assert_eq!(main.import(&from(&raw)).await.unwrap().objects, 1);
    // Links are followed, but not into the storage: a folder that holds it, the folder itself, a file.
    for (target, link) in [("..", "up"), ("../lake", "in"), ("../lake/lake/repo", "file")] {
        std::os::unix::fs::symlink(target, dir.path().join("raw").join(link)).unwrap();
    }
    let imported = main.import(&from(&raw)).await.unwrap();
    let paths: Vec<String> = content(&onward, "main").await.into_keys().collect();
    // Two here, `up/lake` and `up/link`, and in `up/raw` the two again and a circle.
    assert_eq!((imported.skipped.special, imported.skipped.missed()), (7, 0), "{imported:?}");
    assert_eq!(paths, ["a", "up/raw/a"]);
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_a_bucket_is_imported() {
    use crate::support::s3::S3Server;

    let s3 = S3Server::start().await;
    let bucket = Objects::open_with("s3://lake/raw", &s3.options()).unwrap();
    for n in 0..40 {
        let key = if n % 4 == 0 { format!("{n}") } else { format!("d{}/x/{n}", n % 3) };
        bucket.put(&key, vec![b'x'; n].into()).await.unwrap();
    }
    let objects = Objects::open_with(&s3.url(), &s3.options()).unwrap();
    let deployment = Deployment { redis: crate::support::redis::RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    let request = ImportRequest { options: s3.options(), ..from("s3://key:secret@lake/raw/?x=y") };
    let imported = main.import(&request).await.unwrap();
    assert_eq!((imported.objects, imported.bytes), (40, (0..40).sum::<u64>()));
    assert_eq!(imported.source, "s3://lake/raw");
    let there = content(&onward, "main").await;
    assert_eq!(there.len(), 40);
    assert_eq!(there["d1/x/13"].address, "s3://lake/raw/d1/x/13");
    assert_eq!((there["d1/x/13"].size, there["8"].size), (13, 8));
    assert!(there.values().all(|entry| !entry.checksum.is_empty()));
    // A console marks folders by empty objects; a real one of no bytes is imported like others.
    bucket.put("empty", Vec::new().into()).await.unwrap();
    for mark in ["raw/", "raw/d1/", "raw/d1/x/", "raw/new/"] {
        s3.mark(mark);
    }
    let request = ImportRequest { mirror: true, ..request };
    let imported = main.import(&request).await.unwrap();
    assert_eq!((imported.objects, imported.removed), (41, 0));
    assert_eq!((imported.skipped.special, imported.skipped.missed()), (3, 0));
    assert!(imported.skipped.reasons[0].contains("mark of a folder"), "{:?}", imported.skipped);
    let there = content(&onward, "main").await;
    assert_eq!((there.len(), there["empty"].size), (41, 0));
    // One that no path of the client can be ends the listing, and waiting will not help.
    s3.mark("raw/d1//x");
    let error = main.import(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.message().contains("rename it"), "{error}");
    for inside in ["s3://lake", "s3://lake/deployment", "s3://lake/deployment/one/lake/log"] {
        let request = ImportRequest { options: s3.options(), ..from(inside) };
        let error = main.import(&request).await.unwrap_err();
        assert!(error.message().contains("own storage"), "{inside}: {error}");
    }
}

/// Writes small and large objects to a folder, and imports that folder: both say the same of each.
async fn linked_as_imported(onward: &Onward, folder: &str, options: Vec<(String, String)>) {
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    let elsewhere = onward.elsewhere(folder, &options).unwrap();
    let mut written = BTreeMap::new();
    // The last in parts.
    for (key, len) in [("a", 0), ("day=1/b.jsonl", 7), ("deep/er/large", 40 << 20)] {
        let bytes = vec![b'x'; len];
        written.insert(key.to_owned(), elsewhere.put(key, bytes.as_slice()).await.unwrap());
    }
    // One after the other: listings of some stores do not say what an object is recognised by.
    let object = |key: &String| {
        let (url, path) = (format!("{folder}/{key}"), key.clone());
        ImportPart::Object { url, path }
    };
    let parts = written.keys().map(object).collect();
    main.import(&ImportRequest { parts, options: options.clone(), ..from(folder) }).await.unwrap();
    assert_eq!(content(onward, "main").await, written);
    assert_eq!(written["day=1/b.jsonl"].size, 7);
    for nonsense in ["memory://", "ftp://x/y", "no url"] {
        let error = onward.elsewhere(nonsense, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{nonsense}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_another_folder_is_linked_as_an_import_would_link_it() {
    let storage = tempfile::tempdir().unwrap();
    let redis = crate::support::redis::RedisServer::new();
    let own = format!("file://{}", storage.path().display());
    let onward = Onward::connect(onward::Config::new(redis.url(), own.clone())).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    // It need not be there.
    let folder = format!("file://{}/new/folder", dir.path().display());
    linked_as_imported(&onward, &folder, Vec::new()).await;
    for inside in [own.clone(), format!("{own}/lake/data/x")] {
        let error = onward.elsewhere(&inside, &[]).unwrap_err();
        assert!(error.message().contains("own storage"), "{inside}: {error}");
    }
    assert!(!storage.path().join("lake/data/x").exists(), "one that is refused is not made");
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_another_bucket_is_linked_as_an_import_would_link_it() {
    use crate::support::s3::S3Server;

    let (s3, deployment) = (S3Server::start().await, Deployment::new());
    let onward = deployment.connect().await;
    linked_as_imported(&onward, "s3://lake/raw", s3.options()).await;
}
