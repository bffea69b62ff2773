//! One history: processes and their clients, what goes wrong meanwhile, and the end, at which
//! everything works again and what is left over has to come to its end.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onward::internals::clock::simulated;
use onward::internals::objects::backend::{InMemory, ObjectStore};
use onward::{Onward, RefExpr};
use tokio::task::{JoinHandle, JoinSet};

use super::audit::{Rows, audit};
use super::client::{self, Shared};
use super::plan::{Planner, entry, producers};
use super::process::Process;
use super::redis::{Change, Comeback, Server};
use super::world::{Weather, World};

/// How long a history may take, by its own clock, until it counts as stuck.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Longer than any request is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Longer than any call is waited for and made again.
const CALL_MAX: Duration = Duration::from_secs(12);

/// How long the last commits may take: a while longer than the longest pause of anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a history was, and what was wrong with it.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub fingerprint: u64,
    pub shape: Shape,
    pub wrong: Vec<String>,
    pub record: Vec<String>,
}

/// What happened in a history, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    pub requests: u64,
    pub ops: u64,
    pub commits: u64,
    pub kills: u64,
    pub pauses: u64,
    pub restarts: u64,
    pub losses: u64,
    pub primaries: u64,
    pub jumps: u64,
    pub days: u64,
    pub outages: u64,
    pub gone: u64,
    pub adopted: u64,
    pub lost_races: u64,
}

impl std::ops::AddAssign for Shape {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.ops += other.ops;
        self.commits += other.commits;
        self.kills += other.kills;
        self.pauses += other.pauses;
        self.restarts += other.restarts;
        self.losses += other.losses;
        self.primaries += other.primaries;
        self.jumps += other.jumps;
        self.days += other.days;
        self.outages += other.outages;
        self.gone += other.gone;
        self.adopted += other.adopted;
        self.lost_races += other.lost_races;
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} ops, {} commits; {} kills, {} pauses, {} restarts, {} losses of data, \
             {} second primaries, {} jumps of clocks, {} times of days, {} outages, {} times clients gone for good",
            self.requests,
            self.ops,
            self.commits,
            self.kills,
            self.pauses,
            self.restarts,
            self.losses,
            self.primaries,
            self.jumps,
            self.days,
            self.outages,
            self.gone
        )
    }
}

/// Runs the history of `seed`. `change`: what becomes of the scripts; `recorded`: whether to keep a
/// record of what happened.
pub fn run(seed: u64, change: Change, recorded: bool) -> Report {
    if recorded {
        // What the program itself complains of.
        let errors = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR);
        let _ = errors.with_test_writer().try_init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let report = runtime.block_on(async {
        let _simulated = simulated::enter(seed);
        let world = World::new(seed, recorded);
        let mut history = History::new(&world, change);
        let wrong = match tokio::time::timeout(LIFETIME, history.live()).await {
            Ok(wrong) => wrong,
            Err(_) => vec![format!("stuck: {}", history.where_it_stands())],
        };
        Report {
            seed,
            fingerprint: world.fingerprint(),
            shape: history.shape(),
            wrong,
            record: world.record(),
        }
    });
    runtime.shutdown_background();
    report
}

/// A process with its clients.
struct Slot {
    process: Process,
    server: usize,
    clients: Vec<Shared>,
    tasks: JoinHandle<()>,
}

struct History {
    world: World,
    store: Arc<dyn ObjectStore>,
    servers: Vec<Server>,
    slots: Vec<Slot>,
    /// Clients that have gone with their process, and come back nowhere.
    gone: Vec<Shared>,
    processes: usize,
    /// Processes whose clients are done: they stay, and help, until the end of the history.
    stay: Arc<Mutex<Vec<Onward>>>,
    /// How far producers are on main in the end, as each server's processes tell.
    told: Vec<Rows>,
    shape: Shape,
}

impl History {
    fn new(world: &World, change: Change) -> Self {
        Self {
            world: world.clone(),
            store: Arc::new(InMemory::new()),
            servers: vec![Server::new(world, change)],
            slots: Vec::new(),
            gone: Vec::new(),
            processes: 0,
            stay: Arc::default(),
            told: Vec::new(),
            shape: Shape::default(),
        }
    }

    async fn live(&mut self) -> Vec<String> {
        self.begin().await;
        self.trouble().await;
        self.heal();
        for slot in &mut self.slots {
            let _ = (&mut slot.tasks).await;
        }
        let mut wrong = self.look_after().await;
        wrong.extend(self.end().await);
        for client in self.clients() {
            for entry in &client.lock().unwrap().journal {
                self.world.note(|| format!("{entry:?}"));
            }
        }
        wrong.extend(
            audit(
                &self.store,
                &self.clients(),
                &self.told,
                self.is_lossless(),
                self.shape.days > 0,
            )
            .await,
        );
        wrong
    }

    /// A repository with a commit on each branch, then processes with clients.
    async fn begin(&mut self) {
        let world = self.world.clone();
        let founder = self.process();
        let onward = founder.connect(&self.servers[0], &self.store).await;
        let lake = onward.repo("lake");
        lake.create(&"main".parse().unwrap()).await.unwrap();
        let main = lake.branch("main");
        main.change().put("first", entry(1_000_000)).message("first").commit().await.unwrap();
        lake.branch("side").create(&RefExpr::plain("main")).await.unwrap();
        if world.one_in(4) {
            // A second server that takes itself for the primary, with what it had replicated.
            let second = self.servers[0].replica();
            self.servers.push(second);
            self.shape.primaries += 1;
        }
        let mut planner = Planner::new(&world);
        let mut client = 0;
        for _ in 0..2 + world.pick(3) {
            let mut clients = Vec::new();
            for _ in 0..1 + world.pick(3) {
                let plans = 1 + world.pick(5);
                let plans = (1..=plans).map(|n| planner.plan(client, n as u64)).collect();
                let shared = Shared::default();
                shared.lock().unwrap().plans = plans;
                clients.push(shared);
                client += 1;
            }
            let server = world.pick(self.servers.len());
            let slot = self.start(server, clients);
            self.slots.push(slot);
        }
        world.set_weather(self.weather());
    }

    fn process(&mut self) -> Process {
        self.processes += 1;
        Process::new(&self.world, format!("process-{}", self.processes))
    }

    fn start(&mut self, server: usize, clients: Vec<Shared>) -> Slot {
        let process = self.process();
        let (starting, on) = (process.clone(), self.servers[server].clone());
        let (store, world) = (Arc::clone(&self.store), self.world.clone());
        let (work, stay) = (clients.clone(), Arc::clone(&self.stay));
        let tasks = tokio::spawn(async move {
            let onward = starting.connect(&on, &store).await;
            let mut tasks = JoinSet::new();
            for client in work {
                tasks.spawn(client::run(world.clone(), onward.clone(), client));
            }
            while tasks.join_next().await.is_some() {}
            stay.lock().unwrap().push(onward);
        });
        Slot { process, server, clients, tasks }
    }

    fn weather(&self) -> Weather {
        let world = &self.world;
        let sometimes = |per_mille: usize| {
            if world.one_in(3) { world.pick(per_mille) as u32 } else { 0 }
        };
        Weather {
            cut_before: sometimes(40),
            cut_after: sometimes(40),
            lost: sometimes(20),
            slow: sometimes(60),
            store_fails: sometimes(60),
            store_lost: sometimes(60),
            store_false_conflict: sometimes(60),
        }
    }

    /// What goes wrong while the clients work.
    async fn trouble(&mut self) {
        let world = self.world.clone();
        for _ in 0..world.pick(7) {
            tokio::time::sleep(world.moment(400)).await;
            let slot = world.pick(self.slots.len());
            let server = self.servers[world.pick(self.servers.len())].clone();
            match world.pick(9) {
                0 | 1 => self.kill(slot).await,
                2 | 3 => {
                    let process = self.slots[slot].process.clone();
                    world.note(|| format!("{} pauses", process.name()));
                    process.pause();
                    self.shape.pauses += 1;
                    let wake = world.moment(3000);
                    tokio::spawn(async move {
                        tokio::time::sleep(wake).await;
                        process.go_on();
                    });
                }
                4 => {
                    server.stop();
                    tokio::time::sleep(world.moment(1500)).await;
                    let comeback = match world.pick(3) {
                        0 => Comeback::Complete,
                        1 => Comeback::Older,
                        _ => Comeback::Empty,
                    };
                    world.note(|| format!("a server comes back: {comeback:?}"));
                    server.start(comeback);
                    self.shape.restarts += 1;
                }
                5 => {
                    world.note(|| "a server falls back".into());
                    server.fall_back();
                    self.shape.losses += 1;
                }
                6 => {
                    let ms = world.pick(7_200_000) as i64 - 3_600_000;
                    world.note(|| format!("clocks jump by {ms} ms"));
                    match world.pick(3) {
                        0 => server.jump(ms),
                        1 => simulated::jump(ms),
                        // What processes believe of the time decides nothing, however wrong it is.
                        _ => simulated::jump(ms * 72),
                    }
                    self.shape.jumps += 1;
                }
                7 => self.days_pass().await,
                _ => {
                    let before = self.weather();
                    let fails = 300 + world.pick(700) as u32;
                    world.note(|| format!("the object store fails {fails} of 1000"));
                    world.set_weather(Weather { store_fails: fails, ..before });
                    tokio::time::sleep(world.moment(2000)).await;
                    world.set_weather(before);
                    self.shape.outages += 1;
                }
            }
        }
    }

    /// Two days go by, in which nobody does anything: what Redis keeps for a day is gone. A call whose
    /// reply was lost is made again for seconds, and not for days: none such is under way then.
    async fn days_pass(&mut self) {
        const DAYS_MS: i64 = 2 * 24 * 3600 * 1000;
        tokio::time::sleep(self.world.moment(2000)).await;
        if self.world.has_lost_replies(CALL_MAX) {
            return;
        }
        self.world.note(|| "two days go by".into());
        for server in &self.servers {
            server.jump(DAYS_MS);
        }
        simulated::jump(DAYS_MS);
        self.shape.days += 1;
    }

    /// Kills a process. Another one takes over its clients, perhaps on another server.
    async fn kill(&mut self, slot: usize) {
        let killed = &self.slots[slot];
        self.world.note(|| format!("{} is killed", killed.process.name()));
        killed.process.kill();
        killed.tasks.abort();
        self.shape.kills += 1;
        tokio::time::sleep(self.world.moment(100)).await;
        let mut clients = self.slots[slot].clients.clone();
        if self.world.one_in(3) {
            self.world.note(|| "its clients are gone with it".into());
            self.gone.append(&mut clients);
            self.shape.gone += 1;
        }
        let server = self.world.pick(self.servers.len());
        self.slots[slot] = self.start(server, clients);
    }

    /// From here on everything works.
    fn heal(&mut self) {
        self.world.note(|| "everything works again".into());
        self.world.set_weather(Weather::default());
        for slot in &self.slots {
            slot.process.go_on();
        }
    }

    /// What clients that are gone have left behind is decided by a process that nobody asked to
    /// commit anything. It lives on: others may follow it.
    async fn look_after(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        // A request outlives the client that sent it: what is on its way arrives first.
        tokio::time::sleep(ON_ITS_WAY).await;
        for server in self.servers.clone() {
            let onward = self.process().connect(&server, &self.store).await;
            let mut watch = onward.watch();
            let begun = tokio::time::Instant::now();
            loop {
                if let Err(error) = watch.step().await {
                    wrong.push(format!("the queues could not be looked at: {error}"));
                }
                if !server.has_queued() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    wrong.push(format!("a queue stands:\n{}", server.dump()));
                    break;
                }
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        }
        wrong
    }

    /// A last commit by a fresh process on each server and branch: it must come through, and leave
    /// no op behind. It takes what is still staged with it.
    async fn end(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for server in self.servers.clone() {
            let onward = self.process().connect(&server, &self.store).await;
            let lake = onward.repo("lake");
            for branch in [lake.branch("main"), lake.branch("side")] {
                let last = branch.commit_staged().allow_empty(true).message("last");
                match last.committer("last").timeout(PATIENCE).commit().await {
                    Ok(outcome) if outcome.commit().is_some() => {}
                    other => wrong.push(format!("the last commit came to {other:?}")),
                }
                match branch.queue(10).await {
                    Ok(queue) if queue.depth == 0 => {}
                    other => wrong.push(format!("something is left in a queue: {other:?}")),
                }
            }
            match lake.branch("main").producers(producers(self.clients().len())).await {
                Ok(told) => self.told.push(
                    told.into_iter().map(|(name, row)| (name, (row.epoch, row.sequence))).collect(),
                ),
                Err(error) => {
                    wrong.push(format!("producers cannot be told how far they are: {error}"))
                }
            }
            let counters = onward.counters();
            self.shape.adopted += counters.adopted;
            self.shape.lost_races += counters.lost_races;
        }
        wrong
    }

    fn clients(&self) -> Vec<Shared> {
        let here = self.slots.iter().flat_map(|slot| slot.clients.clone());
        here.chain(self.gone.iter().cloned()).collect()
    }

    /// Whether there was one Redis all the time, and it kept what it had.
    fn is_lossless(&self) -> bool {
        self.servers.len() == 1 && !self.servers[0].lost_data()
    }

    fn shape(&self) -> Shape {
        let clients = self.clients();
        let journals = clients.iter().map(|client| client.lock().unwrap().journal.clone());
        let mut shape = self.shape;
        shape.requests = self.world.notes();
        for entry in journals.flatten() {
            shape.ops += 1;
            shape.commits += u64::from(entry.told.iter().any(|told| told.outcome == "committed"));
        }
        shape.losses += u64::from(self.servers.iter().any(Server::lost_data));
        shape
    }

    fn where_it_stands(&self) -> String {
        let mut text = String::new();
        for slot in &self.slots {
            for client in &slot.clients {
                let client = client.lock().unwrap();
                if let Some(entry) = client.journal.last().filter(|entry| entry.ended.is_none()) {
                    text += &format!("{} on {}: {entry:?}\n", slot.process.name(), slot.server);
                }
            }
        }
        for server in &self.servers {
            text += &server.dump();
        }
        text
    }
}
