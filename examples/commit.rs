//! A first commit: a local instance, a repository, one change set, and reading it back.
//!
//! ```text
//! cargo run --example commit
//! ```

use onward::{Entry, Outcome, RefExpr};

mod support;

#[tokio::main]
async fn main() -> onward::Result<()> {
    support::with_local_instance(async |onward| {
        let lake = onward.repo("lake");
        lake.create(&"main".parse()?).await?;

        // A change names an object where it lies; its bytes need not pass through Onward.
        let outcome = lake
            .branch("main")
            .change()
            .put("orders/day=1.parquet", Entry::new("s3://raw/1.parquet", 1_234, "etag-1"))
            .put("orders/day=2.parquet", Entry::new("s3://raw/2.parquet", 2_345, "etag-2"))
            .message("two days of orders")
            .meta("job", "orders-hourly")
            .commit()
            .await?;

        // A conflict, a lost condition or a deadline are outcomes; an error says what to do.
        match outcome {
            Outcome::Committed { commit, ticket, .. } => {
                println!("commit {commit} is number {ticket} of main");
            }
            other => println!("it was not committed: {}", other.name()),
        }

        let path = "orders/day=1.parquet".parse()?;
        let entry = lake.stat(&RefExpr::plain("main"), &path).await?;
        println!("{path} is {} bytes at {}", entry.size, entry.address);
        Ok(())
    })
    .await
}
