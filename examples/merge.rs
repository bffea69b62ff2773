//! Merging a branch: a conflict with both sides, then a strategy that settles it.
//!
//! ```text
//! cargo run --example merge
//! ```

use onward::{Branch, Entry, Outcome, RefExpr, Result, Strategy};

mod support;

async fn put(branch: &Branch, path: &str, etag: &str) -> Result<Outcome> {
    let entry = Entry::new(format!("s3://raw/{etag}"), 100, etag);
    branch.change().put(path, entry).message(format!("{path} is {etag}")).commit().await
}

#[tokio::main]
async fn main() -> Result<()> {
    support::with_local_instance(async |onward| {
        let lake = onward.repo("lake");
        lake.create(&"main".parse()?).await?;
        let (main, idea) = (lake.branch("main"), lake.branch("idea"));
        put(&main, "prices.csv", "v1").await?;
        idea.create(&RefExpr::plain("main")).await?;

        // The same path is changed on both branches, another one on the idea alone.
        put(&main, "prices.csv", "v2").await?;
        put(&idea, "prices.csv", "v2-cheaper").await?;
        put(&idea, "notes.txt", "why").await?;

        // Whoever else commits to main meanwhile does not fail this merge: only a path that both
        // sides changed differently does.
        let merge = || main.merge(RefExpr::plain("idea")).message("a good idea");
        match merge().commit().await? {
            Outcome::Conflict { paths, total, .. } => {
                println!("{total} conflict(s)");
                for conflict in paths {
                    let etag = |entry: Option<Entry>| entry.map(|entry| entry.checksum);
                    let (ours, theirs) = (etag(conflict.dest), etag(conflict.source));
                    println!("  {}: main has {ours:?}, the idea {theirs:?}", conflict.path);
                }
            }
            other => println!("unexpected: {}", other.name()),
        }
        match merge().strategy(Strategy::SourceWins).commit().await? {
            Outcome::Committed { commit, .. } => println!("merged as {commit}"),
            other => println!("unexpected: {}", other.name()),
        }
        let prices = lake.stat(&RefExpr::plain("main"), &"prices.csv".parse()?).await?;
        println!("prices.csv on main is {} now", prices.checksum);
        Ok(())
    })
    .await
}
