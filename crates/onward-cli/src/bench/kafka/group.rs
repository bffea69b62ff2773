//! Many processes of one consumer group that bring a topic to one branch: how long it takes from a record to the
//! commit that has it, as somebody sees it who looks at the branch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use onward::history::LogRequest;
use onward::internals::clock::Stopwatch;
use onward::{CommitId, Error, RefExpr, Repository, Result};
use onward_kafka::broker::Place as Partition;
use onward_kafka::path::PathTemplate;
use onward_kafka::{Event, Kafka, Settings, Sink, Stop, state};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::super::session::blocking;
use super::super::processes::{Place, Running, Start, Work};
use super::super::run::Bench;
use super::super::sample::Latencies;
use super::super::server::peak_memory;
use super::super::table::Cell;
use super::topic::{KafkaArgs, PATIENCE, client, failed, format_of, partition_of, value};

/// Nothing was assigned or committed for so long, and for some intervals of commits: the group has come to rest.
const REST: Duration = Duration::from_secs(4);

/// Between two looks at the branch.
const LOOK: Duration = Duration::from_millis(10);

/// Records are sent in so many portions a second.
const PORTIONS_PER_SECOND: u64 = 50;

/// One process of the group.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sinking {
    brokers: String,
    topic: String,
    group: String,
    format: String,
    commit_every: Duration,
}

/// What one process did.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sunk {
    records: u64,
    commits: u64,
    /// Partitions that others have taken, calls that had to be made again.
    troubles: Vec<String>,
    memory_peak: Option<u64>,
}

impl Work for Sinking {
    const NAME: &'static str = "kafka-sink";
    type Found = Sunk;

    async fn run(self, place: Place<'_>, start: Start) -> Result<Sunk> {
        start.given("ready").await?;
        let stop = Stop::new();
        let told = stop.clone();
        // The next line, or the end of who asks, is the end.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_line(&mut String::new());
            told.stop();
        });
        let settings = vec![("bootstrap.servers".to_owned(), self.brokers)];
        let topic: Arc<str> = self.topic.into();
        let format = format_of(&self.format, &settings, &topic).await?;
        let path = PathTemplate::parse(PathTemplate::FILES)?;
        let mut sink = Settings::new(self.group.as_str(), [topic], format, path);
        sink.commit_every = self.commit_every;
        // A file waits for the next commit, and so is half as old.
        sink.roll.age = self.commit_every / 2;
        let topics = sink.topics.clone();
        let kafka = blocking(move || Kafka::connect(&settings, &self.group, &topics)).await?;
        let troubles = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&troubles);
        let watch = move |event| {
            let trouble = match event {
                Event::Trouble(what) => what,
                Event::TakenOver(place) => format!("{place} was taken over"),
                _ => return,
            };
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
        };
        let sink = Sink::new(&place.onward.repo(place.repo), "main", sink)?;
        let report = sink.run(kafka, stop, watch).await?;
        let troubles = troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (records, commits) = (report.records, report.commits);
        Ok(Sunk { records, commits, troubles, memory_peak: peak_memory() })
    }
}

/// What is seen of the branch.
struct Look {
    repo: Repository,
    group: String,
    topic: Arc<str>,
    partitions: i32,
    head: RefExpr,
    newest: Option<CommitId>,
    /// Commits with records.
    commits: u64,
    /// The next offset of each partition that has been claimed.
    nexts: BTreeMap<i32, i64>,
    moved: Stopwatch,
    rest: Duration,
}

impl Look {
    /// Looks for commits that were not there before.
    async fn again(&mut self) -> Result<()> {
        let log = self.repo.log(&self.head, &LogRequest::default()).await?;
        let known = self.newest;
        let new = log.try_take_while(|info| std::future::ready(Ok(Some(info.id) != known)));
        let mut new: Vec<_> = new.try_collect().await?;
        self.newest = new.first().map(|info| info.id).or(known);
        new.reverse();
        for info in new {
            let mut has_records = false;
            for partition in 0..self.partitions {
                let place = Partition::new(Arc::clone(&self.topic), partition);
                let pairs = &info.commit.metadata;
                let Some(state) = state::decode(pairs, &self.group, &place)? else { continue };
                let before = self.nexts.insert(partition, state.next);
                has_records |= before.is_some_and(|before| before < state.next);
                self.moved = Stopwatch::start();
            }
            self.commits += u64::from(has_records);
        }
        Ok(())
    }

    async fn until_at_rest(&mut self) -> Result<()> {
        let begun = Stopwatch::start();
        loop {
            self.again().await?;
            let all = self.nexts.len() == usize::try_from(self.partitions).unwrap_or(0);
            if all && self.moved.elapsed() >= self.rest {
                return Ok(());
            }
            if begun.elapsed() >= 2 * PATIENCE {
                let claimed = self.nexts.len();
                return Err(Error::unavailable(format!(
                    "the group does not come to rest: {claimed} partitions are claimed"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Records on their way: of each partition the offsets and since when.
type Sent = Arc<Mutex<BTreeMap<i32, VecDeque<(i64, Stopwatch)>>>>;

/// What is measured of a group.
pub struct Group<'a> {
    /// The brokers, and how much is sent.
    pub args: &'a KafkaArgs,
    /// What it reads.
    pub topic: &'a Arc<str>,
    /// What its files are made of.
    pub format: &'a str,
    /// How many it is.
    pub processes: usize,
}

impl Group<'_> {
    /// Measures it: how many records it has brought to the branch, none where there was trouble, and how many were
    /// sent for that.
    pub async fn measure(&self, bench: &Bench<'_>) -> Result<(Option<u64>, u64)> {
        let args = self.args;
        let name = bench.repo().await?;
        let work = || Sinking {
            brokers: args.brokers.clone(),
            topic: self.topic.to_string(),
            group: name.clone(),
            format: self.format.to_owned(),
            commit_every: args.commit_every,
        };
        let mut children = Vec::new();
        for _ in 0..self.processes {
            children.push(Running::start(bench, &name, &work())?);
        }
        for child in &mut children {
            child.is_ready().await?;
        }
        bench.teller.begin(|| format!("{} processes of a group", self.processes));
        for child in &mut children {
            child.go().await?;
        }
        let mut look = Look {
            repo: bench.onward.repo(&name),
            group: name.clone(),
            topic: Arc::clone(self.topic),
            partitions: args.partitions,
            head: "main@".parse()?,
            newest: None,
            commits: 0,
            nexts: BTreeMap::new(),
            moved: Stopwatch::start(),
            rest: REST.max(3 * args.commit_every),
        };
        look.until_at_rest().await?;
        let latencies = follow(args, self.topic, &mut look).await?;
        for child in &mut children {
            child.go().await?;
        }
        let mut sunk = Vec::new();
        for child in children {
            sunk.push(child.found::<Sunk>().await?);
        }
        let records = self.tell(bench, &look, &latencies, &sunk)?;
        Ok((records, latencies.count()))
    }

    /// Tells what was measured; returns the records that came without trouble.
    fn tell(
        &self,
        bench: &Bench<'_>,
        look: &Look,
        latencies: &Latencies,
        sunk: &[Sunk],
    ) -> Result<Option<u64>> {
        let (args, format) = (self.args, self.format);
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| latencies.quantile_ms(quantile));
        let interval_ms = args.commit_every.as_secs_f64() * 1e3;
        let (ratio, seconds) = (p99 / interval_ms, args.duration.as_secs_f64());
        let commits_per_s = look.commits as f64 / seconds;
        let memory = sunk.iter().filter_map(|one| one.memory_peak).max();
        let troubles: Vec<&String> = sunk.iter().flat_map(|one| &one.troubles).collect();
        let records: u64 = sunk.iter().map(|one| one.records).sum();
        bench.teller.tell(
            || {
                json!({
                    "scenario": "kafka", "strategy": format, "processes": self.processes, "partitions": args.partitions,
                    "records": records, "rate": args.rate, "interval_ms": interval_ms, "commits": look.commits,
                    "commits_per_s": commits_per_s, "p50_ms": p50, "p99_ms": p99, "max_ms": max,
                    "p99_in_intervals": ratio, "troubles": troubles.len(), "memory_peak": memory,
                })
            },
            || {
                vec![
                    Cell::words("group", 10, format),
                    Cell::number("procs", 5, self.processes),
                    Cell::number("commits/s", 9, format!("{commits_per_s:.1}")),
                    Cell::ms("p50", p50),
                    Cell::ms("p99", p99),
                    Cell::number("intervals", 9, format!("{ratio:.2}")),
                    Cell::number("MiB", 5, memory.unwrap_or_default() >> 20),
                ]
            },
        )?;
        if let Some(first) = troubles.first() {
            bench.teller.note(&format!("{} troubles, the first: {first}", troubles.len()));
        }
        Ok(troubles.is_empty().then_some(records))
    }
}

/// Sends records for a while, and looks until all of them are there.
async fn follow(args: &KafkaArgs, topic: &Arc<str>, look: &mut Look) -> Result<Latencies> {
    let sent = Sent::default();
    let producer: FutureProducer = client(args)
        .set("linger.ms", "5")
        .create()
        .map_err(|error| failed("making a producer", &error))?;
    look.commits = 0;
    let sending = tokio::spawn(send(args.clone(), Arc::clone(topic), producer, Arc::clone(&sent)));
    let mut latencies = Latencies::new();
    let mut left = Stopwatch::start();
    loop {
        look.again().await?;
        let mut on_their_way = 0;
        for (partition, sent) in &mut *sent.lock().unwrap_or_else(PoisonError::into_inner) {
            let next = look.nexts.get(partition).copied().unwrap_or_default();
            let seen = sent.iter().take_while(|(offset, _)| *offset < next).count();
            for (_, since) in sent.drain(..seen) {
                latencies.record(since.elapsed());
                left = Stopwatch::start();
            }
            on_their_way += sent.len();
        }
        if sending.is_finished() && on_their_way == 0 {
            sending.await.map_err(|error| Error::internal("sending").with_source(error))??;
            return Ok(latencies);
        }
        if left.elapsed() >= PATIENCE {
            return Err(Error::unavailable(format!("{on_their_way} records do not come")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends records at a rate, in turn to each partition.
async fn send(
    args: KafkaArgs,
    topic: Arc<str>,
    producer: FutureProducer,
    sent: Sent,
) -> Result<()> {
    let begun = Stopwatch::start();
    let mut number = 0_u64;
    let portions = PORTIONS_PER_SECOND * args.duration.as_secs();
    for portion in 1..=portions {
        let mut replies = Vec::new();
        let first = number;
        let since = Stopwatch::start();
        while number < args.rate * portion / PORTIONS_PER_SECOND {
            let partition = partition_of(number, args.partitions);
            let value = value(number, args.bytes);
            let record = FutureRecord::<(), str>::to(&topic).partition(partition).payload(&value);
            let reply = producer.send_result(record);
            replies.push(reply.map_err(|(error, _)| failed("sending records", &error))?);
            number += 1;
        }
        for (number, reply) in (first..).zip(replies) {
            let delivered = reply.await.map_err(|_| Error::unavailable("a record is not sent"))?;
            let delivered = delivered.map_err(|(error, _)| failed("sending records", &error))?;
            let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            let of = sent.entry(partition_of(number, args.partitions)).or_default();
            of.push_back((delivered.offset, since));
        }
        let due = Duration::from_millis(1000 * portion / PORTIONS_PER_SECOND);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
    Ok(())
}
