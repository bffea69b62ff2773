//! What all requests of a sidecar share.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use super::auth::{AccessKey, Brake, Keys, Tokens};
use super::error::{ApiError, ApiResult};
use super::places::Places;
use super::settings::Limits;
use super::sources::Sources;
use super::tasks::Tasks;
use crate::repo::Onward;

/// A sidecar's state, as handlers get it.
pub type AppState = Arc<App>;

/// Logins that are looked into at the same time, at most; those of one who tries take one of them.
const DOORS: usize = 255;

/// Characters of an access key id that failed logins are counted by.
const ID_SHOWN: usize = 64;

/// What all requests share.
pub struct App {
    /// The deployment.
    pub onward: Onward,
    /// Its access keys.
    pub keys: Keys,
    /// Its logins.
    pub tokens: Tokens,
    /// Who failed to log in.
    pub brake: Brake,
    /// Where logins wait for each other, by who tries.
    doors: Vec<Mutex<()>>,
    last_door: Mutex<()>,
    /// Requests under way.
    pub places: Places,
    /// Imports, dumps and restores.
    pub tasks: Tasks,
    /// Listeners of event streams.
    pub streams: Arc<Semaphore>,
    /// The same, of one access key.
    pub streams_by_key: Places,
    /// Where else objects may be read from.
    pub sources: Sources,
    /// The limits.
    pub limits: Limits,
    /// What is measured.
    pub metrics: PrometheusHandle,
    /// Says that the sidecar is to stop.
    pub stopping: CancellationToken,
}

impl App {
    /// Puts the state together.
    pub fn new(
        onward: Onward,
        sources: Sources,
        limits: Limits,
        metrics: PrometheusHandle,
    ) -> AppState {
        let objects = onward.coordinator().objects().clone();
        let keys = Keys::new(objects.clone());
        Arc::new(Self {
            tokens: Tokens::new(objects, keys.clone()),
            keys,
            brake: Brake::default(),
            doors: (0..DOORS).map(|_| Mutex::new(())).collect(),
            last_door: Mutex::new(()),
            places: Places::new("requests", limits.requests_per_key),
            tasks: Tasks::new(limits.tasks),
            streams: Arc::new(Semaphore::new(limits.streams)),
            streams_by_key: Places::new("event streams", limits.streams_per_key),
            sources,
            onward,
            limits,
            metrics,
            stopping: CancellationToken::new(),
        })
    }

    fn door(&self, who: &str) -> &Mutex<()> {
        let hash = blake3::hash(who.as_bytes());
        let index = hash.as_bytes().first().map_or(0, |byte| usize::from(*byte));
        self.doors.get(index).unwrap_or(&self.last_door)
    }

    /// The key of this id and secret, shown by somebody at the address `from`. Who fails too often
    /// is not listened to for a while.
    pub async fn log_in(&self, from: &str, id: &str, secret: &str) -> ApiResult<Arc<AccessKey>> {
        // Others at the same address may have guessed: that is not his fault.
        if let Some(key) = self.keys.proven(id, secret).await? {
            return Ok(key);
        }
        let who = format!("{from} {}", id.chars().take(ID_SHOWN).collect::<String>());
        // One after the other: of many who are right the first proves it for all, and of many who
        // guess no more are heard than if they came one by one.
        let _turn = self.door(&who).lock().await;
        if let Some(key) = self.keys.proven(id, secret).await? {
            return Ok(key);
        }
        if let Some(wait) = self.brake.begin(&who) {
            return Err(ApiError::overloaded(
                "too many logins with this access key from this address have failed: wait, and check the secret",
                wait,
            ));
        }
        match self.keys.check(id, secret).await? {
            Some(key) => {
                self.brake.succeeded(&who);
                Ok(key)
            }
            None => {
                metrics::counter!(super::metrics::LOGINS_FAILED).increment(1);
                Err(ApiError::unauthenticated("the access key id or its secret is wrong"))
            }
        }
    }
}
