//! Reading: what is staged and what is committed, a listing, the history of a path, a difference.
//!
//! ```text
//! cargo run --example reads
//! ```

use futures::TryStreamExt;
use onward::history::LogRequest;
use onward::read::{ListItem, ListRequest};
use onward::{RefExpr, Result};

mod support;

#[tokio::main]
async fn main() -> Result<()> {
    support::with_local_instance(async |onward| {
        let lake = onward.repo("lake");
        lake.create(&"main".parse()?).await?;
        let main = lake.branch("main");

        // An upload lies in the deployment's own storage; staged, it is visible on the branch.
        let entry = main.upload(&b"id,amount\n1,20\n"[..]).await?;
        main.stage_put("orders/day=1.csv".parse()?, entry, None).await?;
        main.commit_staged().message("first orders").commit().await?;
        let entry = main.upload(&b"id,amount\n2,30\n"[..]).await?;
        main.stage_put("orders/day=2.csv".parse()?, entry, None).await?;

        // `main` shows what is staged, `main@` only what is committed.
        for reference in ["main", "main@"] {
            let reference: RefExpr = reference.parse()?;
            let wanted = ListRequest { prefix: "orders/".into(), ..ListRequest::default() };
            let page = lake.list(&reference, &wanted).await?;
            println!("{reference}: {} objects below orders/", page.items.len());
            for item in page.items {
                if let ListItem::Object(path, entry) = item {
                    println!("  {path} {} bytes", entry.size);
                }
            }
        }
        main.commit_staged().message("second orders").commit().await?;

        let entry = lake.stat(&"main@".parse()?, &"orders/day=1.csv".parse()?).await?;
        let bytes: Vec<_> = lake.open(&entry).await?.chunks.try_collect().await?;
        print!("{}", String::from_utf8_lossy(&bytes.concat()));

        // What touched a path, newest first; and what the last commit changed.
        let touched = LogRequest { prefixes: vec!["orders/".into()], ..LogRequest::default() };
        let mut log = lake.log(&RefExpr::plain("main"), &touched).await?;
        while let Some(info) = log.try_next().await? {
            println!("{} {}", info.id, info.commit.message);
        }
        let mut diff = lake.diff(&"main~1".parse()?, &RefExpr::plain("main"), "").await?;
        while let Some(difference) = diff.try_next().await? {
            println!("changed: {}", difference.path);
        }
        Ok(())
    })
    .await
}
