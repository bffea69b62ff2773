//! Submitting without waiting: many ops under way, their outcomes asked for later, by whomever.
//!
//! ```text
//! cargo run --example tickets
//! ```

use std::time::Duration;

use onward::{Entry, Outcome, Result, TicketStatus};

mod support;

#[tokio::main]
async fn main() -> Result<()> {
    support::with_local_instance(async |onward| {
        let lake = onward.repo("lake");
        lake.create(&"main".parse()?).await?;
        let main = lake.branch("main");

        // From the moment `submit` returns the op will be decided, whatever happens to this process.
        let mut handles = Vec::new();
        for n in 0..5 {
            let entry = Entry::new(format!("s3://raw/{n}"), 1, format!("etag-{n}"));
            let change = main.change().put(format!("part-{n}"), entry).message(format!("part {n}"));
            handles.push(change.submit().await?);
        }

        // An op is known by its id, in every process that works on the branch.
        for handle in &mut handles {
            let op_id = handle.op_id();
            if let TicketStatus::Pending { position, .. } = main.ticket_status(op_id).await? {
                println!("{op_id} is number {position} in the queue");
            }
            // Whoever waits helps. Past the timeout the answer is `StillQueued`, not a failure.
            match main.ticket_wait(op_id, Duration::from_secs(30)).await? {
                Outcome::Committed { commit, ticket, .. } => println!("{ticket}: {commit}"),
                other => println!("{op_id}: {}", other.name()),
            }
        }
        Ok(())
    })
    .await
}
