//! What can be typed: verbs, their flags, and their help. Every verb has an example.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use onward::internals::model::address::Address;
use onward::{BranchName, OpId, RepoName, Strategy};
use onward_server::auth::Role;

use super::demo::DemoArgs;
use super::demo::writer::WriterArgs;
use super::diff::DiffArgs;
use super::gc::GcArgs;
use super::import::ImportArgs;
use super::ingest::IngestArgs;
use super::log::LogArgs;
use super::merge::{ChangeArgs, MergeArgs, MergeBaseArgs};
use super::protect::ProtectVerb;
use super::serve::ServeArgs;
use super::verify::VerifyArgs;

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
  protect      add, list, delete: branches that change by merges only
Files:
  put, link    Upload a file and stage it; stage an object that lies elsewhere
  rm           Stage the removal of an object
  ls           List a ref
  stat, cat    What a path names, and its bytes
  ingest       Commit a directory tree from many writers
  import       Commit a folder of an object store, without a copy
Commits and merges:
  commit       Commit what is staged, or a file of changes
  ticket       show, wait, cancel an op that was accepted
  queue        What waits on a branch
  producer     show: where a producer that starts again goes on
  log, show    History
  diff         What a merge would bring, or what differs between two refs
  merge, merge-base    Bring the changes of a ref into a branch; where two part
  revert, cherry-pick  Take a commit back; repeat one elsewhere
Care:
  bench        Measure how fast this deployment is
  recover      Rebuild what Redis knows from the storage
  verify       Check that everything is there and whole
  doctor       Check that this Redis and this storage can keep the promises
  gc           Remove what nothing can reach any more
  completions  Completions for a shell

Options:
{options}";

/// A commit coordinator for data lakes: no job ever waits for luck.
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

/// Flags of every verb.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// redis://, redis-sentinel://H,H/NAME, redis-cluster://H,H; goes with --storage; without both:
    /// the local instance [env: ONWARD_REDIS]
    #[arg(long, global = true, value_name = "URL", env = "ONWARD_REDIS", hide_env = true)]
    pub redis: Option<String>,
    /// Object store: file://, s3://, … [env: ONWARD_STORAGE]
    #[arg(long, global = true, value_name = "URL", env = "ONWARD_STORAGE", hide_env = true)]
    pub storage: Option<String>,
    /// Where the local instance lives [default: .onward] [env: ONWARD_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR", env = "ONWARD_DATA_DIR", hide_env = true)]
    pub data_dir: Option<PathBuf>,
    /// The name on commits [default: $USER] [env: ONWARD_COMMITTER]
    #[arg(long, global = true, value_name = "NAME", env = "ONWARD_COMMITTER", hide_env = true)]
    pub committer: Option<String>,
    /// One JSON object per line on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// No remarks on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What happens inside, on stderr; -vv for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Do not ask before something is deleted
    #[arg(long, global = true)]
    pub yes: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
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
    /// Stage the removal of an object, or of all below a prefix
    #[command(after_help = "Examples:\n  onward rm lake/main/t/a\n  onward rm -r lake/main/t/")]
    Rm(RmArgs),
    /// List a ref; on a branch, staged changes count (BRANCH@: without them)
    #[command(after_help = "Examples:\n  onward ls lake/main/orders/\n  onward ls -r lake/v1")]
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
    /// Measure how fast this deployment is
    #[command(after_help = "Example: onward bench contend --writers 1,8,64")]
    Bench(super::bench::BenchArgs),
    #[command(hide = true)]
    BenchJob(super::bench::processes::JobArgs),
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
    /// Remove runs, ranges and uploaded objects that nothing can reach any more
    #[command(after_help = "Examples:\n  onward gc lake --dry-run -v\n  onward gc lake --grace 7d")]
    Gc(GcArgs),
    /// Check that this Redis and this storage can keep the promises, and say what to change
    #[command(
        after_help = "Examples:\n  onward doctor\n  onward doctor --redis redis://cache:6379 --storage s3://bucket/lake --json"
    )]
    Doctor,
    /// Print completions for a shell
    #[command(after_help = "Example: source <(onward completions bash)")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum RepoVerb {
    /// Make a repository with a default branch
    #[command(after_help = "Example: onward repo create lake --default-branch trunk")]
    Create {
        /// Its name
        repo: RepoName,
        /// The branch it begins with
        #[arg(long, default_value = "main", value_name = "NAME")]
        default_branch: BranchName,
    },
    /// All repositories
    #[command(after_help = "Example: onward repo list --json")]
    List,
    /// One repository
    #[command(after_help = "Example: onward repo show lake")]
    Show {
        /// Its name
        repo: RepoName,
    },
    /// Delete a repository with all its branches and history
    #[command(after_help = "Example: onward repo delete lake --yes")]
    Delete {
        /// Its name
        repo: RepoName,
    },
}

#[derive(Debug, Subcommand)]
pub enum BranchVerb {
    /// Make a branch at a commit
    #[command(after_help = "Example: onward branch create lake/dev --from main")]
    Create {
        /// REPO/BRANCH
        branch: Address,
        /// A branch, tag or commit of the same repository
        #[arg(long, value_name = "REF")]
        from: String,
    },
    /// All branches of a repository
    #[command(after_help = "Example: onward branch list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// One branch
    #[command(after_help = "Example: onward branch show lake/main")]
    Show {
        /// REPO/BRANCH
        branch: Address,
    },
    /// Delete a branch, behind what is queued on it
    #[command(after_help = "Example: onward branch delete lake/dev --yes")]
    Delete {
        /// REPO/BRANCH
        branch: Address,
        /// Even if it is the repository's default branch
        #[arg(long)]
        force: bool,
    },
    /// Take staged changes back: all, or those of a path or a PREFIX/; --to: set the head
    #[command(
        after_help = "Examples:\n  onward branch reset lake/main/orders/ --yes\n  onward branch reset lake/main --to main~3"
    )]
    Reset {
        /// REPO/BRANCH[/PATH or PREFIX/]
        address: Address,
        /// Make this commit the head of the branch instead
        #[arg(long, value_name = "REF")]
        to: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum TagVerb {
    /// Name a commit
    #[command(after_help = "Example: onward tag create lake v1 --from main")]
    Create {
        /// The repository
        repo: RepoName,
        /// The tag
        tag: String,
        /// A branch, tag or commit of the repository [default: its default branch]
        #[arg(long, value_name = "REF")]
        from: Option<String>,
    },
    /// All tags of a repository
    #[command(after_help = "Example: onward tag list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// Remove a tag; its commit stays
    #[command(after_help = "Example: onward tag delete lake v1")]
    Delete {
        /// The repository
        repo: RepoName,
        /// The tag
        tag: String,
    },
}

/// What must hold of a path for a write.
#[derive(Debug, Clone, clap::Args)]
pub struct Conditional {
    /// Only if the path names nothing
    #[arg(long)]
    pub if_absent: bool,
    /// Only if the path names an object with this checksum
    #[arg(long, value_name = "C", conflicts_with = "if_absent")]
    pub if_checksum: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct PutArgs {
    /// The file; - for stdin
    pub file: PathBuf,
    /// REPO/BRANCH/PATH; behind a trailing slash the file keeps its name
    pub address: Address,
    #[command(flatten)]
    pub condition: Conditional,
    /// Media type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A pair of your own; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub struct LinkArgs {
    /// REPO/BRANCH/PATH
    pub path: Address,
    /// Where the bytes are
    #[arg(long, value_name = "URL")]
    pub address: String,
    /// Checksum or ETag of the bytes
    #[arg(long, value_name = "C")]
    pub checksum: String,
    /// Length in bytes
    #[arg(long, value_name = "N")]
    pub size: u64,
    /// Modification time, seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub mtime: Option<i64>,
    #[command(flatten)]
    pub condition: Conditional,
    /// Media type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A pair of your own; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// REPO/BRANCH/PATH
    pub address: Address,
    /// Everything that begins with the path
    #[arg(short, long, conflicts_with_all = ["if_absent", "if_checksum"])]
    pub recursive: bool,
    #[command(flatten)]
    pub condition: Conditional,
}

/// How paths that were changed on both sides are decided.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnConflict {
    Fail,
    SourceWins,
    DestWins,
}

impl From<OnConflict> for Strategy {
    fn from(strategy: OnConflict) -> Self {
        match strategy {
            OnConflict::Fail => Self::Fail,
            OnConflict::SourceWins => Self::SourceWins,
            OnConflict::DestWins => Self::DestWins,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct CommitArgs {
    /// REPO/BRANCH
    pub branch: Address,
    /// Why
    #[arg(short, long, value_name = "MSG")]
    pub message: String,
    /// A pair for the commit's metadata; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
    /// Commit the changes of this file (- for stdin) instead of what is staged
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,
    /// The commit the changes were made against
    #[arg(long, value_name = "REF", requires = "changes")]
    pub base: Option<String>,
    /// Paths changed on both sides since --base
    #[arg(long, value_name = "STRATEGY", default_value = "fail")]
    pub on_conflict: OnConflict,
    /// The op's id: the same id again is the same commit
    #[arg(long, value_name = "UUID")]
    pub op_id: Option<OpId>,
    /// The producer this commit belongs to
    #[arg(long, value_name = "NAME", requires_all = ["epoch", "sequence"])]
    pub producer: Option<String>,
    /// The producer's incarnation; a higher one fences lower ones
    #[arg(long, value_name = "N", requires = "producer")]
    pub epoch: Option<u64>,
    /// The number of the commit in the producer's sequence
    #[arg(long, value_name = "N", requires = "producer")]
    pub sequence: Option<u64>,
    /// Commit even if nothing changes
    #[arg(long)]
    pub allow_empty: bool,
    /// Return once it is accepted
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Wait at most so long, such as 30s or 5m [default: 5m]
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub enum ProducerVerb {
    /// The last epoch and sequence of a producer that were decided on a branch
    #[command(
        after_help = "Example: onward producer show lake/main orders-0\n\nA producer that starts again goes on behind it. Ops of the producer that wait on the branch are\nhelped to their end first."
    )]
    Show {
        /// REPO/BRANCH
        branch: Address,
        /// The producer
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TicketVerb {
    /// What is known of an op
    #[command(after_help = "Example: onward ticket show lake/main 0193a6c2-…")]
    Show {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
    },
    /// Wait for its outcome
    #[command(after_help = "Example: onward ticket wait lake/main 0193a6c2-… --timeout 1m")]
    Wait {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
        /// At most so long [default: 5m]
        #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
        timeout: Option<Duration>,
    },
    /// Call it off, if it is not decided yet
    #[command(after_help = "Example: onward ticket cancel lake/main 0193a6c2-…")]
    Cancel {
        /// REPO/BRANCH
        branch: Address,
        /// The op's id
        op_id: OpId,
    },
}

/// A pair as users type it.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a pair is KEY=VALUE, for example topic=orders".to_owned()),
    }
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

#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key; its secret is shown this once
    #[command(
        after_help = "Examples:\n  onward key create --role write etl\n  onward key create --role read --id DASHBOARD grafana"
    )]
    Create {
        /// Whose it is: the name on commits
        name: String,
        /// What it allows: read, write or admin
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Its id, if not one that is drawn
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// All keys, without their secrets
    #[command(after_help = "Example: onward key list")]
    List,
    /// Give a key a new secret; the old one stops working within seconds
    #[command(after_help = "Example: onward key rotate ONWARD0123456789ABCDEF")]
    Rotate {
        /// The key
        id: String,
    },
    /// Remove a key
    #[command(after_help = "Example: onward key delete ONWARD0123456789ABCDEF")]
    Delete {
        /// The key
        id: String,
    },
}
