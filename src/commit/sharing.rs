//! A question that many ask at the same time: those who come while it is being asked share the next answer.
//!
//! Nobody is given an answer to a question that was asked before he came, so what he is told is never older
//! than his own question would be. Who comes alone asks himself: it costs him nothing that others might come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::model::error::{Error, Result};

/// The question, as it is asked again.
type Question<T> = Arc<dyn Fn() -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// Those who ask one question.
#[derive(Debug)]
pub struct Sharing<T> {
    state: Arc<Mutex<Asking<T>>>,
}

#[derive(Debug)]
struct Asking<T> {
    /// Whether somebody asks now, who sees to those who wait.
    busy: bool,
    waiting: Vec<oneshot::Sender<Result<T>>>,
}

impl<T> Default for Asking<T> {
    fn default() -> Self {
        Self { busy: false, waiting: Vec::new() }
    }
}

impl<T> Default for Sharing<T> {
    fn default() -> Self {
        Self { state: Arc::default() }
    }
}

impl<T: Clone + Send + 'static> Sharing<T> {
    /// Asks, or waits for an answer to a question that was begun after this call. Whoever asks the same
    /// `Sharing` must ask the same.
    pub async fn ask<F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        question: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<T> {
        let answered = {
            let mut state = lock(&self.state);
            match state.busy {
                true => {
                    let (answer, answered) = oneshot::channel();
                    state.waiting.push(answer);
                    Some(answered)
                }
                false => {
                    state.busy = true;
                    None
                }
            }
        };
        match answered {
            Some(answered) => answered.await.map_err(|_| ended())?,
            None => {
                let question: Question<T> = Arc::new(move || Box::pin(question()));
                let asked =
                    Turn { state: Arc::clone(&self.state), question: Arc::clone(&question) };
                let answer = question().await;
                drop(asked);
                answer
            }
        }
    }
}

/// Who asks, until he has his answer or gives up: then somebody asks for those who wait.
struct Turn<T: Clone + Send + 'static> {
    state: Arc<Mutex<Asking<T>>>,
    question: Question<T>,
}

impl<T: Clone + Send + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = lock(&self.state);
            state.busy = !state.waiting.is_empty();
            std::mem::take(&mut state.waiting)
        };
        if waiting.is_empty() {
            return;
        }
        let next = Self { state: Arc::clone(&self.state), question: Arc::clone(&self.question) };
        // Where this process ends, they are told so by the end of their channels.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(next.serve(waiting));
        }
    }
}

impl<T: Clone + Send + 'static> Turn<T> {
    /// Asks once for all who wait. It ends as any other turn: whoever has come meanwhile is next.
    async fn serve(self, waiting: Vec<oneshot::Sender<Result<T>>>) {
        let answer = (self.question)().await;
        for each in waiting {
            let own = match &answer {
                Ok(answer) => Ok(answer.clone()),
                Err(error) => Err(error.again()),
            };
            // Who has gone needs no answer.
            let _ = each.send(own);
        }
    }
}

fn lock<T>(state: &Mutex<Asking<T>>) -> MutexGuard<'_, Asking<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> Error {
    Error::unavailable("this process is shutting down")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A question whose answer is how often it was asked, and which waits for leave to be answered.
    struct Counted {
        sharing: Sharing<u64>,
        asked: Arc<AtomicU64>,
        leave: Arc<Semaphore>,
    }

    impl Counted {
        fn new(leave: usize) -> Self {
            let (sharing, asked) = Default::default();
            Self { sharing, asked, leave: Arc::new(Semaphore::new(leave)) }
        }

        async fn ask(&self) -> Result<u64> {
            let (asked, leave) = (Arc::clone(&self.asked), Arc::clone(&self.leave));
            self.sharing
                .ask(move || {
                    let (number, leave) =
                        (asked.fetch_add(1, Ordering::AcqRel), Arc::clone(&leave));
                    async move {
                        leave.acquire().await.unwrap().forget();
                        Ok(number)
                    }
                })
                .await
        }
    }

    #[tokio::test]
    async fn who_comes_while_it_is_asked_shares_the_next_answer() {
        let counted = Counted::new(0);
        let mut all = Box::pin(join_all((0..32).map(|_| counted.ask())));
        assert!(futures::poll!(&mut all).is_pending(), "the first asks, and the others wait");
        counted.leave.add_permits(2);
        let all: Vec<u64> = all.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(all[0], 0, "the first asks for himself");
        assert!(all[1..].iter().all(|number| *number == 1), "{all:?}");
    }

    #[tokio::test]
    async fn one_after_the_other_each_asks_for_himself() {
        let counted = Counted::new(3);
        for number in 0..3 {
            assert_eq!(counted.ask().await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nobody_waiting() {
        let counted = Counted::new(0);
        let mut first = Box::pin(counted.ask());
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = Box::pin(counted.ask());
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        counted.leave.add_permits(1);
        assert_eq!(second.await.unwrap(), 1);
        counted.leave.add_permits(1);
        assert_eq!(counted.ask().await.unwrap(), 2, "and the next asks for himself");
    }

    #[tokio::test]
    async fn an_error_is_everybody_s_who_shared_the_question() {
        let sharing = Sharing::<u64>::default();
        let fail = || async {
            tokio::task::yield_now().await;
            Err::<u64, _>(Error::unavailable("away"))
        };
        let all = join_all((0..8).map(|_| sharing.ask(fail))).await;
        assert!(all.iter().all(|answer| answer.as_ref().unwrap_err().is_retryable()), "{all:?}");
    }
}
