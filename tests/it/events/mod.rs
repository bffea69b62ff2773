//! Events out: what sinks get, in which order, and what becomes of it when something fails.

mod answers;
mod asking;
mod checking;
mod damaged;
mod delivery;
mod failing;
mod many;
mod model;
pub mod receiver;
mod taking_over;

use std::time::Duration;

use onward::internals::repo::sinks::StartAt;
use onward::{Branch, CommitId, Onward, RepoName};
use onward_server::sinks::{Made, NewSink, NewTarget, Reach, Sinks, deliver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::lake::entry;

/// The repository of all of them.
fn lake() -> RepoName {
    "lake".parse().unwrap()
}

/// Who delivers, as a sidecar does; stops at once with the value.
struct Deliverer {
    sinks: Sinks,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Deliverer {
    fn start(onward: &Onward) -> Self {
        Self::of_at_most(1000, onward)
    }

    /// One that delivers so many sinks at a time at the most.
    fn of_at_most(places: usize, onward: &Onward) -> Self {
        let reach = Reach::new(&["127.0.0.1".to_owned()]).unwrap();
        let sinks = Sinks::at_most(places, onward.clone(), reach);
        let stop = CancellationToken::new();
        let task = tokio::spawn(deliver(sinks.clone(), stop.clone()));
        Self { sinks, stop, task }
    }

    /// Stops it in good order.
    async fn end(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }

    async fn add(&self, new: NewSink) -> Made {
        self.sinks.add(&lake(), new).await.unwrap()
    }

    async fn state(&self, id: &str) -> (String, Option<String>) {
        let all = self.sinks.list(&lake()).await.unwrap();
        let sink = all.into_iter().find(|sink| sink.id == id).unwrap();
        (sink.state, sink.reason)
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A webhook of all branches and events from now on.
fn webhook(url: &str) -> NewSink {
    NewSink {
        id: Some("audit".to_owned()),
        branches: Vec::new(),
        kinds: Default::default(),
        target: NewTarget::Webhook { url: url.to_owned(), secret: None },
        timeout: Duration::from_secs(10),
        give_up_after: Duration::from_secs(3600),
        start: StartAt::Now,
    }
}

/// A commit of one path.
async fn commit(branch: &Branch, n: usize) -> CommitId {
    let change = branch.change().put(format!("t/{n}"), entry(n)).message(format!("number {n}"));
    change.commit().await.unwrap().commit().unwrap()
}
