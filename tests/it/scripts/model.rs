//! One branch in Redis as plain values, and what reading and staging do to it: each step is what
//! the script of the same name must do.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::Reply::{self, Int, List};
use super::reply::{ints, texts};

/// The owner of an area that was given back.
pub const NOBODY: &str = "                                    ";

/// What the head hash holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub state: String,
    pub done: u64,
    pub commit: String,
    pub position: u64,
    pub turn: String,
    pub turn_until: u64,
    /// When outcomes were last marked, how far the branch was then, and the time before.
    pub marks: Option<(u64, u64, u64)>,
    /// Behind which ticket a batch is being adopted, of how many ops, and how many elements have tickets
    /// behind it.
    pub adopting: Option<(u64, u64, u64)>,
}

/// A key that may be given an end of life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mortal {
    Head,
    Outcomes,
    Ops,
    Producers,
    Area(String),
}

/// Everything Redis has of one branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    pub head: Option<Head>,
    pub queue: Vec<String>,
    pub outcomes: BTreeMap<u64, (String, String)>,
    pub ops: BTreeMap<String, u64>,
    pub producers: BTreeMap<String, String>,
    /// What is gathered of a branch that is put back.
    pub drafts: BTreeMap<usize, Draft>,
    pub staged: BTreeMap<String, String>,
    pub sealed: Vec<String>,
    /// How far newer areas were taken out of one that is to be given back.
    pub pruned: BTreeMap<String, String>,
    pub areas: BTreeMap<String, BTreeMap<String, String>>,
    /// Keys that will expire.
    pub mortal: BTreeSet<Mortal>,
    pub names: BTreeMap<String, String>,
    /// Staging calls that are recognised when they are made again.
    pub calls: BTreeSet<usize>,
}

/// Outcomes, ops and producers to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub outcomes: BTreeMap<u64, (String, String)>,
    pub ops: BTreeMap<String, u64>,
    pub producers: BTreeMap<String, String>,
}

impl Draft {
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.producers.is_empty()
    }
}

/// Who asks for the turn, and when.
#[derive(Clone, Debug)]
pub struct Asker {
    pub now: u64,
    pub helper: String,
    pub turn: u64,
}

impl Asker {
    /// How long the turn of `head` lasts yet, whoever has it.
    pub fn left_of(&self, head: &Head) -> u64 {
        let left = head.turn_until.saturating_sub(self.now);
        if head.turn.is_empty() || left > self.turn * 4 { 0 } else { left }
    }
}

/// Bounds of a page of paths, as `ZRANGEBYLEX` takes them.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub lower: String,
    pub upper: String,
    pub limit: usize,
}

impl Bounds {
    /// The paths of `map` within the bounds.
    pub fn page(&self, map: &BTreeMap<String, String>) -> Vec<String> {
        let after = |path: &str| match self.lower.split_at(1) {
            ("-", _) => true,
            ("[", bound) => path >= bound,
            (_, bound) => path > bound,
        };
        let before = |path: &str| match self.upper.split_at(1) {
            ("+", _) => true,
            ("[", bound) => path <= bound,
            (_, bound) => path < bound,
        };
        map.keys().filter(|path| after(path) && before(path)).take(self.limit).cloned().collect()
    }
}

/// What a conditional write saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub done: u64,
    pub areas: usize,
    /// Whether where the branch stands matters even where something is staged.
    pub strict: bool,
}

/// Op id of a queue element.
pub fn id_of(element: &str) -> &str {
    &element[..36]
}

impl Branch {
    pub fn page_head(&self, head: &Head) -> Vec<Reply> {
        let state = if head.state == "open" { 1 } else { 2 };
        vec![
            Int(state),
            Int(head.done as i64),
            Reply::text(&head.commit),
            Int(head.position as i64),
        ]
    }

    pub fn view(&mut self, asker: &Asker, wish: char, wanted: usize, skip: usize) -> Reply {
        let Some(mut head) = self.head.clone() else {
            return ints(&[0]);
        };
        let mut left = asker.left_of(&head);
        let free = left == 0 || head.turn == asker.helper;
        let depth = self.queue.len();
        let mine = head.state == "open" && depth > 0 && (wish == '2' || (wish == '1' && free));
        if mine {
            head.turn.clone_from(&asker.helper);
            head.turn_until = asker.now + asker.turn;
            left = asker.turn;
            self.head = Some(head.clone());
        }
        let shown = if mine || wish == '0' { wanted } else { 0 };
        let mut reply = self.page_head(&head);
        reply.extend([Int(depth as i64), Int(mine.into()), Int(left as i64)]);
        reply.push(texts(&self.sealed));
        let from = skip.min(depth);
        reply.push(texts(&self.queue[from..(from + shown).min(depth)]));
        List(reply)
    }

    pub fn extend(&mut self, asker: &Asker) -> Reply {
        match &mut self.head {
            Some(head) if head.turn == asker.helper => {
                head.turn_until = asker.now + asker.turn;
                Int(1)
            }
            _ => Int(0),
        }
    }

    pub fn rows(&self, producers: &[String]) -> Reply {
        let Some(head) = &self.head else {
            return ints(&[0]);
        };
        let row = |producer| Reply::text(self.producers.get(producer).map_or("", String::as_str));
        let rows = producers.iter().map(row);
        List([Int(1), Int(head.done as i64)].into_iter().chain(rows).collect())
    }

    pub fn status(&self, ops: &[String]) -> Reply {
        let Some(head) = &self.head else {
            return ints(&[0]);
        };
        let open = head.state == "open";
        let mut reply = vec![Int(if open { 1 } else { 2 }), Int(head.done as i64)];
        for op in ops {
            let (code, ticket, record) = match self.ops.get(op) {
                None => (0, 0, ""),
                Some(ticket) if *ticket > head.done && open => (2, *ticket, ""),
                Some(ticket) if *ticket > head.done => (4, *ticket, ""),
                Some(ticket) => (3, *ticket, self.record(*ticket)),
            };
            reply.extend([Int(code), Int(ticket as i64), Reply::text(record)]);
        }
        List(reply)
    }

    pub fn record(&self, ticket: u64) -> &str {
        self.outcomes.get(&ticket).map_or("", |(_, record)| record)
    }

    pub fn cancel(&mut self, op: &str) -> Reply {
        let Some(head) = &self.head else {
            return ints(&[0]);
        };
        let Some(ticket) = self.ops.get(op).copied() else {
            return ints(&[1, 0]);
        };
        if ticket <= head.done {
            return ints(&[3, ticket as i64]);
        }
        match self.queue.get_mut((ticket - head.done - 1) as usize) {
            Some(element) if id_of(element) == op => {
                element.replace_range(36..37, "C");
                ints(&[2, ticket as i64])
            }
            _ => ints(&[1, 0]),
        }
    }

    pub fn mend(&mut self, index: usize, seen: &str, replacement: &str) -> Reply {
        match self.queue.get_mut(index) {
            Some(element) if element == seen => {
                replacement.clone_into(element);
                Int(1)
            }
            _ => Int(0),
        }
    }

    pub fn stage(
        &mut self,
        call: usize,
        limit: usize,
        changes: &[(String, String, String)],
        seen: Option<&Seen>,
    ) -> Reply {
        let Some(head) = &self.head else {
            return Int(0);
        };
        if head.state != "open" {
            return Int(2);
        }
        if self.calls.contains(&call) {
            return Int(1);
        }
        if let Some(seen) = seen {
            let still = seen.done == head.done && seen.areas == self.sealed.len();
            for (path, _, saw) in changes {
                let staged = self.staged.get(path).map_or("", String::as_str);
                if staged != saw || ((seen.strict || staged.is_empty()) && !still) {
                    return Int(3);
                }
            }
        }
        let (gone, written): (Vec<_>, Vec<_>) =
            changes.iter().partition(|(_, value, _)| value.is_empty());
        if !written.is_empty() && self.staged.len() + written.len() > limit {
            return Int(4);
        }
        for (path, value, _) in written {
            self.staged.insert(path.clone(), value.clone());
        }
        for (path, _, _) in gone {
            self.staged.remove(path);
        }
        self.calls.insert(call);
        Int(1)
    }

    fn values(&self, area: Option<&String>) -> BTreeMap<String, String> {
        match area {
            None => self.staged.clone(),
            Some(area) => self.areas.get(area).cloned().unwrap_or_default(),
        }
    }

    pub fn staged_range(&self, area: Option<&String>, bounds: &Bounds) -> Reply {
        let paths = bounds.page(&self.values(area));
        self.told(area, &paths, paths.len() == bounds.limit)
    }

    pub fn staged_paths(&self, area: Option<&String>, paths: &[String]) -> Reply {
        self.told(area, paths, false)
    }

    fn told(&self, area: Option<&String>, paths: &[String], more: bool) -> Reply {
        let Some(head) = &self.head else {
            return ints(&[0]);
        };
        let values = self.values(area);
        let found: Vec<String> = paths
            .iter()
            .filter_map(|path| values.get(path).map(|value| [path.clone(), value.clone()]))
            .flatten()
            .collect();
        let mut reply = self.page_head(head);
        reply.extend([texts(&self.sealed), texts(&found), Int(more.into())]);
        List(reply)
    }

    pub fn unstage(&mut self, area: Option<&String>, bounds: &Bounds) -> Reply {
        let given_back = area.map(|area| format!("{area}{NOBODY}"));
        if given_back.as_ref().is_some_and(|entry| !self.sealed.contains(entry)) {
            return Int(-1);
        }
        let mut values = self.values(area);
        let paths = bounds.page(&values);
        values.retain(|path, _| !paths.contains(path));
        match (area, given_back) {
            (Some(area), Some(entry)) => {
                if values.is_empty() {
                    self.areas.remove(area);
                    self.mortal.remove(&Mortal::Area(area.clone()));
                    if let Some(at) = self.sealed.iter().position(|each| *each == entry) {
                        self.sealed.remove(at);
                    }
                } else {
                    self.areas.insert(area.clone(), values);
                }
            }
            _ => self.staged = values,
        }
        Int(paths.len() as i64)
    }

    pub fn unite(&mut self, older: Option<&String>, limit: usize) -> Reply {
        let is_pair = |pair: &[String]| pair.iter().all(|area| area.ends_with(NOBODY));
        let changes = |id: &str| self.areas.get(id).map_or(0, BTreeMap::len);
        let pairs = self.sealed.windows(2).filter(|pair| is_pair(pair));
        let mut pairs = pairs.map(|pair| (pair[0][..36].to_owned(), pair[1][..36].to_owned()));
        let pair = match older {
            None => pairs.min_by_key(|(older, _)| changes(older)),
            Some(id) => pairs.find(|(older, _)| older == id),
        };
        let Some((older, newer)) = pair else {
            return ints(&[0]);
        };
        for _ in 0..limit {
            let Some((path, value)) = self.areas.get_mut(&older).and_then(BTreeMap::pop_first)
            else {
                break;
            };
            self.areas.entry(newer.clone()).or_default().entry(path).or_insert(value);
        }
        if self.areas.get(&older).is_some_and(|area| !area.is_empty()) {
            return List(vec![Int(1), Reply::Text(older)]);
        }
        self.areas.remove(&older);
        self.sealed.retain(|area| area[..36] != older);
        List(vec![Int(2), Reply::Text(older)])
    }

    /// What is kept of an idle branch is gone.
    pub fn forget(&mut self) {
        self.outcomes.clear();
        self.ops.clear();
        self.mortal.remove(&Mortal::Outcomes);
        self.mortal.remove(&Mortal::Ops);
    }

    pub fn unname(&mut self, name: &str, uid: &str) -> Reply {
        if self.names.get(name).is_some_and(|known| known == uid) {
            self.names.remove(name);
            return Int(1);
        }
        Int(0)
    }
}
