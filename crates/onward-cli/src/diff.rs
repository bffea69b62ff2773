//! `diff`: what merging one ref into another would bring, or what differs between the two.

use std::fmt::Write;

use futures::TryStreamExt;
use onward::internals::commit::merge::three_way::Ruled;
use onward::internals::model::address::Address;
use onward::internals::tree::{Decision, Diff, ScanStart};
use onward::{Entry, ObjectPath, Onward, RepoName, Result};
use onward_server::tables::{Tables, Told};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, human_bytes, printable};
use super::pair::compared;
use super::session::{repo_of, with};
use super::shape::add;
use super::tables::{TablesArgs, below};

/// Tables of which it is told what changed, at most: each takes the metadata of two commits, or three.
const TABLES_TOLD: usize = 100;

/// Characters of a checksum in a list.
const CHECKSUM_SHOWN: usize = 8;

#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// What would be merged into: REPO/REF[/PREFIX]
    pub left: Address,
    /// What would be merged: REPO/REF, or a REF of the same repository
    pub right: String,
    /// Compare the two as they are, instead of what the second would bring into the first
    #[arg(long, conflicts_with = "conflicts")]
    pub two_dot: bool,
    /// Only paths that both have changed since their merge base, and not in the same way
    #[arg(long)]
    pub conflicts: bool,
    /// Only behind this path
    #[arg(long, value_name = "PATH")]
    pub after: Option<String>,
    /// At most so many paths
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub tables: TablesArgs,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Removed,
    Changed,
    Conflict,
}

impl Kind {
    /// From what there is on the left to what there is on the right.
    fn of(left: Option<&Entry>, right: Option<&Entry>) -> Self {
        match (left, right) {
            (None, _) => Self::Added,
            (_, None) => Self::Removed,
            _ => Self::Changed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Conflict => "conflict",
        }
    }

    fn line(self, out: &Out, path: &str) -> String {
        let path = printable(path);
        match self {
            Self::Added => out.green(&format!("+ {path}")),
            Self::Removed => out.red(&format!("- {path}")),
            Self::Changed => out.yellow(&format!("~ {path}")),
            Self::Conflict => out.red(&format!("! {path}")),
        }
    }
}

/// Runs it.
pub async fn run(global: &Global, out: &Out, args: DiffArgs) -> Done {
    args.left.require_ref()?;
    let right = compared(&args.left, &args.right)?;
    let start = ScanStart::prefix(args.left.path.as_deref().unwrap_or_default());
    let start = match &args.after {
        Some(after) => start.after(after),
        None => start,
    };
    with(global, async |onward| {
        let mut teller = Teller::new(args.tables.open(&onward)?, &args.left.repo);
        match args.two_dot {
            true => two_dot(&onward, out, &args, &right, start, &mut teller).await?,
            false => three_dot(&onward, out, &args, &right, start, &mut teller).await?,
        }
        teller.end(out);
        Ok(Exit::Done)
    })
    .await
}

async fn two_dot(
    onward: &Onward,
    out: &Out,
    args: &DiffArgs,
    right: &Address,
    start: ScanStart,
    teller: &mut Teller,
) -> Result<(), Failure> {
    let (left, right) = (args.left.require_ref()?, right.require_ref()?);
    let mut differing = repo_of(onward, &args.left.repo).diff_from(left, right, start).await?;
    let mut page = Page::new(args.limit);
    while let Some(diff) = differing.try_next().await? {
        if page.is_full(out) {
            break;
        }
        page.last = diff.path.to_string();
        let Diff { path, before, after } = diff;
        let kind = Kind::of(before.as_ref(), after.as_ref());
        let table = teller.change(&path, before.as_ref(), after.as_ref()).await?;
        let shape = || json!({"path": path, "type": kind.name(), "before": before, "after": after});
        out.data(|| with_table(shape(), table.as_ref()), || kind.line(out, path.as_str()))?;
        below(out, table.as_ref())?;
    }
    Ok(())
}

async fn three_dot(
    onward: &Onward,
    out: &Out,
    args: &DiffArgs,
    right: &Address,
    start: ScanStart,
    teller: &mut Teller,
) -> Result<(), Failure> {
    let (left, right) = (args.left.require_ref()?, right.require_ref()?);
    let repository = repo_of(onward, &args.left.repo);
    let mut changes = repository.three_way_diff(left, right, start).await?;
    let mut page = Page::new(args.limit);
    while let Some(ruled) = changes.try_next().await? {
        let Some(kind) = brought(&ruled) else { continue };
        let (kind, table) = teller.ruled(&ruled, kind).await?;
        if args.conflicts && kind != Kind::Conflict {
            continue;
        }
        if page.is_full(out) {
            break;
        }
        page.last = ruled.path.to_string();
        let shape = || with_table(shape(&ruled, kind), table.as_ref());
        out.data(shape, || line(out, &ruled, kind))?;
        below(out, table.as_ref())?;
    }
    Ok(())
}

/// The shape of a path that differs, with what changed of it where it is a table.
fn with_table(mut shape: Value, table: Option<&Told>) -> Value {
    if let Some(table) = table {
        add(&mut shape, "table", table.json.clone());
    }
    shape
}

/// What a merge would do to the path; `None` where it would do nothing.
fn brought(ruled: &Ruled) -> Option<Kind> {
    match ruled.decision {
        Decision::KeepDest => None,
        Decision::TakeSource => Some(Kind::of(ruled.dest.as_ref(), ruled.source.as_ref())),
        Decision::Conflict => Some(Kind::Conflict),
    }
}

fn shape(ruled: &Ruled, kind: Kind) -> Value {
    json!({
        "path": ruled.path, "type": kind.name(),
        "base": ruled.base, "source": ruled.source, "dest": ruled.dest,
    })
}

/// One change of a merge, for people; `None` where the merge leaves the path as it is. Where conflicts are
/// `resolved`, they are changes.
pub fn change_line(out: &Out, ruled: &Ruled, resolved: bool) -> Option<String> {
    let kind = match brought(ruled)? {
        Kind::Conflict if resolved => Kind::Changed,
        kind => kind,
    };
    Some(line(out, ruled, kind))
}

fn line(out: &Out, ruled: &Ruled, kind: Kind) -> String {
    let mut line = kind.line(out, ruled.path.as_str());
    if kind == Kind::Conflict {
        line.push_str(&sides(&ruled.base, &ruled.source, &ruled.dest));
    }
    line
}

/// The three sides of a conflict, behind its path.
pub fn sides(base: &Option<Entry>, source: &Option<Entry>, dest: &Option<Entry>) -> String {
    let mut text = String::new();
    for (name, side) in [("base", base), ("source", source), ("dest", dest)] {
        // Writing to a string cannot fail.
        let _ = write!(text, "  {name} {}", short(side.as_ref()));
    }
    text
}

fn short(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "absent".into() };
    let checksum: String = entry.checksum.chars().take(CHECKSUM_SHOWN).collect();
    format!("{} ({})", printable(&checksum), human_bytes(entry.size))
}

/// What is told of paths that are tables.
struct Teller {
    tables: Tables,
    repo: RepoName,
    /// How many may still be told.
    left: usize,
}

impl Teller {
    fn new(tables: Tables, repo: &RepoName) -> Self {
        Self { tables, repo: repo.clone(), left: TABLES_TOLD }
    }

    /// What changed of a path, where it is a table.
    async fn change(
        &mut self,
        path: &ObjectPath,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Result<Option<Told>> {
        if self.left == 0 {
            return Ok(None);
        }
        let told = self.tables.change(self.repo.as_str(), path, (before, after)).await?;
        self.left -= usize::from(told.is_some());
        Ok(told)
    }

    /// What a merge does to a path, and what is told of it where it is a table: one that both sides have only
    /// appended to is no conflict, where it says that appends commute.
    async fn ruled(&mut self, ruled: &Ruled, kind: Kind) -> Result<(Kind, Option<Told>)> {
        let Ruled { path, base, source, dest, .. } = ruled;
        if kind != Kind::Conflict {
            let told = self.change(path, dest.as_ref(), source.as_ref()).await?;
            return Ok((kind, told));
        }
        if self.left == 0 {
            return Ok((kind, None));
        }
        let conflict = ruled.clone().into_conflict();
        let Some(apart) = self.tables.conflict(self.repo.as_str(), &conflict).await? else {
            return Ok((kind, None));
        };
        let Some(mut told) = self.change(path, base.as_ref(), source.as_ref()).await? else {
            return Ok((kind, Some(apart)));
        };
        let kind = if apart.is_mergeable { Kind::Changed } else { Kind::Conflict };
        add(&mut told.json, "conflict", apart.json);
        told.lines.splice(0..0, apart.lines);
        Ok((kind, Some(told)))
    }

    /// Says where there were more tables than are told.
    fn end(&self, out: &Out) {
        if self.left == 0 {
            out.note(&format!(
                "what changed is told of {TABLES_TOLD} tables; give a prefix (REPO/REF/iceberg/NAMESPACE/) for the others"
            ));
        }
    }
}

/// How much of a list is shown, and where it went.
struct Page {
    left: Option<usize>,
    last: String,
}

impl Page {
    fn new(limit: Option<usize>) -> Self {
        Self { left: limit, last: String::new() }
    }

    /// Counts one more path; when that is one too many, says how to see it.
    fn is_full(&mut self, out: &Out) -> bool {
        match &mut self.left {
            None => false,
            Some(0) => {
                if !self.last.is_empty() {
                    out.note(&format!("there is more: add --after '{}'", printable(&self.last)));
                }
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}
