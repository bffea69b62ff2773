//! The workers of a campaign: started, killed, stopped, replaced, and watched by their journals.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::journal::{Line, Reader};
use super::writer::Orders;
use crate::support::clock::{ClockLibrary, ShiftedClock};
use crate::support::until::until_async;
use crate::support::worker::Worker;

/// One slot of the crew: a worker, and its successors.
struct Member {
    worker: Worker,
    orders: Orders,
    reader: Reader,
    clock: Option<ShiftedClock>,
    /// Outcomes told so far, by life and lane.
    told: BTreeMap<(u32, u32), u64>,
}

/// All workers.
pub struct Crew {
    dir: PathBuf,
    members: Vec<Member>,
    /// With workers whose clocks differ.
    clocks: Option<ClockLibrary>,
    /// Workers started, all in all.
    pub started: u64,
}

impl Crew {
    /// No workers yet; their journals lie in `dir`.
    pub fn new(dir: &Path, clocks: Option<ClockLibrary>) -> Self {
        Self { dir: dir.to_owned(), members: Vec::new(), clocks, started: 0 }
    }

    /// The journal of a slot.
    pub fn journal(dir: &Path, slot: u32) -> PathBuf {
        dir.join(format!("journal-{slot}"))
    }

    /// Starts the first worker of the next slot.
    pub fn hire(&mut self, mut orders: Orders) {
        orders.slot = u32::try_from(self.members.len()).unwrap();
        orders.journal = Self::journal(&self.dir, orders.slot);
        let clock = self.clocks.as_ref().map(|library| library.clock(&format!("w{}", orders.slot)));
        let worker = self.start(&orders, clock.as_ref(), "");
        let reader = Reader::new(&orders.journal);
        self.members.push(Member { worker, orders, reader, clock, told: BTreeMap::new() });
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    fn start(&mut self, orders: &Orders, clock: Option<&ShiftedClock>, point: &str) -> Worker {
        self.started += 1;
        let mut variables = clock.map(ShiftedClock::variables).unwrap_or_default();
        variables.push(("ONWARD_FAILPOINTS".into(), point.into()));
        variables.push(("ONWARD_TEST_ORDERS".into(), serde_json::to_string(orders).unwrap()));
        let variables: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let errors = self.dir.join(format!("errors-{}-{}", orders.slot, orders.life));
        Worker::start_telling("campaign", &variables, File::create(errors).unwrap().into())
    }

    /// Kills the worker of a slot, wherever it is.
    pub fn kill(&mut self, slot: usize) {
        self.members[slot].worker.kill9();
    }

    /// Stops the worker of a slot.
    pub fn stop(&self, slot: usize) {
        self.members[slot].worker.stop();
    }

    /// Lets it go on.
    pub fn resume(&self, slot: usize) {
        self.members[slot].worker.resume();
    }

    /// Puts a new worker into a slot, whose clock is `ahead_ms` ahead and who dies at a failpoint,
    /// if one is given. Returns the one who had it before.
    pub fn replace(&mut self, slot: usize, ahead_ms: i64, point: &str) -> Worker {
        let clock = self.members[slot].clock.take();
        let mut orders = self.members[slot].orders.clone();
        orders.life += 1;
        if let Some(clock) = &clock {
            // Whoever had it before is dead: only then are clocks in play.
            clock.shift(ahead_ms);
            orders.ahead_ms = ahead_ms;
        }
        let worker = self.start(&orders, clock.as_ref(), point);
        let member = &mut self.members[slot];
        (member.clock, member.orders) = (clock, orders);
        std::mem::replace(&mut member.worker, worker)
    }

    /// Waits until the worker of a slot has ended by itself.
    pub async fn await_end(&mut self, slot: usize) {
        let worker = &mut self.members[slot].worker;
        until_async("the worker has met its failpoint", || {
            let ended = worker.ended().is_some();
            async move { ended }
        })
        .await;
    }

    /// Waits until every worker has come to its end in good order.
    pub async fn finish(&mut self) {
        for (slot, member) in self.members.iter_mut().enumerate() {
            let worker = &mut member.worker;
            let mut status = None;
            until_async("the workers have finished what they had begun", || {
                status = worker.ended();
                let ended = status.is_some();
                async move { ended }
            })
            .await;
            let errors = format!("errors-{slot}-{}", member.orders.life);
            let errors = std::fs::read_to_string(self.dir.join(errors)).unwrap_or_default();
            assert!(status.unwrap().success(), "worker {slot} failed:\n{errors}");
        }
    }

    /// Reads on in the journals. Returns outcomes told so far.
    pub fn look(&mut self) -> u64 {
        let mut all = 0;
        for member in &mut self.members {
            for line in member.reader.more() {
                if let Line::Told { life, lane, .. } = line {
                    *member.told.entry((life, lane)).or_default() += 1;
                }
            }
            all += member.told.values().sum::<u64>();
        }
        all
    }

    /// Outcomes that the present worker of a slot was told, as of the last look.
    pub fn told_in(&self, slot: usize) -> u64 {
        let Member { told, orders, .. } = &self.members[slot];
        told.iter().filter(|((life, _), _)| *life == orders.life).map(|(_, count)| count).sum()
    }
}
