//! Carries out one fault after the other.

use std::time::Duration;

use onward::internals::commit::faults::POINTS;
use onward::internals::invariants::Interval;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::block_in_place;

use super::crew::Crew;
use super::fault::Fault;
use super::figures::Figures;
use super::site::Site;
use crate::support::branch::Snapshot;
use crate::support::relay::Hit;
use crate::support::until::{hold, until_async};

/// How far clocks are apart, milliseconds, at most.
const JUMP_MAX: i64 = 3 * 3_600_000;

/// Whose first outcome after a fault shows that it is over.
enum Recovered {
    Anybody,
    Worker(usize),
}

/// The injector of one site.
pub struct Injector<'a> {
    pub site: &'a mut Site,
    pub crew: &'a mut Crew,
    pub random: StdRng,
    pub figures: &'a mut Figures,
    /// From when to when rounds could fail for want of Redis or of the object store.
    pub outages: Vec<Interval>,
}

impl Injector<'_> {
    /// Waits until so many more outcomes were told.
    async fn progress(&mut self, more: u64) {
        let before = self.crew.look();
        until_async("the workers are told more outcomes", || {
            let now = self.crew.look();
            async move { now >= before + more }
        })
        .await;
    }

    async fn hold(&mut self, ms: std::ops::Range<u64>) {
        let ms = self.random.random_range(ms);
        hold(Duration::from_millis(ms)).await;
    }

    fn worker(&mut self) -> usize {
        self.random.random_range(0..self.crew.len())
    }

    fn ahead(&mut self) -> i64 {
        match self.site.clock {
            Some(_) => self.random.random_range(-JUMP_MAX..JUMP_MAX),
            None => 0,
        }
    }

    /// Lets the workers come along for a while, then carries out the fault and waits until they are
    /// over it.
    pub async fn inject(&mut self, fault: Fault) {
        let more = self.random.random_range(3..25);
        self.progress(more).await;
        let began = onward::internals::clock::now_ms().unsigned_abs();
        let whose = self.carry_out(fault).await;
        let end = onward::internals::clock::now_ms();
        self.crew.look();
        match whose {
            Recovered::Anybody => self.progress(1).await,
            Recovered::Worker(slot) => {
                let before = self.crew.told_in(slot);
                until_async("the worker is told an outcome again", || {
                    self.crew.look();
                    let now = self.crew.told_in(slot);
                    async move { now > before }
                })
                .await;
            }
        }
        let took = onward::internals::clock::now_ms() - end;
        if fault.fails_rounds() {
            // Workers hear of it up to so much later, and pause for as long after a failure.
            let ended = Some(onward::internals::clock::now_ms().unsigned_abs() + 500);
            self.outages.push(Interval { began, ended });
        }
        self.figures.recovered(self.site.setting, fault, took.unsigned_abs());
    }

    async fn carry_out(&mut self, fault: Fault) -> Recovered {
        match fault {
            Fault::KillWorker
            | Fault::KillAtPoint
            | Fault::StopWorker
            | Fault::ReplacedWorkerWakes => return self.worker_fault(fault).await,
            Fault::LoseRequest
            | Fault::LoseReply
            | Fault::DelayRequest
            | Fault::DelayReply
            | Fault::Duplicate
            | Fault::Cut
            | Fault::Stall
            | Fault::Refuse => self.connection_fault(fault).await,
            Fault::StoreOutage
            | Fault::StoreSlow
            | Fault::StoreLostReply
            | Fault::StoreFalseConflict
            | Fault::DiskFull
            | Fault::DiskReadOnly => self.store_fault(fault).await,
            _ => self.redis_fault(fault).await,
        }
        Recovered::Anybody
    }

    async fn worker_fault(&mut self, fault: Fault) -> Recovered {
        let slot = self.worker();
        let ahead = self.ahead();
        match fault {
            Fault::KillWorker => {
                self.crew.kill(slot);
                self.crew.replace(slot, ahead, "");
            }
            Fault::KillAtPoint => {
                let point = POINTS[self.random.random_range(0..POINTS.len())];
                let visit = self.random.random_range(1..6);
                self.crew.kill(slot);
                self.crew.replace(slot, ahead, &format!("{point}=kill@{visit}"));
                self.crew.await_end(slot).await;
                self.crew.replace(slot, ahead, "");
            }
            Fault::StopWorker => {
                block_in_place(|| self.crew.stop(slot));
                self.hold(50..1500).await;
                self.crew.resume(slot);
            }
            _ => {
                block_in_place(|| self.crew.stop(slot));
                let mut before = self.crew.replace(slot, ahead, "");
                self.hold(50..1000).await;
                before.resume();
                self.hold(50..500).await;
                block_in_place(|| before.kill9());
            }
        }
        Recovered::Worker(slot)
    }

    async fn connection_fault(&mut self, fault: Fault) {
        let relay = self.random.random_range(0..2);
        let time = Duration::from_millis(self.random.random_range(20..800));
        let hit = match fault {
            Fault::LoseRequest => Hit::LoseRequest,
            Fault::LoseReply => Hit::LoseReply,
            Fault::DelayRequest => Hit::DelayRequest(time),
            Fault::DelayReply => Hit::DelayReply(time),
            Fault::Duplicate => Hit::Duplicate,
            Fault::Cut => return self.site.relays[relay].cut(),
            Fault::Stall | Fault::Refuse => {
                match fault {
                    Fault::Stall => self.site.relays[relay].stall(),
                    _ => self.site.relays[relay].refuse(),
                }
                self.hold(50..1500).await;
                return self.site.relays[relay].flow();
            }
            _ => unreachable!(),
        };
        let script = ["evalsha", "evalsha", ""][self.random.random_range(0..3)];
        let nth = self.random.random_range(1..20);
        let relay = &self.site.relays[relay];
        relay.hit(script, nth, hit);
        until_async("the request comes by", || async { relay.pending() == 0 }).await;
    }

    async fn store_fault(&mut self, fault: Fault) {
        let words = match fault {
            Fault::StoreOutage => "outage".to_owned(),
            Fault::StoreSlow => format!("delay {}", self.random.random_range(20..400)),
            Fault::StoreLostReply => {
                ["lost-reply", "retried-create"][self.random.random_range(0..2)].to_owned()
            }
            Fault::StoreFalseConflict => "false-conflict".to_owned(),
            Fault::DiskFull => match &self.site.disk {
                Some(disk) => {
                    disk.fill();
                    self.hold(50..1000).await;
                    return self.site.disk.as_ref().unwrap().free();
                }
                None => "full".to_owned(),
            },
            _ => match self.site.disk.is_some() {
                true => return self.read_only().await,
                false => "read-only".to_owned(),
            },
        };
        self.site.command(&words);
        self.hold(50..1200).await;
        self.site.command("");
    }

    async fn read_only(&mut self) {
        let disk = self.site.disk.as_ref().unwrap();
        // Refused while somebody writes, as any file system does.
        until_async("the disk is read-only", || async { disk.read_only(true) }).await;
        self.hold(50..1000).await;
        assert!(self.site.disk.as_ref().unwrap().read_only(false), "the disk is writable again");
    }

    async fn redis_fault(&mut self, fault: Fault) {
        match fault {
            Fault::RestartRedis => block_in_place(|| self.site.redis.restart()),
            Fault::KillRedis | Fault::LoseEverything => {
                match fault {
                    Fault::KillRedis => block_in_place(|| self.site.redis.kill9()),
                    _ => block_in_place(|| self.site.redis.shut_down_without_saving()),
                }
                self.hold(0..400).await;
                block_in_place(|| self.site.redis.start());
            }
            Fault::PauseRedis => {
                self.site.redis.pause();
                self.hold(50..1500).await;
                self.site.redis.resume();
            }
            Fault::OutOfMemory => {
                let limit = |bytes: &str| {
                    let words = ["CONFIG", "SET", "maxmemory", bytes];
                    let _: String = block_in_place(|| self.site.redis.command(&words));
                };
                limit("1");
                let ms = self.random.random_range(50..1000);
                hold(Duration::from_millis(ms)).await;
                limit("0");
            }
            Fault::Flush => {
                let _: String = block_in_place(|| self.site.redis.command(&["FLUSHALL"]));
            }
            Fault::RollBack => {
                // Sometimes to a state that is older than the last such fault.
                if self.site.snapshot.is_none() || self.random.random_range(0..3) > 0 {
                    self.site.snapshot = Some(block_in_place(|| Snapshot::take(&self.site.redis)));
                    let more = self.random.random_range(5..60);
                    self.progress(more).await;
                }
                let snapshot = self.site.snapshot.as_ref().unwrap();
                block_in_place(|| snapshot.put_back(&self.site.redis));
            }
            Fault::TwoPrimaries => {
                // The other is empty at first, and later as the last time has left it.
                let other = self.site.other.as_ref().unwrap().url();
                self.site.relays[1].lead_to(&other);
                let more = self.random.random_range(10..80);
                self.progress(more).await;
                self.site.relays[1].lead_to(&self.site.redis.url());
            }
            Fault::Promote | Fault::PromoteBesides => self.promote(fault).await,
            Fault::ClockJump => {
                // A staging call whose reply was lost is recognised for 20 s of Redis' clock when
                // it is made again: none may be under way.
                for slot in 0..self.crew.len() {
                    let before = self.crew.told_in(slot);
                    until_async("every worker comes along", || {
                        self.crew.look();
                        let now = self.crew.told_in(slot);
                        async move { now > before + 3 }
                    })
                    .await;
                }
                let ahead = self.ahead();
                self.site.clock.as_ref().unwrap().shift(ahead);
            }
            _ => unreachable!("{fault:?} is no fault of Redis"),
        }
    }

    /// The replica takes over without what it has not been told of.
    async fn promote(&mut self, fault: Fault) {
        self.site.link.as_ref().unwrap().stall();
        let more = self.random.random_range(1..60);
        self.progress(more).await;
        self.site.link.as_ref().unwrap().refuse();
        let besides = fault == Fault::PromoteBesides;
        if !besides {
            block_in_place(|| self.site.redis.kill9());
        }
        block_in_place(|| self.site.promote());
        let new = self.site.redis.url();
        if besides {
            let first = self.random.random_range(0..2);
            self.site.relays[first].lead_to(&new);
            let more = self.random.random_range(5..60);
            self.progress(more).await;
        }
        for relay in &self.site.relays {
            relay.lead_to(&new);
        }
        block_in_place(|| self.site.start_replica());
    }
}
