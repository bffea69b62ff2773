//! A request that takes far longer than such requests do is sent once more, beside itself.
//!
//! Of the requests to a cloud store some take ten times as long as the others, and a batch of commits waits for
//! one of them. The same request sent again seldom meets with the same, and whichever is carried out first
//! counts (J. Dean and L. A. Barroso, "The Tail at Scale", 2013). That is for requests that may be carried out
//! twice: a put-if-absent of the same bytes finds what it wanted to write.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};

use super::backend::{Error, Result};
use crate::clock::Stopwatch;

/// A request is overdue after so many times what they take of late, and not before this.
const OVERDUE_TIMES: u32 = 3;
const OVERDUE_MIN: Duration = Duration::from_millis(25);

/// Requests after which it is known what they take.
const KNOWN_MIN: u32 = 8;

/// The share of a new request in what they take of late.
const NEWEST: u32 = 8;

/// One in so many may be sent again, so that a store that is slow as a whole has little more to do.
const SENT_AGAIN_ONE_IN: u32 = 16;

/// So many in a row, at the most.
const SENT_AGAIN_MAX: u32 = 4;

/// What requests of one kind take, and which of them are sent again.
#[derive(Debug, Default)]
pub(super) struct Hedge(Mutex<Pace>);

#[derive(Debug)]
struct Pace {
    /// What they take of late.
    typical: Duration,
    known: u32,
    /// Grows by one with each request.
    credit: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { typical: Duration::ZERO, known: 0, credit: SENT_AGAIN_ONE_IN }
    }
}

impl Pace {
    /// Notes what one took. Few that are slow do not change what is typical: each counts for twice that at
    /// the most.
    fn note(&mut self, took: Duration) {
        self.known = self.known.saturating_add(1);
        self.credit = (self.credit + 1).min(SENT_AGAIN_ONE_IN * SENT_AGAIN_MAX);
        self.typical = match self.known {
            1 => took,
            _ => (self.typical * (NEWEST - 1) + took.min(self.typical * 2)) / NEWEST,
        };
    }

    /// After how long one is overdue; `None` where none is to be sent again.
    fn overdue(&self) -> Option<Duration> {
        let may = self.known >= KNOWN_MIN && self.credit >= SENT_AGAIN_ONE_IN;
        may.then(|| (self.typical * OVERDUE_TIMES).max(OVERDUE_MIN))
    }

    /// Whether one more may be sent again, which is that one.
    fn spend(&mut self) -> bool {
        let left = self.credit.checked_sub(SENT_AGAIN_ONE_IN);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

impl Hedge {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request that `send` sends, once or twice. The one that is not waited for any more is
    /// given up, whether or not it is carried out.
    pub(super) async fn answer<T, F>(&self, send: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun = Stopwatch::start();
        let first = pin!(send());
        let overdue = self.pace().overdue();
        let answer = match overdue {
            None => first.await,
            Some(overdue) => match select(first, pin!(tokio::time::sleep(overdue))).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), first)) if self.pace().spend() => {
                    let second = pin!(send());
                    let (answer, other) = select(first, second).await.factor_first();
                    if is_answer(&answer) { answer } else { other.await }
                }
                Either::Right(((), first)) => first.await,
            },
        };
        self.pace().note(begun.elapsed());
        answer
    }
}

/// Whether it tells what became of the request: that something is there does, as it may be what the other one
/// wrote.
fn is_answer<T>(answer: &Result<T>) -> bool {
    matches!(answer, Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One that has seen requests of 30 ms.
    async fn used() -> Hedge {
        let hedge = Hedge::default();
        for _ in 0..SENT_AGAIN_ONE_IN * SENT_AGAIN_MAX {
            assert!(of(&hedge, &[(30, true)]).await.0.is_ok());
        }
        hedge
    }

    /// What came of a request, of which the n-th that is sent takes so many milliseconds and succeeds or not;
    /// how many were sent.
    async fn of(hedge: &Hedge, takes: &[(u32, bool)]) -> (Result<u32>, usize) {
        let sent = Cell::new(0);
        let answer = hedge.answer(|| {
            let number = sent.replace(sent.get() + 1);
            let (ms, is_sound) = takes[number];
            async move {
                let _ = tokio::time::timeout(MS * ms, std::future::pending::<()>()).await;
                let source = "gone".into();
                is_sound.then_some(ms).ok_or(Error::Generic { store: "test", source })
            }
        });
        (answer.await, sent.get())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overdue_is_sent_once_more_and_the_first_answer_counts() {
        let hedge = used().await;
        let (answer, sent) = of(&hedge, &[(500, true), (35, true)]).await;
        assert_eq!((answer.unwrap(), sent), (35, 2));
        let (answer, sent) = of(&hedge, &[(150, true), (200, true)]).await;
        assert_eq!((answer.unwrap(), sent), (150, 2), "the first, after all");
        let (answer, sent) = of(&hedge, &[(60, true)]).await;
        assert_eq!((answer.unwrap(), sent), (60, 1), "not overdue");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_leaves_the_answer_to_the_other() {
        let hedge = used().await;
        let (answer, sent) = of(&hedge, &[(500, true), (35, false)]).await;
        assert_eq!((answer.unwrap(), sent), (500, 2));
        let (answer, _) = of(&hedge, &[(120, false), (200, true)]).await;
        assert_eq!(answer.unwrap(), 200);
        assert!(of(&hedge, &[(120, false), (200, false)]).await.0.is_err());
        let (answer, sent) = of(&hedge, &[(5, false)]).await;
        assert!(answer.is_err() && sent == 1, "failing is no reason to ask again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_became_slow_has_little_more_to_do() {
        let hedge = used().await;
        let mut sent = 0;
        for _ in 0..160 {
            sent += of(&hedge, &[(2_000, true), (2_000, true)]).await.1;
        }
        let again = sent - 160;
        assert!((4..=4 + 160 / 16).contains(&again), "{again}");
        let quick = Hedge::default();
        for _ in 0..100 {
            assert_eq!(of(&quick, &[(1, true)]).await.1, 1);
        }
        assert_eq!(of(&quick, &[(20, true)]).await.1, 1, "a moment is not worth a request");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_again_before_it_is_known_what_requests_take() {
        let hedge = Hedge::default();
        assert_eq!(of(&hedge, &[(1, true)]).await.1, 1);
        assert_eq!(of(&hedge, &[(500, true)]).await.1, 1);
    }
}
