//! `demo`: the main job on real files. Eight processes commit a tree to one branch; one of them is
//! killed between submit and publish, another is paused; then the result is proved.

mod cast;
mod proof;
mod tree;
pub mod writer;

use std::path::PathBuf;
use std::time::Duration;

use onward::internals::clock;
use onward::{Error, Onward};
use serde_json::json;
use tokio::sync::mpsc;

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, human_bytes};
use super::progress::Progress;
use super::session::{blocking, config_or_new};
use cast::{Cast, Told, WRITERS};
use proof::Evidence;

/// Fewer files than this cannot keep them busy.
const FILES_MIN: usize = 80;

/// Between two pictures of the progress.
const PICTURE: Duration = Duration::from_millis(100);

/// The longest pause of the paused writer.
const PAUSE_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// A directory tree [default: the Rust toolchain's share folder, or this directory]
    pub dir: Option<PathBuf>,
    /// At most so many files
    #[arg(long, default_value_t = 4000, value_name = "N")]
    pub files: u64,
}

/// Runs it.
pub async fn run(global: &Global, out: &Out, args: DemoArgs) -> Done {
    let (dir, files) = blocking(move || tree::find(args.dir, args.files)).await?;
    if files.len() < FILES_MIN {
        return Err(Error::invalid(format!(
            "'{}' has {} files, the demo wants {FILES_MIN}: name a larger directory",
            dir.display(),
            files.len()
        ))
        .into());
    }
    let config = config_or_new(global).await?;
    let (redis, storage) = (config.redis.clone(), config.storage.clone());
    let onward = Onward::connect(config).await?;
    let repo = format!("demo-{:08x}", clock::random_u64() >> 32);
    onward.repo(repo.as_str()).create(&"main".parse()?).await?;
    out.note(&format!(
        "reads {} files of {} for their MD5, and commits them to {repo}/main where they lie: nothing is copied or changed\n{WRITERS} processes commit at once; one will be killed in the middle of a commit, another paused",
        files.len(),
        dir.display()
    ));
    let (tell, told) = mpsc::channel(256);
    let cast =
        Cast::start(&repo, files, &[("ONWARD_REDIS", &redis), ("ONWARD_STORAGE", &storage)], tell)?;
    let evidence = play(&onward, out, &repo, cast, told).await?;
    let rows = proof::prove(&onward, &repo, &evidence).await?;
    onward.close().await;
    let holds = rows.iter().all(|row| row.holds);
    for row in &rows {
        out.data(
            || json!({"claim": row.claim, "holds": row.holds, "evidence": row.evidence}),
            || {
                let mark = if row.holds { out.green("✓") } else { out.red("✗") };
                format!(" {mark} {:<58} {}", row.claim, out.faint(&row.evidence))
            },
        )?;
    }
    let total = evidence.total(holds);
    out.data(|| total.clone(), || format!("\n{}", out.bold(&summary(&evidence, holds))))?;
    out.note(
        "a round decides all commits that wait, 1024 at most; the bound of a commit follows from its place in the queue\ntime-to-commit is from handing a commit over to its acknowledgement: half of them within p50, 99 of 100 within p99",
    );
    out.note(&format!(
        "look around:  onward log {repo}/main -n 5   ·   onward ls {repo}/main   ·   onward down"
    ));
    Ok(if holds { Exit::Done } else { Exit::Unexpected })
}

fn summary(evidence: &Evidence, holds: bool) -> String {
    let (p50, p99) = evidence.quantiles();
    format!(
        "{}: {} commits of {} in {:.1} s ({:.0}/s), time-to-commit p50 {p50:.0} ms, p99 {p99:.0} ms",
        if holds { "All of it holds" } else { "Not all of it holds" },
        evidence.acknowledged.len(),
        human_bytes(evidence.bytes()),
        evidence.seconds,
        evidence.acknowledged.len() as f64 / evidence.seconds.max(0.001),
    )
}

/// Watches the writers, kills one, pauses another, and gathers what they said.
async fn play(
    onward: &Onward,
    out: &Out,
    repo: &str,
    mut cast: Cast,
    mut told: mpsc::Receiver<(usize, Told)>,
) -> Result<Evidence, Failure> {
    let branch = onward.repo(repo).branch("main");
    let since = clock::Stopwatch::start();
    let mut paused_since = clock::Stopwatch::start();
    let mut evidence = Evidence::default();
    let line = Progress::new(out);
    let mut picture = tokio::time::interval(PICTURE);
    loop {
        tokio::select! {
            next = told.recv() => match next {
                None => break,
                Some((_, Told::Committed(commit))) => {
                    evidence.acknowledged.push(commit);
                }
                Some((number, Told::Submitted(last))) => {
                    // It froze itself between submit and publish; is that so?
                    let status = branch.ticket_status(last.op_id).await?;
                    cast.kill(number).await?;
                    line.aside(|| out.note(&format!("writer {number} was killed (SIGKILL) with ticket {} in the queue", last.ticket)));
                    evidence.killed(number, last, status);
                }
                Some((_, Told::Ended { helped })) => evidence.helped += helped,
                Some((number, Told::Gone)) => cast.gone(number).await?,
            },
            _ = picture.tick() => {
                if line.is_watched() {
                    let depth = branch.queue(0).await?.depth;
                    line.show(|| evidence.line(depth, since.elapsed().as_secs_f64()));
                }
            }
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Interrupted);
            }
        }
        if evidence.pause.is_none() && evidence.commits_of(cast::PAUSED) >= 2 {
            cast.pause()?;
            paused_since = clock::Stopwatch::start();
            evidence.pause_begins();
            line.aside(|| out.note(&format!("writer {} was paused (SIGSTOP)", cast::PAUSED)));
        }
        if evidence.is_paused() && (cast.only_paused_left() || paused_since.elapsed() > PAUSE_MAX) {
            evidence.pause_ends(paused_since.elapsed());
            cast.resume()?;
            line.aside(|| out.note(&format!("writer {} goes on (SIGCONT)", cast::PAUSED)));
        }
    }
    evidence.seconds = since.elapsed().as_secs_f64();
    line.end();
    Ok(evidence)
}
