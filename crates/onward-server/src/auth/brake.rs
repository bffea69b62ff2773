//! A brake on guessing: who fails to log in too often is not listened to for a while.

use std::collections::HashMap;
#[cfg(feature = "s3")]
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onward::internals::clock::Deadline;

/// Failures with one access key from one address within a minute until nobody listens.
pub const FAILURES_MAX: u32 = 10;

/// Failures from one address within a minute, with whatever access keys, until nobody listens: many
/// clients may be behind one.
pub const ADDRESS_FAILURES_MAX: u32 = 1000;

/// How long failures count from the first of them, and so how long nobody is listened to at most.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Who is kept in mind, at most; beyond them those are forgotten who failed least.
const KEPT_MAX: usize = 65_536;

/// Failed logins, by address and access key, so that who guesses in one's name locks nobody else out
/// behind the same proxy, and by address alone, so that who makes up keys does not keep all busy.
#[derive(Default)]
pub struct Brake {
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    by_key: Counts,
    by_address: Counts,
    /// From where which access keys have signed rightly.
    #[cfg(feature = "s3")]
    right: HashSet<String>,
}

#[derive(Default)]
struct Counts(HashMap<String, Count>);

struct Count {
    failures: u32,
    until: Deadline,
}

impl Brake {
    /// Takes down a login as a failure until it is known to be none; how long to wait instead, if
    /// there were too many. `id` is one that an access key may have.
    pub fn begin(&self, address: &str, id: &str) -> Option<Duration> {
        let (address, who) = names(address, id);
        let mut failures = self.lock();
        let wait = failures.wait(&address, &who);
        if wait.is_none() {
            failures.add(address, who);
        }
        wait
    }

    /// How long nobody is listened to who tries this key from there, if so.
    #[cfg(feature = "s3")]
    pub fn wait(&self, address: &str, id: &str) -> Option<Duration> {
        let (address, who) = names(address, id);
        self.lock().wait(&address, &who)
    }

    /// Takes down a failure.
    #[cfg(feature = "s3")]
    pub fn failed(&self, address: &str, id: &str) {
        let (address, who) = names(address, id);
        self.lock().add(address, who);
    }

    /// Takes down that a signature with this key was right from there.
    #[cfg(feature = "s3")]
    pub fn right(&self, address: &str, id: &str) {
        let (_, who) = names(address, id);
        let right = &mut self.lock().right;
        if right.len() >= KEPT_MAX && !right.contains(&who) {
            right.clear();
        }
        right.insert(who);
    }

    /// Whether one was, as far as that is kept in mind.
    #[cfg(feature = "s3")]
    pub fn was_right(&self, address: &str, id: &str) -> bool {
        let (_, who) = names(address, id);
        self.lock().right.contains(&who)
    }

    /// Takes down a success: what went before with this key was a slip.
    pub fn succeeded(&self, address: &str, id: &str) {
        let (address, who) = names(address, id);
        let mut failures = self.lock();
        failures.by_key.0.remove(&who);
        failures.by_address.take_back(&address);
    }

    /// Takes back what was begun and could not be looked into.
    pub fn withdraw(&self, address: &str, id: &str) {
        let (address, who) = names(address, id);
        let mut failures = self.lock();
        failures.by_key.take_back(&who);
        failures.by_address.take_back(&address);
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn wait(&self, address: &str, who: &str) -> Option<Duration> {
        let of_key = self.by_key.wait(who, FAILURES_MAX);
        of_key.or_else(|| self.by_address.wait(address, ADDRESS_FAILURES_MAX))
    }

    fn add(&mut self, address: String, who: String) {
        self.by_key.add(who);
        self.by_address.add(address);
    }
}

impl Counts {
    fn wait(&self, who: &str, limit: u32) -> Option<Duration> {
        let count = self.0.get(who)?;
        let is_braked = count.failures >= limit && !count.until.is_over();
        is_braked.then(|| count.until.left())
    }

    fn add(&mut self, who: String) {
        if self.0.len() >= KEPT_MAX && !self.0.contains_key(&who) {
            self.make_room();
        }
        let fresh = || Count { failures: 0, until: Deadline::after(WINDOW) };
        let count = self.0.entry(who).or_insert_with(fresh);
        if count.until.is_over() {
            *count = fresh();
        }
        count.failures += 1;
    }

    fn take_back(&mut self, who: &str) {
        if let Some(count) = self.0.get_mut(who) {
            count.failures = count.failures.saturating_sub(1);
            if count.failures == 0 {
                self.0.remove(who);
            }
        }
    }

    fn make_room(&mut self) {
        self.0.retain(|_, count| !count.until.is_over());
        if self.0.len() >= KEPT_MAX {
            let fewest = self.0.values().map(|count| count.failures).min();
            self.0.retain(|_, count| Some(count.failures) > fewest);
        }
    }
}

/// Under what the failures of an address, and of an access key from there, are counted.
fn names(address: &str, id: &str) -> (String, String) {
    let address = network(address);
    let who = format!("{address} {id}");
    (address, who)
}

/// What one client has: of IPv6 not an address but a network of 64 bits.
fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(six) if six.to_ipv4_mapped().is_none() => {
            Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).to_string()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many failures as are not listened to any more.
    fn guess(brake: &Brake, address: &str, id: &str) {
        for _ in 0..FAILURES_MAX {
            assert_eq!(brake.begin(address, id), None);
        }
        assert!(brake.begin(address, id).is_some_and(|wait| wait <= WINDOW));
    }

    #[test]
    fn who_fails_too_often_has_to_wait_and_nobody_else() {
        let brake = Brake::default();
        guess(&brake, "a", "key");
        assert_eq!(brake.begin("b", "key"), None);
        assert_eq!(brake.begin("a", "other"), None);
        brake.succeeded("a", "key");
        assert_eq!(brake.begin("a", "key"), None);
    }

    #[test]
    fn nobody_is_listened_to_again_because_others_failed() {
        let brake = Brake::default();
        guess(&brake, "a", "key");
        for n in 0..2 * KEPT_MAX {
            assert_eq!(brake.begin(&format!("b{n}"), "junk"), None);
        }
        assert!(brake.begin("a", "key").is_some());
        let failures = brake.lock();
        assert!(failures.by_key.0.len() <= KEPT_MAX && failures.by_address.0.len() <= KEPT_MAX);
    }

    #[test]
    fn an_address_that_tries_many_keys_has_to_wait_too() {
        let brake = Brake::default();
        for n in 0..ADDRESS_FAILURES_MAX {
            assert_eq!(brake.begin("a", &format!("right{n}")), None);
            brake.succeeded("a", &format!("right{n}"));
            assert_eq!(brake.begin("a", &format!("away{n}")), None);
            brake.withdraw("a", &format!("away{n}"));
            assert_eq!(brake.begin("a", &format!("junk{n}")), None);
        }
        assert!(brake.begin("a", "another").is_some_and(|wait| wait <= WINDOW));
        assert_eq!(brake.lock().by_key.0.len(), ADDRESS_FAILURES_MAX as usize);
        assert_eq!(brake.begin("b", "another"), None);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let brake = Brake::default();
        guess(&brake, "2001:db8:1:2::1", "key");
        assert!(brake.begin("2001:db8:1:2:ffff::7", "key").is_some());
        assert_eq!(brake.begin("2001:db8:1:3::1", "key"), None);
        guess(&brake, "::ffff:192.0.2.1", "key");
        assert_eq!(brake.begin("::ffff:192.0.2.2", "key"), None);
    }
}
