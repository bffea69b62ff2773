//! Random histories of two names that tables come to and go from, among writers who know old ones and ask again: what
//! each was told is held against all that the branch ever was.

use std::collections::{HashMap, HashSet};

use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{Catalog, Kind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::parts::{Part, commuting_from, written};
use super::{MAIN, at, catalog, log, snapshots};
use crate::support::seed::{cases, seed};
use crate::support::sidecar::Sidecar;

const NAMES: [&str; 2] = ["t", "u"];
const STEPS: usize = 60;
const SIDECARS: usize = 2;
/// A client that is told nothing asks so often.
const ASKS_MAX: usize = 4;

/// A table as somebody knows it.
#[derive(Clone)]
struct Known {
    name: &'static str,
    metadata: Value,
}

struct Writer {
    name: &'static str,
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

struct Fates {
    sidecar: Sidecar,
    catalogs: Vec<Catalog>,
    random: StdRng,
    known: Vec<Known>,
    writers: Vec<Writer>,
    /// Where the metadata of tables lies that are under no name.
    dropped: Vec<Value>,
    next_id: i64,
}

impl Fates {
    async fn of(seed: u64) -> Self {
        let sidecar = catalog().await;
        let random = StdRng::seed_from_u64(seed);
        let mut fates = Self {
            sidecar,
            catalogs: Vec::new(),
            random,
            known: Vec::new(),
            writers: Vec::new(),
            dropped: Vec::new(),
            next_id: 1,
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
        let name = NAMES[self.random.random_range(0..NAMES.len())];
        match self.random.random_range(0..16) {
            0..4 => self.somebody_begins().await,
            4..10 => self.somebody_asks().await,
            10 | 11 => self.makes(name).await,
            12 => self.drops(name).await,
            13 => self.renames(name).await,
            14 => self.trims(name).await,
            _ => {
                self.takes_over(name).await;
                let nth = self.random.random_range(0..SIDECARS);
                self.catalogs[nth] = self.fresh().await;
            }
        }
        for name in NAMES {
            let (status, told) = self.sidecar.get(&at(name)).await;
            if status == StatusCode::OK {
                self.known.push(Known { name, metadata: told["metadata"].clone() });
            }
        }
    }

    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// With a table that he knows from now or from long ago, whose uuid he says or does not.
    async fn somebody_begins(&mut self) {
        let Some(back) = self.known.len().checked_sub(1) else { return };
        let back = self.random.random_range(0..=back.min(12));
        let Known { name, metadata } = self.known[self.known.len() - 1 - back].clone();
        let id = self.id();
        let location = metadata["location"].as_str().unwrap();
        let parent = metadata["current-snapshot-id"].as_i64();
        let mut body = written(&self.sidecar, location, id, parent).await;
        if self.random.random() {
            let uuid = json!({"type": "assert-table-uuid", "uuid": metadata["table-uuid"]});
            body["requirements"].as_array_mut().unwrap().push(uuid);
        }
        self.writers.push(Writer { name, id, body, asked: 0, told: None });
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
        let none = json!({"location": ""});
        let part = Part::within(&catalog, writer.name, &none).await;
        let told = match part.commit(&writer.body).await {
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

    async fn makes(&mut self, name: &'static str) {
        if self.sidecar.get(&at(name)).await.0 == StatusCode::NOT_FOUND {
            let first = self.id();
            commuting_from(&self.sidecar, name, first).await;
        }
    }

    async fn drops(&mut self, name: &'static str) {
        let (_, told) = self.sidecar.get(&at(name)).await;
        if self.sidecar.send("DELETE", &at(name), json!({})).await.0 == StatusCode::NO_CONTENT {
            self.dropped.push(told["metadata-location"].clone());
        }
    }

    /// Gives the table the other name, if that is free.
    async fn renames(&mut self, name: &'static str) {
        let of = |name: &str| json!({"namespace": ["a"], "name": name});
        let other = NAMES.into_iter().find(|other| *other != name).unwrap();
        let body = json!({"source": of(name), "destination": of(other)});
        self.sidecar.send("POST", &format!("{MAIN}/tables/rename"), body).await;
    }

    async fn trims(&mut self, name: &'static str) {
        let (_, told) = self.sidecar.get(&at(name)).await;
        let mut ids = snapshots(&told["metadata"]);
        ids.pop();
        let trim = json!({"action": "remove-snapshots", "snapshot-ids": ids});
        self.sidecar.send("POST", &at(name), json!({"requirements": [], "updates": [trim]})).await;
    }

    /// A table that was dropped is registered anew, as it was last.
    async fn takes_over(&mut self, name: &'static str) {
        let Some(location) = self.dropped.last() else { return };
        let body = json!({"name": name, "metadata-location": location});
        let url = format!("{MAIN}/namespaces/a/register");
        if self.sidecar.send("POST", &url, body).await.0 == StatusCode::OK {
            self.dropped.pop();
        }
    }

    /// In which table each snapshot landed, and how often, by all that the branch ever was.
    async fn landed(&self) -> HashMap<i64, Vec<String>> {
        let mut tables: HashMap<String, HashSet<i64>> = HashMap::new();
        let mut landed: HashMap<i64, Vec<String>> = HashMap::new();
        for commit in log(&self.sidecar).await.into_iter().rev() {
            for name in NAMES {
                let url = at(name).replace("lake@main", &format!("lake@{}", commit.id));
                let (status, told) = self.sidecar.get(&url).await;
                if status != StatusCode::OK {
                    continue;
                }
                let metadata = &told["metadata"];
                let uuid = metadata["table-uuid"].as_str().unwrap().to_owned();
                let now: HashSet<i64> = snapshots(metadata).into_iter().collect();
                let before = tables.insert(uuid.clone(), now.clone()).unwrap_or_default();
                for id in now.difference(&before) {
                    landed.entry(*id).or_default().push(uuid.clone());
                }
            }
        }
        landed
    }

    /// Whether what writers were told is true.
    async fn check(&self) -> Result<(), String> {
        let landed = self.landed().await;
        for writer in &self.writers {
            let found = landed.get(&writer.id).map_or(&[][..], Vec::as_slice);
            let is_true = match &writer.told {
                Some(Told::Landed(uuid)) => found == std::slice::from_ref(uuid),
                Some(Told::NotLanded) => found.is_empty(),
                Some(Told::Nothing) | None => found.len() <= 1,
            };
            if !is_true {
                return Err(format!(
                    "snapshot {} was told {:?} and is in {found:?}: {}",
                    writer.id, writer.told, writer.body
                ));
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writers_are_told_is_true_of_whatever_becomes_of_their_tables() {
    let first = seed();
    let (mut told, mut unknown) = (0, 0);
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
    }
    assert!(told > 0 && unknown < told, "{told} were told something, {unknown} that nobody knows");
}
