//! A producer that may be killed at any moment and commits each of its batches once.
//!
//! A producer is a name, an epoch and a sequence. The same three are one op, however often they are
//! submitted; a higher epoch shuts out every process that still runs under a lower one.
//!
//! ```text
//! cargo run --example producer
//! ```

use onward::{Branch, Entry, ErrorKind, Outcome, Result};

mod support;

/// Commits batch number `sequence`, and submits it again for as long as nobody knows what became
/// of it: after a lost connection, a deadline, a full queue.
async fn commit_once(main: &Branch, epoch: u64, sequence: u64) -> Result<Outcome> {
    loop {
        let attempt = main
            .change()
            .put(
                format!("orders/{sequence:08}.parquet"),
                Entry::new(format!("s3://raw/{sequence}"), 1_000, format!("etag-{sequence}")),
            )
            .message(format!("batch {sequence}"))
            .producer("orders-0", epoch, sequence)
            .commit()
            .await;
        match attempt {
            // Still on its way: the same op again waits for the same outcome.
            Ok(Outcome::StillQueued { .. }) => {}
            Ok(outcome) => return Ok(outcome),
            Err(error) => match error.kind() {
                ErrorKind::Overloaded { retry_after } => tokio::time::sleep(retry_after).await,
                _ if error.is_retryable() => eprintln!("once more, under the same id: {error}"),
                _ => return Err(error),
            },
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    support::with_local_instance(async |onward| {
        let lake = onward.repo("lake");
        lake.create(&"main".parse()?).await?;
        let main = lake.branch("main");

        // A process that starts asks where to go on, and takes the next epoch.
        let last = main.producer("orders-0").await?;
        let (epoch, next) = match &last {
            Some(last) => (last.epoch + 1, last.sequence + 1),
            None => (1, 1),
        };
        for sequence in next..next + 3 {
            let outcome = commit_once(&main, epoch, sequence).await?;
            println!("batch {sequence}: {}", outcome.name());
        }

        // Its replacement does the same; from its first commit on the old process is shut out.
        let Some(last) = main.producer("orders-0").await? else { return Ok(()) };
        println!("decided last: epoch {}, sequence {}", last.epoch, last.sequence);
        let outcome = commit_once(&main, last.epoch + 1, last.sequence + 1).await?;
        println!("batch {} of the replacement: {}", last.sequence + 1, outcome.name());
        match commit_once(&main, epoch, last.sequence + 2).await? {
            Outcome::Fenced { reason, .. } => println!("the old process stops: {reason}"),
            other => println!("unexpected: {}", other.name()),
        }
        Ok(())
    })
    .await
}
