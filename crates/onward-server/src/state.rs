//! What all requests of a sidecar share.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "page")]
use super::auth::Sessions;
#[cfg(feature = "s3")]
use super::auth::Signing;
use super::auth::{AccessKey, Keys, Logins, Tokens};
use super::error::{ApiError, ApiResult};
use super::health::Health;
#[cfg(feature = "page")]
use super::page::{AllQueues, Checkup, Setup};
use super::places::{Place, Places};
use super::settings::Limits;
use super::sinks::Sinks;
use super::sources::Sources;
use super::tables::Tables;
use super::tasks::Tasks;
#[cfg(feature = "page")]
use super::watch::Waiting;
use onward::Onward;
#[cfg(feature = "iceberg")]
use onward::internals::objects::Objects;

/// When to come again who finds as many listening to events as may.
const LISTEN_AGAIN: Duration = Duration::from_secs(15);

/// When to come again who finds as many files being written as may.
const EXPORT_AGAIN: Duration = Duration::from_secs(5);

/// A sidecar's state, as handlers get it.
pub type AppState = Arc<App>;

/// What all requests share.
pub struct App {
    /// The deployment that it serves.
    pub onward: Onward,
    /// Where its access keys are shown.
    logins: Logins,
    /// What stands for one that was shown.
    pub tokens: Tokens,
    /// Logins of people with a browser.
    #[cfg(feature = "page")]
    pub sessions: Sessions,
    /// How its pages are served.
    #[cfg(feature = "page")]
    pub page: Setup,
    /// What was found when the deployment was examined last.
    #[cfg(feature = "page")]
    pub checkup: Checkup,
    /// What was found when all queues were looked at for who wants to see them.
    #[cfg(feature = "page")]
    pub all_queues: AllQueues,
    /// Where something waited when all queues were looked at last.
    #[cfg(feature = "page")]
    pub waiting: Waiting,
    /// Whether Redis and the storage answer.
    pub health: Health,
    /// Requests under way.
    pub places: Places,
    /// Imports, dumps and restores.
    pub tasks: Tasks,
    /// Listeners of event streams.
    streams: Arc<Semaphore>,
    /// Listeners of event streams, by access key.
    streams_by_key: Places,
    /// Listings, histories and differences that are written as files.
    exports: Arc<Semaphore>,
    /// Those of each access key.
    exports_by_key: Places,
    /// Where else objects may be read from.
    pub sources: Sources,
    /// Where events of branches go.
    pub sinks: Sinks,
    /// Iceberg's tables in merges and differences of branches.
    pub tables: Tables,
    /// Iceberg's tables and namespaces on branches.
    #[cfg(feature = "iceberg")]
    pub catalog: onward_iceberg::catalog::Catalog,
    /// How clients reach the files of Iceberg's tables.
    #[cfg(feature = "iceberg")]
    pub delegation: super::iceberg::Delegation,
    /// Requests of the Iceberg catalog that are carried out once.
    #[cfg(feature = "iceberg")]
    pub iceberg_once: super::iceberg::Once,
    /// How much is taken at once.
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
        sinks: Sinks,
        #[cfg(feature = "iceberg")] (warehouse, delegation): (
            Option<Objects>,
            super::iceberg::Delegation,
        ),
        limits: Limits,
        metrics: PrometheusHandle,
        #[cfg(feature = "page")] page: Setup,
    ) -> AppState {
        let objects = onward.coordinator().objects().clone();
        let keys = Keys::new(objects.clone());
        #[cfg(feature = "iceberg")]
        let catalog = onward_iceberg::catalog::Catalog::new(onward.clone(), warehouse);
        Arc::new(Self {
            #[cfg(feature = "iceberg")]
            tables: Tables::of(&catalog),
            #[cfg(not(feature = "iceberg"))]
            tables: Tables,
            #[cfg(feature = "page")]
            sessions: Sessions::new(objects.clone(), keys.clone()),
            #[cfg(feature = "page")]
            page,
            #[cfg(feature = "page")]
            checkup: Checkup::default(),
            #[cfg(feature = "page")]
            all_queues: AllQueues::default(),
            #[cfg(feature = "page")]
            waiting: Waiting::default(),
            tokens: Tokens::new(objects, keys.clone()),
            logins: Logins::new(keys),
            health: Health::default(),
            places: Places::new("requests", limits.requests_per_key),
            tasks: Tasks::new(limits.tasks),
            streams: Arc::new(Semaphore::new(limits.streams)),
            streams_by_key: Places::new("event streams", limits.streams_per_key),
            exports: Arc::new(Semaphore::new(limits.exports)),
            exports_by_key: Places::new("exports", limits.exports_per_key),
            sources,
            sinks,
            #[cfg(feature = "iceberg")]
            catalog,
            #[cfg(feature = "iceberg")]
            delegation,
            #[cfg(feature = "iceberg")]
            iceberg_once: super::iceberg::Once::default(),
            onward,
            limits,
            metrics,
            stopping: CancellationToken::new(),
        })
    }

    /// Takes a place among those who listen to events, of all and of one access key: held until what comes
    /// back is dropped.
    pub fn listen(&self, key: &str) -> ApiResult<(Place, OwnedSemaphorePermit)> {
        let own = self.streams_by_key.take(key)?;
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            ApiError::overloaded("as many listen to events as may: try again later", LISTEN_AGAIN)
        })?;
        Ok((own, place))
    }

    /// Takes a place among those for whom files are written, as [`App::listen`] does.
    pub fn export(&self, key: &str) -> ApiResult<(Place, OwnedSemaphorePermit)> {
        let own = self.exports_by_key.take(key)?;
        let place = Arc::clone(&self.exports).try_acquire_owned().map_err(|_| {
            ApiError::overloaded(
                "as many files are written as may be: try again later",
                EXPORT_AGAIN,
            )
        })?;
        Ok((own, place))
    }

    /// Lets somebody in, as [`Logins::log_in`] does.
    pub async fn log_in(&self, from: &str, id: &str, secret: &str) -> ApiResult<Arc<AccessKey>> {
        self.logins.log_in(from, id, secret).await
    }

    /// Who says that he has signed, as [`Logins::signing`] finds out.
    #[cfg(feature = "s3")]
    pub async fn signing(&self, from: &str, id: &str) -> ApiResult<Option<Signing>> {
        self.logins.signing(from, id).await
    }

    /// Takes down whether he has.
    #[cfg(feature = "s3")]
    pub fn tell_signed(&self, from: &str, signing: &Signing, is_right: bool) {
        self.logins.tell_signed(from, signing, is_right);
    }
}
