//! What a worker process of the campaign does: a few lanes, each submitting one op after the other,
//! until it is told to come to an end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onward::internals::objects::Objects;
use onward::{Config, ErrorKind, Onward, OpId, Outcome, RefExpr, Strategy as MergeStrategy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::journal::{
    Journal, Line, Plan, Reader, StagedWrite, Strategy, Told, What, unacknowledged,
};
use super::site::{BRANCHES, SIDE};
use crate::support::faulty_store::FaultyStore;
use crate::support::lake::entry;
use crate::support::until::hold;

/// Paths that everybody writes.
const HOT: u64 = 12;

/// How long one call waits for its outcome before the op is submitted again under its id.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a worker is started with.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Orders {
    pub redis: String,
    pub storage: String,
    pub journal: PathBuf,
    /// A file that says what goes wrong with the object store, and when to come to an end.
    pub control: PathBuf,
    pub slot: u32,
    /// How many workers had this slot before.
    pub life: u32,
    pub seed: u64,
    /// How long a lane rests between two ops, milliseconds.
    pub rest_ms: u64,
    /// How far this process's clock is ahead, milliseconds.
    pub ahead_ms: i64,
}

/// The control file's word for the end.
pub const END: &str = "end";

struct Writer {
    orders: Orders,
    onward: Onward,
    journal: Journal,
    numbers: AtomicU64,
    end: AtomicBool,
}

/// Works until the control file says that it is over.
pub async fn run(orders: &str) {
    let orders: Orders = serde_json::from_str(orders).unwrap();
    let mut faulty = None;
    let objects = Objects::open(&orders.storage).unwrap().behind(|store| {
        let store = FaultyStore::new(store);
        faulty = Some(store.clone());
        Arc::new(store)
    });
    let lines = Reader::new(&orders.journal).more();
    let unacknowledged = unacknowledged(lines);
    let onward = connect(&orders, &objects).await;
    let journal = Journal::append_to(&orders.journal);
    let (numbers, end) = (AtomicU64::new(0), AtomicBool::new(false));
    let writer = Arc::new(Writer { orders, onward, journal, numbers, end });
    let control = tokio::spawn(obey(Arc::clone(&writer), faulty.unwrap()));
    // What those before it in this slot were not told of, under the same ids.
    for plan in unacknowledged {
        writer.journal.write(&Line::Asked { at: writer.now(), plan: plan.clone(), again: true });
        writer.see_through(0, &plan).await;
    }
    let lanes = [
        tokio::spawn(Arc::clone(&writer).produce(0)),
        tokio::spawn(Arc::clone(&writer).commit(1)),
        tokio::spawn(Arc::clone(&writer).stage(2)),
    ];
    for lane in lanes {
        lane.await.unwrap();
    }
    control.abort();
    writer.onward.close().await;
}

async fn connect(orders: &Orders, objects: &Objects) -> Onward {
    let mut config = Config::new(&orders.redis, &orders.storage).committer("campaign");
    config.timeout = PATIENCE;
    // Redis may be away just now; so long as it is, there is nothing to do.
    for _ in 0..600 {
        if let Ok(onward) = Onward::with_objects(config.clone(), objects.clone()).await {
            return onward;
        }
        hold(Duration::from_millis(50)).await;
    }
    panic!("Redis was not to be had");
}

async fn obey(writer: Arc<Writer>, store: FaultyStore) {
    let (mut last, parent) = (String::new(), nix::unistd::getppid());
    loop {
        // Nobody is left to end it.
        if nix::unistd::getppid() != parent {
            std::process::exit(1);
        }
        let told = std::fs::read_to_string(&writer.orders.control).unwrap_or_default();
        if told != last {
            store.obey(&told);
            writer.end.store(told == END, Ordering::Release);
            last = told;
        }
        hold(Duration::from_millis(10)).await;
    }
}

impl Writer {
    fn now(&self) -> u64 {
        (onward::internals::clock::now_ms() - self.orders.ahead_ms) as u64
    }

    fn ended(&self) -> bool {
        self.end.load(Ordering::Acquire)
    }

    /// A number for an entry that no other write has, with room for a bulk behind it.
    fn number(&self) -> u64 {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        (u64::from(self.orders.slot) << 44) | (u64::from(self.orders.life) << 32) | (n << 11)
    }

    fn random(&self, lane: u32) -> StdRng {
        let Orders { seed, slot, life, .. } = self.orders;
        StdRng::seed_from_u64(
            seed ^ (u64::from(slot) << 40) ^ (u64::from(life) << 8) ^ u64::from(lane),
        )
    }

    fn who(&self) -> String {
        format!("{}-{}", self.orders.slot, self.orders.life)
    }

    fn plan(&self, branch: &str, what: What) -> Plan {
        let number = self.number();
        let op = match &what {
            What::Changes { producer: Some((name, epoch, sequence)), .. } => {
                OpId::of_producer(name, *epoch, *sequence)
            }
            _ => format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap(),
        };
        Plan {
            op,
            branch: branch.to_owned(),
            message: format!("message {number:x}"),
            committer: format!("worker-{}", self.who()),
            meta: BTreeMap::from([("number".to_owned(), format!("{number:x}"))]),
            what,
        }
    }

    async fn rest(&self, random: &mut StdRng) {
        let most = self.orders.rest_ms * 2;
        hold(Duration::from_millis(random.random_range(0..=most))).await;
    }

    /// Producer sequences: the epoch is this life, so that whoever had the slot before is fenced.
    async fn produce(self: Arc<Self>, lane: u32) {
        let mut random = self.random(lane);
        let name = format!("producer-{}", self.orders.slot);
        let branch = BRANCHES[self.orders.slot as usize % BRANCHES.len()];
        let mut sequence = 0;
        while !self.ended() {
            sequence += 1;
            let producer = Some((name.clone(), u64::from(self.orders.life) + 1, sequence));
            let puts = vec![
                (format!("p/{}/{sequence}", self.who()), self.number()),
                (format!("hot/{}", random.random_range(0..HOT)), self.number()),
            ];
            let what = What::Changes { puts, deletes: Vec::new(), bulk: 0, producer };
            let told = self.submit(lane, self.plan(branch, what)).await;
            if told.is_none_or(|told| matches!(told.outcome.as_str(), "fenced" | "behind")) {
                return;
            }
            self.rest(&mut random).await;
        }
    }

    /// Plain commits, small and large, and now and then a merge.
    async fn commit(self: Arc<Self>, lane: u32) {
        let mut random = self.random(lane);
        while !self.ended() {
            let kind = random.random_range(0..100);
            let plan = if kind < 8 {
                let strategy = match random.random_range(0..4) {
                    0 => Strategy::Fail,
                    1 => Strategy::DestWins,
                    _ => Strategy::SourceWins,
                };
                self.plan(BRANCHES[0], What::Merge { source: SIDE.into(), strategy })
            } else {
                let at = random.random_range(0..=BRANCHES.len());
                let branch = BRANCHES.get(at).copied().unwrap_or(SIDE);
                let number = self.number();
                let mut puts = vec![(format!("u/{}/{number:x}", self.who()), number)];
                let hot = format!("hot/{}", random.random_range(0..HOT));
                let mut deletes = Vec::new();
                match kind % 4 {
                    0 => deletes.push(hot),
                    1 => {}
                    _ => puts.push((hot, self.number())),
                }
                // Too much to travel in the op.
                let bulk = if kind < 11 { 600 } else { 0 };
                self.plan(branch, What::Changes { puts, deletes, bulk, producer: None })
            };
            if self.submit(lane, plan).await.is_none() {
                return;
            }
            self.rest(&mut random).await;
        }
    }

    /// Staged writes, some over earlier ones, and commits of what is staged.
    async fn stage(self: Arc<Self>, lane: u32) {
        let mut random = self.random(lane);
        let mut writes = 0;
        while !self.ended() {
            let branch = BRANCHES[random.random_range(0..BRANCHES.len())];
            for _ in 0..random.random_range(1..4) {
                writes += 1;
                let path = match writes % 2 {
                    0 => format!("s/{}/{writes}", self.who()),
                    _ => format!("s/{}/again-{}", self.who(), writes % 4),
                };
                let write = StagedWrite { branch: branch.into(), path, number: self.number() };
                if !self.stage_one(write).await {
                    return;
                }
                self.rest(&mut random).await;
            }
            if self.submit(lane, self.plan(branch, What::Staged)).await.is_none() {
                return;
            }
        }
    }

    /// Stages one write; false when something is wrong for good.
    async fn stage_one(&self, write: StagedWrite) -> bool {
        self.journal.write(&Line::Staging { at: self.now(), write: write.clone() });
        let branch = self.onward.repo("lake").branch(&write.branch);
        loop {
            let (path, entry) = (write.path.parse().unwrap(), entry(write.number as usize));
            match branch.stage_put(path, entry, None).await {
                Ok(()) => break,
                Err(error) if error.is_retryable() => {}
                Err(error) => {
                    self.refused(None, error.kind(), error.to_string());
                    return false;
                }
            }
            hold(Duration::from_millis(20)).await;
        }
        self.journal.write(&Line::Staged { at: self.now(), write });
        true
    }

    async fn submit(&self, lane: u32, plan: Plan) -> Option<Told> {
        self.journal.write(&Line::Asked { at: self.now(), plan: plan.clone(), again: false });
        self.see_through(lane, &plan).await
    }

    /// Submits an op until it is told an outcome; `None` when something is wrong for good.
    async fn see_through(&self, lane: u32, plan: &Plan) -> Option<Told> {
        loop {
            match submit(&self.onward, plan).await {
                Ok(Outcome::StillQueued { .. }) => {}
                Ok(outcome) => {
                    let told = told(&outcome);
                    let (at, life, op) = (self.now(), self.orders.life, plan.op);
                    self.journal.write(&Line::Told { at, life, lane, op, told: told.clone() });
                    return Some(told);
                }
                Err(error) if error.is_retryable() => {}
                Err(error) => {
                    self.refused(Some(plan.op), error.kind(), error.to_string());
                    return None;
                }
            }
            hold(Duration::from_millis(20)).await;
        }
    }

    fn refused(&self, op: Option<OpId>, kind: ErrorKind, message: String) {
        self.journal.write(&Line::Refused { op, kind: format!("{kind:?}"), message });
    }
}

/// An outcome as a journal has it.
pub fn told(outcome: &Outcome) -> Told {
    let reason = match outcome {
        Outcome::Failed { reason, .. }
        | Outcome::Behind { reason, .. }
        | Outcome::Fenced { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    Told {
        outcome: outcome.name().to_owned(),
        ticket: outcome.ticket().map(|ticket| ticket.0),
        commit: outcome.commit(),
        rounds: outcome.rounds(),
        rounds_bound: outcome.details().rounds_bound,
        reason,
    }
}

/// Submits an op as planned and waits a while for its outcome.
pub async fn submit(onward: &Onward, plan: &Plan) -> onward::Result<Outcome> {
    let branch = onward.repo("lake").branch(&plan.branch);
    if let What::Merge { source, strategy } = &plan.what {
        let strategy = match strategy {
            Strategy::Fail => MergeStrategy::Fail,
            Strategy::SourceWins => MergeStrategy::SourceWins,
            Strategy::DestWins => MergeStrategy::DestWins,
        };
        let mut merge = branch.merge(RefExpr::plain(source.as_str())).strategy(strategy);
        merge = merge.op_id(plan.op).message(&plan.message).committer(&plan.committer);
        for (key, value) in &plan.meta {
            merge = merge.meta(key, value);
        }
        return merge.timeout(PATIENCE).commit().await;
    }
    let mut change = match &plan.what {
        What::Staged => branch.commit_staged(),
        _ => branch.change(),
    };
    for (path, number) in plan.changes().unwrap_or_default() {
        change = match number {
            Some(number) => change.put(path, entry(number as usize)),
            None => change.delete(path),
        };
    }
    if let What::Changes { producer: Some((name, epoch, sequence)), .. } = &plan.what {
        change = change.producer(name, *epoch, *sequence);
    }
    for (key, value) in &plan.meta {
        change = change.meta(key, value);
    }
    change = change.op_id(plan.op).message(&plan.message).committer(&plan.committer);
    change.timeout(PATIENCE).commit().await
}
