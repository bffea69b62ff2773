//! `merge`, `revert`, `cherry-pick`, `merge-base`: bringing changes from one place of the history
//! to another.

use std::io::Read;
use std::time::Duration;

use clap::ValueEnum;
use futures::TryStreamExt;
use onward::internals::model::address::Address;
use onward::internals::repo::{MergeBuilder, MergePreview};
use onward::internals::tree::ScanStart;
use onward::{CommitId, Error, Onward, OpId, RefExpr, Result, Retry};
use onward_server::tables::Tables;
use serde_json::{Value, json};

use super::args::{Global, OnConflict, duration, pair};
use super::commit::{not_waited_for, waits};
use super::diff::change_line;
use super::exit::{Done, Exit, Failure};
use super::out::Out;
use super::pair::{beside, without_path};
use super::session::{blocking, branch_of, decided, repo_of, with};
use super::tables::{TablesArgs, in_conflict};
use super::tell::{Asked, CONFLICTS_SHOWN, conflict_line, ended};

/// Changes of a dry run shown to people.
const CHANGES_SHOWN: usize = 10;

/// The longest hint that is read, in bytes.
const HINT_MAX: u64 = 64 * 1024;

/// Who tries again.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RetryBy {
    Server,
    Client,
}

impl From<RetryBy> for Retry {
    fn from(retry: RetryBy) -> Self {
        match retry {
            RetryBy::Server => Self::Server,
            RetryBy::Client => Self::Client,
        }
    }
}

/// What merges, reverts and cherry-picks have in common.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Why [default: what is done to what]
    #[arg(short, long, value_name = "MSG")]
    pub message: Option<String>,
    /// A pair for the commit's metadata; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
    /// Paths changed on both sides
    #[arg(long, alias = "on-conflict", value_name = "STRATEGY", default_value = "fail")]
    pub strategy: OnConflict,
    /// Commit even if nothing changes
    #[arg(long)]
    pub allow_empty: bool,
    /// Only tell what it would do, by the head as it is now
    #[arg(long, conflicts_with_all = ["no_wait", "timeout", "hint", "op_id"])]
    pub dry_run: bool,
    /// Who tries again when its paths are changed while it waits
    #[arg(long, value_name = "WHO", default_value = "server")]
    pub retry: RetryBy,
    /// What a try that lost a race printed; - for stdin
    #[arg(long, value_name = "HINT")]
    pub hint: Option<String>,
    /// The op's id: the same id again is the same commit
    #[arg(long, value_name = "UUID")]
    pub op_id: Option<OpId>,
    /// Return once it is accepted
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Wait at most so long, such as 30s or 5m [default: 5m]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// What is merged, and stays as it is: REPO/REF
    pub source: Address,
    /// Into what, which is changed: REPO/BRANCH, or a BRANCH of the same repository
    pub dest: String,
    #[command(flatten)]
    pub common: Common,
    /// Leave the source out of the commit's parents
    #[arg(long)]
    pub squash: bool,
    #[command(flatten)]
    pub tables: TablesArgs,
}

#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// REPO/BRANCH
    pub branch: Address,
    /// The commit: a REF of the same repository, or REPO/REF
    #[arg(value_name = "REF")]
    pub commit: String,
    /// Of a merge commit: the parent it is compared with; 1 is the branch it was merged into
    #[arg(long, value_name = "N")]
    pub parent: Option<u32>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, clap::Args)]
pub struct MergeBaseArgs {
    /// REPO/REF
    pub left: Address,
    /// REPO/REF, or a REF of the same repository
    pub right: String,
}

/// Merges.
pub async fn merge(global: &Global, out: &Out, args: MergeArgs) -> Done {
    let source = args.source.require_ref()?.clone();
    without_path(&args.source)?;
    let dest = beside(&args.source, &args.dest)?;
    with(global, async |onward| {
        let branch = branch_of(&onward, &dest)?;
        let tables = args.tables.open(&onward)?;
        let builder = branch.merge(source).squash(args.squash);
        let (repo, name) = branch.names();
        let builder = tables.merging(builder, repo, name);
        let asked = Asked::Merge(args.source.to_string());
        carry_out(&onward, out, builder, args.common, &dest, asked, Some(&tables)).await
    })
    .await
}

/// Takes a commit back.
pub async fn revert(global: &Global, out: &Out, args: ChangeArgs) -> Done {
    let commit = commit_of(&args)?;
    with(global, async |onward| {
        let builder = branch_of(&onward, &args.branch)?.revert(commit, args.parent);
        let asked = Asked::Change("revert");
        carry_out(&onward, out, builder, args.common, &args.branch, asked, None).await
    })
    .await
}

/// Repeats a commit.
pub async fn cherry_pick(global: &Global, out: &Out, args: ChangeArgs) -> Done {
    let commit = commit_of(&args)?;
    with(global, async |onward| {
        let builder = branch_of(&onward, &args.branch)?.cherry_pick(commit, args.parent);
        let asked = Asked::Change("cherry-pick");
        carry_out(&onward, out, builder, args.common, &args.branch, asked, None).await
    })
    .await
}

fn commit_of(args: &ChangeArgs) -> Result<RefExpr> {
    args.branch.require_branch()?;
    beside(&args.branch, &args.commit)?.require_ref().cloned()
}

/// Where two histories part.
pub async fn merge_base(global: &Global, out: &Out, args: MergeBaseArgs) -> Done {
    let left = args.left.require_ref()?;
    without_path(&args.left)?;
    let right = beside(&args.left, &args.right)?;
    let right = right.require_ref()?;
    with(global, async |onward| {
        let base = repo_of(&onward, &args.left.repo).merge_base(left, right).await?;
        let base = base.ok_or_else(|| {
            Error::not_found(format!(
                "'{left}' and '{right}' of repository '{}' have no commit in common",
                args.left.repo
            ))
        })?;
        out.data(|| json!({"merge_base": base}), || base.to_string())?;
        Ok(Exit::Done)
    })
    .await
}

/// Tries it, or does it and tells what became of it.
async fn carry_out(
    onward: &Onward,
    out: &Out,
    builder: MergeBuilder,
    common: Common,
    dest: &Address,
    asked: Asked,
    tables: Option<&Tables>,
) -> Done {
    let mut builder = builder
        .strategy(common.strategy.into())
        .allow_empty(common.allow_empty)
        .retry(common.retry.into());
    if let Some(message) = common.message {
        builder = builder.message(message);
    }
    for (key, value) in common.meta {
        builder = builder.meta(key, value);
    }
    if common.dry_run {
        let preview = builder.preview().await?;
        return told_dry(onward, out, &preview, dest, &asked, common.allow_empty).await;
    }
    if let Some(hint) = common.hint {
        builder = builder.hint(read_hint(hint).await?);
    }
    if let Some(op_id) = common.op_id {
        builder = builder.op_id(op_id);
    }
    let outcome = match waits(common.no_wait, common.timeout) {
        Some(timeout) => decided(out, timeout, builder.timeout(timeout).commit()).await,
        None => not_waited_for(builder.submit()).await,
    };
    let told = match tables {
        Some(tables) => in_conflict(tables, &dest.repo, &outcome).await,
        None => Vec::new(),
    };
    ended(out, outcome, &asked, &dest.to_string(), common.no_wait, &told)
}

/// The hint itself, or what stdin has.
async fn read_hint(hint: String) -> Result<String> {
    if hint != "-" {
        return Ok(hint.trim().to_owned());
    }
    blocking(|| {
        let mut text = String::new();
        let read = std::io::stdin().take(HINT_MAX + 1).read_to_string(&mut text);
        let read = read.map_err(|error| {
            Error::invalid("stdin has no hint that can be read: nothing was submitted")
                .with_source(error)
        })?;
        if read as u64 > HINT_MAX {
            return Err(Error::invalid(
                "what stdin has is longer than any hint: nothing was submitted",
            ));
        }
        Ok(text.trim().to_owned())
    })
    .await
}

/// Tells what would be done. The exit code says how it would end.
async fn told_dry(
    onward: &Onward,
    out: &Out,
    preview: &MergePreview,
    dest: &Address,
    asked: &Asked,
    allow_empty: bool,
) -> Done {
    out.data(|| dry_shape(preview), || summary(preview, dest))?;
    if !out.is_json() {
        match preview.conflicts_total {
            0 => changes(onward, out, preview, dest, asked).await?,
            total => {
                for conflict in preview.conflicts.iter().take(CONFLICTS_SHOWN) {
                    out.data(|| Value::Null, || conflict_line(conflict))?;
                }
                if total > CONFLICTS_SHOWN as u64 {
                    let others = total - CONFLICTS_SHOWN as u64;
                    out.note(&format!(
                        "  … and {others} more; {}",
                        asked.see_all(&dest.to_string())
                    ));
                }
            }
        }
    }
    // A merge of changes that are all there already is worth a commit, for its parents.
    let brings = match asked {
        Asked::Merge(_) => preview.changes,
        _ => preview.surviving,
    };
    Ok(match (preview.conflicts_total, brings) {
        (1.., _) => Exit::Conflict,
        (0, 0) if !allow_empty => Exit::NoChanges,
        _ => Exit::Done,
    })
}

fn dry_shape(preview: &MergePreview) -> Value {
    json!({
        "base": preview.base, "source": preview.source, "dest": preview.dest,
        "changes": preview.changes, "surviving": preview.surviving, "resolved": preview.resolved,
        "conflicts": &preview.conflicts,
        "conflicts_total": preview.conflicts_total, "dry_run": true,
    })
}

fn summary(preview: &MergePreview, dest: &Address) -> String {
    let (changes, surviving) = (preview.changes, preview.surviving);
    match preview.conflicts_total {
        0 if preview.resolved > 0 => format!(
            "{changes} changes, of which '{dest}' would take over {surviving}; {} of them tables that are put together",
            preview.resolved
        ),
        0 => format!("{changes} changes, of which '{dest}' would take over {surviving}"),
        total => format!("{changes} changes, {total} of them in conflict with '{dest}':"),
    }
}

/// The first changes that a merge would bring, by the commits it was tried with.
async fn changes(
    onward: &Onward,
    out: &Out,
    preview: &MergePreview,
    dest: &Address,
    asked: &Asked,
) -> Result<(), Failure> {
    let (Asked::Merge(source), Some(head), Some(from)) = (asked, preview.dest, preview.source)
    else {
        return Ok(());
    };
    let exactly = |id: CommitId| RefExpr::plain(id.to_string());
    let repository = repo_of(onward, &dest.repo);
    let all = repository.three_way_diff(&exactly(head), &exactly(from), ScanStart::all()).await?;
    let lines =
        all.try_filter_map(async |ruled| Ok(change_line(out, &ruled, preview.resolved > 0)));
    let mut lines = std::pin::pin!(lines);
    let mut shown = 0;
    while shown < CHANGES_SHOWN
        && let Some(line) = lines.try_next().await?
    {
        out.data(|| Value::Null, || format!("  {line}"))?;
        shown += 1;
    }
    if preview.surviving > shown as u64 {
        let others = preview.surviving - shown as u64;
        out.note(&format!("  … and {others} more; `onward diff {dest} {source}` shows all"));
    }
    Ok(())
}
