//! What a scenario runs on: a repository of its own, and one way to commit to branches of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use onward::internals::clock::{self, Deadline};
use onward::internals::commit::counters::CounterSnapshot;
use onward::internals::model::ids::BranchUid;
use onward::internals::objects::ObjectCounters;
use onward::internals::repo::Branch;
use onward::internals::tree::Record;
use onward::{Change, Config, Entry, Error, ObjectPath, Onward, OpId, Outcome, RefExpr, Result};
use serde::{Deserialize, Serialize};

use super::floor::Floor;
use super::processes::{Place, Start, Work};
use super::rivals::{Rival, Wanted, Way};
use super::sample::{Asked, Made, Sample};

/// How commits are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The queue, with everybody's help
    Onward,
    /// Read the head, build, compare-and-swap, start over: lakeFS, Iceberg, Delta
    Optimistic,
    /// A pending set that everybody helps to empty
    Bag,
    /// A lock on the branch, with an expiry
    Lock,
    /// Onward's submit and publish scripts alone: no tree, no storage
    Floor,
}

impl Strategy {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onward => "onward",
            Self::Optimistic => "optimistic",
            Self::Bag => "bag",
            Self::Lock => "lock",
            Self::Floor => "floor",
        }
    }

    /// How many of so many processes can take part: the floor has no log that others could follow.
    pub fn processes(self, asked: usize) -> usize {
        match self {
            Self::Floor => 1,
            _ => asked,
        }
    }
}

/// The branches that writers are spread over: the first of them on the first branch, and so on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Spread {
    /// Branches.
    pub branches: usize,
    /// Writers on each, the last may have fewer.
    pub writers: usize,
}

impl Spread {
    /// One branch for all.
    pub const ONE: Self = Self { branches: 1, writers: usize::MAX };

    /// So many writers over so many branches.
    pub fn of(writers: usize, branches: usize) -> Self {
        let each = writers.div_ceil(branches.max(1)).max(1);
        Self { branches: writers.div_ceil(each).max(1), writers: each }
    }

    /// The names of the branches.
    fn names(self) -> impl Iterator<Item = String> {
        (0..self.branches).map(|n| if n == 0 { "main".to_owned() } else { format!("main-{n}") })
    }
}

/// One process's end of branches that are committed to in one way.
#[derive(Debug, Clone)]
pub struct Rig {
    onward: Onward,
    spread: Spread,
    ways: Vec<Ways>,
}

#[derive(Debug, Clone)]
enum Ways {
    Onward(Branch),
    Rival(Rival),
    Floor(Box<Floor>),
}

/// What had been asked for at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    calls: u64,
    objects: ObjectCounters,
    counters: CounterSnapshot,
}

impl Rig {
    /// On branch `main` of a repository that exists.
    pub async fn open(onward: &Onward, repo: &str, strategy: Strategy) -> Result<Self> {
        Self::over(onward, repo, strategy, Spread::ONE).await
    }

    /// On several branches of it.
    pub async fn over(
        onward: &Onward,
        repo: &str,
        strategy: Strategy,
        spread: Spread,
    ) -> Result<Self> {
        let mut ways = Vec::new();
        for name in spread.names() {
            let rival = |way| Rival::new(onward, repo, &format!("{repo}/{name}"), way);
            ways.push(match strategy {
                Strategy::Onward => Ways::Onward(onward.repo(repo).branch(&name)),
                Strategy::Optimistic => Ways::Rival(rival(Way::Optimistic)?),
                Strategy::Bag => Ways::Rival(rival(Way::Bag)?),
                Strategy::Lock => Ways::Rival(rival(Way::Lock)?),
                Strategy::Floor => {
                    let uid = BranchUid(clock::random_u64());
                    let context = onward.coordinator().context(&repo.parse()?, &name.parse()?, uid);
                    Ways::Floor(Box::new(Floor::start(context).await?))
                }
            });
        }
        Ok(Self { onward: onward.clone(), spread, ways })
    }

    /// Makes the branches that are not there yet. Others than Onward keep their heads elsewhere.
    pub async fn prepare(&self) -> Result<()> {
        let main = RefExpr::plain("main");
        for way in self.ways.iter().skip(1) {
            if let Ways::Onward(branch) = way {
                branch.create(&main).await?;
            }
        }
        Ok(())
    }

    /// Commits one change, of a path of its own.
    pub async fn commit(&self, writer: usize, number: u64) -> Result<Made> {
        let path = format!("table/writer={writer:04}/{number:09}.parquet");
        let entry =
            Entry::new(format!("s3://bench/{path}"), 1_234, "9e107d9d372bb6826bd81d3542a419d6");
        let way = self.ways.get(writer / self.spread.writers);
        match way.ok_or_else(|| Error::internal("a writer has no branch"))? {
            Ways::Onward(branch) => made(branch.change().put(path, entry).commit().await?),
            Ways::Rival(rival) => {
                let wanted = Wanted { op_id: clock::new_op_id(), record: record(&path, entry)? };
                rival.commit(wanted).await
            }
            Ways::Floor(floor) => {
                let (op_id, wanted) = (clock::new_op_id(), record(&path, entry)?);
                floor.commit(op_id, element(op_id, &wanted)).await
            }
        }
    }

    /// What has been asked for so far.
    pub fn before(&self) -> Before {
        let coordinator = self.onward.coordinator();
        Before {
            calls: coordinator.lanes().calls().values().sum(),
            objects: coordinator.objects().counters(),
            counters: self.onward.counters(),
        }
    }

    /// What has been asked for since.
    pub fn since(&self, before: &Before) -> Asked {
        let now = self.before();
        let requests = |c: &ObjectCounters| c.gets + c.puts + c.creates + c.lists;
        let written = now.objects.bytes_written - before.objects.bytes_written;
        Asked {
            redis: now.calls - before.calls,
            objects: requests(&now.objects) - requests(&before.objects),
            bytes_written: written,
            bytes_wasted: match self.ways.first() {
                Some(Ways::Rival(_)) => (written as f64 * self.lost_share()) as u64,
                _ => now.counters.bytes_wasted - before.counters.bytes_wasted,
            },
            woken: now.counters.woken - before.counters.woken,
        }
    }

    /// The share of rivals' attempts that came to nothing, over their branches.
    fn lost_share(&self) -> f64 {
        let rivals = self.ways.iter().filter_map(|way| match way {
            Ways::Rival(rival) => Some(rival.attempts()),
            _ => None,
        });
        let (tries, lost) = rivals.fold((0, 0), |sum, (tries, lost)| (sum.0 + tries, sum.1 + lost));
        lost as f64 / tries.max(1) as f64
    }

    /// Removes what no other process has a part in.
    pub async fn finish_own(&self) -> Result<()> {
        for way in &self.ways {
            if let Ways::Floor(floor) = way {
                floor.forget().await?;
            }
        }
        Ok(())
    }

    /// Removes what all processes shared, when all have ended: nothing stays in Redis but what the
    /// repository's deletion takes away.
    pub async fn clean_up(
        onward: &Onward,
        repo: &str,
        strategy: Strategy,
        spread: Spread,
    ) -> Result<()> {
        if matches!(strategy, Strategy::Onward | Strategy::Floor) {
            return Ok(());
        }
        for way in Self::over(onward, repo, strategy, spread).await?.ways {
            if let Ways::Rival(rival) = way {
                rival.forget().await?;
            }
        }
        Ok(())
    }
}

/// How a commit of Onward went; anything but a commit is an error here.
pub fn made(outcome: Outcome) -> Result<Made> {
    match outcome {
        Outcome::Committed { details, .. } => {
            Ok(Made { rounds: details.rounds, bound: details.rounds_bound, batch: details.batch })
        }
        other => Err(Error::internal(format!("a commit ended as {}", other.name()))),
    }
}

fn record(path: &str, entry: Entry) -> Result<Record> {
    Ok(Record::new(0, ObjectPath::new(path)?, &Change::Put(entry)))
}

/// A queue element of the size that Onward's has.
fn element(op_id: OpId, record: &Record) -> bytes::Bytes {
    let mut element = op_id.to_string().into_bytes();
    element.push(b'P');
    element.resize(element.len() + 120, 1);
    element.extend_from_slice(&record.value);
    element.into()
}

/// When writers, or clients, stop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Until {
    /// After so many seconds.
    Seconds(f64),
    /// After so many commits, or cycles, of all of this process together.
    Count(u64),
}

impl Until {
    /// After so many, or where that is not said after this time.
    pub fn of(count: Option<u64>, time: Duration) -> Self {
        count.map_or(Self::Seconds(time.as_secs_f64()), Self::Count)
    }

    /// When nothing is begun any more, and how much is begun at most.
    pub fn limits(self) -> (Deadline, u64) {
        match self {
            Self::Seconds(seconds) => (Deadline::after(Duration::from_secs_f64(seconds)), u64::MAX),
            Self::Count(count) => (Deadline::after(Config::TIMEOUT_MAX), count),
        }
    }
}

/// Runs writers `first..first + writers` until the end, as fast as each can: the next commit when
/// the last is acknowledged.
pub async fn drive(rig: &Rig, first: usize, writers: usize, until: Until) -> Result<Sample> {
    let before = rig.before();
    let watch = clock::Stopwatch::start();
    let begun = Arc::new(AtomicU64::new(0));
    let (deadline, count) = until.limits();
    let tasks: Vec<_> = (first..first + writers)
        .map(|writer| {
            let (rig, begun) = (rig.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                let mut sample = Sample::new();
                let mut commits = 0;
                while !deadline.is_over() && begun.fetch_add(1, Ordering::Relaxed) < count {
                    let one = clock::Stopwatch::start();
                    match rig.commit(writer, commits).await {
                        Ok(made) => {
                            sample.note(&made, one.elapsed());
                            commits += 1;
                        }
                        Err(error) => {
                            sample.fail(error.to_string());
                            tokio::task::yield_now().await;
                        }
                    }
                }
                sample.commits = vec![commits];
                sample
            })
        })
        .collect();
    let mut all = Sample::new();
    for task in tasks {
        let sample = task
            .await
            .map_err(|error| Error::internal("a writer ended early").with_source(error))?;
        all.add(&sample);
    }
    all.seconds = watch.elapsed().as_secs_f64();
    all.asked = rig.since(&before);
    Ok(all)
}

/// Being so many of the writers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Writing {
    /// How they commit.
    pub strategy: Strategy,
    /// Where.
    pub spread: Spread,
    /// The first of them.
    pub first: usize,
    /// How many.
    pub writers: usize,
    /// When they stop.
    pub until: Until,
}

impl Work for Writing {
    const NAME: &'static str = "write";
    type Found = Sample;

    async fn run(self, place: Place<'_>, start: Start) -> Result<Sample> {
        let rig = Rig::over(place.onward, place.repo, self.strategy, self.spread).await?;
        start.given("ready").await?;
        let sample = drive(&rig, self.first, self.writers, self.until).await?;
        rig.finish_own().await?;
        Ok(sample)
    }
}
