//! The clients: each makes a branch, uploads, commits and merges, over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onward::internals::clock::{self, Deadline, Stopwatch};
use onward::{Error, Result};

use super::super::rig::Until;
use super::api::{Api, Refused};
use super::found::{Cycles, STEPS};

/// How long a client that was refused waits before it begins anew.
const PAUSE: Duration = Duration::from_millis(50);

/// What all clients of one measurement share.
struct Round {
    api: Arc<Api>,
    repo: String,
    /// What nothing else in this repository is called after.
    tag: String,
    bytes: usize,
    deadline: Deadline,
    count: u64,
    begun: AtomicU64,
}

/// Lets so many clients work at the same time.
pub async fn drive(
    api: &Arc<Api>,
    repo: &str,
    clients: usize,
    bytes: usize,
    until: Until,
) -> Result<Cycles> {
    let (deadline, count) = until.limits();
    let round = Arc::new(Round {
        api: Arc::clone(api),
        repo: repo.to_owned(),
        tag: format!("bench-{:08x}", clock::random_u64() >> 32),
        bytes,
        deadline,
        count,
        begun: AtomicU64::new(0),
    });
    let watch = Stopwatch::start();
    let tasks: Vec<_> =
        (0..clients).map(|number| tokio::spawn(client(Arc::clone(&round), number))).collect();
    let mut all = Cycles::new();
    for task in tasks {
        let ended = |error| Error::internal("a client ended early").with_source(error);
        all.add(&task.await.map_err(ended)?);
    }
    all.seconds = watch.elapsed().as_secs_f64();
    Ok(all)
}

async fn client(round: Arc<Round>, number: usize) -> Cycles {
    let mut cycles = Cycles::new();
    let mut turn = 0u64;
    while !round.deadline.is_over() && round.begun.fetch_add(1, Ordering::Relaxed) < round.count {
        let branch = format!("{}-{number}-{turn}", round.tag);
        let object = format!("{}/client={number:04}/{turn:09}.bin", round.tag);
        turn += 1;
        let watch = Stopwatch::start();
        let mut step = 0;
        match cycle(&round, &branch, &object, &mut cycles, &mut step).await {
            Ok(()) => cycles.whole.record(watch.elapsed()),
            Err(refused) => {
                cycles.fail(step, &refused);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    cycles
}

async fn cycle(
    round: &Round,
    branch: &str,
    object: &str,
    cycles: &mut Cycles,
    step: &mut usize,
) -> Result<(), Refused> {
    let Round { api, repo, .. } = round;
    // What no other object has, so that nothing is stored once for several.
    let mut bytes = object.as_bytes().to_vec();
    bytes.resize(round.bytes, b'.');
    while *step < STEPS.len() {
        let watch = Stopwatch::start();
        match *step {
            0 => api.branch(repo, branch).await?,
            1 => api.upload(repo, branch, object, std::mem::take(&mut bytes)).await?,
            2 => api.commit(repo, branch).await?,
            _ => api.merge(repo, branch).await?,
        }
        cycles.note(*step, watch.elapsed());
        *step += 1;
    }
    Ok(())
}
