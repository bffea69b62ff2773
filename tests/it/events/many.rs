//! Many sinks: of one id, and more than a process delivers.

use std::collections::BTreeSet;

use futures::future::join_all;
use onward::ErrorKind;
use onward_server::sinks::{NewSink, Reach, Sinks};

use super::receiver::{Receiver, distinct, in_order};
use super::{Deliverer, commit, lake, webhook};
use crate::support::lake::Deployment;
use crate::support::until::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_made_under_one_id_at_once_there_is_one_and_nothing_is_left_of_the_other() {
    let (deployment, onward) = Deployment::lake().await;
    let main = onward.repo("lake").branch("main");
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let reach = || Reach::new(&["127.0.0.1".to_owned()]).unwrap();
    // By two processes: one makes its changes one after the other.
    let others = Sinks::new(deployment.connect().await, reach());
    let sinks = Sinks::new(onward.clone(), reach());
    let (lake_a, lake_b) = (lake(), lake());
    let made = tokio::join!(
        sinks.add(&lake_a, webhook(&first.url)),
        others.add(&lake_b, webhook(&second.url))
    );
    let (winner, loser) = match made {
        (Ok(_), Err(error)) => (&first, (&second, error)),
        (Err(error), Ok(_)) => (&second, (&first, error)),
        other => panic!("{:?}", (other.0.is_ok(), other.1.is_ok())),
    };
    assert_eq!(loser.1.kind(), ErrorKind::Conflict, "{}", loser.1);
    let places = deployment.objects.list_sorted("lake/sink-progress", None, 10).await.unwrap();
    assert_eq!(places.len(), 1, "{places:?}");
    let _deliverers = (Deliverer::start(&onward), Deliverer::start(&deployment.connect().await));
    for n in 0..5 {
        commit(&main, n).await;
    }
    let got = winner.until_events(5).await;
    in_order(&got);
    assert!(loser.0.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_one_process_has_no_place_for_are_delivered_by_another_or_when_one_is_free() {
    let (deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let alone = Deliverer::of_at_most(2, &onward);
    let ids = ["a", "b", "c", "d", "e"];
    let made = join_all(ids.map(|id| {
        let url = format!("{}&sink={id}", receiver.url);
        alone.add(NewSink { id: Some(id.to_owned()), ..webhook(&url) })
    }));
    made.await;
    commit(&main, 0).await;
    let delivered = async || -> BTreeSet<String> {
        let all = alone.sinks.list(&lake()).await.unwrap();
        all.into_iter().filter(|sink| sink.delivered > 0).map(|sink| sink.id).collect()
    };
    until_async("it delivers as many as it may", || async { delivered().await.len() == 2 }).await;
    // One that goes leaves its place to another.
    let first = delivered().await;
    let gone = first.iter().next().unwrap();
    alone.sinks.remove(&lake(), gone).await.unwrap();
    until_async("the next one has its place", || async {
        delivered().await.iter().any(|id| !first.contains(id))
    })
    .await;
    assert_eq!(delivered().await.len(), 2);
    let _more = Deliverer::of_at_most(2, &deployment.connect().await);
    until_async("the others are delivered by another", || async { delivered().await.len() == 4 })
        .await;
    let got = distinct(&receiver.got());
    assert_eq!(got.len(), 1, "the same event, for each of them: {got:?}");
}
