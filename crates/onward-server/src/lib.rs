//! The sidecar: Onward over HTTP, for jobs in any language.
//!
//! ```text
//! /api/v1/…       the lakeFS API, for lakeFS's own clients           lakefs
//! /onward/v1/…    what lakeFS's lacks: change sets, tickets, events  api
//! /iceberg/v1/…   an Iceberg REST catalog, for engines of tables      iceberg
//! /ui             pages for people with a browser                     page
//! /healthz /readyz /metrics                                          health, metrics
//! /openapi.json /docs                                                api
//! ```
//!
//! and S3, on a listener of its own: s3.
//!
//! Handlers turn requests into calls of the library and what comes back into answers; none knows
//! how a commit is made. The way of a request: `listen` accepts its connection, `requests` gives
//! it an id and a line in the log, `auth` finds out who asks, a handler answers. Contention is
//! nothing a client hears of: it is waited out in the queue. What cannot be accepted now is refused
//! before anything was done, with the time to wait.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod api;
pub mod auth;
mod conditions;
mod content;
mod error;
mod extract;
mod folded;
mod headers;
mod health;
#[cfg(feature = "iceberg")]
mod iceberg;
mod idempotency;
mod integrity;
pub mod lakefs;
mod listen;
mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "page")]
mod page;
mod patient;
mod places;
mod probes;
mod received;
mod refs;
mod refused;
mod requests;
#[cfg(feature = "s3")]
mod s3;
mod scrape;
mod settings;
pub mod sinks;
mod sources;
mod state;
pub mod tables;
mod tasks;
mod tls;
mod unoffered;
mod urls;
#[cfg(feature = "iceberg")]
mod warehouse;
mod watch;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::extract::OriginalUri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use error::Problem;
#[cfg(feature = "page")]
pub use page::look_at_parquet;
pub use settings::{
    IcebergAccess, Limits, Listen, S3Listen, ServerConfig, TlsFiles, VendedKey, VendedRole,
};

use auth::{Keys, NewKey, Role};
use error::ApiError;
use extract::limited;
use listen::{HeaderNames, Listener};
use onward::{Error, Onward, Result};
use sources::Sources;
use state::{App, AppState};
use tls::Tls;

/// The id of the key that examples use.
const EXAMPLE_KEY: &str = "AKIDEXAMPLE";

/// The id of the key that the first start makes.
const FIRST_ADMIN: &str = "admin";

/// A sidecar that is bound to its address and not serving yet.
pub struct Server {
    app: AppState,
    listener: Listener,
    #[cfg(feature = "s3")]
    s3: Option<Bound>,
    first_key: Option<NewKey>,
}

impl Server {
    /// Binds a sidecar of a deployment, and makes the administrator's key if it is asked for or if
    /// the deployment has no key at all.
    ///
    /// Fails with [`onward::ErrorKind::InvalidInput`] where other machines could reach it and it has
    /// neither TLS nor leave to go without, or nobody but a key that was just made could log in.
    pub async fn bind(onward: Onward, config: ServerConfig) -> Result<Self> {
        let ServerConfig {
            listen,
            tls,
            insecure,
            admin,
            sources,
            allow_sinks,
            iceberg_warehouse,
            iceberg_access,
            s3,
            #[cfg(feature = "page")]
            command,
            limits,
        } = config;
        let is_local = listen.is_local() && s3.as_ref().is_none_or(|s3| s3.listen.is_local());
        if !is_local && tls.is_none() && !insecure {
            return Err(Error::invalid(
                "other machines can reach this address, and secrets would travel in the clear: give --tls-cert and --tls-key, listen on 127.0.0.1 or a Unix socket, or add --insecure-http behind a proxy that has TLS",
            ));
        }
        let tls = tls.as_ref().map(Tls::load).transpose()?;
        let sources = Sources::new(&sources, onward.coordinator().objects())?;
        let reach = sinks::Reach::new(&allow_sinks)?;
        let sinks = sinks::Sinks::new(onward.clone(), reach);
        onward.ask_by(Arc::new(sinks.checks()));
        #[cfg(not(feature = "iceberg"))]
        if iceberg_warehouse.is_some_and(|url| !url.is_empty()) || !iceberg_access.is_plain() {
            return Err(Error::invalid(
                "a warehouse of Iceberg tables or access to it is set, and this program was built without the feature 'iceberg'",
            ));
        }
        #[cfg(not(feature = "s3"))]
        if s3.is_some() {
            return Err(Error::invalid(
                "an address of the S3 gateway is set, and this program was built without the feature 's3'",
            ));
        }
        #[cfg(feature = "iceberg")]
        let tables = tables_of(&onward, iceberg_warehouse.as_deref(), &iceberg_access)?;
        onward.refuse_unsafe_storage().await?;
        // Before a key is made whose secret is told only to who serves.
        #[cfg(feature = "s3")]
        let s3 = match &s3 {
            Some(settings) => Some(Bound::new(settings, tls.clone()).await?),
            None => None,
        };
        let listener = Listener::bind(&listen, tls).await?;
        let keys = Keys::new(onward.coordinator().objects().clone());
        let first_key = first_key(&keys, admin, is_local).await?;
        let app = App::new(
            onward,
            sources,
            sinks,
            #[cfg(feature = "iceberg")]
            tables,
            limits,
            metrics::recorder()?,
            #[cfg(feature = "page")]
            page::Setup::new(listener.is_encrypted(), command),
        );
        Ok(Self {
            app,
            listener,
            #[cfg(feature = "s3")]
            s3,
            first_key,
        })
    }

    /// The URL at which it can be reached.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// The URL at which its S3 gateway can be reached, if it has one.
    pub fn s3_url(&self) -> Option<String> {
        #[cfg(feature = "s3")]
        return self.s3.as_ref().map(|s3| s3.listener.url());
        #[cfg(not(feature = "s3"))]
        None
    }

    /// The key that was made because the deployment had none.
    pub fn first_key(&self) -> Option<&NewKey> {
        self.first_key.as_ref()
    }

    /// What stops it: requests under way are finished, for as long as the limits' grace.
    pub fn stopper(&self) -> CancellationToken {
        self.app.stopping.clone()
    }

    /// Serves until it is stopped. Returns whether every request under way was finished in time.
    pub async fn serve(self) -> bool {
        let app = self.app;
        let upkeep = tokio::spawn(metrics::upkeep(app.metrics.clone()));
        let watch = tokio::spawn(watch::look_after_all(
            app.onward.clone(),
            #[cfg(feature = "page")]
            app.waiting.clone(),
        ));
        let events = sinks::deliver(app.sinks.clone(), app.stopping.child_token());
        let events = AbortOnDropHandle::new(tokio::spawn(events));
        let (limits, stopping) = (app.limits, app.stopping.clone());
        #[cfg(feature = "s3")]
        let gateway = self.s3.map(|Bound { listener, domains }| {
            let routes = s3::router(app.clone(), domains);
            listener.serve(routes, HeaderNames::LowerCase, limits, stopping.clone())
        });
        let served = self.listener.serve(router(app), HeaderNames::TitleCase, limits, stopping);
        #[cfg(feature = "s3")]
        let finished = match gateway {
            Some(gateway) => {
                let (served, gateway) = tokio::join!(served, gateway);
                served && gateway
            }
            None => served.await,
        };
        #[cfg(not(feature = "s3"))]
        let finished = served.await;
        upkeep.abort();
        watch.abort();
        // It ends by itself when the sidecar is stopped, with what it has under way.
        let _ = events.await;
        finished
    }
}

/// Where Iceberg tables lie, if not in the deployment's own storage, and how clients reach their files.
#[cfg(feature = "iceberg")]
fn tables_of(
    onward: &Onward,
    warehouse: Option<&str>,
    access: &IcebergAccess,
) -> Result<(Option<onward::internals::objects::Objects>, iceberg::Delegation)> {
    let own = onward.coordinator().objects();
    let tables = warehouse::open(warehouse, own)?;
    let delegation = iceberg::Delegation::new(access, tables.as_ref().unwrap_or(own))?;
    Ok((tables, delegation))
}

/// Makes the administrator's key that is asked for, or one if the deployment has none, where only this machine can
/// reach the sidecar. Returns one that nobody knows yet.
async fn first_key(
    keys: &Keys,
    admin: Option<(String, String)>,
    is_local: bool,
) -> Result<Option<NewKey>> {
    keys.keep_private().await?;
    let is_example = admin.as_ref().is_some_and(|(id, _)| id == EXAMPLE_KEY);
    if !is_local && (is_example || keys.find(EXAMPLE_KEY).await?.is_some()) {
        return Err(Error::invalid(format!(
            "other machines can reach this address, and the access key {EXAMPLE_KEY} lets in, which everybody can read in the documentation: give an administrator's key of your own, and `onward key delete {EXAMPLE_KEY}` where that was made here"
        )));
    }
    match admin {
        Some((id, secret)) => keys.ensure_admin(&id, &secret).await.map(|()| None),
        None if !keys.is_empty().await? => Ok(None),
        None if is_local => keys.create(Role::Admin, FIRST_ADMIN, None).await.map(Some),
        None => Err(Error::invalid(
            "other machines can reach this address, and there is no access key yet: set ONWARD_ACCESS_KEY_ID and ONWARD_SECRET_ACCESS_KEY, or make one with `onward key create --role admin`",
        )),
    }
}

/// An S3 gateway that is bound to its address.
#[cfg(feature = "s3")]
struct Bound {
    listener: Listener,
    domains: s3::Domains,
}

#[cfg(feature = "s3")]
impl Bound {
    async fn new(settings: &S3Listen, tls: Option<Tls>) -> Result<Self> {
        let domains = s3::Domains::new(&settings.domains)?;
        Ok(Self { listener: Listener::bind(&settings.listen, tls).await?, domains })
    }
}

/// Everything that is answered.
fn router(app: AppState) -> Router {
    let known = from_fn_with_state(app.clone(), auth::authenticate);
    let lakefs = Router::new()
        .merge(lakefs::open_routes())
        .merge(lakefs::routes().layer(known.clone()))
        .fallback(no_route);
    let own = api::routes().layer(known.clone()).fallback(no_route);
    let all = Router::new()
        .nest(lakefs::ROOT, lakefs)
        .nest("/onward/v1", own)
        .merge(api::documents())
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(scrape::show));
    #[cfg(feature = "iceberg")]
    let all = {
        let once = from_fn_with_state(app.clone(), iceberg::once);
        let tables = Router::new()
            .merge(iceberg::open_routes())
            .merge(iceberg::routes().layer(once).layer(known))
            .fallback(no_route);
        all.nest("/iceberg/v1", tables)
    };
    #[cfg(feature = "page")]
    let all = all.merge(page::routes(&app));
    let all = all.fallback(no_route).method_not_allowed_fallback(wrong_method);
    let all = limited(all, app.limits.json_len)
        .layer(from_fn(integrity::watch))
        .layer(from_fn(unoffered::refuse))
        .layer(from_fn(urls::require_text))
        .layer(RequestBodyTimeoutLayer::new(app.limits.piece_timeout))
        .layer(CatchPanicLayer::custom(panicked));
    #[cfg(feature = "iceberg")]
    let all = all.layer(from_fn(iceberg::speak));
    #[cfg(feature = "page")]
    let all = all.layer(from_fn(page::speak));
    all.layer(from_fn(requests::observe)).with_state(app)
}

async fn no_route(OriginalUri(uri): OriginalUri) -> ApiError {
    let error = ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!(
            "there is no '{}' here: the lakeFS API is under /api/v1, Onward's own under /onward/v1, an Iceberg catalog under /iceberg/v1; /docs describes Onward's",
            onward::internals::model::error::quoted(uri.path())
        ),
    );
    match uri.path().starts_with("/api") {
        true => error.known_as("invalid API endpoint"),
        false => error,
    }
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not take this method",
    )
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse;
    ApiError::from(Error::internal(
        "a bug: please report it with the id of this request and the log around it",
    ))
    .into_response()
}
