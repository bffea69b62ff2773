//! A branch whose commits are checked before they are accepted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::ErrorKind;
use onward::admin::Rule;
use onward::internals::repo::ask::{Answer, Ask, Asked};
use onward::internals::repo::protection::{Check, OnFailure};
use onward_kafka::Event;

use crate::mock::Mock;
use crate::support::lake::{Lake, settings};
use crate::support::until::until_async;

/// Says the same to all that have files, and takes down what it was asked. Commits without files go through.
#[derive(Debug, Clone)]
struct Says {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Says {
    /// Is asked before every commit of `main`.
    async fn of(lake: &Lake, answer: Answer) -> Self {
        let says = Self { answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        lake.onward.ask_by(Arc::new(says.clone()));
        let url = "https://checks.example.com/".to_owned();
        let (secret, timeout_ms, on_failure) = (String::new(), 5000, OnFailure::Refuse);
        let check = Check { url, secret, timeout_ms, on_failure };
        lake.repo().protect(Rule::new("main").only([]).checked_by(check)).await.unwrap();
        says
    }

    fn says(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The commits with files that it was asked about.
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Ask for Says {
    fn ask<'a>(
        &'a self,
        _: &'a str,
        _: &'a Check,
        asked: &'a Asked,
        _: Duration,
    ) -> BoxFuture<'a, Answer> {
        if asked.paths.is_empty() {
            return async { Answer::Accepted }.boxed();
        }
        self.asked.lock().unwrap().push(asked.clone());
        let answer = self.answer.lock().unwrap().clone();
        async { answer }.boxed()
    }
}

fn is_committed(event: &Event) -> bool {
    matches!(event, Event::Committed { records, .. } if *records > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_refuses_ends_the_sink_with_its_reason_and_what_was_read_is_read_again() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    let check = Says::of(&lake, Answer::Refused("no loads on Sundays".to_owned())).await;
    let sent = mock.topics.fill("orders", 1, 5).await;
    let error = mock.start(&lake, settings("g", &["orders"])).end().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.message().contains("no loads on Sundays"), "{error}");
    let asked = check.asked();
    assert_eq!(asked.len(), 1, "a refusal is not asked for again: {asked:?}");
    assert_eq!((asked[0].kind, asked[0].count), ("commit", Some(1)));
    assert!(asked[0].message.contains("group g"), "{asked:?}");
    assert!(lake.files().await.is_empty());
    // Nothing is lost: who starts it again when the check agrees goes on where it was.
    check.says(Answer::Accepted);
    let running = mock.start(&lake, settings("g", &["orders"]));
    running.until_told("it commits", is_committed).await;
    running.stop().await.unwrap();
    assert_eq!(lake.offsets("orders").await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_check_is_away_the_sink_says_so_and_asks_again_about_the_same_op() {
    let (lake, mock) = (Lake::new().await, Mock::new("orders", 1));
    let check = Says::of(&lake, Answer::Failed("no answer came".to_owned())).await;
    let sent = mock.topics.fill("orders", 1, 5).await;
    let running = mock.start(&lake, settings("g", &["orders"]));
    let is_away =
        |event: &Event| matches!(event, Event::Trouble(what) if what.contains("no answer came"));
    running.until_told("the check is away", is_away).await;
    until_async("it is asked again", || async { check.asked().len() > 2 }).await;
    assert!(lake.files().await.is_empty());
    let asked = check.asked();
    assert!(asked.iter().all(|one| one.op_id == asked[0].op_id), "{asked:?}");
    check.says(Answer::Accepted);
    running.until_told("it commits", is_committed).await;
    running.stop().await.unwrap();
    assert_eq!(lake.offsets("orders").await, sent);
}
