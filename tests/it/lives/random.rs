//! Random histories of repositories and branches that end and begin again, by several long-lived
//! processes, held against plain maps. Deletions are cut short; Redis is emptied, or goes back.

use std::collections::BTreeMap;

use onward::internals::commit::faults::{Faults, LIFE_POINTS};
use onward::{ErrorKind, Onward, RefExpr};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{content, in_order};
use crate::support::branch::Snapshot;
use crate::support::lake::{Deployment, entry};
use crate::support::seed::{cases, seed};

const PROCESSES: usize = 3;
const STEPS: usize = 40;

type Content = BTreeMap<String, u64>;

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Absent,
    /// Its deletion was begun: nothing is made in it any more. Who knew one of its branches can use
    /// it until it has ended.
    Dying,
    There,
}

/// What the repository should be like.
struct Expected {
    state: State,
    branches: BTreeMap<&'static str, Content>,
}

impl Expected {
    /// Whether what came of a use of a branch is as it should be. Returns the branch, if it was used.
    fn used<T: std::fmt::Debug>(
        &mut self,
        branch: &str,
        result: &onward::Result<T>,
    ) -> Option<&mut Content> {
        let is_there = self.state == State::There && self.branches.contains_key(branch);
        let may_be = self.state != State::Absent && self.branches.contains_key(branch);
        match result {
            Ok(_) => assert!(may_be, "{result:?}"),
            Err(error) => {
                assert!(error.kind() == ErrorKind::NotFound && !is_there, "{error}");
                return None;
            }
        }
        self.branches.get_mut(branch)
    }
}

struct History {
    deployment: Deployment,
    processes: Vec<Onward>,
    expected: Expected,
    snapshot: Option<Snapshot>,
    random: StdRng,
}

fn kind<T>(result: &onward::Result<T>) -> Option<ErrorKind> {
    result.as_ref().err().map(onward::Error::kind)
}

impl History {
    async fn new(seed: u64) -> Self {
        let deployment = Deployment::new();
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            processes.push(deployment.connect().await);
        }
        let (snapshot, random) = (None, StdRng::seed_from_u64(seed));
        let expected = Expected { state: State::Absent, branches: BTreeMap::new() };
        Self { deployment, processes, expected, snapshot, random }
    }

    fn any(&mut self) -> Onward {
        self.processes[self.random.random_range(0..PROCESSES)].clone()
    }

    async fn step(&mut self, n: u64) {
        let onward = self.any();
        let branch = ["main", "dev"][self.random.random_range(0..2)];
        let draw = self.random.random_range(0..100);
        eprintln!("step {n}: {draw} on {branch}, {:?}", self.expected.state);
        match draw {
            0..12 => self.create(&onward).await,
            12..18 => self.delete(&onward).await,
            18..25 => self.delete_and_stop_half_way().await,
            25..35 => self.make_branch(&onward).await,
            35..42 => self.end_branch(&onward).await,
            42..62 => self.commit(&onward, branch, n).await,
            62..78 => self.stage_and_commit(&onward, branch, n).await,
            78..93 => {}
            93..95 => drop(self.deployment.redis.command::<String>(&["FLUSHALL"])),
            95..98 => self.snapshot = Some(Snapshot::take(&self.deployment.redis)),
            _ => self.go_back().await,
        }
        self.look(branch).await;
    }

    async fn create(&mut self, onward: &Onward) {
        let expected = (self.expected.state != State::Absent).then_some(ErrorKind::Conflict);
        let created = onward.repo("lake").create(&"main".parse().unwrap()).await;
        assert_eq!(kind(&created), expected, "{created:?}");
        if expected.is_none() {
            let branches = BTreeMap::from([("main", Content::new())]);
            self.expected = Expected { state: State::There, branches };
        }
    }

    async fn delete(&mut self, onward: &Onward) {
        let expected = (self.expected.state == State::Absent).then_some(ErrorKind::NotFound);
        let deleted = onward.repo("lake").delete().await;
        assert_eq!(kind(&deleted), expected, "{deleted:?}");
        self.expected.state = State::Absent;
    }

    async fn delete_and_stop_half_way(&mut self) {
        let faults = Faults::default();
        let point = LIFE_POINTS[self.random.random_range(0..LIFE_POINTS.len())];
        faults.set(&format!("{point}=error")).unwrap();
        let deletes = self.deployment.connect_with(faults).await;
        match deletes.repo("lake").delete().await {
            Ok(()) => self.expected.state = State::Absent,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert_eq!(self.expected.state, State::Absent, "{error}");
            }
            Err(error) => {
                assert!(error.message().contains("failpoint"), "{error}");
                self.expected.state = State::Dying;
            }
        }
    }

    async fn make_branch(&mut self, onward: &Onward) {
        let made = onward.repo("lake").branch("dev").create(&RefExpr::plain("main")).await;
        let there = self.expected.branches.contains_key("dev");
        let expected = match self.expected.state {
            State::There => there.then_some(ErrorKind::Conflict),
            State::Absent | State::Dying => Some(ErrorKind::NotFound),
        };
        assert_eq!(kind(&made), expected, "{made:?}");
        if made.is_ok() {
            let content = self.expected.branches["main"].clone();
            self.expected.branches.insert("dev", content);
        }
    }

    async fn end_branch(&mut self, onward: &Onward) {
        let ended = onward.repo("lake").branch("dev").delete().await;
        if self.expected.used("dev", &ended).is_some() {
            self.expected.branches.remove("dev");
        }
    }

    async fn commit(&mut self, onward: &Onward, branch: &str, n: u64) {
        // Some travel in the op, some are written as a run first.
        let count = if self.random.random_bool(0.3) { 600 } else { 1 };
        let mut change = onward.repo("lake").branch(branch).change();
        for index in 0..count.min(7) {
            change = change.put(format!("p{index}"), entry(n as usize));
        }
        for index in 7..count {
            change = change.delete(format!("gone/{index}"));
        }
        let outcome = change.commit().await;
        if let Ok(outcome) = &outcome {
            assert!(outcome.commit().is_some(), "{outcome:?}");
        }
        if let Some(content) = self.expected.used(branch, &outcome) {
            content.extend((0..count.min(7)).map(|index| (format!("p{index}"), n)));
        }
    }

    async fn stage_and_commit(&mut self, onward: &Onward, branch: &str, n: u64) {
        let path = format!("s{}", n % 5);
        let to = onward.repo("lake").branch(branch);
        let staged = to.stage_put(path.parse().unwrap(), entry(n as usize), None).await;
        let Some(content) = self.expected.used(branch, &staged) else { return };
        content.insert(path, n);
        let other = &self.processes[n as usize % PROCESSES];
        let committed = other.repo("lake").branch(branch).commit_staged().commit().await;
        if let Ok(outcome) = &committed {
            assert!(outcome.commit().is_some(), "{outcome:?}");
        }
        self.expected.used(branch, &committed);
    }

    /// Redis starts again from an older state, or from nothing.
    async fn go_back(&mut self) {
        match &self.snapshot {
            Some(snapshot) => snapshot.put_back(&self.deployment.redis),
            None => drop(self.deployment.redis.command::<String>(&["FLUSHALL"])),
        }
        self.deployment.redis.restart();
    }

    /// What anybody sees of the branch.
    async fn look(&mut self, branch: &str) {
        let seen = content(&self.any(), branch).await;
        if let Some(expected) = self.expected.used(branch, &seen) {
            let expected: Vec<_> = expected.clone().into_iter().collect();
            assert_eq!(seen.unwrap(), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lives_are_what_plain_maps_say_whoever_looks() {
    let mut seeds = StdRng::seed_from_u64(seed());
    for _ in 0..cases(12) {
        let seed = seeds.random();
        // Shown where it fails.
        eprintln!("history {seed}");
        let mut history = History::new(seed).await;
        for n in 1..=STEPS as u64 {
            history.step(n).await;
        }
        if history.expected.state == State::There {
            in_order(&history.deployment).await;
        }
    }
}
