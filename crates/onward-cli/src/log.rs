//! `log`: the commits that lead to a ref, all or those that touched a path.

use futures::TryStreamExt;
use onward::internals::clock;
use onward::internals::model::address::Address;
use onward::internals::repo::history::CommitInfo;
use onward::internals::repo::{LogRequest, Repository};
use onward::internals::tree::{Diff, ScanStart};
use onward::{Error, ObjectPath, RefExpr, RepoName};
use onward_server::tables::{ROOT, Tables, Told};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, TIME_WIDTH, local_time, printable};
use super::pager::Pager;
use super::session::{repo_of, with};
use super::shape;
use super::tables::{TablesArgs, below};

/// Tables that are told of one commit, at most, and paths there that are looked at for them.
const TABLES_TOLD: usize = 20;
const LOOKED_AT_MAX: usize = 1000;

/// Digits of a commit id in a list.
const SHORT: usize = 12;

/// Which commits.
#[derive(Debug, clap::Args)]
pub struct WalkArgs {
    /// REPO/REF; with /PATH only commits that touched that object, with /PREFIX/ one below
    pub address: Address,
    /// At most so many commits
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,
    /// Without what was merged into the branch
    #[arg(long)]
    pub first_parent: bool,
    /// Not older than: 2h, 3days, 2026-11-21, 2026-11-21T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub since: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub struct LogArgs {
    #[command(flatten)]
    pub walk: WalkArgs,
    /// Say what changed of Iceberg tables in each commit: snapshots, rows, files, columns
    #[arg(long)]
    pub tables: bool,
    #[command(flatten)]
    pub place: TablesArgs,
}

/// The commits that lead to a ref.
pub async fn log(global: &Global, out: &Out, args: LogArgs) -> Done {
    let WalkArgs { address, limit, .. } = &args.walk;
    let reference = address.require_ref()?.clone();
    let request = args.walk.request()?;
    with(global, async |onward| {
        let repo = repo_of(&onward, &address.repo);
        let tables = args.tables.then(|| args.place.open(&onward)).transpose()?;
        let mut log = repo.log(&reference, &request).await?;
        let mut left = limit.unwrap_or(usize::MAX);
        let (mut pager, mut is_first) = (None, true);
        let mut told = Ok(());
        while left > 0 && told.is_ok() {
            let next = tokio::select! {
                next = log.try_next() => next,
                () = Pager::gone(&mut pager) => break,
            };
            let info = match next {
                Ok(Some(info)) => info,
                Ok(None) => break,
                Err(error) => {
                    told = Err(error.into());
                    break;
                }
            };
            if std::mem::take(&mut is_first) {
                pager = Pager::begin(out);
                told = head(out, pager.is_some());
            }
            if told.is_ok() {
                told = tell(out, (&repo, &address.repo), tables.as_ref(), &info).await;
            }
            left -= 1;
        }
        // An error is told behind what was shown, not into it.
        if let Some(pager) = pager {
            pager.end().await;
        }
        told.map(|()| Exit::Done)
    })
    .await
}

/// One commit, and what changed of its tables where that is asked for.
async fn tell(
    out: &Out,
    repo: (&Repository, &RepoName),
    tables: Option<&Tables>,
    info: &CommitInfo,
) -> Result<(), Failure> {
    let mut shape = shape::commit(info);
    let mut changed = Vec::new();
    if let Some(tables) = tables {
        changed = of_commit(repo, tables, info).await?;
        let tables: Vec<&Value> = changed.iter().map(|table| &table.json).collect();
        shape::add(&mut shape, "tables", json!(tables));
    }
    out.data(|| shape, || line(out, info))?;
    changed.iter().try_for_each(|table| below(out, Some(table)))
}

/// The tables that a commit changed against its first parent, the first 20.
async fn of_commit(
    repo: (&Repository, &RepoName),
    tables: &Tables,
    info: &CommitInfo,
) -> Result<Vec<Told>, Error> {
    let Some(parent) = info.commit.parents.first() else { return Ok(Vec::new()) };
    let [before, after] = [*parent, info.id].map(|id| RefExpr::plain(id.to_string()));
    let mut changes = repo.0.diff_from(&before, &after, ScanStart::prefix(ROOT)).await?;
    let mut told = Vec::new();
    let mut looked_at = 0;
    while let Some(diff) = changes.try_next().await? {
        looked_at += 1;
        if told.len() == TABLES_TOLD || looked_at > LOOKED_AT_MAX {
            break;
        }
        let Diff { path, before, after } = diff;
        let sides = (before.as_ref(), after.as_ref());
        if let Some(mut one) = tables.change(repo.1.as_str(), &path, sides).await? {
            let became = match sides {
                (None, _) => " made",
                (_, None) => " dropped",
                _ => "",
            };
            one.lines.insert(0, format!("table {}{became}", one.name));
            told.push(one);
        }
    }
    Ok(told)
}

/// What the columns are: above them on a page, beside what is piped.
fn head(out: &Out, is_paged: bool) -> Result<(), Failure> {
    let heading = out.faint(&heading());
    match is_paged {
        true => out.bytes(format!("{heading}\n").as_bytes())?,
        false => out.note(&heading),
    }
    Ok(())
}

impl WalkArgs {
    /// What is asked of the library.
    pub fn request(&self) -> onward::Result<LogRequest> {
        let mut request = LogRequest {
            first_parent: self.first_parent,
            since_ms: self.since,
            ..LogRequest::default()
        };
        match self.address.path.as_deref() {
            None | Some("") => {}
            Some(prefix) if prefix.ends_with('/') => request.prefixes.push(prefix.to_owned()),
            Some(path) => request.objects.push(ObjectPath::new(path)?),
        }
        Ok(request)
    }
}

/// A moment in milliseconds since the Unix epoch: so long ago, a day, or a time of a day.
fn moment(text: &str) -> Result<i64, Error> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(clock::now_ms().saturating_sub(ago));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    // Without an offset it is a time here.
    let here = text.parse::<jiff::civil::DateTime>().ok().and_then(|civil| {
        civil.to_zoned(jiff::tz::TimeZone::system()).ok().map(|zoned| zoned.timestamp())
    });
    here.map(|moment| moment.as_millisecond()).ok_or_else(|| {
        Error::invalid(
            "give how long ago (2h, 3days), a day (2026-11-21) or a time (2026-11-21T08:00:00Z)",
        )
    })
}

/// What stands in the columns of a line.
fn heading() -> String {
    format!(
        "{:SHORT$}  {:TIME_WIDTH$}  {:>6}  {:<12}  message",
        "commit", "created", "ticket", "committer"
    )
}

fn line(out: &Out, info: &CommitInfo) -> String {
    let id: String = info.id.to_string().chars().take(SHORT).collect();
    let message = info.commit.message.lines().next().unwrap_or_default();
    format!(
        "{}  {}  {:>6}  {:<12}  {}",
        out.yellow(&id),
        out.faint(&local_time(info.commit.created_ms)),
        info.ticket(),
        printable(&info.commit.committer),
        printable(message)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_days_and_times() {
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap(), 1000);
        assert_eq!(moment("1970-01-02T00:00:00+01:00").unwrap(), 23 * 3_600_000);
        let day = moment("2026-11-21").unwrap();
        assert_eq!(moment("2026-11-21T01:00:00").unwrap() - day, 3_600_000);
        let hour_ago = clock::now_ms() - 3_600_000;
        assert!((moment("1h").unwrap() - hour_ago).abs() < 60_000);
        for wrong in ["", "soon", "2026-13-01", "-5"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
