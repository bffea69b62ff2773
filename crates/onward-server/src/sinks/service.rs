//! Sinks as people ask for them: made with a secret, shown without it, tried, removed, revived.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::internals::clock::{self, now_ms};
use onward::internals::coord::append::stream_key;
use onward::internals::repo::sinks::{EventKind, Progress, Sink, StartAt, Target};
use onward::{Error, Onward, RepoName, Result};
use tokio::sync::{Notify, Semaphore};

use super::ask::Checks;
use super::envelope::Envelope;
use super::reach::Reach;
use super::sender::{Sender, Sent, open_redis, redis_url};
use super::shapes::{LEFT_OUT_SHOWN, SinkShape};
use super::signature;
use super::webhook::Webhooks;
use crate::auth::Sealing;

/// What a sink is to be.
#[derive(Clone)]
pub struct NewSink {
    /// Its id; drawn without one.
    pub id: Option<String>,
    /// Patterns of branches; without any it is for all.
    pub branches: Vec<String>,
    /// Which events; without any all.
    pub kinds: BTreeSet<EventKind>,
    /// Where they go.
    pub target: NewTarget,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// How long an event may fail before the sink is given up.
    pub give_up_after: Duration,
    /// Where it begins.
    pub start: StartAt,
}

/// Where events are to go.
#[derive(Clone)]
pub enum NewTarget {
    /// To a webhook.
    Webhook {
        /// Where requests go.
        url: String,
        /// What requests are signed with; drawn without one.
        secret: Option<String>,
    },
    /// To a stream.
    Stream {
        /// The URL of another Redis than the deployment's own.
        redis: Option<String>,
        /// The name of the stream.
        key: Option<String>,
        /// Entries that it keeps, about.
        length_max: u64,
    },
}

/// Sinks that a process delivers at a time, at most.
const DELIVERED_MAX: usize = 1000;

/// How long a delivery may take, unless it is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How long an event may fail, unless it is said: three days.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// Entries that a stream keeps, unless it is said.
pub const STREAM_LENGTH: u64 = 100_000;

/// A sink that was just made.
#[derive(Clone)]
pub struct Made {
    /// The sink as it was made.
    pub sink: SinkShape,
    /// Its secret: the one time that it is shown. Streams have none.
    pub secret: Option<String>,
    /// Branches whose records nobody can read now: they are followed once they can be read.
    pub left_out: Vec<String>,
}

/// How a sink does that this process delivers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// Since when something fails.
    pub(crate) failing_since_ms: Option<i64>,
    /// Whether it was given up.
    pub(crate) is_dead: bool,
}

/// The sinks of a deployment.
#[derive(Clone)]
pub struct Sinks {
    pub(super) onward: Onward,
    webhooks: Webhooks,
    sealing: Sealing,
    /// Told when this process has changed what sinks there are.
    pub(super) changed: Arc<Notify>,
    /// Those that this process may deliver at a time.
    pub(super) places: Arc<Semaphore>,
    /// What this process delivers.
    states: Arc<Mutex<BTreeMap<(String, String), State>>>,
}

impl Sinks {
    /// Those of a deployment, to where `reach` allows.
    pub fn new(onward: Onward, reach: Reach) -> Self {
        Self::at_most(DELIVERED_MAX, onward, reach)
    }

    /// Sinks of a deployment of which this process delivers so many at a time at the most.
    pub fn at_most(places: usize, onward: Onward, reach: Reach) -> Self {
        let sealing = Sealing::of_sinks(onward.coordinator().objects().clone());
        let webhooks = Webhooks::new(reach);
        let places = Arc::new(Semaphore::new(places));
        let (changed, states) = (Arc::default(), Arc::default());
        Self { onward, webhooks, sealing, changed, places, states }
    }

    /// Who asks before commits and merges are queued, to where events may go.
    pub fn checks(&self) -> Checks {
        Checks { webhooks: self.webhooks.clone(), sealing: self.sealing.clone() }
    }

    /// Makes one. Fails with [`onward::ErrorKind::Forbidden`] where nothing may go where it leads.
    pub async fn add(&self, repo: &RepoName, new: NewSink) -> Result<Made> {
        let id = new.id.unwrap_or_else(|| format!("{:016x}", clock::random_u64()));
        let (target, secret) = self.target(repo, &id, new.target).await?;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let all = |branches: Vec<String>| match branches.is_empty() {
            true => vec!["*".to_owned()],
            false => branches,
        };
        let sink = Sink {
            id,
            uid: format!("{:016x}", clock::random_u64()),
            branches: all(new.branches),
            kinds: if new.kinds.is_empty() { EventKind::ALL.into() } else { new.kinds },
            target,
            created_ms: clock::now_ms(),
            timeout_ms: ms(new.timeout),
            give_up_ms: ms(new.give_up_after),
            revision: 0,
        };
        let left_out = self.onward.repo(repo.as_str()).add_sink(sink.clone(), new.start).await?;
        let left_out = left_out.iter().take(LEFT_OUT_SHOWN).map(ToString::to_string).collect();
        self.changed.notify_one();
        Ok(Made { sink: SinkShape::of(repo, sink, None), secret, left_out })
    }

    async fn target(
        &self,
        repo: &RepoName,
        id: &str,
        target: NewTarget,
    ) -> Result<(Target, Option<String>)> {
        let owner = owner(repo, id);
        match target {
            NewTarget::Webhook { url, secret } => {
                self.webhooks.reach().url(&url)?;
                let secret = secret.unwrap_or_else(signature::draw);
                signature::check(&secret)?;
                let secrets = vec![self.sealing.seal(&owner, &secret).await?];
                Ok((Target::Webhook { url, secrets }, Some(secret)))
            }
            NewTarget::Stream { redis, key, length_max } => {
                let shown =
                    redis.as_ref().map(|url| redis_url(url, self.webhooks.reach())).transpose()?;
                let redis = match &redis {
                    Some(url) => Some(self.sealing.seal(&owner, url).await?),
                    None => None,
                };
                if key.is_some() && redis.is_none() {
                    return Err(Error::invalid(
                        "in the deployment's own Redis the stream has a name of its own: give none, or another Redis",
                    ));
                }
                Ok((Target::Stream { redis, shown, key, length_max }, None))
            }
        }
    }

    /// All of a repository, with how far each has come.
    pub async fn list(&self, repo: &RepoName) -> Result<Vec<SinkShape>> {
        let repository = self.onward.repo(repo.as_str());
        let (life, sinks) = repository.sinks().await?;
        let mut shown = Vec::with_capacity(sinks.len());
        for sink in sinks {
            let progress = repository.sink_progress(&life, &sink).await?;
            // One that lacks it was hurt: nothing is delivered to it.
            let progress = progress.unwrap_or_else(|| {
                let mut lost = Progress::default();
                lost.give_up(now_ms(), "how far it came is not there: remove it and make it again");
                lost
            });
            shown.push(SinkShape::of(repo, sink, Some(progress)));
        }
        Ok(shown)
    }

    /// Sends one event that says it is a test, once.
    pub async fn test(&self, repo: &RepoName, id: &str) -> Result<Sent> {
        let (_, sink) = self.onward.repo(repo.as_str()).sink(id).await?;
        let sender = self.sender(repo, &sink).await?;
        Ok(sender.send(&Envelope::test(repo.as_str(), id)).await)
    }

    /// Removes one. What was not delivered is not, and its stream in the deployment's own Redis goes with it.
    pub async fn remove(&self, repo: &RepoName, id: &str) -> Result<()> {
        let sink = self.onward.repo(repo.as_str()).remove_sink(id).await?;
        self.changed.notify_one();
        if let Target::Stream { redis: None, .. } = sink.target {
            self.onward
                .coordinator()
                .lanes()
                .unlink(&[&stream_key(repo, &sink.own_name())])
                .await?;
        }
        Ok(())
    }

    /// Lets one go on where it stopped, that was given up or waits for its next try.
    pub async fn revive(&self, repo: &RepoName, id: &str) -> Result<()> {
        self.onward.repo(repo.as_str()).revive_sink(id).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Gives a webhook a new secret. Requests are signed with both until this is done again, or with the new one
    /// alone where `alone`. Returns the new one.
    pub async fn rotate(&self, repo: &RepoName, id: &str, alone: bool) -> Result<String> {
        let repository = self.onward.repo(repo.as_str());
        let (_, sink) = repository.sink(id).await?;
        if !matches!(sink.target, Target::Webhook { .. }) {
            return Err(Error::invalid(format!("sink '{id}' is a stream, which has no secret")));
        }
        let secret = signature::draw();
        let sealed = self.sealing.seal(&owner(repo, id), &secret).await?;
        let change = |sink: &mut Sink| {
            if let Target::Webhook { secrets, .. } = &mut sink.target {
                secrets.truncate(usize::from(!alone));
                secrets.insert(0, sealed.clone());
            }
        };
        repository.change_sink(id, change).await?;
        self.changed.notify_one();
        Ok(secret)
    }

    /// A sink's target, ready to be sent to.
    pub(super) async fn sender(&self, repo: &RepoName, sink: &Sink) -> Result<Sender> {
        let owner = owner(repo, &sink.id);
        match &sink.target {
            Target::Webhook { url, secrets: sealed } => {
                let mut secrets = Vec::with_capacity(sealed.len());
                for sealed in sealed {
                    secrets.push(self.sealing.open(&owner, sealed).await?);
                }
                Ok(Sender::Webhook {
                    webhooks: self.webhooks.clone(),
                    url: url.clone(),
                    secrets,
                    timeout: Duration::from_millis(sink.timeout_ms),
                })
            }
            Target::Stream { redis, key, length_max, .. } => {
                let lanes = match redis {
                    None => self.onward.coordinator().lanes().clone(),
                    Some(sealed) => {
                        let url = self.sealing.open(&owner, sealed).await?;
                        redis_url(&url, self.webhooks.reach())?;
                        open_redis(&url).await?
                    }
                };
                let key = key.clone().unwrap_or_else(|| stream_key(repo, &sink.own_name()));
                Ok(Sender::Stream { lanes, key, length_max: *length_max })
            }
        }
    }

    /// How the sinks do that this process delivers for, by repository and id.
    pub(crate) fn states(&self) -> BTreeMap<(String, String), State> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how one does; `None` where this process has no more to do with it.
    pub(super) fn note(&self, repo: &RepoName, id: &str, state: Option<State>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (repo.to_string(), id.to_owned());
        match state {
            Some(state) => states.insert(key, state),
            None => states.remove(&key),
        };
    }
}

/// What secrets of a sink are bound to.
fn owner(repo: &RepoName, id: &str) -> String {
    format!("{repo}/{id}")
}
