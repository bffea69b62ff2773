//! What a commit costs, counted in calls and objects.

use std::collections::BTreeMap;

use onward::Onward;
use onward::internals::commit::log::find::find_in_log;
use onward::internals::commit::mend::restore::write_checkpoint;
use onward::internals::objects::{ObjectCounters, Objects};

use super::{change, commit, commit_all};
use crate::support::branch::{Audit, Ghost, context, keys, op_id};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::until::{PATIENCE, until_async};

/// Calls and objects so far.
pub(super) struct Meter {
    calls: BTreeMap<&'static str, u64>,
    objects: ObjectCounters,
}

/// What something cost.
#[derive(Debug)]
pub(super) struct Cost {
    pub calls: u64,
    pub by_call: BTreeMap<&'static str, u64>,
    pub written: u64,
    pub read: u64,
    pub bytes_read: u64,
}

impl Meter {
    pub fn start(onward: &Onward) -> Self {
        let coordinator = onward.coordinator();
        Self { calls: coordinator.lanes().calls(), objects: coordinator.objects().counters() }
    }

    pub fn stop(self, onward: &Onward) -> Cost {
        let now = Self::start(onward);
        let grown = |(name, count): (&&'static str, &u64)| {
            let grown = count - self.calls.get(name).copied().unwrap_or(0);
            (grown > 0).then_some((*name, grown))
        };
        let by_call: BTreeMap<_, _> = now.calls.iter().filter_map(grown).collect();
        let writes = |c: &ObjectCounters| c.puts + c.creates;
        Cost {
            calls: by_call.values().sum(),
            by_call,
            written: writes(&now.objects) - writes(&self.objects),
            read: now.objects.gets - self.objects.gets,
            bytes_read: now.objects.bytes_read - self.objects.bytes_read,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_an_op_is_one_call() {
    let (deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let keys = keys(&deployment.objects, "main").await;
    let ghost = Ghost::haunt(&deployment.redis, &keys);
    let mut handles = Vec::new();
    let mut submits = 0;
    for n in 2..12 {
        let meter = Meter::start(&onward);
        handles.push(change(&onward, "main", n).submit().await.unwrap());
        submits += meter.stop(&onward).by_call.get("submit").copied().unwrap_or(0);
    }
    assert_eq!(submits, 10);
    drop(ghost);
    for mut handle in handles {
        assert!(handle.wait(PATIENCE).await.unwrap().commit().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_commit_is_a_few_calls_and_one_object() {
    let (_deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let mut read = 0;
    for n in 2..22 {
        let meter = Meter::start(&onward);
        commit(&onward, "main", n).await;
        let cost = meter.stop(&onward);
        assert!(cost.calls <= 4, "{cost:?}");
        assert_eq!(cost.written, 1, "{cost:?}");
        // The rules of protected branches, when those at hand are some seconds old.
        assert!(cost.read <= 1, "{cost:?}");
        read += cost.read;
    }
    assert!(read < 10, "{read} objects read for 20 commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_for_one_commit_costs_little_beside_it() {
    const BRANCHES: usize = 10;
    let (_deployment, onward) = Deployment::lake().await;
    commit(&onward, "main", 1).await;
    let repo = onward.repo("lake");
    let mut read = 0;
    for n in 0..=BRANCHES {
        let branch = repo.branch(format!("job-{n}"));
        let meter = Meter::start(&onward);
        branch.create(&"main".parse().unwrap()).await.unwrap();
        let made = meter.stop(&onward);
        let meter = Meter::start(&onward);
        branch.stage_put(format!("t/{n}").parse().unwrap(), entry(n), None).await.unwrap();
        let staged = meter.stop(&onward);
        let meter = Meter::start(&onward);
        branch.commit_staged().message("load").commit().await.unwrap().commit().unwrap();
        let committed = meter.stop(&onward);
        let meter = Meter::start(&onward);
        let merge = repo.branch("main").merge(format!("job-{n}").parse().unwrap());
        merge.commit().await.unwrap().commit().unwrap();
        let merged = meter.stop(&onward);
        // The first time main is compared with its log, and Redis is given the scripts.
        if n == 0 {
            continue;
        }
        // A look at main, and the branch and its name put into Redis; the repository, whether there is a tag
        // of the name, and whether the repository is still there.
        assert_eq!((made.calls, made.written, made.read), (3, 1, 3), "{made:?}");
        // What was made here a moment ago needs no comparison with its log.
        assert_eq!((staged.calls, staged.written), (1, 0), "{staged:?}");
        assert!(committed.calls <= 3 && committed.written == 1, "{committed:?}");
        assert!(merged.calls <= 4 && merged.written == 1 && merged.read == 0, "{merged:?}");
        read += staged.read + committed.read;
    }
    // The rules of protected branches, when those at hand are some seconds old.
    assert!(read < BRANCHES as u64, "{read} objects read for {BRANCHES} branches");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_calls_and_objects() {
    const WRITERS: usize = 64;
    const EACH: usize = 25;
    let (deployment, onward) = Deployment::lake().await;
    commit_all(std::slice::from_ref(&onward), "main", 0..WRITERS).await;
    let meter = Meter::start(&onward);
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let onward = onward.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let outcome = commit(&onward, "main", 1000 * (writer + 1) + n).await;
                    assert!(outcome.commit().is_some(), "{outcome:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let cost = meter.stop(&onward);
    let commits = (WRITERS * EACH) as f64;
    assert!(cost.calls as f64 / commits <= 1.5, "{cost:?}");
    assert!(cost.written as f64 / commits <= 0.1, "{cost:?}");
    println!(
        "per commit: {} calls, {} objects",
        cost.calls as f64 / commits,
        cost.written as f64 / commits
    );
    let audit = Audit::of(&deployment.objects, "main").await;
    audit.has_all((1..=WRITERS).flat_map(|writer| 1000 * writer..1000 * writer + EACH));
}

/// Keys that stay when nothing happens on a branch: what was decided expires a day later.
const LASTING: [&str; 2] = ["head", "producers"];

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_to_do_nothing_is_asked_and_little_is_kept() {
    let (deployment, onward) = Deployment::lake().await;
    commit_all(std::slice::from_ref(&onward), "main", 1..200).await;
    // Until what runs in the background of a branch has come to its end.
    let coordinator = onward.coordinator();
    let asked = || (coordinator.lanes().calls(), coordinator.objects().counters());
    let (mut before, mut quiet) = (asked(), 0);
    until_async("fifty looks in a row find that nothing was asked", || {
        let now = asked();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        std::future::ready(quiet >= 50)
    })
    .await;
    let keys = keys(&deployment.objects, "main").await;
    let prefix = keys.head.trim_end_matches("head").to_owned();
    let found: Vec<String> = deployment.redis.command(&["KEYS", &format!("{prefix}*")]);
    let mut lasting = 0u64;
    for key in found {
        let ttl: i64 = deployment.redis.command(&["TTL", &key]);
        let name = key.trim_start_matches(&prefix);
        assert_eq!(ttl < 0, LASTING.contains(&name), "{key} lives for {ttl} s");
        if ttl < 0 {
            lasting += deployment.redis.command::<u64>(&["MEMORY", "USAGE", &key]);
        }
    }
    assert!((100..1024).contains(&lasting), "an idle branch keeps {lasting} bytes in Redis");
    println!("an idle branch keeps {lasting} bytes in Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_a_local_log_reads_what_is_new_and_lists_no_log() {
    const BEFORE: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", folder.path().display())).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    for n in 0..BEFORE {
        commit(&onward, "main", n).await;
    }
    write_checkpoint(&context(&onward, &deployment.objects, "main").await).await.unwrap();
    for n in BEFORE..BEFORE + 3 {
        commit(&onward, "main", n).await;
    }
    // A process that has read nothing yet.
    let fresh = deployment.connect().await;
    let context = context(&fresh, &deployment.objects, "main").await;
    let before = deployment.objects.counters();
    write_checkpoint(&context).await.unwrap();
    let after = deployment.objects.counters();
    // The incarnations of the name; the log is gone through from entry to entry.
    assert_eq!(after.lists - before.lists, 1);
    let read = after.gets - before.gets;
    assert!(read < 12, "{read} reads, and the log has {BEFORE} entries before the checkpoint");
    let before = deployment.objects.counters();
    let id = op_id(BEFORE + 1);
    assert!(find_in_log(&context.lake, context.uid, id, BEFORE as u64).await.unwrap().is_some());
    assert_eq!(deployment.objects.counters().lists, before.lists);
}
