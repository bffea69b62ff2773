//! Processes that sleep through the end of a repository and the beginning of the next one of its
//! name, and wake up in the middle of what they were doing.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use onward::{ErrorKind, RefExpr};

use super::{content, create, held, in_order, not_found, put};
use crate::cli::{Desk, Said};
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::worker::await_stop;

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_slept_through_the_next_life_takes_nothing_of_it() {
    for point in ["repo-ending", "branch-ended", "repo-removing", "repo-emptied"] {
        let (deployment, onward) = Deployment::lake().await;
        put(&onward, "main", "old", 1).await.unwrap();
        let (sleeper, gate) = held(&deployment, point).await;
        let sleeper = tokio::spawn(async move { sleeper.repo("lake").delete().await });
        gate.reached().await;
        onward.repo("lake").delete().await.unwrap();
        create(&onward).await.unwrap();
        put(&onward, "main", "precious", 2).await.unwrap();
        onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await.unwrap();
        gate.open();
        match sleeper.await.unwrap() {
            Ok(()) => {}
            failed => drop(not_found(failed)),
        }
        assert_eq!(content(&onward, "main").await.unwrap(), [("precious".into(), 2)], "{point}");
        let fresh = deployment.connect().await;
        deployment.redis.command::<String>(&["FLUSHALL"]);
        assert_eq!(content(&fresh, "dev").await.unwrap(), [("precious".into(), 2)], "{point}");
        assert_eq!(fresh.repos().await.unwrap().len(), 1);
        in_order(&deployment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_being_made_leaves_no_ghost_in_the_next_life() {
    for point in ["branch-recorded", "branch-opened"] {
        let (deployment, onward) = Deployment::lake().await;
        let (sleeper, gate) = held(&deployment, point).await;
        let made = tokio::spawn({
            let sleeper = sleeper.clone();
            async move { sleeper.repo("lake").branch("dev").create(&RefExpr::plain("main")).await }
        });
        gate.reached().await;
        onward.repo("lake").delete().await.unwrap();
        create(&onward).await.unwrap();
        gate.open();
        not_found(made.await.unwrap());
        not_found(put(&sleeper, "dev", "x", 1).await);
        for onward in [&onward, &sleeper, &deployment.connect().await] {
            let branches = onward.repo("lake").branches().await.unwrap();
            assert_eq!(branches.len(), 1, "{point}: {branches:?}");
        }
        in_order(&deployment).await;
        onward.repo("lake").delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_being_made_is_not_finished_in_the_next_life() {
    for point in ["repo-begun", "branch-recorded"] {
        let deployment = Deployment::new();
        let (sleeper, gate) = held(&deployment, point).await;
        let made = tokio::spawn(async move { create(&sleeper).await });
        gate.reached().await;
        let onward = deployment.connect().await;
        onward.repo("lake").delete().await.unwrap();
        create(&onward).await.unwrap();
        put(&onward, "main", "new", 1).await.unwrap();
        gate.open();
        let error = made.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict), "{error}");
        assert_eq!(super::commits(&onward).await, 2);
        in_order(&deployment).await;
    }
}

/// A process that commits stops at `point`; the repository is deleted meanwhile and made again.
/// Returns what it says when it wakes up.
fn woken_up(point: &str, loses_redis: bool) -> (Desk, Said) {
    let (desk, redis) = (Desk::new(), RedisServer::new());
    let storage = format!("file://{}", desk.path().join("store").display());
    let command = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = desk.command(&words);
        command.env("ONWARD_REDIS", redis.url()).env("ONWARD_STORAGE", &storage);
        command
    };
    let done = |line: &str| {
        let said = Said::of(command(line).output().unwrap());
        assert_eq!(said.code, 0, "{line}: {}", said.stderr);
        said
    };
    done("repo create lake");
    done("commit lake/main -m old --allow-empty");
    let mut sleeper = command("commit lake/main -m late --allow-empty --timeout 20s");
    let sleeper = sleeper
        .env("ONWARD_FAILPOINTS", format!("{point}=stop"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_stop(sleeper.id());
    done("repo delete lake --yes");
    if loses_redis {
        redis.command::<String>(&["FLUSHALL"]);
    }
    done("repo create lake");
    done("commit lake/main -m new --allow-empty");
    kill(Pid::from_raw(sleeper.id() as i32), Signal::SIGCONT).unwrap();
    let said = Said::of(sleeper.wait_with_output().unwrap());
    let log = done("log lake/main --json").lines();
    let messages: Vec<_> = log.iter().map(|commit| commit["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["new", "Repository created"], "{point}");
    for line in ["verify lake", "gc lake", "recover lake", "verify lake"] {
        done(line);
    }
    (desk, said)
}

/// What is left of logs in the folder of the first life.
fn strays(desk: &Desk) -> usize {
    let logs = std::fs::read_dir(desk.path().join("store/lake/log"));
    let logs =
        logs.into_iter().flatten().map(|log| std::fs::read_dir(log.unwrap().path()).unwrap());
    logs.map(Iterator::count).sum()
}

#[test]
fn a_round_that_slept_through_both_decides_nothing_of_the_next_life() {
    for point in ["view", "write", "decide", "decided", "publish"] {
        let (desk, said) = woken_up(point, false);
        // Either the deletion has helped it before it ended the branch, or it is told.
        let was_told = said.code == 4 && said.stderr.contains("deleted");
        assert!(said.code == 0 || was_told, "{point}: {} {}", said.code, said.stderr);
        assert_eq!(strays(&desk), 0, "the collection has taken what it left");
    }
}

#[test]
fn who_waits_for_an_op_of_a_repository_that_is_gone_with_its_redis_is_told() {
    for point in ["view", "decide", "decided"] {
        let (desk, said) = woken_up(point, true);
        assert_eq!(said.code, 4, "{point}: {}", said.stderr);
        assert!(said.stderr.contains("was deleted"), "{point}: {}", said.stderr);
        assert_eq!(strays(&desk), 0);
    }
}
