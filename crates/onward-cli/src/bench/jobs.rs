//! The hidden verb of a process that takes part in a benchmark: its job is a JSON object.

use onward::Error;

use super::super::args::Global;
use super::super::exit::{Done, Exit};
use super::super::session::config;
use super::huge::Bulk;
#[cfg(feature = "kafka")]
use super::kafka::group::Sinking;
use super::merges::Merging;
use super::processes::{Job, Work};
use super::read::Reading;
use super::rig::Writing;
use super::sidecar::Serving;
use super::stall::Arriving;

/// The job.
#[derive(Debug, clap::Args)]
pub struct JobArgs {
    job: String,
}

impl JobArgs {
    /// Whether it is to be one writer.
    pub fn is_of_one_writer(&self) -> bool {
        let job = serde_json::from_str::<Job>(&self.job);
        job.is_ok_and(|job| job.name == Writing::NAME && job.work.get("writers") == Some(&1.into()))
    }
}

/// Does it: says when it is ready, waits for a line, works, tells what it measured.
pub async fn run(global: &Global, args: JobArgs) -> Done {
    let wrong = |error| Error::invalid("this is not a job").with_source(error);
    let job: Job = serde_json::from_str(&args.job).map_err(wrong)?;
    let config = config(global).await?;
    match job.name.as_str() {
        Writing::NAME => job.perform::<Writing>(&config).await?,
        Bulk::NAME => job.perform::<Bulk>(&config).await?,
        Merging::NAME => job.perform::<Merging>(&config).await?,
        Reading::NAME => job.perform::<Reading>(&config).await?,
        Arriving::NAME => job.perform::<Arriving>(&config).await?,
        #[cfg(feature = "kafka")]
        Sinking::NAME => job.perform::<Sinking>(&config).await?,
        Serving::NAME => job.perform::<Serving>(&config).await?,
        _ => return Err(Error::invalid("there is no such job").into()),
    }
    Ok(Exit::Done)
}
