//! What can be typed: all verbs, and the help that lists them. Each has an example; its own flags are in
//! the file that carries it out.

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use onward::RepoName;
use onward::internals::model::address::Address;

use super::args::Global;
use super::bench::BenchArgs;
use super::bench::jobs::JobArgs;
use super::branch::BranchVerb;
use super::commit::CommitArgs;
use super::demo::DemoArgs;
use super::demo::writer::WriterArgs;
use super::diff::DiffArgs;
use super::export::ExportVerb;
use super::gc::GcArgs;
use super::import::ImportArgs;
use super::ingest::IngestArgs;
use super::kafka::KafkaArgs;
use super::key::KeyVerb;
use super::log::LogArgs;
use super::merge::{ChangeArgs, MergeArgs, MergeBaseArgs};
use super::object::{LinkArgs, PutArgs, RmArgs};
use super::policy::PolicyVerb;
use super::producer::ProducerVerb;
use super::protect::ProtectVerb;
use super::repo::RepoVerb;
use super::serve::ServeArgs;
use super::sink::SinkVerb;
use super::tag::TagVerb;
use super::ticket::TicketVerb;
use super::verify::VerifyArgs;
use super::wait_until::WaitUntilArgs;

/// The first help: verbs in groups, not in one long list.
const HELP: &str = "\
{about}

{usage-heading} onward VERB [ARGUMENTS]        `onward VERB --help` has examples

First steps:
  demo         Show the main job on real files and prove the result
  up, down     Run the local instance and its sidecar in the foreground; stop it
  serve, key   Run the sidecar: HTTP for all, lakeFS's clients too; who may log in
  status       What runs; with an address: what is staged there
Repositories, branches, tags:
  repo         create, list, show, delete
  branch       create, list, show, delete, reset
  tag          create, list, delete
  protect, policy      Branches that change by merges only; what S3 clients commit
  sink         Where events of branches go: webhooks, streams
Files:
  put, link    Upload a file and stage it; stage an object that lies elsewhere
  rm           Stage the removal of an object
  ls           List a ref
  stat, cat    What a path names, and its bytes
  ingest, kafka        A directory tree from many writers; topics of Kafka
  import       Commit a folder of an object store, without a copy
Commits and merges:
  commit       Commit what is staged, or a file of changes
  ticket, wait-until   An op that was accepted; wait for a branch's data
  queue, producer      What waits on a branch; where a producer starts again
  log, show    History
  diff, export What a merge would bring, or how two refs differ; tables of it, of ls and log
  merge, merge-base    Bring the changes of a ref into a branch; where two part
  revert, cherry-pick  Take a commit back; repeat one elsewhere
Care:
  bench        Measure how fast this deployment is
  recover, verify      Rebuild what Redis knows from the storage; check that all is whole
  doctor       Check that this Redis and this storage can keep the promises
  gc           Remove what nothing can reach any more
  completions  Completions for a shell

Options:
{options}";

/// A commit coordinator for data lakes: no commit fails because another one was faster.
#[derive(Debug, Parser)]
#[command(
    name = "onward",
    version,
    help_template = HELP,
    subcommand_value_name = "VERB"
)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the local instance and its sidecar in the foreground, until Ctrl-C
    #[command(after_help = "Example: onward up --data-dir /tmp/lake --listen 127.0.0.1:8000")]
    Up(Box<ServeArgs>),
    /// Run the sidecar: HTTP for jobs in any language, lakeFS's own clients among them
    #[command(
        after_help = "Examples:\n  onward serve --listen 127.0.0.1:8000\n  onward serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem\n  onward serve --listen unix:///run/onward/onward.sock\n\nThe administrator's key: ONWARD_ACCESS_KEY_ID and ONWARD_SECRET_ACCESS_KEY, or `onward key create`"
    )]
    Serve(Box<ServeArgs>),
    /// Make, list, rotate, delete access keys of the sidecar
    #[command(subcommand, after_help = "Example: onward key create --role write etl")]
    Key(KeyVerb),
    /// Stop the local instance; its data stays
    #[command(after_help = "Example: onward down")]
    Down,
    /// What runs; with REPO/BRANCH[/PREFIX]: what is staged there
    #[command(after_help = "Examples:\n  onward status\n  onward status lake/main/orders/")]
    Status {
        /// REPO/BRANCH[/PREFIX]
        address: Option<Address>,
    },
    /// Show the main job on real files: 8 writer processes, one killed, one paused; ends by itself
    #[command(after_help = "Examples:\n  onward demo\n  onward demo ~/data --files 1000")]
    Demo(DemoArgs),
    #[command(hide = true)]
    DemoWriter(WriterArgs),
    /// Create, list, show, delete repositories
    #[command(subcommand, after_help = "Example: onward repo create lake")]
    Repo(RepoVerb),
    /// Create, list, show, delete branches; take staged changes back
    #[command(subcommand, after_help = "Example: onward branch create lake/dev --from main")]
    Branch(BranchVerb),
    /// Create, list, delete tags
    #[command(subcommand, after_help = "Example: onward tag create lake v1 --from main")]
    Tag(TagVerb),
    /// Keep branches from being changed but by merges
    #[command(subcommand, after_help = "Example: onward protect add lake main")]
    Protect(ProtectVerb),
    /// Say whether what clients of S3 write is staged or a commit by itself
    #[command(
        subcommand,
        after_help = "Example: onward policy set lake main --prefix tables/orders/ commit"
    )]
    Policy(PolicyVerb),
    /// Send what happens to branches to a webhook or a stream of Redis
    #[command(
        subcommand,
        after_help = "Example: onward sink add lake https://hooks.example.com/onward --branch main"
    )]
    Sink(SinkVerb),
    /// Upload a file into the repository and stage it
    #[command(
        after_help = "Examples:\n  onward put orders.csv lake/main/orders/\n  date | onward put - lake/main/now --if-absent"
    )]
    Put(PutArgs),
    /// Stage an object that lies elsewhere, without copying it
    #[command(
        after_help = "Example: onward link lake/main/t/a --address s3://b/a --checksum 9e10… --size 1234"
    )]
    Link(LinkArgs),
    /// Stage the removal of an object, of a folder, or of all that begins in a way
    #[command(
        after_help = "Examples:\n  onward rm lake/main/t/a\n  onward rm -r lake/main/t\n  onward rm --prefix lake/main/t/2026-"
    )]
    Rm(RmArgs),
    /// List a ref; on a branch, staged changes count (BRANCH@: without them)
    #[command(
        after_help = "Examples:\n  onward ls lake/main/orders/\n  onward ls -r lake/v1\n\nA PREFIX is how paths begin: logs lists logs.json, too, and logs/ what is in the folder"
    )]
    Ls {
        /// REPO/REF[/PREFIX]
        address: Address,
        /// All paths below, not one level
        #[arg(short, long)]
        recursive: bool,
    },
    /// What a path names
    #[command(after_help = "Example: onward stat lake/main/orders/a.csv")]
    Stat {
        /// REPO/REF/PATH
        address: Address,
    },
    /// The bytes of an object
    #[command(after_help = "Example: onward cat lake/main~1/orders/a.csv | head")]
    Cat {
        /// REPO/REF/PATH
        address: Address,
    },
    /// Commit what is staged on a branch (everybody's), or exactly the changes given
    #[command(
        after_help = "Examples:\n  onward commit lake/main -m 'hourly load' --meta topic=orders\n  onward commit lake/main -m 'bulk' --changes changes.jsonl --timeout 30s\n\nA change file has one JSON object per line:\n  {\"put\": {\"path\": \"t/a\", \"address\": \"s3://b/a\", \"checksum\": \"…\", \"size\": 1}}\n  {\"delete\": {\"path\": \"t/old\"}}\n  {\"put\": {…}, \"if\": {\"absent\": true}}      or \"if\": {\"checksum\": \"…\"}"
    )]
    Commit(Box<CommitArgs>),
    /// Show, wait for, cancel an op that was accepted
    #[command(
        subcommand,
        after_help = "Example: onward ticket wait lake/main 0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d"
    )]
    Ticket(TicketVerb),
    /// Wait until a branch has everything up to a time, as the Kafka sink says it has
    #[command(
        after_help = "Example: onward wait-until lake/main --valid-through 2026-11-28T09:00:00Z --timeout 1h"
    )]
    WaitUntil(WaitUntilArgs),
    /// How far a producer is decided on a branch
    #[command(subcommand, after_help = "Example: onward producer show lake/main orders-0")]
    Producer(ProducerVerb),
    /// What waits on a branch
    #[command(after_help = "Example: onward queue lake/main --watch")]
    Queue {
        /// REPO/BRANCH
        branch: Address,
        /// Keep looking, until Ctrl-C
        #[arg(short, long)]
        watch: bool,
    },
    /// The commits that lead to a ref, newest first
    #[command(
        after_help = "Examples:\n  onward log lake/main --limit 10\n  onward log lake/main/orders/ --since 2days"
    )]
    Log(LogArgs),
    /// One commit
    #[command(after_help = "Example: onward show lake/main~1")]
    Show {
        /// REPO/REF
        address: Address,
    },
    /// What merging the second ref into the first would bring; --two-dot: what differs
    #[command(
        after_help = "Examples:\n  onward diff lake/main lake/dev\n  onward diff lake/main dev --conflicts --limit 100\n  onward diff lake/main~1 main --two-dot"
    )]
    Diff(DiffArgs),
    /// Write a listing, a history or a difference as a table: Parquet, CSV, lines of JSON
    #[command(
        subcommand,
        after_help = "Examples:\n  onward export ls lake/main -o objects.parquet\n  onward export log lake/main --format csv | head"
    )]
    Export(ExportVerb),
    /// Bring the changes of a ref into a branch
    #[command(
        after_help = "Examples:\n  onward merge lake/dev main -m 'the new orders'\n  onward merge lake/dev lake/main --dry-run\n  onward merge lake/dev main --strategy source-wins --squash\n  onward merge lake/dev main --retry client --json    prints a hint when it loses a race"
    )]
    Merge(Box<MergeArgs>),
    /// The nearest commit that two refs have in common
    #[command(after_help = "Example: onward merge-base lake/main dev")]
    MergeBase(MergeBaseArgs),
    /// Take the changes of a commit back, with a commit
    #[command(
        after_help = "Examples:\n  onward revert lake/main main~1\n  onward revert lake/main 4f2a9c --parent 1    of a merge"
    )]
    Revert(Box<ChangeArgs>),
    /// Repeat the changes of a commit on a branch
    #[command(after_help = "Example: onward cherry-pick lake/main dev~2")]
    CherryPick(Box<ChangeArgs>),
    /// Commit a directory tree from many writers at once
    #[command(
        after_help = "Examples:\n  onward ingest ~/data lake/main/data\n  onward ingest ~/data lake/main --upload --writers 4 --files-per-commit 500"
    )]
    Ingest(IngestArgs),
    /// Bring the records of Kafka topics to a branch as files, each record exactly once
    #[command(
        after_help = "Examples:\n  onward kafka --brokers localhost:9092 --topic orders --group lake lake/main/raw\n  onward kafka --brokers b1:9092,b2:9092 --topic orders --group lake --format parquet --dead-letter \\\n    --commit-every 5s lake/main/tables\n  onward kafka --from-config orders.toml --exit-at-end\n\nOffsets are kept in the commits, by the name of the group. docs/kafka.md says what is promised."
    )]
    Kafka(Box<KafkaArgs>),
    /// Measure how fast this deployment is
    #[command(after_help = "Example: onward bench contend --writers 1,8,64")]
    Bench(BenchArgs),
    #[command(hide = true)]
    BenchJob(JobArgs),
    #[cfg(feature = "page")]
    #[command(hide = true)]
    LookAtParquet,
    /// Commit all objects of a folder elsewhere as one commit; nothing is copied
    #[command(
        after_help = "Examples:\n  onward import lake/main/raw --from s3://bucket/raw\n  onward import lake/main --from file:///srv/raw --include '*.csv' --dry-run"
    )]
    Import(ImportArgs),
    /// Rebuild what Redis knows from the storage; safe at any time
    #[command(after_help = "Example: onward recover lake")]
    Recover {
        /// One repository only
        repo: Option<RepoName>,
    },
    /// Check that all that can be reached is there and whole; changes nothing
    #[command(after_help = "Examples:\n  onward verify lake\n  onward verify lake --data --json")]
    Verify(VerifyArgs),
    /// Remove runs, ranges, uploaded objects and files of Iceberg tables that nothing can reach any more
    #[command(
        after_help = "Examples:\n  onward gc lake --dry-run -v\n  onward gc lake --grace 7d\n  onward gc lake --tables"
    )]
    Gc(GcArgs),
    /// Check that this Redis and this storage can keep the promises, and say what to change
    #[command(
        after_help = "Examples:\n  onward doctor\n  onward doctor --redis redis://cache:6379 --storage s3://bucket/lake --json"
    )]
    Doctor,
    /// Print completions for a shell; they know repositories, branches and tags
    #[command(after_help = "Example: source <(onward completions bash)")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_first_help_names_every_verb_and_fits_a_screen() {
        let help = Args::command().render_help().to_string();
        for verb in Args::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            assert!(HELP.contains(verb.get_name()), "{} is not in the list", verb.get_name());
            assert!(!verb.get_about().unwrap().to_string().is_empty());
        }
        assert!(help.lines().count() <= 50, "{help}");
    }

    #[test]
    fn every_verb_has_an_example() {
        fn check(command: &clap::Command) {
            for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("onward "), "{} has no example", verb.get_name());
                check(verb);
            }
        }
        check(&Args::command());
        Args::command().debug_assert();
    }
}
