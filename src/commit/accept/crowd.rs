//! Whether those who were told of a batch come back at once with their next op.
//!
//! Writers in a loop do: then it pays to wait for them a little, because a call made for the first
//! of them begins a round that the others have to sit out. Jobs that come and go do not: then
//! nobody is kept waiting. What has happened so far tells which it is.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::commit::context::BATCH_MAX;

/// The longest time that the first of a crowd waits for the rest.
const PATIENCE_MAX: Duration = Duration::from_millis(4);

/// The part of a round's length that may be spent on waiting.
const PART_OF_ROUND: u32 = 8;

/// Who was told last, and who has come since.
#[derive(Debug)]
pub(in crate::commit) struct Crowd {
    told: u32,
    came: u32,
    accepted: u32,
    /// The share of those told that came, of late: 1 when all do.
    share: f32,
    since: Stopwatch,
    round: Duration,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            told: 0,
            came: 0,
            accepted: 0,
            share: 0.0,
            since: Stopwatch::start(),
            round: Duration::ZERO,
        }
    }
}

impl Crowd {
    /// `count` ops of this process are told of a round that took so long.
    pub(in crate::commit) fn told(&mut self, count: u64, round: Duration) {
        if self.told > 0 {
            let share = (self.came as f32 / self.told as f32).min(1.0);
            self.share = (self.share + share) / 2.0;
        }
        self.told = u32::try_from(count).unwrap_or(u32::MAX);
        self.came = 0;
        self.accepted = 0;
        self.since = Stopwatch::start();
        self.round = round;
    }

    /// Whether there is nobody to be expected beside the one who was told last.
    pub(in crate::commit) fn is_one(&self) -> bool {
        self.told == 1
    }

    /// So many have come.
    pub(in crate::commit) fn came(&mut self, count: usize) {
        self.came = self.came.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Of those that came so many are in the queue now.
    pub(in crate::commit) fn accepted(&mut self, count: usize) {
        self.accepted = self.accepted.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// How long it is worth waiting for more before they are submitted, zero when it is not.
    pub(in crate::commit) fn patience(&self) -> Duration {
        self.patience_for(self.came)
    }

    /// How long it is worth waiting for more before a round of only `ready` ops, zero when it is not. Those
    /// who have come, and are being submitted, are nearly there.
    pub(in crate::commit) fn patience_before_round(&self, ready: u64) -> Duration {
        let expected = self.expected();
        if ready as f32 * 2.0 > expected || self.accepted as f32 >= expected {
            return Duration::ZERO;
        }
        let steps = if self.came > self.accepted { 2 } else { 1 };
        self.patience_of(steps)
    }

    /// The same before a round of `ready` ops that would be one long request to the storage: then all others
    /// would sit that out, and there is time.
    pub(in crate::commit) fn patience_before_request(&self, ready: u64) -> Duration {
        let expected = self.expected();
        match is_enough(ready, expected) || self.accepted as f32 >= expected {
            true => Duration::ZERO,
            false => self.patience_of(2),
        }
    }

    /// Whether such a round is worth beginning before the `told` of this process, who are about to be, are
    /// back.
    pub(in crate::commit) fn is_enough_beside(&self, ready: u64, told: usize) -> bool {
        is_enough(ready, self.of_those(told as f32))
    }

    /// How long since the beginning of a round it is worth waiting for more before the next one is
    /// prepared beside it, zero when it is not: up to half of it nobody is kept waiting.
    pub(in crate::commit) fn patience_beside_round(&self) -> Duration {
        match self.accepted as f32 >= self.expected() {
            true => Duration::ZERO,
            false => self.round / 2,
        }
    }

    /// How many of those who were told last come back.
    fn expected(&self) -> f32 {
        self.of_those(self.told as f32)
    }

    /// How many come back of so many. One in sixteen may be late without keeping the others.
    fn of_those(&self, told: f32) -> f32 {
        (told * self.share * (15.0 / 16.0)).floor()
    }

    fn patience_for(&self, here: u32) -> Duration {
        match here as f32 >= self.expected() {
            true => Duration::ZERO,
            false => self.patience_of(1),
        }
    }

    /// What is left of the time for so many steps back into the queue: to come, and to be submitted.
    fn patience_of(&self, steps: u32) -> Duration {
        let step = (self.round / PART_OF_ROUND).min(PATIENCE_MAX);
        (step * steps).saturating_sub(self.since.elapsed())
    }
}

/// Whether waiting for those who are expected would take longer, for each op of a batch, than it brings.
fn is_enough(ready: u64, expected: f32) -> bool {
    let with_them = (ready as f32 + expected).min(BATCH_MAX as f32);
    with_them * PART_OF_ROUND as f32 <= ready as f32 * (PART_OF_ROUND + 1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_that_comes_back_is_waited_for_and_others_are_not() {
        let hour = Duration::from_secs(3600);
        let mut crowd = Crowd::default();
        assert_eq!(crowd.patience(), Duration::ZERO);
        for _ in 0..8 {
            crowd.told(64, hour);
            crowd.came(64);
            assert_eq!(crowd.patience(), Duration::ZERO, "all are here");
        }
        crowd.told(64, hour);
        crowd.came(1);
        assert!(crowd.patience() > Duration::ZERO, "the others will come");
        assert!(crowd.patience_before_round(1) > Duration::ZERO);
        assert_eq!(crowd.patience_before_round(40), Duration::ZERO, "a good round as it is");
        assert_eq!(crowd.patience_beside_round(), hour / 2);
        assert!(crowd.patience_before_request(40) > Duration::ZERO, "long requests wait for all");
        assert!(!crowd.is_enough_beside(16, 240), "a few, for whom many would wait");
        assert!(!crowd.is_enough_beside(128, 128), "half a batch each time");
        assert!(crowd.is_enough_beside(240, 16), "nearly all");
        assert!(crowd.is_enough_beside(1024, 1024), "as many as there may be");
        crowd.accepted(61);
        assert_eq!(crowd.patience_beside_round(), Duration::ZERO);
        assert_eq!(crowd.patience_before_round(1), Duration::ZERO, "they are in the queue");
        for _ in 0..8 {
            crowd.told(64, hour);
            crowd.came(1);
        }
        assert_eq!(crowd.patience(), Duration::ZERO, "they no longer do");
        assert!(!crowd.is_one());
        crowd.told(1, hour);
        assert!(crowd.is_one());
        crowd.came(1);
        assert_eq!(crowd.patience(), Duration::ZERO, "a single writer never waits");
    }
}
