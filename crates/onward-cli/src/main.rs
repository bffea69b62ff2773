//! The `onward` command: what users type, in terms of what the library offers.
//!
//! One file per noun or group of verbs. Each turns arguments into calls of the library and
//! what comes back into lines; none knows how a commit is made. Data goes to stdout, words for
//! people to stderr, and the exit code says what became of it.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod args;
mod bench;
mod branch;
mod commit;
mod complete;
mod demo;
mod diff;
mod doctor;
mod exit;
mod export;
mod gc;
mod history;
mod iceberg_access;
mod import;
mod ingest;
mod instance;
mod kafka;
mod key;
mod list;
mod log;
mod merge;
mod object;
mod out;
mod pager;
mod pair;
mod policy;
mod producer;
mod progress;
mod protect;
mod queue;
mod recover;
#[cfg(test)]
mod reference;
mod repo;
mod serve;
mod session;
mod settings;
mod shape;
mod signals;
mod sink;
mod tables;
mod tag;
mod tell;
mod ticket;
mod trace;
mod verbs;
mod verify;
mod wait_until;

use std::process::ExitCode;

use clap::Parser;
use onward::Error;
use tokio::runtime::{Builder, Runtime};

use exit::{Done, Exit, Failure};
use out::Out;
use verbs::{Args, Verb};

/// Commits allocate on one thread and free on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command that the process was started with.
fn main() -> ExitCode {
    complete::answer();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misused(&error),
    };
    let out = Out::new(&args.global);
    let _kept = match trace::begin(&args) {
        Ok(kept) => kept,
        Err(error) => return Failure::from(error).tell(&out).into(),
    };
    let exit = match runtime(&args.verb) {
        Ok(runtime) => {
            let done = runtime.block_on(run(args, &out));
            // What still blocks a thread (a read of a terminal, a hash under way) ends with us.
            runtime.shutdown_background();
            done.unwrap_or_else(|failure| failure.tell(&out))
        }
        Err(error) => {
            let told = Error::internal("the threads of this command cannot start");
            Failure::from(told.with_source(error)).tell(&out)
        }
    };
    exit.into()
}

/// What a command's tasks run on: the processors, or one thread where there is one task. Others would only
/// be woken by it, which costs such a process a fifth of its commits.
fn runtime(verb: &Verb) -> std::io::Result<Runtime> {
    let mut runtime = match verb {
        Verb::BenchJob(job) if job.is_of_one_writer() => Builder::new_current_thread(),
        #[cfg(feature = "page")]
        Verb::LookAtParquet => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    runtime.worker_threads(processors.clamp(2, 8)).enable_all().build()
}

async fn run(args: Args, out: &Out) -> Done {
    let global = &args.global;
    match args.verb {
        Verb::Up(serve) => serve::up(global, out, serve).await,
        Verb::Serve(serve) => serve::serve(global, out, serve).await,
        Verb::Key(verb) => key::run(global, out, verb).await,
        Verb::Down => instance::down(global, out).await,
        Verb::Status { address: None } => instance::status(global, out).await,
        Verb::Status { address: Some(address) } => list::status(global, out, &address).await,
        Verb::Demo(demo) => demo::run(global, out, demo).await,
        Verb::DemoWriter(writer) => demo::writer::run(global, writer).await,
        Verb::Repo(verb) => repo::run(global, out, verb).await,
        Verb::Branch(verb) => branch::run(global, out, verb).await,
        Verb::Tag(verb) => tag::run(global, out, verb).await,
        Verb::Protect(verb) => protect::run(global, out, verb).await,
        Verb::Policy(verb) => policy::run(global, out, verb).await,
        Verb::Sink(verb) => sink::run(global, out, verb).await,
        Verb::Put(put) => object::put(global, out, put).await,
        Verb::Link(link) => object::link(global, out, link).await,
        Verb::Rm(rm) => object::rm(global, out, rm).await,
        Verb::Ls { address, recursive } => list::ls(global, out, &address, recursive).await,
        Verb::Stat { address } => object::stat(global, out, &address).await,
        Verb::Cat { address } => object::cat(global, out, &address).await,
        Verb::Commit(commit) => commit::run(global, out, *commit).await,
        Verb::Ticket(verb) => ticket::run(global, out, verb).await,
        Verb::WaitUntil(args) => wait_until::run(global, out, args).await,
        Verb::Producer(verb) => producer::run(global, out, verb).await,
        Verb::Queue { branch, watch } => queue::run(global, out, &branch, watch).await,
        Verb::Log(args) => log::log(global, out, args).await,
        Verb::Show { address } => history::show(global, out, &address).await,
        Verb::Diff(diff) => diff::run(global, out, diff).await,
        Verb::Export(verb) => export::run(global, out, verb).await,
        Verb::Merge(merge) => merge::merge(global, out, *merge).await,
        Verb::MergeBase(base) => merge::merge_base(global, out, base).await,
        Verb::Revert(revert) => merge::revert(global, out, *revert).await,
        Verb::CherryPick(pick) => merge::cherry_pick(global, out, *pick).await,
        Verb::Import(args) => import::run(global, out, args).await,
        Verb::Ingest(ingest) => ingest::run(global, out, ingest).await,
        Verb::Kafka(args) => kafka::run(global, out, *args).await,
        Verb::Bench(args) => bench::run(global, out, args).await,
        Verb::BenchJob(job) => bench::jobs::run(global, job).await,
        #[cfg(feature = "page")]
        Verb::LookAtParquet => {
            onward_server::look_at_parquet()?;
            Ok(Exit::Done)
        }
        Verb::Recover { repo } => recover::run(global, out, repo).await,
        Verb::Doctor => doctor::run(global, out).await,
        Verb::Verify(args) => verify::run(global, out, args).await,
        Verb::Gc(args) => gc::run(global, out, args).await,
        Verb::Completions { shell } => {
            out.bytes(&complete::script(shell)?)?;
            Ok(Exit::Done)
        }
    }
}

/// Help and version go to stdout; anything else is a usage error.
fn misused(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 {
        // Nobody listens: nothing to tell.
        let _ = error.print();
        return Exit::Done.into();
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let message = error.to_string();
        let message = message.trim().strip_prefix("error: ").unwrap_or(message.trim());
        return Failure::from(Error::invalid(message)).tell(&Out::json()).into();
    }
    let _ = error.print();
    Exit::Usage.into()
}
