//! Random histories of two names that tables come to and go from, on two branches that are merged and whose commits
//! are reverted, among writers who know old ones and ask again: what each was told is held against all that its branch
//! ever was.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use onward::history::LogRequest;
use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{Catalog, Kind, Mode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::parts::{Part, commuting_from, written};
use super::{MAIN, at, catalog, snapshots};
use crate::support::seed::{cases, seed};
use crate::support::sidecar::Sidecar;

const NAMES: [&str; 2] = ["t", "u"];
const BRANCHES: [&str; 2] = ["main", "try"];
const STEPS: usize = 70;
const SIDECARS: usize = 2;
/// A client that is told nothing asks so often.
const ASKS_MAX: usize = 4;

/// Where a table is looked for.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    branch: &'static str,
    name: &'static str,
}

impl Place {
    fn url(self) -> String {
        self.on(&at(self.name))
    }

    /// What is asked of `main`, asked of the branch.
    fn on(self, url: &str) -> String {
        url.replace("lake@main", &format!("lake@{}", self.branch))
    }
}

/// A table as somebody knows it.
#[derive(Clone)]
struct Known {
    place: Place,
    metadata: Value,
}

struct Writer {
    place: Place,
    mode: Mode,
    id: i64,
    body: Value,
    asked: usize,
    told: Option<Told>,
}

#[derive(Debug, PartialEq)]
enum Told {
    /// That it is in the table of this uuid.
    Landed(String),
    NotLanded,
    Nothing,
}

/// What became of snapshots on a branch.
#[derive(Default)]
struct Landed {
    /// The tables that each came to.
    tables: HashMap<i64, HashSet<String>>,
    /// Those that came to a table again though nobody had taken them back.
    twice: Vec<i64>,
}

struct Fates {
    sidecar: Sidecar,
    catalogs: Vec<Catalog>,
    random: StdRng,
    known: Vec<Known>,
    writers: Vec<Writer>,
    /// Where the metadata of tables lies that are under no name, and of which branch they were.
    dropped: Vec<(&'static str, Value)>,
    next_id: i64,
    /// The generation of the commits that both branches began with.
    begun: u64,
    reverted: usize,
    merged: usize,
}

impl Fates {
    async fn of(seed: u64) -> Self {
        let sidecar = catalog().await;
        let lake = sidecar.onward.repo("lake");
        lake.branch("try").create(&"main".parse().unwrap()).await.unwrap();
        let begun = lake.show_commit(&"main".parse().unwrap()).await.unwrap().commit.generation;
        let mut fates = Self {
            sidecar,
            catalogs: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            known: Vec::new(),
            writers: Vec::new(),
            dropped: Vec::new(),
            next_id: 1,
            begun,
            reverted: 0,
            merged: 0,
        };
        for _ in 0..SIDECARS {
            let fresh = fates.fresh().await;
            fates.catalogs.push(fresh);
        }
        fates
    }

    /// A sidecar that remembers nothing.
    async fn fresh(&self) -> Catalog {
        Catalog::new(self.sidecar.deployment.connect_with(Faults::default()).await, None)
    }

    async fn step(&mut self) {
        // Most of it on `main`.
        let branch = BRANCHES[self.random.random_range(0..3_usize) / 2];
        let place = Place { branch, name: NAMES[self.random.random_range(0..NAMES.len())] };
        match self.random.random_range(0..20) {
            0..5 => self.somebody_begins().await,
            5..11 => self.somebody_asks().await,
            11 | 12 => self.makes(place).await,
            13 => self.drops(place).await,
            14 => self.renames(place).await,
            15 => self.trims(place).await,
            16 | 17 => self.reverts(branch).await,
            18 => self.merges(branch).await,
            _ => {
                self.takes_over(place).await;
                let nth = self.random.random_range(0..SIDECARS);
                self.catalogs[nth] = self.fresh().await;
            }
        }
        for branch in BRANCHES {
            for name in NAMES {
                let place = Place { branch, name };
                let (status, told) = self.sidecar.get(&place.url()).await;
                if status == StatusCode::OK {
                    self.known.push(Known { place, metadata: told["metadata"].clone() });
                }
            }
        }
    }

    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// With a table that he knows from now or from long ago, whose uuid he says or does not; some want no server to
    /// bring them onto another head.
    async fn somebody_begins(&mut self) {
        let Some(back) = self.known.len().checked_sub(1) else { return };
        let back = self.random.random_range(0..=back.min(20));
        let Known { place, metadata } = self.known[self.known.len() - 1 - back].clone();
        let id = self.id();
        let location = metadata["location"].as_str().unwrap();
        let parent = metadata["current-snapshot-id"].as_i64();
        let mut body = written(&self.sidecar, location, id, parent).await;
        if self.random.random() {
            let uuid = json!({"type": "assert-table-uuid", "uuid": metadata["table-uuid"]});
            body["requirements"].as_array_mut().unwrap().push(uuid);
        }
        let mode = [Mode::Usual, Mode::Usual, Mode::Optimistic][self.random.random_range(0..3)];
        self.writers.push(Writer { place, mode, id, body, asked: 0, told: None });
    }

    async fn somebody_asks(&mut self) {
        let open = |writer: &Writer| writer.told.is_none();
        let open: Vec<usize> =
            (0..self.writers.len()).filter(|at| open(&self.writers[*at])).collect();
        if open.is_empty() {
            return;
        }
        let nth = open[self.random.random_range(0..open.len())];
        let catalog = self.catalogs[self.random.random_range(0..SIDECARS)].clone();
        let is_lost = self.random.random_range(0..3) != 0;
        let writer = &mut self.writers[nth];
        writer.asked += 1;
        let Place { branch, name } = writer.place;
        let part = Part::on(&catalog, branch, name, &json!({"location": ""})).await;
        let told = match part.commit_as(writer.mode, &writer.body).await {
            Ok(loaded) => Told::Landed(loaded.pointer.uuid.clone()),
            Err(error) => match error.kind {
                Kind::CommitFailed | Kind::NoSuchTable => Told::NotLanded,
                Kind::CommitStateUnknown => Told::Nothing,
                other => panic!("{other:?}: {error}"),
            },
        };
        if !is_lost || writer.asked == ASKS_MAX {
            writer.told = Some(told);
        }
    }

    async fn makes(&mut self, place: Place) {
        if place.branch == "main" && self.sidecar.get(&place.url()).await.0 == StatusCode::NOT_FOUND
        {
            let first = self.id();
            commuting_from(&self.sidecar, place.name, first).await;
        }
    }

    async fn drops(&mut self, place: Place) {
        let (_, told) = self.sidecar.get(&place.url()).await;
        let dropped = self.sidecar.send("DELETE", &place.url(), json!({})).await;
        if dropped.0 == StatusCode::NO_CONTENT {
            self.dropped.push((place.branch, told["metadata-location"].clone()));
        }
    }

    /// Gives the table the other name, if that is free.
    async fn renames(&mut self, place: Place) {
        let of = |name: &str| json!({"namespace": ["a"], "name": name});
        let other = NAMES.into_iter().find(|other| *other != place.name).unwrap();
        let body = json!({"source": of(place.name), "destination": of(other)});
        self.sidecar.send("POST", &place.on(&format!("{MAIN}/tables/rename")), body).await;
    }

    async fn trims(&mut self, place: Place) {
        let (_, told) = self.sidecar.get(&place.url()).await;
        let mut ids = snapshots(&told["metadata"]);
        ids.pop();
        let trim = json!({"action": "remove-snapshots", "snapshot-ids": ids});
        let body = json!({"requirements": [], "updates": [trim]});
        self.sidecar.send("POST", &place.url(), body).await;
    }

    /// Takes one of the newest commits back, if nothing was changed since that it had changed.
    async fn reverts(&mut self, branch: &str) {
        let back = self.random.random_range(0..3);
        let (commit, lake) = (format!("{branch}~{back}"), self.sidecar.onward.repo("lake"));
        let branch = lake.branch(branch);
        let commit: onward::RefExpr = commit.parse().unwrap();
        // The namespace stays.
        let shown = lake.show_commit(&commit).await;
        if shown.is_ok_and(|shown| shown.commit.generation <= self.begun) {
            return;
        }
        // One that was merged is taken back against what it was merged into.
        for parent in [None, Some(1)] {
            let reverted = branch.revert(commit.clone(), parent).commit().await;
            if reverted.is_ok_and(|outcome| outcome.commit().is_some()) {
                self.reverted += 1;
                return;
            }
        }
    }

    /// Merges the other branch into one, by what both have done, or by what one side has.
    async fn merges(&mut self, into: &str) {
        let from = BRANCHES.into_iter().find(|other| *other != into).unwrap();
        let strategy = ["fail", "source-wins", "dest-wins"][self.random.random_range(0..3)];
        let url = format!("/onward/v1/repositories/lake/branches/{into}/merge");
        let body = json!({"source": from, "strategy": strategy});
        let (status, told) = self.sidecar.send("POST", &url, body).await;
        assert!([200, 201, 409].contains(&status.as_u16()), "{status}: {told}");
        self.merged += usize::from(status == StatusCode::CREATED);
    }

    /// A table that was dropped is registered anew on its branch, as it was last.
    async fn takes_over(&mut self, place: Place) {
        let of_branch = |(branch, _): &(&str, Value)| *branch == place.branch;
        let Some(at) = self.dropped.iter().rposition(of_branch) else { return };
        let (_, location) = &self.dropped[at];
        let body = json!({"name": place.name, "metadata-location": location});
        let url = place.on(&format!("{MAIN}/namespaces/a/register"));
        if self.sidecar.send("POST", &url, body).await.0 == StatusCode::OK {
            self.dropped.remove(at);
        }
    }

    /// In which tables each snapshot landed, by all that a branch ever was.
    async fn landed(&self, branch: &'static str) -> Landed {
        let request = LogRequest { first_parent: true, ..LogRequest::default() };
        let lake = self.sidecar.onward.repo("lake");
        let log = lake.log(&branch.parse().unwrap(), &request).await.unwrap();
        let log: Vec<_> = log.try_collect().await.unwrap();
        let (mut landed, mut tables) = (Landed::default(), HashMap::new());
        let mut is_taken_back = false;
        for commit in log.into_iter().rev() {
            let mut now: HashMap<String, HashSet<i64>> = HashMap::new();
            for name in NAMES {
                let url = at(name).replace("lake@main", &format!("lake@{}", commit.id));
                let (status, told) = self.sidecar.get(&url).await;
                if status == StatusCode::OK {
                    let uuid = told["metadata"]["table-uuid"].as_str().unwrap().to_owned();
                    now.entry(uuid).or_default().extend(snapshots(&told["metadata"]));
                }
            }
            is_taken_back |= !commit.commit.metadata.contains_key("iceberg.table");
            for (uuid, now) in now {
                let before = tables.insert(uuid.clone(), now.clone()).unwrap_or_default();
                for id in now.difference(&before) {
                    let is_new = landed.tables.entry(*id).or_default().insert(uuid.clone());
                    if !is_new && !is_taken_back {
                        landed.twice.push(*id);
                    }
                }
            }
            // Of what is there before the first table nothing can be taken back.
            is_taken_back &= !tables.is_empty();
        }
        landed
    }

    /// Whether what writers were told is true.
    async fn check(&self) -> Result<(), String> {
        for branch in BRANCHES {
            let landed = self.landed(branch).await;
            if !landed.twice.is_empty() {
                return Err(format!("{:?} landed twice on {branch}", landed.twice));
            }
            for writer in self.writers.iter().filter(|writer| writer.place.branch == branch) {
                let found = landed.tables.get(&writer.id).cloned().unwrap_or_default();
                let is_true = match &writer.told {
                    Some(Told::Landed(uuid)) => found == HashSet::from([uuid.clone()]),
                    Some(Told::NotLanded) => found.is_empty(),
                    Some(Told::Nothing) | None => found.len() <= 1,
                };
                if !is_true {
                    return Err(format!(
                        "snapshot {} was told {:?} and is in {found:?} on {branch}: {:?} {}",
                        writer.id, writer.told, writer.mode, writer.body
                    ));
                }
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writers_are_told_is_true_of_whatever_becomes_of_their_tables() {
    let first = seed();
    let (mut told, mut unknown, mut reverted, mut merged) = (0, 0, 0, 0);
    for seed in (first..).take(usize::try_from(cases(6)).unwrap()) {
        let mut fates = Fates::of(seed).await;
        for _ in 0..STEPS {
            fates.step().await;
        }
        if let Err(wrong) = fates.check().await {
            panic!("ONWARD_TEST_SEED={seed} ONWARD_TEST_CASES=1 repeats this: {wrong}");
        }
        told += fates.writers.iter().filter(|writer| writer.told.is_some()).count();
        let is_unknown = |writer: &&Writer| writer.told == Some(Told::Nothing);
        unknown += fates.writers.iter().filter(is_unknown).count();
        reverted += fates.reverted;
        merged += fates.merged;
    }
    assert!(told > 0 && unknown < told, "{told} were told something, {unknown} that nobody knows");
    assert!(reverted > 0 && merged > 0, "{reverted} commits reverted, {merged} merges");
}
