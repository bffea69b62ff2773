//! Repositories and branches that end and begin again: while their deletion lasts, when it is
//! interrupted, beside processes that live or sleep through it, and after a Redis went back.

mod asleep;
mod beginnings;
mod damaged;
mod deletions;
mod killed;
mod random;
mod returning;
mod uploads;

use onward::internals::commit::faults::{Faults, Gate};
use onward::internals::repo::gc::GcOptions;
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Error, ErrorKind, Onward, RefExpr};

use crate::support::lake::{Deployment, entry};
use crate::support::verify::sound;

async fn create(onward: &Onward) -> onward::Result<()> {
    onward.repo("lake").create(&"main".parse().unwrap()).await.map(drop)
}

/// Commits a put of one path.
async fn put(onward: &Onward, branch: &str, path: &str, n: usize) -> onward::Result<()> {
    let change = onward.repo("lake").branch(branch).change().put(path, entry(n));
    let outcome = change.message(path).commit().await?;
    assert!(outcome.commit().is_some(), "{outcome:?}");
    Ok(())
}

/// Every path at a ref of `lake`, with the number of its entry.
async fn content(onward: &Onward, reference: &str) -> onward::Result<Vec<(String, u64)>> {
    let request = ListRequest { amount: 1000, ..Default::default() };
    let page = onward.repo("lake").list(&RefExpr::plain(reference), &request).await?;
    assert!(page.next.is_none());
    let items = page.items.into_iter().map(|item| match item {
        ListItem::Object(path, entry) => (path.to_string(), entry.size),
        ListItem::CommonPrefix(prefix) => panic!("{prefix}"),
    });
    Ok(items.collect())
}

/// How many commits the branch `main` of `lake` has.
async fn commits(onward: &Onward) -> usize {
    use futures::TryStreamExt;
    let log = onward.repo("lake").log(&RefExpr::plain("main"), &Default::default()).await.unwrap();
    log.try_collect::<Vec<_>>().await.unwrap().len()
}

/// The repository `lake` can be verified, collected and recovered, and nothing is wrong with it.
async fn in_order(deployment: &Deployment) {
    let onward = deployment.connect().await;
    sound(&onward).await;
    onward.repo("lake").gc(&GcOptions::default(), &mut |_| ()).await.unwrap();
    onward.repo("lake").recover().await.unwrap();
    onward.recover().await.unwrap();
}

fn not_found<T: std::fmt::Debug>(result: onward::Result<T>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    error
}

/// One more process, and the point at which it is held up.
async fn held(deployment: &Deployment, point: &'static str) -> (Onward, Gate) {
    let faults = Faults::default();
    let onward = deployment.connect_with(faults.clone()).await;
    let gate = faults.hold(point);
    (onward, gate)
}
