//! Processes that die or stop at any point of a round, and those that go on.

use onward::internals::commit::faults::POINTS;
use onward::{Config, Onward, RefExpr};

use super::{commit, commit_all};
use crate::support::branch::{Audit, op_id};
use crate::support::redis::RedisServer;
use crate::support::worker::Worker;

/// A Redis and a store that other processes can reach too.
struct Site {
    redis: RedisServer,
    _dir: tempfile::TempDir,
    storage: String,
    onward: Onward,
}

impl Site {
    async fn new() -> Self {
        let redis = RedisServer::new();
        let dir = tempfile::tempdir().unwrap();
        let storage = format!("file://{}", dir.path().display());
        let onward = Onward::connect(Config::new(redis.url(), &storage)).await.unwrap();
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        Self { redis, _dir: dir, storage, onward }
    }

    async fn branch(&self, name: &str) {
        let main = RefExpr::plain("main");
        self.onward.repo("lake").branch(name).create(&main).await.unwrap();
    }

    fn worker(&self, job: &str, failpoints: &str) -> Worker {
        let (redis, storage) = (self.redis.url(), self.storage.as_str());
        let variables = [
            ("ONWARD_REDIS", redis.as_str()),
            ("ONWARD_STORAGE", storage),
            ("ONWARD_FAILPOINTS", failpoints),
        ];
        Worker::start(job, &variables)
    }

    fn objects(&self) -> &onward::internals::objects::Objects {
        self.onward.coordinator().objects()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committer_killed_at_any_point_is_finished_by_others() {
    let site = Site::new().await;
    for point in POINTS {
        site.branch(point).await;
        let mut worker = site.worker(&format!("commit {point} 1 1 1"), &format!("{point}=kill"));
        assert!(!tokio::task::block_in_place(|| worker.await_end()).success());
        commit(&site.onward, point, 100).await;
        let audit = Audit::of(site.objects(), point).await;
        // Before `submit` it was not accepted; everywhere else it was, and was not forgotten.
        assert_eq!(audit.commit(1).is_some(), *point != "submit", "killed at {point}");
        // Its user tries again under the same op id: one commit, whatever had happened.
        let again = commit(&site.onward, point, 1).await;
        let audit = Audit::of(site.objects(), point).await;
        assert_eq!(again.commit(), audit.commit(1), "killed at {point}");
        audit.has_all([1, 100]);
        assert_eq!(audit.ops.len(), 2, "killed at {point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committer_stopped_at_any_point_holds_nobody_up_and_does_no_harm_when_it_wakes() {
    let site = Site::new().await;
    for point in POINTS {
        site.branch(point).await;
        let mut worker = site.worker(&format!("commit {point} 1 1 1"), &format!("{point}=stop"));
        tokio::task::block_in_place(|| worker.await_stop());
        commit_all(std::slice::from_ref(&site.onward), point, 100..103).await;
        let before = Audit::of(site.objects(), point).await;
        assert_eq!(before.commit(1).is_some(), *point != "submit", "stopped at {point}");
        worker.resume();
        let report = tokio::task::block_in_place(|| worker.report()).unwrap();
        let audit = Audit::of(site.objects(), point).await;
        let id = audit.commit(1).unwrap();
        assert_eq!(report, format!("1 committed {id}"), "stopped at {point}");
        assert!(before.commit(1).is_none_or(|earlier| earlier == id));
        audit.has_all([1, 100, 101, 102]);
        assert_eq!(audit.ops.len(), 4, "stopped at {point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_committers_die_under_load() {
    const EACH: usize = 60;
    let site = Site::new().await;
    let points = ["decide=kill@4", "decided=kill@6", "published=kill@3", "write=kill@5"];
    let workers: Vec<Worker> = points
        .iter()
        .enumerate()
        .map(|(n, point)| site.worker(&format!("commit main {} {EACH} 4", 1000 * (n + 1)), point))
        .collect();
    commit_all(std::slice::from_ref(&site.onward), "main", 100..160).await;
    let mut acknowledged = Vec::new();
    for worker in workers {
        let (reports, _) = tokio::task::block_in_place(|| worker.finish());
        acknowledged.extend(reports);
    }
    let audit = Audit::of(site.objects(), "main").await;
    for report in &acknowledged {
        let mut words = report.split(' ');
        let n: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(words.next(), Some("committed"), "{report}");
        let id = audit.commit(n).map(|id| id.to_string());
        assert_eq!(id.as_deref(), words.next(), "acknowledged, but not in the log");
    }
    // Whoever was not told tries again.
    for n in 1..=points.len() {
        commit_all(std::slice::from_ref(&site.onward), "main", 1000 * n..1000 * n + EACH).await;
    }
    let audit = Audit::of(site.objects(), "main").await;
    audit.has_all((1..=points.len()).flat_map(|n| 1000 * n..1000 * n + EACH));
    // The first commit of a repository, if it has one, is the only other.
    let others = audit.ops.keys().filter(|id| **id != op_id(0));
    assert!(others.count() <= 60 + points.len() * EACH + 1);
}
