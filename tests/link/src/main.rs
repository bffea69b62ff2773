//! One commit on a local instance, by a program that links the library alone.
//!
//! The argument is an empty folder for the instance.

use std::path::PathBuf;

use onward::internals::local::{self, LocalInstance};
use onward::{Config, Entry, Onward, Outcome};

type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Done {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let instance = LocalInstance::ensure(&dir)?;
    let told = tokio::runtime::Runtime::new()?.block_on(commit(instance));
    local::stop(&dir)?;
    println!("{}", told?);
    Ok(())
}

async fn commit(instance: LocalInstance) -> Done<String> {
    let onward = Onward::connect(Config::new(instance.redis_url, instance.storage_url)).await?;
    let lake = onward.repo("lake");
    lake.create(&"main".parse()?).await?;
    let main = lake.branch("main");
    let change = main.change().put("orders/1.parquet", Entry::new("s3://raw/1.parquet", 9, "c1"));
    let outcome = change.message("hourly load").commit().await?;
    onward.close().await;
    match outcome {
        Outcome::Committed { commit, ticket, .. } => Ok(format!("{commit} is commit {ticket}")),
        other => Err(format!("it was not committed: {other:?}").into()),
    }
}
