//! What an ingestion job does over HTTP: make a branch, upload an object, commit, merge. By lakeFS's API,
//! so that any server that speaks it can be measured.

use std::sync::Arc;
use std::time::Duration;

use onward::internals::clock;
use onward::{Error, Result};

use super::super::args::duration;
use super::super::exit::Failure;
use super::super::out::Out;
use super::super::serve::SECRET_VARIABLE;
use super::super::signals::Signals;
use super::rig::Until;
use super::run::{Bench, writers};
use super::sidecar::Sidecars;
use super::teller::Teller;
use api::{Api, Keys};
use clients::drive;
use found::Point;

mod api;
mod clients;
mod found;

/// Bytes of an object, at most: each client has one in memory.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct CycleArgs {
    /// Clients at the same time; several numbers measure each
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_values_t = [1usize, 8, 32], value_parser = writers)]
    clients: Vec<usize>,
    /// How long each number is measured
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s", conflicts_with = "count")]
    duration: Duration,
    /// Measure so many cycles instead
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Bytes of each object
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(..=BYTES_MAX))]
    bytes: u64,
    /// Measure this lakeFS server, by its address without /api/v1, and not a sidecar of this deployment
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Who logs in there; the secret is in ONWARD_SECRET_ACCESS_KEY
    #[arg(long, value_name = "ID", env = "ONWARD_ACCESS_KEY_ID", hide_env = true)]
    access_key_id: Option<String>,
    /// Work in this repository, and leave it, instead of making one and removing it
    #[arg(long, value_name = "NAME", requires = "server")]
    repository: Option<String>,
    /// Where the repository that is made lies: its name goes behind this
    #[arg(long, value_name = "URL", default_value = "local://", requires = "server")]
    storage_namespace: String,
}

/// Measures a sidecar of this deployment, in a process of its own.
pub async fn here(bench: &Bench<'_>, args: &CycleArgs) -> Result<bool> {
    let repo = bench.repo().await?;
    let (id, secret) = bench.access_key().await?;
    let sidecar = Sidecars::start(bench, &repo, 1, 0).await?;
    let url = sidecar.urls.first().map_or("", String::as_str);
    let api = Arc::new(Api::new(url, Keys { id, secret })?);
    let sound = measure(bench.teller, args, &api, &repo).await?;
    sidecar.end().await?;
    Ok(sound)
}

/// Measures a server of somebody's.
pub async fn elsewhere(teller: &Teller, out: &Out, args: &CycleArgs) -> Result<bool, Failure> {
    let secret = std::env::var(SECRET_VARIABLE).unwrap_or_default();
    let id = args.access_key_id.clone().unwrap_or_default();
    if id.is_empty() || secret.is_empty() {
        return Err(Error::invalid(format!(
            "a lakeFS server asks who is there: give --access-key-id, or ONWARD_ACCESS_KEY_ID, and {SECRET_VARIABLE}"
        ))
        .into());
    }
    let api = Arc::new(Api::new(args.server.as_deref().unwrap_or_default(), Keys { id, secret })?);
    let mut signals = Signals::listen(*out)?;
    let made = format!("bench-{:016x}", clock::random_u64());
    let repo = match &args.repository {
        Some(repo) => repo,
        None => {
            let within = args.storage_namespace.trim_end_matches('/');
            let lies_at = match args.storage_namespace.ends_with("://") {
                true => format!("{}{made}", args.storage_namespace),
                false => format!("{within}/{made}"),
            };
            api.create_repository(&made, &lies_at).await?;
            &made
        }
    };
    let sound = tokio::select! {
        sound = measure(teller, args, &api, repo) => sound.map_err(Failure::from),
        () = signals.caught() => Err(Failure::Interrupted),
    };
    if args.repository.is_none() {
        api.delete_repository(repo).await?;
    }
    sound
}

async fn measure(teller: &Teller, args: &CycleArgs, api: &Arc<Api>, repo: &str) -> Result<bool> {
    api.require_branch(repo).await?;
    let mut sound = true;
    for clients in &args.clients {
        teller.begin(|| format!("{clients} clients"));
        let until = Until::of(args.count, args.duration);
        let before = api.asked().await;
        let cycles = drive(api, repo, *clients, args.bytes as usize, until).await?;
        // The looks at what is counted are counted: those of the second look before, and the first now.
        let asked = before.zip(api.asked().await).map(|((before, of_look), (now, last_look))| {
            now.since(before).since(of_look).since(last_look)
        });
        let point = Point { clients: *clients, cycles, asked };
        teller.tell(|| point.json(), || point.row())?;
        if let Some(error) = point.cycles.told() {
            teller.note(&error);
        }
        sound &= point.cycles.failed() == 0;
    }
    Ok(sound)
}
