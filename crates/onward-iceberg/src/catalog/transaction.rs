//! A commit to several tables: all of it is one commit of the branch, or nothing is.

use std::collections::BTreeMap;
use std::sync::Arc;

use onward::PathChange;
use onward::internals::clock::Deadline;
use serde_json::Value;

use super::asked::{Asked, Mode, identifier};
use super::deployment::Catalog;
use super::error::{CatalogError, Kind, Result};
use super::ident::{Namespace, TableIdent};
use super::lane::{Lane, Lease, WAIT_MAX};
use super::learned::Learned;
use super::place::Place;
use super::prepare::{Judged, New, Prepared};
use super::round::outrun;
use super::submit::{Decided, Said};
use super::words::say;

/// Tables of one transaction, at most.
const TABLES_MAX: usize = 100;
/// How often a transaction is made anew when another sidecar was faster.
const ATTEMPTS: usize = 64;

/// What one try came to.
enum Tried {
    Done,
    /// Another sidecar was faster.
    Outrun,
    /// Others were first.
    Stale(CatalogError),
}

/// The changes of a transaction, by table, in the order in which tables are waited for: the same for all.
pub struct Changes(BTreeMap<TableIdent, Asked>);

impl Changes {
    /// Reads a `CommitTransactionRequest`.
    pub fn read(
        request: &Value,
        place: &Place,
        mode: Mode,
        principal: &str,
        said: &Said,
    ) -> Result<Self> {
        let changes = request.get("table-changes").and_then(Value::as_array);
        let changes = changes
            .filter(|changes| (1..=TABLES_MAX).contains(&changes.len()))
            .ok_or_else(|| {
                CatalogError::invalid(format!("a transaction has table-changes, 1 to {TABLES_MAX}"))
            })?;
        let mut tables = BTreeMap::new();
        for change in changes {
            let (levels, name) = identifier(change)?;
            let ident = TableIdent::new(Namespace::new(levels)?, name)?;
            let asked = Asked::read(change, place, mode, principal, said.clone())?;
            if tables.insert(ident.clone(), asked).is_some() {
                return Err(CatalogError::invalid(format!(
                    "table {ident} is in the transaction twice: put its changes into one"
                )));
            }
        }
        Ok(Self(tables))
    }
}

impl Catalog {
    /// Commits to several tables at once.
    pub async fn transaction(&self, place: &Place, changes: Changes) -> Result<()> {
        place.branch()?;
        let tables = changes.0.into_iter();
        let tables: Vec<(Arc<Lane>, Asked)> = tables
            .map(|(ident, asked)| Ok((self.lane(place, &ident)?, asked)))
            .collect::<Result<_>>()?;
        if let [(lane, asked)] = tables.as_slice() {
            return lane.commit(asked.clone()).await.map(drop);
        }
        let mut leases = Vec::with_capacity(tables.len());
        let until = Deadline::after(WAIT_MAX);
        for (lane, asked) in &tables {
            leases.push(lane.lease(asked.who.clone(), until).await?);
        }
        let mut learned = Learned::default();
        for tries in 0..ATTEMPTS {
            if tries > 0 && until.is_over() {
                break;
            }
            match attempt(place, &tables, &mut learned).await {
                Ok(Tried::Outrun) => {}
                Ok(Tried::Stale(error)) => {
                    if tables.iter().all(|(_, asked)| asked.mode != Mode::Optimistic) {
                        leases.iter().for_each(Lease::hold);
                    }
                    return Err(error);
                }
                Ok(Tried::Done) => {
                    leases.iter().for_each(Lease::is_through);
                    return Ok(());
                }
                Err(error) => {
                    leases.iter().for_each(Lease::is_through);
                    return Err(error);
                }
            }
        }
        Err(outrun())
    }
}

async fn attempt(
    place: &Place,
    tables: &[(Arc<Lane>, Asked)],
    learned: &mut Learned,
) -> Result<Tried> {
    let Judgement { news, verdict } = judge(place, tables, learned).await?;
    if let Some(ended) = verdict {
        forget(&news).await;
        return ended;
    }
    let changes: Vec<PathChange> =
        news.iter().map(|((lane, _), new)| new.change(&lane.site().path)).collect();
    let names: Vec<String> =
        news.iter().map(|((lane, _), _)| lane.site().ident.to_string()).collect();
    let lands: Vec<&Asked> = news.iter().map(|((_, asked), _)| asked).collect();
    let decided = place.change(changes, say(&names.join(", "), &lands)).await;
    if decided.as_ref().is_err_and(|error| error.kind == Kind::Refused) {
        forget(&news).await;
    }
    match decided? {
        Decided::Conflict => {
            forget(&news).await;
            Ok(Tried::Outrun)
        }
        Decided::Done | Decided::Nothing => {
            for ((lane, asked), new) in &news {
                lane.site().landed(new, std::iter::once(asked));
            }
            Ok(Tried::Done)
        }
    }
}

/// What is to be made of a transaction.
struct Judgement<'a> {
    news: Vec<(&'a (Arc<Lane>, Asked), New)>,
    /// What it came to already; none where the new metadata is to be committed.
    verdict: Option<Result<Tried>>,
}

/// Judges a transaction by all of its tables: one that has landed has landed in each, also where a table has moved
/// on so far that its part would be stale now.
async fn judge<'a>(
    place: &Place,
    tables: &'a [(Arc<Lane>, Asked)],
    learned: &mut Learned,
) -> Result<Judgement<'a>> {
    let paths: Vec<_> = tables.iter().map(|(lane, _)| lane.site().path.clone()).collect();
    let entries = place.entries(&paths).await?;
    let mut news = Vec::new();
    let mut ended = None;
    let mut known = Vec::with_capacity(tables.len());
    for (table, entry) in tables.iter().zip(entries) {
        let (lane, asked) = table;
        let mut is_known = false;
        match lane.site().prepare(entry.as_ref(), &[asked], learned).await {
            Ok(Prepared { judged, new, .. }) => {
                news.extend(new.map(|new| (table, new)));
                let end = match judged.into_iter().next() {
                    Some(Judged::Stale(error)) => Some(Ok(Tried::Stale(error))),
                    Some(Judged::Refused(error)) => Some(Err(error)),
                    Some(Judged::Later | Judged::Sought) | None => Some(Ok(Tried::Outrun)),
                    // What only leaves its table as it is says nothing of the others.
                    Some(Judged::Known(_)) => {
                        is_known = asked.is_recognisable();
                        None
                    }
                    Some(Judged::Lands) => None,
                };
                ended = ended.or(end);
            }
            Err(error) => ended = ended.or(Some(Err(error))),
        }
        known.push((asked.is_recognisable(), is_known));
    }
    let is_done = has_landed(&known) || (ended.is_none() && news.is_empty());
    Ok(Judgement { news, verdict: if is_done { Some(Ok(Tried::Done)) } else { ended } })
}

/// Whether a transaction has landed, by its tables: whether that can be seen of each, and whether it is.
fn has_landed(tables: &[(bool, bool)]) -> bool {
    tables.iter().any(|(_, is_known)| *is_known)
        && tables.iter().all(|(is_recognisable, is_known)| *is_known || !is_recognisable)
}

async fn forget(news: &[(&(Arc<Lane>, Asked), New)]) {
    for ((lane, _), new) in news {
        lane.site().not_landed(new).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_landed_where_each_table_has_it_that_could_show_it() {
        for (tables, landed) in [
            (&[(true, true), (true, true)][..], true),
            (&[(true, true), (false, false)], true),
            (&[(false, false), (true, true)], true),
            (&[(true, true), (true, false)], false),
            (&[(false, false), (false, false)], false),
        ] {
            assert_eq!(has_landed(tables), landed, "{tables:?}");
        }
    }
}
