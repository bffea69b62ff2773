//! Which sinks there are, and a worker for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use onward::internals::model::life::RepoLife;
use onward::internals::repo::sinks::Sink;
use onward::{ErrorKind, RepoName, Result};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::service::Sinks;
use super::worker::Worker;

/// Between two looks at which sinks there are.
const EVERY: Duration = Duration::from_secs(2);

/// For each repository that is looked at, a look takes so long at the least: two reads.
const LOOK_AT_ONE: Duration = Duration::from_millis(20);

/// How long what is under way may take to end when the sidecar stops.
const GRACE: Duration = Duration::from_secs(5);

type Key = (RepoLife, String);

struct Running {
    sink: Sink,
    stop: CancellationToken,
    task: AbortHandle,
}

/// The workers of this process; they go with it.
#[derive(Default)]
struct Workers {
    running: BTreeMap<Key, Running>,
    tasks: JoinSet<()>,
}

/// Delivers the events of all sinks, with other sidecars, until it is stopped.
pub async fn deliver(sinks: Sinks, stop: CancellationToken) {
    let mut workers = Workers::default();
    loop {
        let looked = tokio::select! {
            looked = workers.look(&sinks, &stop) => looked,
            () = stop.cancelled() => break,
        };
        let pause = match looked {
            Ok(repos) => EVERY.max(LOOK_AT_ONE.saturating_mul(repos)),
            Err(error) => {
                tracing::info!(%error, "which sinks there are cannot be looked up");
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = sinks.changed.notified() => {}
            () = stop.cancelled() => break,
        }
    }
    // Each stops after what it has under way, saves how far it came, and lets go of its lease.
    let ends = async { while workers.tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ends).await.is_err() {
        tracing::info!("some deliveries were cut short: they are made again");
    }
}

impl Workers {
    /// Begins and ends workers, so that there is one for each sink as it is now. Returns how many repositories
    /// there are.
    async fn look(&mut self, sinks: &Sinks, stop: &CancellationToken) -> Result<u32> {
        let repos = sinks.onward.repos_with_sinks().await?;
        let mut wanted: BTreeMap<Key, Sink> = BTreeMap::new();
        let mut unknown: Vec<RepoName> = Vec::new();
        for repo in &repos {
            match sinks.onward.repo(repo.as_str()).sinks().await {
                Ok((life, found)) => {
                    let keyed =
                        found.into_iter().map(|sink| ((life.clone(), sink.id.clone()), sink));
                    wanted.extend(keyed);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::info!(%error, %repo, "the sinks of a repository cannot be looked up");
                    unknown.push(repo.clone());
                }
            }
        }
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|key, there| {
            let is_as_wanted = unknown.contains(key.0.name())
                || wanted.get(key) == Some(&there.sink) && !there.task.is_finished();
            if !is_as_wanted {
                // The one in its place waits until its lease is free.
                there.stop.cancel();
            }
            is_as_wanted
        });
        for (key, sink) in wanted {
            if self.running.contains_key(&key) {
                continue;
            }
            let stop = stop.child_token();
            let (sinks, life) = (sinks.clone(), key.0.clone());
            let worker = Worker { sinks, life, sink: sink.clone(), stop: stop.clone() };
            let task = self.tasks.spawn(worker.run());
            self.running.insert(key, Running { sink, stop, task });
        }
        Ok(u32::try_from(repos.len()).unwrap_or(u32::MAX))
    }
}
