//! What somebody sees who watches a branch: what was decided in each of the last seconds, and how long it took.

use std::collections::VecDeque;

use maud::{Markup, html};
use onward::CommitId;

use super::words;

/// Seconds that are kept in mind.
const SECONDS: usize = 60;

/// Seconds that a rate is taken over.
const RATE_OVER: usize = 10;

/// Times to commit that are kept in mind.
const TOOK_MAX: usize = 256;

/// Commits of one second whose times are looked up, at most: each may be a read of the log.
const SAMPLE_MAX: usize = 4;

/// The last seconds of a branch.
#[derive(Debug, Default)]
pub struct Window {
    /// Ops decided in each whole second, the newest last.
    seconds: VecDeque<u64>,
    /// Ops decided in the second that goes on.
    now: u64,
    /// Commits of this second, with when they were heard of, milliseconds since the Unix epoch.
    sample: Vec<(CommitId, i64)>,
    /// From submission to decision, milliseconds, the newest last.
    took: VecDeque<i64>,
}

impl Window {
    /// An op was decided, and that was heard at `at_ms`.
    pub fn decided(&mut self, commit: Option<CommitId>, at_ms: i64) {
        self.now += 1;
        self.sample.extend(commit.filter(|_| self.sample.len() < SAMPLE_MAX).map(|id| (id, at_ms)));
    }

    /// Ends a second. Returns commits of it, and when each was heard of: how long they took can be told
    /// to [`Self::took`].
    pub fn tick(&mut self) -> Vec<(CommitId, i64)> {
        if self.seconds.len() >= SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(std::mem::take(&mut self.now));
        std::mem::take(&mut self.sample)
    }

    /// A commit took so long from its submission to when it was heard of, by the clocks of both.
    pub fn took(&mut self, ms: i64) {
        if self.took.len() >= TOOK_MAX {
            self.took.pop_front();
        }
        self.took.push_back(ms.max(0));
    }

    /// Ops decided in a second, over the last ones.
    fn rate(&self) -> f64 {
        let last: Vec<u64> = self.seconds.iter().rev().take(RATE_OVER).copied().collect();
        last.iter().sum::<u64>() as f64 / last.len().max(1) as f64
    }

    /// The median and the longest of the times to commit.
    fn times(&self) -> Option<(i64, i64)> {
        let mut sorted: Vec<i64> = self.took.iter().copied().collect();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }

    /// What is to be said of it, as entries of a list of facts.
    pub fn facts(&self) -> Markup {
        html! {
            div {
                dt { "Decided a second" }
                dd { (rounded(self.rate())) (self.spark()) }
            }
            div {
                dt { "Time to commit" }
                dd {
                    @match self.times() {
                        Some((median, longest)) => {
                            (words::length(median)) " " small { "in the median, " (words::length(longest)) " at most" }
                        }
                        None => { "–" }
                    }
                }
            }
        }
    }

    /// The seconds as a line, each the higher the more was decided.
    fn spark(&self) -> Markup {
        let most = self.seconds.iter().max().copied().unwrap_or(0).max(1);
        let first = SECONDS - self.seconds.len();
        let points: Vec<String> = self
            .seconds
            .iter()
            .enumerate()
            .map(|(at, decided)| format!("{},{}", (first + at) * 2, 30 - decided * 28 / most))
            .collect();
        html! {
            svg.spark viewBox="0 0 120 32" width="120" height="32" role="img"
                aria-label={ "The last " (self.seconds.len()) " seconds: at most " (words::count(most)) " ops in one" } {
                polyline points=(points.join(" ")) fill="none" stroke="currentColor" stroke-width="1.5" {}
            }
        }
    }
}

/// A rate as people read it.
fn rounded(rate: f64) -> String {
    match rate < 10.0 {
        true => format!("{rate:.1}"),
        false => words::count(rate.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_times_are_of_a_sample() {
        let mut window = Window::default();
        let commit = Some(CommitId::from_bytes([7; 32]));
        assert!(window.facts().into_string().contains("0.0"));
        for _ in 0..2 * SECONDS {
            for _ in 0..100 {
                window.decided(commit, 5);
            }
            assert_eq!(window.tick().len(), SAMPLE_MAX);
        }
        assert_eq!((window.rate(), window.seconds.len()), (100.0, SECONDS));
        for _ in 0..RATE_OVER {
            assert!(window.tick().is_empty());
        }
        assert_eq!((window.rate(), window.times()), (0.0, None));
        for ms in (-1..=2 * TOOK_MAX as i64).rev() {
            window.took(ms);
        }
        assert_eq!(window.took.len(), TOOK_MAX);
        assert_eq!(window.times(), Some((127, 254)));
        let facts = window.facts().into_string();
        assert!(facts.contains("127 ms") && facts.contains("at most 100 ops in one"), "{facts}");
    }
}
