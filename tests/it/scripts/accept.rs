//! The steps that move tickets, in the model: submit, publish, restore.

use super::model::{Asker, Bounds, Branch, Draft, Head, Mortal, NOBODY, id_of};
use super::reply::Reply::{self, Int, List};
use super::reply::{ints, texts};

/// One op of a submit call.
#[derive(Clone, Debug)]
pub struct Submission {
    pub op: String,
    pub element: String,
    /// Name, epoch and sequence of each of its producers.
    pub producers: Vec<(String, u64, u64)>,
    pub seal: char,
    /// The area that it makes: one that is not there.
    pub area: String,
    /// Whether it may have been submitted before.
    pub may_repeat: bool,
}

/// The limits of a submit call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub queue: usize,
    pub sealed: usize,
    /// Decided ops that are to be known.
    pub remembered: u64,
}

/// A decided batch.
#[derive(Clone, Debug)]
pub struct Batch {
    pub done_before: u64,
    /// Op ids and records.
    pub ops: Vec<(String, String)>,
    pub commit: String,
    pub closes: bool,
    pub kept: usize,
    /// Outcomes forgotten, at the most.
    pub forgotten: usize,
    /// Paths taken out of areas, at the most.
    pub budget: usize,
    /// Elements counted anew, at the most.
    pub adopted: usize,
    pub wanted: usize,
    pub producers: Vec<(String, String)>,
    /// Areas that were committed, whether they are here or not.
    pub consumed: Vec<String>,
}

/// A part of a branch as the log has it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which draft it goes into, and what that is said to have.
    pub draft: usize,
    pub outcomes_before: usize,
    pub rows_before: usize,
    pub last: bool,
    pub state: String,
    pub done: u64,
    pub outcomes: Vec<(u64, String, String)>,
    pub producers: Vec<(String, String)>,
}

/// The row of a producer.
pub fn row(epoch: u64, sequence: u64) -> String {
    format!("{epoch:020}{sequence:020}")
}

impl Branch {
    pub fn submit(&mut self, asker: &Asker, limits: Limits, submissions: &[Submission]) -> Reply {
        let Some(mut head) = self.head.clone() else {
            return ints(&[0]);
        };
        let before = self.queue.len();
        let forgetful = self.has_forgotten(&head, limits.remembered);
        let mut results = Vec::new();
        for each in submissions {
            let (code, number, record) = self.judge(&head, each, limits, forgetful);
            results.extend([Int(code), Int(number as i64), Reply::Text(record)]);
        }
        let mut left = if head.turn == asker.helper { 0 } else { asker.left_of(&head) };
        let held = left > 0;
        let mut mine = false;
        if before == 0 && !self.queue.is_empty() {
            self.mortal.remove(&Mortal::Ops);
            self.mortal.remove(&Mortal::Outcomes);
            if !held {
                head.turn.clone_from(&asker.helper);
                head.turn_until = asker.now + asker.turn;
                (mine, left) = (true, asker.turn);
                self.head = Some(head.clone());
            }
        }
        let mut reply = self.page_head(&head);
        reply.extend([Int(self.queue.len() as i64), Int(mine.into()), Int(left as i64)]);
        reply.push(texts(&self.sealed));
        reply.extend(results);
        List(reply)
    }

    fn judge(
        &mut self,
        head: &Head,
        each: &Submission,
        limits: Limits,
        forgetful: bool,
    ) -> (i64, u64, String) {
        let forgotten = each.may_repeat && forgetful;
        let open = head.state == "open";
        let nothing = String::new();
        match self.ops.get(&each.op) {
            Some(ticket) if *ticket > head.done && open => return (2, *ticket, nothing),
            Some(ticket) if *ticket > head.done => return (8, 0, nothing),
            Some(ticket) => return (3, *ticket, self.record(*ticket).to_owned()),
            None if !open => return (8, 0, nothing),
            None => {}
        }
        let late = self.late(each);
        if forgotten && (late.is_some() || each.producers.is_empty()) {
            return (10, 0, nothing);
        }
        if let Some(late) = late {
            return late;
        }
        let depth = self.queue.len();
        if depth >= limits.queue {
            return (6, depth as u64, nothing);
        }
        if each.seal != '0' {
            let orphans = self.sealed.iter().any(|area| area.ends_with(NOBODY));
            if each.seal == '1' && self.staged.is_empty() && !orphans {
                return (7, 0, nothing);
            }
            if !self.staged.is_empty() && self.sealed.len() >= limits.sealed {
                return (9, self.sealed.len() as u64, nothing);
            }
            self.seal(&each.op, &each.area);
        }
        self.queue.push(each.element.clone());
        let ticket = head.done + self.queue.len() as u64;
        self.ops.insert(each.op.clone(), ticket);
        (1, ticket, nothing)
    }

    /// The first producer of an op that is past its place: one that is fenced, else one that is behind.
    fn late(&self, each: &Submission) -> Option<(i64, u64, String)> {
        let late = |code: i64| {
            let mut numbered = each.producers.iter().zip(1..);
            numbered.find_map(|((name, epoch, sequence), number)| {
                let known = self.producers.get(name)?;
                let wanted = row(*epoch, *sequence);
                let is_late = match code {
                    4 => wanted[..20] < known[..20],
                    _ => wanted[..20] == known[..20] && wanted[20..] <= known[20..40],
                };
                is_late.then(|| (code, number, known.clone()))
            })
        };
        late(4).or_else(|| late(5))
    }

    /// Whether fewer decided ops are known than the log brings back.
    fn has_forgotten(&self, head: &Head, remembered: u64) -> bool {
        let known = self.ops.len() as i64 - self.queue.len() as i64;
        known < head.done.min(remembered) as i64
    }

    pub fn remember(&mut self, remembered: u64, ops: &[(String, u64)]) -> Reply {
        let Some(head) = self.head.clone() else {
            return Int(0);
        };
        for (op, ticket) in ops.iter().filter(|(_, ticket)| *ticket <= head.done) {
            self.ops.entry(op.clone()).or_insert(*ticket);
        }
        if self.queue.is_empty() {
            let mortal = [
                (Mortal::Outcomes, !self.outcomes.is_empty()),
                (Mortal::Ops, !self.ops.is_empty()),
            ];
            self.mortal.extend(mortal.into_iter().filter(|(_, is)| *is).map(|(which, _)| which));
        }
        Int(if self.has_forgotten(&head, remembered) { 2 } else { 1 })
    }

    fn seal(&mut self, op: &str, id: &str) {
        for area in &mut self.sealed {
            if area.ends_with(NOBODY) {
                area.replace_range(36.., op);
            }
        }
        if !self.staged.is_empty() {
            self.areas.insert(id.to_owned(), std::mem::take(&mut self.staged));
            self.mortal.remove(&Mortal::Area(id.to_owned()));
            self.sealed.push(format!("{id}{op}"));
        }
    }

    pub fn publish(&mut self, asker: &Asker, batch: &Batch) -> Reply {
        let Some(mut head) = self.head.clone() else {
            return ints(&[0]);
        };
        if head.done != batch.done_before {
            return ints(&[1, head.done as i64]);
        }
        let mut given_back = Vec::new();
        if !batch.closes {
            let mut budget = batch.budget as i64;
            for index in self.to_be_given_back(batch) {
                if !self.take_out(index, &mut budget) {
                    return List(vec![Int(4), Reply::text(&self.sealed[index])]);
                }
                given_back.push(index);
            }
        }
        let count = batch.ops.len();
        let front: Vec<&str> = self.queue.iter().take(count).map(|e| id_of(e)).collect();
        let decided: Vec<&str> = batch.ops.iter().map(|(op, _)| op.as_str()).collect();
        let in_front = front == decided;
        head.done += count as u64;
        if in_front {
            self.queue.drain(..count);
        } else if !self.adopt(&mut head, batch) {
            return ints(&[5]);
        }
        let kept = head.mark(asker.now, batch);
        self.tell(batch, kept);
        let (gone, rows): (Vec<_>, Vec<_>) =
            batch.producers.iter().cloned().partition(|(_, row)| row.is_empty());
        self.producers.extend(rows);
        for (name, _) in gone {
            self.producers.remove(&name);
        }
        self.settle_areas(batch, &given_back);
        if batch.closes {
            self.queue.clear();
            self.staged.clear();
            for area in std::mem::take(&mut self.sealed) {
                self.areas.remove(&area[..36]);
                self.mortal.remove(&Mortal::Area(area[..36].to_owned()));
            }
            self.pruned.clear();
            head.state = "deleted".into();
            self.mortal.insert(Mortal::Head);
            if !self.producers.is_empty() {
                self.mortal.insert(Mortal::Producers);
            }
        }
        let depth = self.queue.len();
        let mine = depth > 0 && batch.wanted > 0;
        if mine {
            head.turn.clone_from(&asker.helper);
            head.turn_until = asker.now + asker.turn;
        } else if head.turn == asker.helper || depth == 0 {
            (head.turn, head.turn_until) = (String::new(), 0);
        }
        head.commit.clone_from(&batch.commit);
        head.position = batch.done_before + 1;
        if depth == 0 {
            self.mortal.insert(Mortal::Outcomes);
            if !self.ops.is_empty() {
                self.mortal.insert(Mortal::Ops);
            }
        }
        let shown = if mine { batch.wanted.min(depth) } else { 0 };
        let done = head.done as i64;
        self.head = Some(head);
        List(vec![
            Int(if in_front { 2 } else { 3 }),
            Int(done),
            Int(depth as i64),
            Int(mine.into()),
            texts(&self.sealed),
            texts(&self.queue[..shown]),
        ])
    }

    /// Takes decided ops out of the next elements, and counts the others. Whether all are counted.
    fn adopt(&mut self, head: &mut Head, batch: &Batch) -> bool {
        let from = match head.adopting {
            Some((done, _, at)) if done == batch.done_before => at as usize,
            _ => 0,
        };
        let to = self.queue.len().min(from + batch.adopted);
        let mut page = self.queue.split_off(from);
        let behind = page.split_off(to - from);
        page.retain(|element| batch.ops.iter().all(|(op, _)| op != id_of(element)));
        self.queue.extend(page);
        for (element, ticket) in self.queue.iter().zip(head.done + 1..).skip(from) {
            self.ops.insert(id_of(element).to_owned(), ticket);
        }
        let at = self.queue.len() as u64;
        if !behind.is_empty() {
            self.queue.extend(behind);
            let count = batch.ops.len() as u64;
            head.adopting = Some((batch.done_before, count, at));
            self.head = Some(Head { done: batch.done_before, ..head.clone() });
            return false;
        }
        head.adopting = None;
        for ((op, _), ticket) in batch.ops.iter().zip(batch.done_before + 1..) {
            self.ops.insert(op.clone(), ticket);
        }
        true
    }

    /// Adds outcomes that are not there yet, and keeps only so many of the newest.
    fn tell(&mut self, batch: &Batch, kept: u64) {
        let newest = self.outcomes.keys().next_back().copied().unwrap_or(0);
        for (index, outcome) in batch.ops.iter().enumerate() {
            let ticket = batch.done_before + 1 + index as u64;
            if ticket > newest {
                self.outcomes.insert(ticket, outcome.clone());
            }
        }
        let surplus = (self.outcomes.len() as u64).saturating_sub(kept);
        for _ in 0..surplus.min(batch.forgotten as u64) {
            if let Some((_, (op, _))) = self.outcomes.pop_first() {
                self.ops.remove(&op);
            }
        }
        if self.ops.is_empty() {
            self.mortal.remove(&Mortal::Ops);
        }
    }

    /// Areas of decided ops that the batch did not consume.
    fn to_be_given_back(&self, batch: &Batch) -> Vec<usize> {
        let is_decided = |owner: &str| batch.ops.iter().any(|(op, _)| op == owner);
        let is_given_back = |(_, area): &(usize, &String)| {
            is_decided(&area[36..]) && !batch.consumed.iter().any(|id| *id == area[..36])
        };
        self.sealed.iter().enumerate().filter(is_given_back).map(|(index, _)| index).collect()
    }

    fn settle_areas(&mut self, batch: &Batch, given_back: &[usize]) {
        let mut kept = Vec::new();
        for (index, area) in std::mem::take(&mut self.sealed).into_iter().enumerate() {
            let id = &area[..36];
            if batch.consumed.iter().any(|consumed| consumed == id) {
                continue;
            }
            if given_back.contains(&index) {
                self.pruned.remove(id);
                kept.push(format!("{id}{NOBODY}"));
            } else {
                kept.push(area);
            }
        }
        kept.retain(|area| &area[36..] != NOBODY || self.areas.contains_key(&area[..36]));
        self.sealed = kept;
        for area in &batch.consumed {
            if self.areas.contains_key(area) {
                self.mortal.insert(Mortal::Area(area.clone()));
            }
        }
    }

    pub fn prune(&mut self, done_before: u64, area: &str, budget: usize) -> Reply {
        let is_there = self.head.as_ref().is_some_and(|head| head.done == done_before);
        let index = self.sealed.iter().rposition(|listed| listed[..36] == area[..36]);
        match index.filter(|index| is_there && self.sealed[*index] == area) {
            None => Int(0),
            Some(index) => Int(if self.take_out(index, &mut (budget as i64)) { 1 } else { 2 }),
        }
    }

    /// What newer areas have goes out of the area at `index`, as far as the budget lasts. Whether all
    /// of it is out.
    fn take_out(&mut self, index: usize, budget: &mut i64) -> bool {
        let ids: Vec<String> = self.sealed.iter().map(|area| area[..36].to_owned()).collect();
        let id = ids[index].clone();
        let known = self.pruned.get(&id).cloned().unwrap_or_default();
        let (at, lower) = if known.is_empty() { ("", "") } else { known.split_at(36) };
        let place = ids.iter().rposition(|each| each == at).filter(|place| *place > index);
        let (mut newer, mut lower) = match place {
            None => (index + 1, "-".to_owned()),
            Some(place) if lower == "+" => (place + 1, "-".to_owned()),
            Some(place) => (place, lower.to_owned()),
        };
        let before = *budget;
        while newer < ids.len() && *budget > 0 {
            let of = |area: &String| self.areas.get(area).cloned().unwrap_or_default();
            let (older, above) = (of(&id), of(&ids[newer]));
            let walked = if above.len() <= older.len() { &above } else { &older };
            let limit = *budget as usize;
            let page = Bounds { lower: lower.clone(), upper: "+".into(), limit }.page(walked);
            if let Some(area) = self.areas.get_mut(&id) {
                area.retain(|path, _| !(page.contains(path) && above.contains_key(path)));
                if area.is_empty() {
                    self.areas.remove(&id);
                    self.mortal.remove(&Mortal::Area(id.clone()));
                }
            }
            (newer, lower) = match page.last() {
                Some(last) if page.len() == limit => (newer, format!("({last}")),
                _ => (newer + 1, "-".to_owned()),
            };
            *budget -= page.len() as i64 + 4;
        }
        let is_finished = newer >= ids.len();
        if *budget < before {
            let at = match is_finished {
                true => format!("{}+", ids[ids.len() - 1]),
                false => format!("{}{lower}", ids[newer]),
            };
            self.pruned.insert(id, at);
        }
        is_finished
    }

    pub fn restore(&mut self, part: &Part) -> Reply {
        if self.head.is_some() {
            return Int(0);
        }
        let mut draft = self.drafts.remove(&part.draft).unwrap_or_default();
        let there = (draft.outcomes.len(), draft.producers.len());
        let before = (part.outcomes_before, part.rows_before);
        let after = (before.0 + part.outcomes.len(), before.1 + part.producers.len());
        if there == before && there != after {
            for (ticket, op, record) in &part.outcomes {
                draft.outcomes.insert(*ticket, (op.clone(), record.clone()));
                draft.ops.insert(op.clone(), *ticket);
            }
            draft.producers.extend(part.producers.iter().cloned());
        }
        let is_taken = there == before || there == after;
        if is_taken && part.last {
            self.open(part, draft);
        } else if !draft.is_empty() {
            self.drafts.insert(part.draft, draft);
        }
        Int(if is_taken { 1 } else { 2 })
    }

    fn open(&mut self, part: &Part, draft: Draft) {
        self.queue.clear();
        (self.outcomes, self.ops, self.producers) = (draft.outcomes, draft.ops, draft.producers);
        let ends = part.state == "deleted";
        let mortal = [
            (Mortal::Head, ends),
            (Mortal::Outcomes, !self.outcomes.is_empty()),
            (Mortal::Ops, !self.ops.is_empty()),
            (Mortal::Producers, ends && !self.producers.is_empty()),
        ];
        for (which, is_mortal) in mortal {
            match is_mortal {
                true => self.mortal.insert(which),
                false => self.mortal.remove(&which),
            };
        }
        self.head = Some(Head {
            state: part.state.clone(),
            done: part.done,
            commit: "restored".into(),
            position: part.done,
            turn: String::new(),
            turn_until: 0,
            marks: None,
            adopting: None,
        });
    }
}

/// How long outcomes are kept in any case.
pub const WINDOW_MS: u64 = 40;

/// Outcomes kept at the most.
pub const KEPT_MAX: u64 = 12;

impl Head {
    /// Moves the marks, and says how many outcomes are kept after `batch`.
    fn mark(&mut self, now: u64, batch: &Batch) -> u64 {
        let kept = batch.kept as u64;
        let (at, done, before) = match self.marks {
            None => (now, batch.done_before, batch.done_before.saturating_sub(kept)),
            Some((at, done, _)) if now.saturating_sub(at) >= WINDOW_MS => {
                (now, batch.done_before, done)
            }
            Some(marks) => marks,
        };
        self.marks = Some((at, done, before));
        kept.max(self.done - before).min(kept.max(KEPT_MAX))
    }
}
