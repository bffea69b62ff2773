//! `down`, `status`: the local instance of the data directory.

use onward::internals::local::{self, ServerState};
use onward::{Error, Result};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit, millis};
use super::out::{Out, human_bytes};
use super::session::blocking;
use super::settings::{Place, Settings};
use super::shape::add;

/// The data directory; the verbs here have no meaning for a Redis of one's own.
pub fn data_dir(global: &Global, verb: &str) -> Result<std::path::PathBuf> {
    match Settings::read(global)?.place {
        Place::Local(data_dir) => Ok(data_dir),
        Place::Remote { .. } => Err(Error::invalid(format!(
            "`onward {verb}` is for the local instance, but a Redis and a storage are set (flags, ONWARD_REDIS and ONWARD_STORAGE, or onward.toml): unset them to use it"
        ))),
    }
}

/// Stops the local instance.
pub async fn down(global: &Global, out: &Out) -> Done {
    let dir = data_dir(global, "down")?;
    let shown = dir.display().to_string();
    let stopped = blocking(move || local::stop(&dir)).await?;
    if out.is_json() {
        out.data(|| json!({"data_dir": shown, "stopped": stopped}), String::new)?;
    }
    out.note(&match stopped {
        true => format!("stopped the local instance of {shown}; the data stays"),
        false => format!("no local instance of {shown} runs"),
    });
    Ok(Exit::Done)
}

/// Says what runs. Starts nothing.
pub async fn status(global: &Global, out: &Out) -> Done {
    let dir = match Settings::read(global)?.place {
        Place::Local(dir) => dir,
        Place::Remote { storage, .. } => return remote(global, out, &storage).await,
    };
    let shown = dir.display().to_string();
    let Some(status) = blocking(move || local::status(&dir)).await? else {
        out.data(
            || json!({"data_dir": shown, "state": "absent"}),
            || format!("nothing in {shown} yet: `onward repo create NAME` begins one"),
        )?;
        return Ok(Exit::Done);
    };
    let (redis, storage) = (&status.redis_url, &status.storage_url);
    let shape = |state: &str| json!({"data_dir": shown, "state": state, "redis": redis, "storage": storage});
    let text = |state: &str| format!("{state}\nredis    {redis}\nstorage  {storage}");
    match &status.server {
        ServerState::Stopped => {
            out.data(|| shape("stopped"), || text("stopped; any command starts it"))?;
        }
        ServerState::Silent => out.data(
            || shape("silent"),
            || text("runs, but does not answer: it loads its data, is paused, or is stuck"),
        )?,
        ServerState::Running { pid, version, uptime, used_memory } => out.data(
            || {
                let mut shape = shape("running");
                add(&mut shape, "pid", *pid);
                add(&mut shape, "version", version.as_str());
                add(&mut shape, "uptime_ms", millis(*uptime));
                add(&mut shape, "memory_bytes", *used_memory);
                shape
            },
            || {
                let uptime =
                    humantime::format_duration(std::time::Duration::from_secs(uptime.as_secs()));
                let memory = human_bytes(*used_memory);
                text(&format!("runs for {uptime} (Redis {version}, pid {pid}, {memory})"))
            },
        )?,
    }
    Ok(Exit::Done)
}

async fn remote(global: &Global, out: &Out, storage: &str) -> Done {
    let onward =
        onward::Onward::connect(super::session::config(global).await?.short_lived()).await?;
    let repos = onward.repos().await?.len();
    let redis = onward.coordinator().lanes().url();
    onward.close().await;
    out.data(
        || json!({"state": "running", "redis": redis, "storage": storage, "repositories": repos}),
        || format!("Redis and storage answer; {repos} repositories\nredis    {redis}\nstorage  {storage}"),
    )?;
    Ok(Exit::Done)
}
