//! What a scenario runs on: a repository of its own, and one way to commit to a branch of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use onward::internals::clock;
use onward::internals::commit::counters::CounterSnapshot;
use onward::internals::model::ids::BranchUid;
use onward::internals::objects::ObjectCounters;
use onward::internals::repo::Branch;
use onward::internals::tree::Record;
use onward::{Change, Entry, Error, ObjectPath, Onward, OpId, Outcome, Result};
use serde::{Deserialize, Serialize};

use super::floor::Floor;
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
}

/// One process's end of a branch that is committed to in one way.
#[derive(Debug, Clone)]
pub struct Rig {
    onward: Onward,
    way: Ways,
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
        let rival = |way| Rival::new(onward, repo, repo, way).map(Ways::Rival);
        let branch = onward.repo(repo).branch("main");
        let way = match strategy {
            Strategy::Onward => Ways::Onward(branch),
            Strategy::Optimistic => rival(Way::Optimistic)?,
            Strategy::Bag => rival(Way::Bag)?,
            Strategy::Lock => rival(Way::Lock)?,
            Strategy::Floor => {
                let uid = BranchUid(clock::random_u64());
                let (repo, main) = (repo.parse()?, "main".parse()?);
                let context = onward.coordinator().context(&repo, &main, uid);
                Ways::Floor(Box::new(Floor::start(context).await?))
            }
        };
        Ok(Self { onward: onward.clone(), way })
    }

    /// Commits one change, of a path of its own.
    pub async fn commit(&self, writer: usize, number: u64) -> Result<Made> {
        let path = format!("table/writer={writer:04}/{number:09}.parquet");
        let entry =
            Entry::new(format!("s3://bench/{path}"), 1_234, "9e107d9d372bb6826bd81d3542a419d6");
        match &self.way {
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
            bytes_wasted: match &self.way {
                Ways::Rival(rival) => (written as f64 * rival.lost_share()) as u64,
                _ => now.counters.bytes_wasted - before.counters.bytes_wasted,
            },
        }
    }

    /// Leaves nothing behind in Redis but what the repository's deletion takes away.
    pub async fn finish(&self) -> Result<()> {
        match &self.way {
            Ways::Rival(rival) => rival.forget().await,
            Ways::Floor(floor) => floor.forget().await,
            Ways::Onward(_) => Ok(()),
        }
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

/// When writers stop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Until {
    /// After so many seconds.
    Seconds(f64),
    /// After so many commits of all writers of this process together.
    Count(u64),
}

/// Runs writers `first..first + writers` until the end, as fast as each can: the next commit when
/// the last is acknowledged.
pub async fn drive(rig: &Rig, first: usize, writers: usize, until: Until) -> Result<Sample> {
    let before = rig.before();
    let watch = clock::Stopwatch::start();
    let begun = Arc::new(AtomicU64::new(0));
    let deadline = match until {
        Until::Seconds(seconds) => {
            clock::Deadline::after(std::time::Duration::from_secs_f64(seconds))
        }
        Until::Count(_) => clock::Deadline::after(onward::Config::TIMEOUT_MAX),
    };
    let tasks: Vec<_> = (first..first + writers)
        .map(|writer| {
            let (rig, begun) = (rig.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                let mut sample = Sample::new();
                let mut commits = 0;
                while !deadline.is_over() {
                    if let Until::Count(count) = until
                        && begun.fetch_add(1, Ordering::Relaxed) >= count
                    {
                        break;
                    }
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
