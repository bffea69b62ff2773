//! The comparison: the log, read commit by commit, against the plain way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::TryStreamExt;
use onward::internals::repo::history::CommitInfo;
use onward::internals::repo::{LogRequest, Repository};
use onward::internals::tree::ListRequest;
use onward::{CommitId, Error, Onward, OpId, RefExpr, Result};

use super::naive::{Content, History, Merged, merge};
use super::plan::Plan;
use super::process::{AllTold, Told, digest};
use super::setup::{Prepared, changed, head, known};
use super::{MAIN, REPO, Report};

/// Differences that are told.
const DIFFERENCES_MAX: usize = 20;

/// Who asked for an op.
#[derive(Debug, Clone, Copy)]
enum Asker {
    Merge(usize),
    Plain { writer: usize, n: usize },
}

/// What happened on the main branch under one ticket.
enum Event<'a> {
    Commit(CommitId),
    Nothing(usize, &'a Told),
}

struct Check<'a> {
    repository: Repository,
    plan: &'a Plan,
    history: History,
    infos: HashMap<CommitId, CommitInfo>,
    contents: HashMap<CommitId, Arc<Content>>,
    heads: Vec<CommitId>,
    askers: HashMap<OpId, Asker>,
    report: &'a mut Report,
}

/// Compares everything and completes the report.
pub async fn compare(
    onward: &Onward,
    plan: &Plan,
    prepared: Prepared,
    told: &AllTold,
    report: &mut Report,
) -> Result<()> {
    let repository = onward.repo(REPO);
    let main = head(&repository.branch(MAIN)).await?;
    let Prepared { contents, main: start, heads } = prepared;
    let mut check = Check {
        repository,
        plan,
        history: History::default(),
        infos: HashMap::new(),
        contents,
        heads,
        askers: askers(told),
        report,
    };
    check.counts(told);
    check.read_history().await?;
    let mut line = check.history.line(main);
    line.reverse();
    let Some(from) = line.iter().position(|id| *id == start) else {
        check.differs("the commit with all files is not in the history".into());
        return Ok(());
    };
    let line = line.split_off(from);
    check.walk(&line, told).await?;
    check.found_at_once(&line, told)
}

fn askers(told: &AllTold) -> HashMap<OpId, Asker> {
    let merges = told.merges.iter().enumerate().map(|(n, told)| (told.op_id, Asker::Merge(n)));
    let plain = told
        .plain
        .iter()
        .map(|(writer, n, told)| (told.op_id, Asker::Plain { writer: *writer, n: *n }));
    merges.chain(plain).collect()
}

impl Check<'_> {
    fn differs(&mut self, what: String) {
        if self.report.differences.len() < DIFFERENCES_MAX {
            self.report.differences.push(what);
        }
    }

    fn counts(&mut self, told: &AllTold) {
        self.report.bytes_wasted += told.bytes_wasted;
        for (n, told) in told.merges.iter().enumerate() {
            match (told.outcome.as_str(), told.ticket) {
                ("committed", Some(_)) => self.report.committed += 1,
                ("conflict", ticket) => {
                    self.report.conflicts += 1;
                    self.report.conflicts_queued += usize::from(ticket.is_some());
                }
                ("no_changes", _) => self.report.nothing += 1,
                (other, _) => {
                    let why = told.reason.as_deref().unwrap_or_default();
                    self.differs(format!("merge {n} ended as {other}: {why}"));
                }
            }
        }
        for (writer, n, told) in &told.plain {
            self.report.plain += 1;
            if told.commit.is_none() {
                self.differs(format!("commit {n} of writer {writer} ended as {}", told.outcome));
            }
        }
        for told in told.merges.iter().chain(told.plain.iter().map(|(_, _, told)| told)) {
            let (rounds, bound) = told.rounds;
            self.report.beyond += usize::from(told.ticket.is_some() && rounds > bound);
            self.report.rounds = self.report.rounds.max(told.rounds);
        }
    }

    /// Every commit of every branch.
    async fn read_history(&mut self) -> Result<()> {
        let branches = self.plan.branches.iter().map(|branch| branch.name.as_str());
        for name in [MAIN].into_iter().chain(branches) {
            let mut log =
                self.repository.log(&RefExpr::plain(name), &LogRequest::default()).await?;
            while let Some(info) = log.try_next().await? {
                let (parents, created_ms) = (info.commit.parents.clone(), info.commit.created_ms);
                self.history.add(info.id, parents, created_ms);
                self.infos.insert(info.id, info);
            }
        }
        Ok(())
    }

    fn info(&self, id: &CommitId) -> Result<&CommitInfo> {
        self.infos.get(id).ok_or_else(|| Error::internal(format!("the log has no commit {id}")))
    }

    /// What merging branch `number` into `dest` comes to, the plain way.
    fn merged(&self, number: usize, dest: CommitId) -> Result<Merged> {
        let unknown = || Error::internal(format!("there is no branch {number}"));
        let branch = self.plan.branches.get(number).ok_or_else(unknown)?;
        let source = *self.heads.get(number).ok_or_else(unknown)?;
        let base = self.history.merge_base(dest, source).ok_or_else(unknown)?;
        let base = known(&self.contents, &base)?;
        let source = known(&self.contents, &source)?;
        let dest = known(&self.contents, &dest)?;
        Ok(merge(&base, &source, &dest, branch.strategy))
    }

    /// Goes through the main branch in ticket order.
    async fn walk(&mut self, line: &[CommitId], told: &AllTold) -> Result<()> {
        let mut events = BTreeMap::new();
        for id in line.iter().skip(1) {
            events.insert(self.info(id)?.ticket().0, Event::Commit(*id));
        }
        for (number, told) in told.merges.iter().enumerate() {
            if let (Some(ticket), None) = (told.ticket, told.commit) {
                events.insert(ticket, Event::Nothing(number, told));
            }
        }
        let made = told.merges.iter().chain(told.plain.iter().map(|(_, _, told)| told));
        for told in made.filter(|told| told.commit.is_some()) {
            let there = told.ticket.and_then(|ticket| events.get(&ticket));
            if !matches!(there, Some(Event::Commit(id)) if Some(*id) == told.commit) {
                self.differs(format!("op {} is not at its place in the history", told.op_id));
            }
        }
        let Some(mut at) = line.first().copied() else { return Ok(()) };
        for (ticket, event) in events {
            match event {
                Event::Commit(id) => {
                    self.commit(ticket, at, id).await?;
                    at = id;
                }
                Event::Nothing(number, told) => {
                    let merged = self.merged(number, at)?;
                    if !agrees(told, &merged) {
                        self.differs(format!(
                            "merge {number} (ticket {ticket}) ended as {} with {} conflicts; the plain way: {}",
                            told.outcome, told.conflicts, name(&merged)
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// One commit on top of another.
    async fn commit(&mut self, ticket: u64, before: CommitId, id: CommitId) -> Result<()> {
        let info = self.info(&id)?.clone();
        let content = known(&self.contents, &before)?;
        let mut parents = vec![before];
        let expected = match self.askers.get(&info.commit.op_id).copied() {
            Some(Asker::Plain { writer, n }) => {
                Some(changed(&content, &self.plan.plain(writer, n)))
            }
            Some(Asker::Merge(number)) => {
                let squash = self.plan.branches.get(number).is_some_and(|branch| branch.squash);
                parents.extend(self.heads.get(number).filter(|_| !squash));
                match self.merged(number, before)? {
                    Merged::Committed(content) => Some(content),
                    other => {
                        self.differs(format!(
                            "merge {number} (ticket {ticket}) is a commit; the plain way: {}",
                            name(&other)
                        ));
                        None
                    }
                }
            }
            None => {
                self.differs(format!("nobody asked for commit {id} (ticket {ticket})"));
                None
            }
        };
        if info.commit.parents != parents {
            self.differs(format!("commit {id} (ticket {ticket}) has other parents"));
        }
        let there = self.content(id).await?;
        if let Some(expected) = &expected
            && let Some(path) = difference(expected, &there)
        {
            self.differs(format!("commit {id} (ticket {ticket}) differs, first at '{path}'"));
        }
        self.report.compared += 1;
        // After a difference the way goes on from what there is.
        self.contents.insert(id, Arc::new(there));
        Ok(())
    }

    /// What a commit has, read page by page.
    async fn content(&self, id: CommitId) -> Result<Content> {
        let reference = RefExpr::plain(id.to_string());
        let mut request = ListRequest::default();
        let mut content = Content::new();
        loop {
            let page = self.repository.list(&reference, &request).await?;
            for item in &page.items {
                if let onward::internals::tree::ListItem::Object(path, entry) = item {
                    let stamp = u64::from_str_radix(&entry.checksum, 16);
                    let stamp = stamp.map_err(|_| Error::corrupt("a checksum nobody wrote"))?;
                    content.insert(path.as_str().into(), stamp);
                }
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(content),
            }
        }
    }

    /// Merges that were never queued: some head between their begin and end must give the same.
    fn found_at_once(&mut self, line: &[CommitId], told: &AllTold) -> Result<()> {
        for (number, told) in told.merges.iter().enumerate() {
            if told.ticket.is_some() {
                continue;
            }
            let place = |id: CommitId| line.iter().position(|other| *other == id);
            let (first, last) = (place(told.window.0), place(told.window.1));
            let window = first.zip(last).and_then(|(first, last)| line.get(first..=last));
            let mut found = false;
            for dest in window.unwrap_or_default() {
                found = found || agrees(told, &self.merged(number, *dest)?);
            }
            if !found {
                self.differs(format!(
                    "merge {number} ended at once as {} with {} conflicts, which no head of that time explains",
                    told.outcome, told.conflicts
                ));
            }
        }
        Ok(())
    }
}

/// Whether what a merge was told is what it comes to.
fn agrees(told: &Told, merged: &Merged) -> bool {
    match (told.outcome.as_str(), merged) {
        ("no_changes", Merged::Nothing) => true,
        ("conflict", Merged::Conflict(paths)) => {
            let listed = paths.iter().take(told.listed as usize).map(|path| &**path);
            told.conflicts == paths.len() as u64 && told.digest == digest(listed)
        }
        _ => false,
    }
}

fn name(merged: &Merged) -> String {
    match merged {
        Merged::Committed(_) => "a commit".into(),
        Merged::Conflict(paths) => format!("{} conflicts", paths.len()),
        Merged::Nothing => "nothing to bring".into(),
    }
}

/// The first path that is not the same in both.
fn difference(expected: &Content, there: &Content) -> Option<Arc<str>> {
    let paths = expected.keys().chain(there.keys());
    paths.filter(|path| expected.get(*path) != there.get(*path)).min().cloned()
}
