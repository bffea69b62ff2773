//! What a worker process does. Without a job this is a test of nothing.

use futures::{StreamExt, TryStreamExt};
use onward::{Change, Config, Entry, Onward, PathChange};
use onward_server::sinks::{Reach, Sinks};
use tokio_util::sync::CancellationToken;

use crate::support::branch::op_id;
use crate::support::lake::entry as entry_of;
use crate::support::until::PATIENCE;
use crate::support::worker::{JOB, MARK};

#[test]
fn entry() {
    let Ok(job) = std::env::var(JOB) else {
        return;
    };
    let words: Vec<&str> = job.split_whitespace().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if job == "campaign" {
        let orders = std::env::var("ONWARD_TEST_ORDERS").unwrap();
        return runtime.block_on(crate::campaign::writer::run(&orders));
    }
    runtime.block_on(async {
        let variable = |name: &str| std::env::var(name).unwrap();
        let config = Config::new(variable("ONWARD_REDIS"), variable("ONWARD_STORAGE"));
        let onward = Onward::connect(config.committer("worker")).await.unwrap();
        match words[..] {
            ["commit", branch, first, count, tasks] => {
                let number = |text: &str| text.parse::<usize>().unwrap();
                commit(&onward, branch, number(first), number(count), number(tasks)).await;
            }
            ["huge", branch, count] => huge(&onward, branch, count.parse().unwrap()).await,
            ["see-through", branch, count] => {
                see_through(&onward, branch, count.parse().unwrap()).await;
            }
            ["deliver"] => deliver(&onward).await,
            _ => panic!("unknown job '{job}'"),
        }
        onward.close().await;
    });
}

fn report(text: &str) {
    println!("{MARK}{text}");
}

/// Delivers the events of all sinks, until it is killed.
async fn deliver(onward: &Onward) {
    let reach = Reach::new(&["127.0.0.1".to_owned()]).unwrap();
    let sinks = Sinks::new(onward.clone(), reach);
    onward_server::sinks::deliver(sinks, CancellationToken::new()).await;
}

/// The most memory that this process took so far, in KiB.
fn report_peak() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    report(peak.trim().strip_suffix(" kB").unwrap());
}

/// Helps ops `0..count` to their end, which others have left in the queue; reports the most memory that
/// it took.
async fn see_through(onward: &Onward, branch: &str, count: usize) {
    let branch = onward.repo("lake").branch(branch);
    for n in 0..count {
        let outcome = branch.ticket_wait(op_id(n), PATIENCE).await.unwrap();
        assert!(outcome.commit().is_some(), "{outcome:?}");
    }
    report_peak();
}

/// Commits ops `first..first + count`, several at a time, and reports each outcome.
async fn commit(onward: &Onward, branch: &str, first: usize, count: usize, tasks: usize) {
    let one = |n: usize| async move {
        let main = onward.repo("lake").branch(branch);
        let change = main.change().op_id(op_id(n)).put(format!("t/{n:06}"), entry_of(n));
        match change.message(format!("message {n}")).commit().await {
            Ok(outcome) => {
                let commit = outcome.commit().map(|id| id.to_string()).unwrap_or_default();
                report(&format!("{n} {} {commit}", outcome.name()));
            }
            Err(error) => report(&format!("{n} error {error}")),
        }
    };
    futures::stream::iter(first..first + count).map(one).buffer_unordered(tasks).collect().await
}

/// One commit of very many changes; reports the most memory that it took.
async fn huge(onward: &Onward, branch: &str, count: usize) {
    let mut builder = onward.repo("lake").branch(branch).change().message("huge");
    for n in 0..count {
        // Not in path order, as a directory walk would not be.
        let n = (n * 7_919) % count;
        let path = format!("table/part={:03}/file-{n:09}.parquet", n % 997).parse().unwrap();
        let entry = Entry::new(format!("s3://bucket/table/{n:09}"), n as u64, format!("{n:032x}"));
        builder.push(PathChange { path, change: Change::Put(entry), condition: None }).unwrap();
    }
    let outcome = builder.commit().await.unwrap();
    assert_eq!(outcome.name(), "committed", "{outcome:?}");
    report_peak();
    let log = onward
        .repo("lake")
        .log(&onward::internals::model::address::RefExpr::plain(branch), &Default::default())
        .await;
    let commits: Vec<_> = log.unwrap().try_collect().await.unwrap();
    assert_eq!(commits.len(), 2);
}
