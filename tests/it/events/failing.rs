//! Receivers that refuse, hang, ask for time, or are gone.

use std::time::Duration;

use onward_server::sinks::{NewSink, Sent};

use super::receiver::{Receiver, Reply, distinct, in_order};
use super::{Deliverer, commit, lake, webhook};
use crate::support::lake::Deployment;
use crate::support::until::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_comes_again_under_its_id_and_nothing_overtakes_it() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    let mut refusals =
        [Reply::Status(500), Reply::With(429, "retry-after", "1".to_owned()), Reply::Status(302)]
            .into_iter();
    receiver.answers(move |_| refusals.next().unwrap_or(Reply::Status(200)));
    deliverer.add(webhook(&receiver.url)).await;
    for n in 0..5 {
        commit(&main, n).await;
    }
    let got = receiver.until_events(5).await;
    in_order(&got);
    let ids: Vec<&str> = got.iter().map(|got| got.id()).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]), "three refusals and a success: {ids:?}");
    assert_eq!(got.len(), 8);
    until_async("it is live again", || async { deliverer.state("audit").await.0 == "live" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let deliverer = Deliverer::start(&onward);
    let to = elsewhere.url.clone();
    receiver.answers(move |_| Reply::With(307, "location", to.clone()));
    deliverer.add(webhook(&receiver.url)).await;
    let sent = deliverer.sinks.test(&lake(), "audit").await.unwrap();
    assert!(matches!(sent, Sent::Failed { status: Some(307), .. }), "{sent:?}");
    assert!(elsewhere.got().is_empty());
    assert_eq!(receiver.got()[0].event["type"], "onward.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_delays_no_other_sink() {
    let (_deployment, onward) = Deployment::lake().await;
    let (silent, other) = (Receiver::start().await, Receiver::start().await);
    let (deliverer, main) = (Deliverer::start(&onward), onward.repo("lake").branch("main"));
    silent.answers(|_| Reply::Silence);
    let timeout = Duration::from_secs(60);
    deliverer.add(NewSink { id: Some("silent".into()), timeout, ..webhook(&silent.url) }).await;
    deliverer.add(NewSink { id: Some("other".into()), ..webhook(&other.url) }).await;
    commit(&main, 0).await;
    silent.until_events(1).await;
    for n in 1..20 {
        commit(&main, n).await;
    }
    in_order(&other.until_events(20).await);
    assert_eq!(silent.got().len(), 1, "it is waited for, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_is_a_failure_and_the_event_comes_again() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    let mut is_first = true;
    receiver.answers(move |_| match std::mem::take(&mut is_first) {
        true => Reply::Silence,
        false => Reply::Status(200),
    });
    deliverer.add(NewSink { timeout: Duration::from_millis(100), ..webhook(&receiver.url) }).await;
    commit(&main, 0).await;
    let got = receiver.until("it came twice", |got| got.len() == 2).await;
    assert_eq!(got[0].id(), got[1].id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_or_refuses_for_too_long_is_given_up_until_it_is_revived() {
    let (_deployment, onward) = Deployment::lake().await;
    let (deliverer, main) = (Deliverer::start(&onward), onward.repo("lake").branch("main"));
    let (gone, broken) = (Receiver::start().await, Receiver::start().await);
    gone.answers(|_| Reply::Status(410));
    broken.answers(|_| Reply::Status(500));
    deliverer.add(NewSink { id: Some("gone".into()), ..webhook(&gone.url) }).await;
    let give_up_after = Duration::from_millis(300);
    let id = Some("broken".into());
    deliverer.add(NewSink { id, give_up_after, ..webhook(&broken.url) }).await;
    commit(&main, 0).await;
    for (id, reason) in [("gone", "410"), ("broken", "500")] {
        until_async("it is given up", || async { deliverer.state(id).await.0 == "dead" }).await;
        let told = deliverer.state(id).await.1.unwrap();
        assert!(told.contains(reason), "{told}");
    }
    let came = gone.got().len();
    commit(&main, 1).await;
    gone.answers(|_| Reply::Status(200));
    // Another of the same deployment leaves it as it is, too.
    let second = Deliverer::start(&onward);
    let other = Receiver::start().await;
    second.add(NewSink { id: Some("other".into()), ..webhook(&other.url) }).await;
    commit(&main, 2).await;
    other.until_events(1).await;
    assert_eq!((came, gone.got().len()), (1, 1), "nothing comes to one that was given up");
    second.sinks.revive(&lake(), "gone").await.unwrap();
    let got = gone.until_events(3).await;
    in_order(&got);
    assert_eq!(distinct(&got).len(), 3, "it goes on where it stopped");
    until_async("it is live", || async { deliverer.state("gone").await.0 == "live" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_removed_gets_no_more() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    receiver.answers(|_| Reply::Status(503));
    deliverer.add(webhook(&receiver.url)).await;
    commit(&main, 0).await;
    receiver.until_events(1).await;
    deliverer.sinks.remove(&lake(), "audit").await.unwrap();
    let other = Receiver::start().await;
    // Of the same id: nothing is left of the first.
    deliverer.add(webhook(&other.url)).await;
    let last = commit(&main, 1).await;
    let got = other.until_events(1).await;
    assert_eq!(got[0].event["data"]["commit"], last.to_string());
    assert!(receiver.got().iter().all(|got| got.event["data"]["commit"] != last.to_string()));
    onward.repo("lake").delete().await.unwrap();
    assert!(deliverer.sinks.list(&lake()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_exchanged_requests_are_signed_with_both() {
    let (_deployment, onward) = Deployment::lake().await;
    let (receiver, main) = (Receiver::start().await, onward.repo("lake").branch("main"));
    let deliverer = Deliverer::start(&onward);
    let first = deliverer.add(webhook(&receiver.url)).await.secret.unwrap();
    let second = deliverer.sinks.rotate(&lake(), "audit", false).await.unwrap();
    deliverer.sinks.test(&lake(), "audit").await.unwrap();
    let third = deliverer.sinks.rotate(&lake(), "audit", false).await.unwrap();
    deliverer.sinks.test(&lake(), "audit").await.unwrap();
    let alone = deliverer.sinks.rotate(&lake(), "audit", true).await.unwrap();
    deliverer.sinks.test(&lake(), "audit").await.unwrap();
    let signed: Vec<Vec<bool>> = receiver
        .got()
        .iter()
        .map(|got| {
            [&first, &second, &third, &alone].map(|secret| got.is_signed_with(secret)).to_vec()
        })
        .collect();
    assert_eq!(
        signed,
        [[true, true, false, false], [false, true, true, false], [false, false, false, true]]
    );
    // Who delivers follows.
    until_async("events are signed with the new one", || async {
        commit(&main, 0).await;
        receiver.got().iter().any(|got| {
            got.event["type"] == "onward.commit"
                && got.is_signed_with(&alone)
                && !got.is_signed_with(&third)
        })
    })
    .await;
}
