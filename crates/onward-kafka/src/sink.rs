//! The sink as users see it: made of a branch and settings, run with a client.

use std::sync::Arc;

use onward::{Error, Repository, Result};
use tokio::runtime::Handle;

use crate::broker::Broker;
use crate::engine::{Engine, Parts};
use crate::event::{Event, Report, Stop};
use crate::ledger::Ledger;
use crate::replies::Replies;
use crate::settings::Settings;
use crate::store::{BranchStore, Store};

/// A sink: records of topics become files on a branch, each record once.
pub struct Sink {
    ledger: Ledger,
    store: Arc<dyn Store>,
    replies: Option<Box<dyn Replies>>,
    settings: Settings,
}

impl Sink {
    /// A sink into a branch. Fails where the settings make no sense.
    pub fn new(repo: &Repository, branch: &str, settings: Settings) -> Result<Self> {
        settings.check()?;
        let ledger = Ledger::new(repo, branch, &settings.group)?;
        let store = Arc::new(BranchStore::new(ledger.branch().clone()));
        Ok(Self { ledger, store, replies: None, settings })
    }

    /// Puts the bytes of files elsewhere than into the storage of the deployment.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Tells what became of each change set, at least once: see [`Reply`](crate::Reply).
    #[must_use]
    pub fn replies(mut self, replies: impl Replies + 'static) -> Self {
        self.replies = Some(Box::new(replies));
        self
    }

    /// Runs until `stop`, until the end of the topics where that is set, or until something is wrong that
    /// does not go away by itself. `watch` is called from the thread of the sink and must not wait.
    ///
    /// Takes a thread of its own, and the runtime it is called in for uploads and commits.
    pub async fn run(
        self,
        broker: impl Broker + 'static,
        stop: Stop,
        watch: impl FnMut(Event) + Send + 'static,
    ) -> Result<Report> {
        let parts = Parts {
            settings: Arc::new(self.settings),
            ledger: self.ledger,
            store: self.store,
            broker: Box::new(broker),
            replies: self.replies,
            stop,
            watch: Box::new(watch),
        };
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || Engine::new(parts, runtime).run()).await.map_err(
            |error| Error::internal("the thread of the sink has ended").with_source(error),
        )?
    }
}
