//! Commits end to end: accepted, ordered, decided, durable, readable; each keeps its identity.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use onward::internals::repo::history::CommitInfo;
use onward::internals::tree::ListRequest;
use onward::{Change, Entry, Outcome, PathChange, RefExpr};

use crate::support::lake::{Deployment, entry};

async fn history(onward: &onward::Onward) -> Vec<CommitInfo> {
    let log = onward.repo("lake").log(&RefExpr::plain("main"), &Default::default()).await.unwrap();
    let mut commits: Vec<CommitInfo> = log.try_collect().await.unwrap();
    commits.reverse();
    commits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_readable_as_soon_as_it_is_acknowledged() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let outcome =
        main.change().put("t/a", entry(1)).message("first").meta("k", "v").commit().await.unwrap();
    let Outcome::Committed { commit, ticket, details } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(ticket.0, 2);
    assert!(details.rounds <= details.rounds_bound);
    let info = onward.repo("lake").show_commit(&RefExpr::plain("main")).await.unwrap();
    assert_eq!(info.id, commit);
    assert_eq!(info.commit.message, "first");
    assert_eq!(info.commit.metadata["k"], "v");
    let stat = onward.repo("lake").stat(&RefExpr::plain("main"), &"t/a".parse().unwrap()).await;
    assert_eq!(stat.unwrap(), entry(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_commits_each_keep_their_identity() {
    let (deployment, onward) = Deployment::lake().await;
    let others = [onward.clone(), deployment.connect().await, deployment.connect().await];
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            let main = others[n % others.len()].repo("lake").branch("main");
            tokio::spawn(async move {
                let change = main.change().put(format!("t/{n:04}"), entry(n));
                let outcome = change
                    .message(format!("message {n}"))
                    .committer(format!("committer {n}"))
                    .meta("n", n.to_string())
                    .commit()
                    .await
                    .unwrap();
                let Outcome::Committed { commit, ticket, details } = outcome else {
                    panic!("{outcome:?}");
                };
                let (rounds, bound) = (details.rounds, details.rounds_bound);
                assert!(rounds <= bound, "{rounds} > {bound}");
                (n, commit, ticket)
            })
        })
        .collect();
    let mut by_ticket = BTreeMap::new();
    for task in tasks {
        let (n, commit, ticket) = task.await.unwrap();
        assert!(by_ticket.insert(ticket, (n, commit)).is_none(), "two ops with one ticket");
    }
    let commits = history(&onward).await;
    assert_eq!(commits.len(), 1001);
    for (info, (ticket, (n, commit))) in commits.iter().skip(1).zip(&by_ticket) {
        assert_eq!((info.id, info.ticket()), (*commit, *ticket), "history is ticket order");
        assert_eq!(info.commit.message, format!("message {n}"));
        assert_eq!(info.commit.committer, format!("committer {n}"));
        assert_eq!(info.commit.metadata["n"], n.to_string());
    }
    let paths: BTreeSet<String> = (0..1000).map(|n| format!("t/{n:04}")).collect();
    let page = onward.repo("lake").list(&RefExpr::plain("main"), &ListRequest::default()).await;
    let listed: BTreeSet<String> =
        page.unwrap().items.iter().map(|item| item.name().to_owned()).collect();
    assert_eq!(listed, paths);
    // Each commit differs from its parent by its own file alone.
    for info in commits.iter().skip(1).step_by(97) {
        let left = RefExpr::plain(info.commit.parents[0].to_string());
        let right = RefExpr::plain(info.id.to_string());
        let diff = onward.repo("lake").diff(&left, &right, "").await.unwrap();
        let diff: Vec<_> = diff.try_collect().await.unwrap();
        assert_eq!(diff.len(), 1);
        assert_eq!(diff[0].path.as_str(), format!("t/{:0>4}", info.commit.metadata["n"]));
    }
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn commits_over_s3_survive_its_traps() {
    use crate::support::redis::RedisServer;
    use crate::support::s3::{S3Server, Trap};

    let s3 = S3Server::start().await;
    let objects = onward::internals::objects::Objects::open_with(&s3.url(), &s3.options()).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let main = onward.repo("lake").branch("main");
    for n in 0..12 {
        match n % 3 {
            1 => s3.set_trap(Trap::Conflict409, 1),
            2 => s3.set_trap(Trap::LostReply, 1),
            _ => {}
        }
        let change = main.change().put(format!("t/{n:02}"), entry(n)).message(format!("{n}"));
        assert!(change.commit().await.unwrap().commit().is_some());
    }
    let commits = history(&onward).await;
    let messages: Vec<String> = commits.iter().map(|c| c.commit.message.clone()).collect();
    let expected: Vec<String> = ["Repository created".to_owned()]
        .into_iter()
        .chain((0..12).map(|n| n.to_string()))
        .collect();
    assert_eq!(messages, expected);
    // A process that begins with nothing but the store reads it all back.
    let late = Deployment { redis: RedisServer::new(), objects: deployment.objects.clone() };
    assert_eq!(history(&late.connect().await).await, commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_redis_serves_repositories_of_one_name_in_two_storages() {
    use crate::support::redis::RedisServer;

    let redis = RedisServer::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut onwards = Vec::new();
    for (n, dir) in dirs.iter().enumerate() {
        let config = onward::Config::new(redis.url(), format!("file://{}", dir.path().display()));
        let onward = onward::Onward::connect(config).await.unwrap();
        onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
        let main = onward.repo("lake").branch("main");
        main.change().put("which", entry(n)).message(format!("{n}")).commit().await.unwrap();
        onwards.push(onward);
    }
    for (n, dir) in dirs.iter().enumerate() {
        // A process that knows nothing yet but what Redis and the storage tell it.
        let config = onward::Config::new(redis.url(), format!("file://{}", dir.path().display()));
        let fresh = onward::Onward::connect(config).await.unwrap();
        let (main, path) = (RefExpr::plain("main"), "which".parse().unwrap());
        assert_eq!(fresh.repo("lake").stat(&main, &path).await.unwrap(), entry(n));
    }
}

/// A put for each number, from an address that says `from`.
fn puts(numbers: std::ops::Range<usize>, from: &str) -> Vec<PathChange> {
    let put = |n: usize| {
        let change = Change::Put(Entry { address: format!("{from}/{n}"), mtime: 7, ..entry(n) });
        PathChange { path: format!("p/{n:05}").parse().unwrap(), change, condition: None }
    };
    numbers.map(put).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_staged_and_is_there_already_is_no_commit_however_much_it_is() {
    for count in [1, 3, 5000] {
        let (_deployment, onward) = Deployment::lake().await;
        let main = onward.repo("lake").branch("main");
        let stage = async |changes: Vec<PathChange>| {
            for page in changes.chunks(1000) {
                main.stage(page).await.unwrap();
            }
        };
        stage(puts(0..count, "s3://first")).await;
        let first = main.commit_staged().message("first").commit().await.unwrap();
        let first = first.commit().unwrap();
        // The same bytes from elsewhere are the same content.
        stage(puts(0..count, "s3://again")).await;
        let op_id = onward::internals::clock::new_op_id();
        for repeated in [false, true] {
            let again = main.commit_staged().message("again").op_id(op_id).commit().await.unwrap();
            assert_eq!((again.name(), again.details().repeated), ("no_changes", repeated));
            assert!(again.ticket().is_some(), "it was decided in its turn: {again:?}");
        }
        assert_eq!(main.show().await.unwrap().commit, Some(first));
        assert!(main.status("", None, 10).await.unwrap().is_empty(), "it is staged no more");
        // One that is another is enough, and then all count; so does whoever wants it all the same.
        let address = async || {
            let lake = onward.repo("lake");
            let first = "p/00000".parse().unwrap();
            lake.stat(&RefExpr::plain("main"), &first).await.unwrap().address
        };
        stage(puts(0..count, "s3://wanted")).await;
        let wanted = main.commit_staged().message("w").allow_empty(true).commit().await.unwrap();
        assert!(wanted.commit().is_some(), "{wanted:?}");
        assert_eq!(address().await, "s3://wanted/0");
        stage(puts(0..count + 1, "s3://more")).await;
        let more = main.commit_staged().message("more").commit().await.unwrap();
        assert!(more.commit().is_some(), "{more:?}");
        assert_eq!(address().await, "s3://more/0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_is_compared_with_what_was_committed_before_it_in_the_same_batch() {
    let (_deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let staged_behind = async |n: usize| {
        main.change().put("p/00000", entry(n)).message("before").submit().await.unwrap();
        main.stage(&puts(0..1, "s3://staged")).await.unwrap();
        main.commit_staged().message("staged").commit().await.unwrap()
    };
    let staged = staged_behind(1).await;
    assert!(staged.commit().is_some(), "the commit in front says something else: {staged:?}");
    assert_eq!(staged_behind(0).await.name(), "no_changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_a_repository_that_two_processes_change_loses_nothing() {
    const EACH: usize = 8;
    let (deployment, one) = Deployment::lake().await;
    let other = deployment.connect().await;
    let change = async |onward: &onward::Onward, who: &str| {
        for n in 0..EACH {
            let repo = onward.repo("lake");
            let put = |pairs: &mut BTreeMap<String, String>| {
                pairs.insert(format!("{who}-{n}"), "there".into());
            };
            repo.change_metadata(put).await.unwrap();
        }
    };
    futures::join!(change(&one, "one"), change(&other, "other"));
    assert_eq!(one.repo("lake").metadata().await.unwrap().len(), 2 * EACH);
}
