//! Those who come together are served together: one call takes all who are about to ask.

use crate::clock;

/// Lets tasks that are ready to run go first, as long as that brings more of those who are
/// gathered. Where nobody else is ready this costs a few passes of the scheduler, and no time.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// Passes of the scheduler without a newcomer after which those who are here are enough.
    pub passes: u32,
    /// How many are enough at once.
    pub enough: usize,
}

impl Gathering {
    /// Gathers; `here` takes in who has come and says how many there are by now. Returns the same.
    pub async fn gather(self, mut here: impl FnMut() -> usize) -> usize {
        let mut count = here();
        let mut idle = 0;
        while idle < self.passes && count < self.enough {
            clock::yield_now().await;
            let now = here();
            idle = if now > count { 0 } else { idle + 1 };
            count = now;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What is gathered where the n-th look finds as many as `arrivals` has there, and how many
    /// looks that took.
    async fn gathered(gathering: Gathering, arrivals: &[usize]) -> (usize, usize) {
        let looks = Cell::new(0);
        let count = gathering.gather(|| {
            let look = looks.replace(looks.get() + 1);
            *arrivals.get(look).or(arrivals.last()).unwrap()
        });
        (count.await, looks.get())
    }

    #[tokio::test]
    async fn it_goes_on_while_somebody_comes_and_ends_when_nobody_does() {
        let gathering = Gathering { passes: 2, enough: 10 };
        assert_eq!(gathered(gathering, &[1]).await, (1, 3), "nobody else");
        assert_eq!(gathered(gathering, &[1, 1, 2, 2, 3, 3]).await, (3, 7), "one after the other");
        assert_eq!(gathered(gathering, &[1, 4, 10, 11]).await, (10, 3), "enough");
        assert_eq!(gathered(gathering, &[12]).await, (12, 1), "more than enough at once");
    }

    #[tokio::test]
    async fn tasks_that_are_ready_come_before_the_call() {
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..8 {
            let send = send.clone();
            tokio::spawn(async move { send.send(n) });
        }
        let mut batch = Vec::new();
        let take_in = || {
            while let Ok(n) = receive.try_recv() {
                batch.push(n);
            }
            batch.len()
        };
        assert_eq!(Gathering { passes: 2, enough: 100 }.gather(take_in).await, 8);
    }
}
