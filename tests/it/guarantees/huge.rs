//! A million changes in one commit, and one change on a branch of a million.

use futures::TryStreamExt;
use onward::internals::tree::ScanStart;
use onward::{Config, Onward, RefExpr};

use super::budgets::Meter;
use super::commit;
use crate::support::lake::entry;
use crate::support::redis::RedisServer;
use crate::support::worker::Worker;

const MANY: usize = 1_000_000;
const MEMORY_MAX_KIB: u64 = 512 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_changes_fit_into_little_memory_and_make_the_next_commit_no_dearer() {
    let redis = RedisServer::forgetful();
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("file://{}", dir.path().display());
    let config = || Config::new(redis.url(), &storage);
    let onward = Onward::connect(config()).await.unwrap();
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    onward.repo("lake").branch("small").create(&RefExpr::plain("main")).await.unwrap();

    let url = redis.url();
    let variables = [("ONWARD_REDIS", url.as_str()), ("ONWARD_STORAGE", storage.as_str())];
    let mut worker = Worker::start(&format!("huge main {MANY}"), &variables);
    let peak = tokio::task::block_in_place(|| worker.report()).expect("the worker died");
    let peak: u64 = peak.parse().unwrap();
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    assert!(tokio::task::block_in_place(|| worker.await_end()).success());

    // Both branches as a process sees them that has used each once.
    let onward = Onward::connect(config()).await.unwrap();
    let mut costs = Vec::new();
    for (branch, first) in [("small", 10), ("main", 20)] {
        let meter = Meter::start(&onward);
        commit(&onward, branch, first).await;
        let cold = meter.stop(&onward);
        let meter = Meter::start(&onward);
        commit(&onward, branch, first + 1).await;
        costs.push((cold, meter.stop(&onward)));
    }
    let [(small_cold, small), (main_cold, main)] = &costs[..] else { unreachable!() };
    assert_eq!((main.calls, main.written), (small.calls, small.written), "{main:?} {small:?}");
    assert_eq!(main_cold.calls, small_cold.calls, "{main_cold:?} {small_cold:?}");
    assert_eq!(main_cold.written, small_cold.written, "{main_cold:?} {small_cold:?}");
    assert!(main_cold.read <= small_cold.read + 4, "{main_cold:?} {small_cold:?}");
    assert!(main.read <= small.read + 4, "{main:?} {small:?}");
    assert!(main_cold.bytes_read < 1024 * 1024, "{main_cold:?}");
    println!("peak {peak} KiB; one change on {MANY}: {main_cold:?} then {main:?}");

    differences_cost_what_they_are(&onward, config()).await;
}

/// Ten changes on a branch of a million: two-way and three-way differences, and the merge.
async fn differences_cost_what_they_are(onward: &Onward, config: Config) {
    let (main, dev) = (RefExpr::plain("main"), RefExpr::plain("dev"));
    let repo = onward.repo("lake");
    repo.branch("dev").create(&main).await.unwrap();
    let mut change = repo.branch("dev").change();
    for n in 0..10 {
        let n = n * 99_991;
        let path = format!("table/part={:03}/file-{n:09}.parquet", n % 997);
        change = if n % 3 == 0 { change.delete(path) } else { change.put(path, entry(n)) };
    }
    assert!(change.commit().await.unwrap().commit().is_some());
    commit(onward, "main", 22).await;

    // A process that has read nothing yet.
    let cold = Onward::connect(config).await.unwrap();
    let repo = cold.repo("lake");
    let meter = Meter::start(&cold);
    let two: Vec<_> = repo.diff(&main, &dev, "").await.unwrap().try_collect().await.unwrap();
    let cost_of_two = meter.stop(&cold);
    // The three commits that dev does not have, besides its own ten changes.
    assert_eq!(two.len(), 10 + 1, "{two:?}");
    let meter = Meter::start(&cold);
    let three = repo.three_way_diff(&main, &dev, ScanStart::all()).await.unwrap();
    let three: Vec<_> = three.try_collect().await.unwrap();
    let cost_of_three = meter.stop(&cold);
    assert_eq!(three.len(), 10);
    for cost in [&cost_of_two, &cost_of_three] {
        assert!(cost.read <= 40 && cost.bytes_read < 2 * 1024 * 1024, "{cost:?}");
    }
    let meter = Meter::start(&cold);
    let merged = repo.branch("main").merge(dev).commit().await.unwrap();
    let cost_of_merge = meter.stop(&cold);
    assert!(merged.commit().is_some(), "{merged:?}");
    assert!(cost_of_merge.written <= 1 && cost_of_merge.read <= 40, "{cost_of_merge:?}");
    println!("ten changes in {MANY}: {cost_of_two:?}, {cost_of_three:?}, {cost_of_merge:?}");
}
