//! The door of a table: who was told that others were first is let through before those who came later.
//!
//! After a 409 a client loads the table anew, validates, and comes back under the same snapshot ids. Until then the
//! door is held for it: [`UNTIL_BACK`] long, again as long whenever its principal loads the table, and [`HELD_MAX`]
//! at most. A principal who let a hold pass unused has the next ones for [`UNTIL_BACK_DOUBTED`] only, until one is
//! used: who never comes back costs others little. Pure but for the clock.

use std::collections::HashMap;
use std::time::Duration;

use onward::internals::clock::{Deadline, Stopwatch};

/// How long the door is held for one who was told 409.
const UNTIL_BACK: Duration = Duration::from_millis(1500);
/// How long it is held for a principal who let a hold pass unused.
const UNTIL_BACK_DOUBTED: Duration = Duration::from_millis(250);
/// The longest that one hold lasts, however often it is renewed.
const HELD_MAX: Duration = Duration::from_secs(6);
/// Principals that are doubted, at most.
const DOUBTED_MAX: usize = 256;

/// Who wants through: the snapshots it adds, and whose request it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// Ids of the snapshots that the commit adds: the same in every try of a client.
    pub snapshots: Vec<i64>,
    /// The access key and the address of the client.
    pub principal: String,
}

impl Who {
    /// Whether this is another try of that. One without snapshots is known by its principal alone.
    fn is_again(&self, earlier: &Self) -> bool {
        match (self.snapshots.is_empty(), earlier.snapshots.is_empty()) {
            (true, true) => self.principal == earlier.principal,
            (false, false) => self.snapshots.iter().any(|id| earlier.snapshots.contains(id)),
            _ => false,
        }
    }
}

/// Whether the door is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// For the one who asked.
    Yes,
    /// For another, who was first.
    ForAnother,
    /// Not for the one who asked any more: he had it long enough.
    Enough,
}

/// The door of one table.
#[derive(Debug, Default)]
pub struct Door {
    hold: Option<Hold>,
    /// Principals who let a hold pass unused.
    doubted: HashMap<String, Stopwatch>,
}

#[derive(Debug)]
struct Hold {
    who: Who,
    since: Stopwatch,
    until: Deadline,
}

impl Door {
    /// How long the door is still held; none where it is open.
    pub fn held_for(&mut self) -> Option<Duration> {
        let left = self.hold.as_ref()?.until.left();
        if !left.is_zero() {
            return Some(left);
        }
        if let Some(hold) = self.hold.take() {
            if self.doubted.len() >= DOUBTED_MAX {
                self.doubted.retain(|_, since| since.elapsed() < HELD_MAX);
            }
            if self.doubted.len() < DOUBTED_MAX {
                self.doubted.insert(hold.who.principal, Stopwatch::start());
            }
        }
        None
    }

    /// Whether the door is held for `who`.
    pub fn is_for(&self, who: &Who) -> bool {
        self.hold.as_ref().is_some_and(|hold| who.is_again(&hold.who))
    }

    /// Holds the door for one who is told that others were first, if it can be.
    pub fn hold_for(&mut self, who: &Who) -> Held {
        let since = match (self.held_for(), self.hold.take()) {
            (_, None) => Stopwatch::start(),
            (_, Some(hold)) if who.is_again(&hold.who) => hold.since,
            (_, other) => {
                self.hold = other;
                return Held::ForAnother;
            }
        };
        if since.elapsed() >= HELD_MAX {
            return Held::Enough;
        }
        let is_doubted = self.doubted.contains_key(&who.principal);
        let length = if is_doubted { UNTIL_BACK_DOUBTED } else { UNTIL_BACK };
        self.hold = Some(Hold { who: who.clone(), since, until: Deadline::after(length) });
        Held::Yes
    }

    /// The principal loads the table: he is on his way.
    pub fn seen(&mut self, principal: &str) {
        if self.held_for().is_none() {
            return;
        }
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.who.principal == principal) {
            let left = HELD_MAX.saturating_sub(hold.since.elapsed());
            hold.until = Deadline::after(UNTIL_BACK.min(left));
        }
    }

    /// Opens the door behind `who`, for whom it was held.
    pub fn is_through(&mut self, who: &Who) {
        if self.is_for(who) {
            self.hold = None;
            self.doubted.remove(&who.principal);
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&mut self) -> bool {
        self.held_for().is_none()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn admits(door: &mut Door, who: &Who) -> bool {
        door.held_for().is_none() || door.is_for(who)
    }

    fn holds(door: &mut Door, who: &Who) -> bool {
        door.hold_for(who) == Held::Yes
    }

    fn who(snapshots: &[i64], principal: &str) -> Who {
        Who { snapshots: snapshots.to_vec(), principal: principal.to_owned() }
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[tokio::test(start_paused = true)]
    async fn the_door_is_held_for_the_same_snapshot_and_nobody_else() {
        let mut door = Door::default();
        assert!(admits(&mut door, &who(&[1], "a")));
        assert!(holds(&mut door, &who(&[1], "a")));
        assert!(admits(&mut door, &who(&[1], "elsewhere")));
        assert!(!admits(&mut door, &who(&[2], "a")));
        assert!(!admits(&mut door, &who(&[], "a")));
        assert!(!holds(&mut door, &who(&[2], "b")), "one at a time");
        door.is_through(&who(&[2], "b"));
        assert!(!admits(&mut door, &who(&[2], "b")), "only who has it gives it back");
        door.is_through(&who(&[1], "a"));
        assert!(admits(&mut door, &who(&[2], "b")));
        // One without snapshots is known by who he is.
        assert!(holds(&mut door, &who(&[], "a")));
        assert!(admits(&mut door, &who(&[], "a")) && !admits(&mut door, &who(&[], "b")));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_back_holds_it_for_a_while_and_then_shorter() {
        let mut door = Door::default();
        assert!(holds(&mut door, &who(&[1], "a")));
        advance(MS(1499)).await;
        assert!(!admits(&mut door, &who(&[2], "b")));
        advance(MS(1)).await;
        assert!(admits(&mut door, &who(&[2], "b")));
        assert!(holds(&mut door, &who(&[3], "a")));
        advance(MS(250)).await;
        assert!(admits(&mut door, &who(&[2], "b")), "it is doubted");
        assert!(holds(&mut door, &who(&[4], "a")));
        door.is_through(&who(&[4], "a"));
        assert!(holds(&mut door, &who(&[5], "a")));
        advance(MS(1000)).await;
        assert!(!admits(&mut door, &who(&[2], "b")), "it came back once, and is believed again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_renews_it_and_nothing_makes_it_longer_than_six_seconds() {
        let mut door = Door::default();
        assert!(holds(&mut door, &who(&[1], "a")));
        for _ in 0..5 {
            advance(MS(1000)).await;
            door.seen("b");
            door.seen("a");
            assert!(!admits(&mut door, &who(&[2], "b")));
        }
        advance(MS(1000)).await;
        assert!(door.is_idle());
        // Nor does one who is late again and again, by other writers elsewhere, keep it longer.
        assert!(holds(&mut door, &who(&[6], "c")));
        let mut held = 0;
        while holds(&mut door, &who(&[6], "c")) {
            advance(MS(1000)).await;
            held += 1;
            assert!(held < 10);
        }
        assert_eq!(held, 6);
    }
}
