//! A job that can be started again at any time: the program of `docs/library.md`.
//!
//! ```text
//! cargo run --example loader [DIR]
//! ```

use onward::local::LocalInstance;
use onward::{Config, Entry, ErrorKind, Onward, Outcome, RefExpr};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The local instance of a folder, which the command uses too; in earnest the addresses of your Redis and store.
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".onward".to_owned());
    let local = tokio::task::spawn_blocking(move || LocalInstance::ensure(dir)).await??;
    let onward = Onward::connect(Config::new(local.redis_url, local.storage_url)).await?;
    let lake = onward.repo("lake");
    match lake.create(&"main".parse()?).await {
        // It is there already.
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        created => drop(created?),
    }
    let main = lake.branch("main");

    // A name, an epoch and a sequence: run again, it asks where to go on and takes the next epoch.
    let (epoch, hour) = match main.producer("orders").await? {
        Some(last) => (last.epoch + 1, last.sequence + 1),
        None => (1, 1),
    };
    let outcome = main
        .change()
        .put(format!("orders/hour={hour}.parquet"), Entry::new("s3://raw/orders", 1234, "etag"))
        .message(format!("orders of hour {hour}"))
        .producer("orders", epoch, hour)
        .commit()
        .await?;
    match outcome {
        Outcome::Committed { commit, ticket, .. } => println!("commit {commit} is number {ticket}"),
        // A conflict, a lost condition, a deadline: outcomes, not errors.
        other => println!("not committed: {}", other.name()),
    }

    let path = format!("orders/hour={hour}.parquet").parse()?;
    println!("{path} is {} bytes", lake.stat(&RefExpr::plain("main"), &path).await?.size);
    onward.close().await;
    Ok(())
}
