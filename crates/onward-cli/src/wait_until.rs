//! `wait-until`: for jobs that begin when their input is complete.

use std::time::Duration;

use onward::history::ValidThrough;
use onward::internals::clock::{ms_of_rfc3339, rfc3339};
use onward::internals::model::address::Address;
use serde_json::json;

use super::args::{Global, duration};
use super::commit::TIMEOUT;
use super::exit::{Done, Exit};
use super::out::Out;
use super::session::{branch_of, with};

#[derive(Debug, clap::Args)]
pub struct WaitUntilArgs {
    /// REPO/BRANCH
    pub branch: Address,
    /// The time up to which everything is to be there: 2026-11-28T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub valid_through: i64,
    /// Only what commits of this consumer group say
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// At most so long [default: 5m]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// A moment as users type it, in milliseconds since the Unix epoch.
fn time(text: &str) -> Result<i64, String> {
    ms_of_rfc3339(text)
        .ok_or_else(|| "a time is in RFC 3339, for example 2026-11-28T09:30:00Z".to_owned())
}

/// Waits.
pub async fn run(global: &Global, out: &Out, args: WaitUntilArgs) -> Done {
    with(global, async |onward| {
        let (branch, wanted) = (branch_of(&onward, &args.branch)?, args.valid_through);
        let timeout = args.timeout.unwrap_or(TIMEOUT);
        let said = branch.valid_through_wait(wanted, args.group.as_deref(), timeout).await?;
        let is_there = said.is_some_and(|said| said.time_ms >= wanted);
        let (time, commit) = match said {
            Some(ValidThrough { time_ms, commit, .. }) => (Some(rfc3339(time_ms)), Some(commit)),
            None => (None, None),
        };
        let line = || match (&time, commit) {
            (Some(time), Some(commit)) => format!("{time}\t{commit}"),
            _ => "no commit says".to_owned(),
        };
        out.data(|| json!({"valid_through": time, "commit": commit}), line)?;
        if is_there {
            return Ok(Exit::Done);
        }
        out.note(&format!("'{}' is not complete up to {} yet", args.branch, rfc3339(wanted)));
        Ok(Exit::StillQueued)
    })
    .await
}
