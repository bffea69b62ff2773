//! The same steps on a real server, and a branch's keys read back as the model's values.

use std::collections::{BTreeMap, BTreeSet};

use onward::internals::coord::script::{self, Script};
use onward::internals::coord::{BranchKeys, ScriptCall};
use onward::internals::model::ids::BranchUid;
use redis::{ConnectionLike, Value};

use super::accept::{Batch, KEPT_MAX, Limits, Part, Submission, WINDOW_MS};
use super::model::{Asker, Bounds, Branch, Draft, Head, Mortal, Seen};
use super::reply::Reply;
use super::steps::{AREAS, CALLS, DRAFTS, area, op};

/// Far enough away that nothing expires while a test looks.
const LIFE_MS: &str = "3600000";

/// One branch on a server.
pub struct Server<'a> {
    connection: &'a mut dyn ConnectionLike,
    keys: BranchKeys,
    names: String,
}

/// The tests' ids are digits; as UUIDs they name the same keys.
fn seal_keys(keys: &BranchKeys, area: &str) -> (String, String) {
    keys.area(area.parse().unwrap())
}

/// Outcomes, ops and producers of a draft.
fn draft_keys(keys: &BranchKeys, draft: usize) -> [String; 3] {
    let draft = keys.draft(op(draft).parse().unwrap());
    [draft.outcomes, draft.ops, draft.producers]
}

impl<'a> Server<'a> {
    pub fn new(connection: &'a mut dyn ConnectionLike, uid: u64) -> Self {
        let repo = "lake".parse().unwrap();
        let keys = BranchKeys::new(&repo, BranchUid(uid));
        Self { connection, keys, names: format!("onward:{{names-{uid}}}") }
    }

    fn run(&mut self, script: &'static Script, keys: &[&str], args: &[String]) -> Reply {
        let mut call = ScriptCall::on(script, keys);
        for arg in args {
            call.bytes(arg);
        }
        Reply::of(
            call.teaching()
                .query(self.connection)
                .unwrap_or_else(|error| panic!("script '{}' failed: {error}", script.name)),
        )
    }

    pub fn submit(&mut self, asker: &Asker, limits: Limits, submissions: &[Submission]) -> Reply {
        let keys = self.keys.clone();
        let mut all: Vec<String> = [
            &keys.head,
            &keys.queue,
            &keys.outcomes,
            &keys.ops,
            &keys.producers,
            &keys.staged,
            &keys.paths,
            &keys.sealed,
        ]
        .map(String::clone)
        .to_vec();
        let mut args = asked(asker);
        args.extend([limits.queue, limits.sealed, submissions.len()].map(|n| n.to_string()));
        args.push(limits.remembered.to_string());
        for each in submissions {
            if each.seal != '0' {
                let (values, paths) = seal_keys(&keys, &each.area);
                all.extend([values, paths]);
            }
            args.extend([
                each.op.clone(),
                each.element.clone(),
                each.producers.len().to_string(),
                each.seal.to_string(),
                each.area.clone(),
                if each.may_repeat { "1" } else { "0" }.to_owned(),
            ]);
        }
        for (name, epoch, sequence) in submissions.iter().flat_map(|each| &each.producers) {
            args.extend([name.clone(), format!("{epoch:020}"), format!("{sequence:020}")]);
        }
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.run(&script::SUBMIT, &all, &args)
    }

    pub fn view(&mut self, asker: &Asker, wish: char, wanted: usize, skip: usize) -> Reply {
        let keys = self.keys.clone();
        let mut args = asked(asker);
        args.extend([wish.to_string(), wanted.to_string(), skip.to_string()]);
        self.run(&script::VIEW, &[&keys.head, &keys.queue, &keys.sealed], &args)
    }

    pub fn extend(&mut self, asker: &Asker) -> Reply {
        let head = self.keys.head.clone();
        self.run(&script::EXTEND, &[&head], &asked(asker))
    }

    pub fn publish(&mut self, asker: &Asker, batch: &Batch) -> Reply {
        let keys = self.keys.clone();
        let mut all: Vec<String> = [
            &keys.head,
            &keys.queue,
            &keys.outcomes,
            &keys.ops,
            &keys.producers,
            &keys.sealed,
            &keys.staged,
            &keys.paths,
            &keys.pruned,
        ]
        .map(String::clone)
        .to_vec();
        for area in &batch.consumed {
            let (values, paths) = seal_keys(&keys, area);
            all.extend([values, paths]);
        }
        let number = |n: u64| n.to_string();
        let flag = |yes: bool| if yes { "1" } else { "0" }.to_owned();
        let mut args = asked(asker);
        args.extend([
            number(batch.done_before),
            number(batch.ops.len() as u64),
            batch.commit.clone(),
            number(batch.done_before + 1),
            flag(batch.closes),
            number(batch.kept as u64),
            LIFE_MS.to_owned(),
            LIFE_MS.to_owned(),
            number(batch.wanted as u64),
            number(batch.producers.len() as u64),
            number(WINDOW_MS),
            number(KEPT_MAX),
            number(batch.forgotten as u64),
            number(batch.budget as u64),
            number(batch.adopted as u64),
        ]);
        args.extend(batch.ops.iter().flat_map(|(op, record)| [op.clone(), record.clone()]));
        args.extend(batch.producers.iter().flat_map(|(name, row)| [name.clone(), row.clone()]));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.run(&script::PUBLISH, &all, &args)
    }

    pub fn prune(&mut self, done_before: u64, area: &str, budget: usize) -> Reply {
        let keys = self.keys.clone();
        let args = [done_before.to_string(), area.to_owned(), budget.to_string()];
        self.run(&script::PRUNE, &[&keys.head, &keys.sealed, &keys.pruned], &args)
    }

    pub fn rows(&mut self, producers: &[String]) -> Reply {
        let keys = self.keys.clone();
        self.run(&script::ROWS, &[&keys.head, &keys.producers], producers)
    }

    pub fn status(&mut self, ops: &[String]) -> Reply {
        let keys = self.keys.clone();
        self.run(&script::STATUS, &[&keys.head, &keys.outcomes, &keys.ops], ops)
    }

    pub fn remember(&mut self, remembered: u64, ops: &[(String, u64)]) -> Reply {
        let keys = self.keys.clone();
        let all = [&*keys.head, &keys.queue, &keys.outcomes, &keys.ops];
        let mut args = vec![remembered.to_string(), LIFE_MS.to_owned(), ops.len().to_string()];
        args.extend(ops.iter().flat_map(|(op, ticket)| [op.clone(), ticket.to_string()]));
        self.run(&script::REMEMBER, &all, &args)
    }

    pub fn cancel(&mut self, op: &str) -> Reply {
        let keys = self.keys.clone();
        self.run(&script::CANCEL, &[&keys.head, &keys.queue, &keys.ops], &[op.to_owned()])
    }

    pub fn mend(&mut self, index: usize, seen: &str, replacement: &str) -> Reply {
        let queue = self.keys.queue.clone();
        let args = [index.to_string(), seen.to_owned(), replacement.to_owned()];
        self.run(&script::MEND, &[&queue], &args)
    }

    pub fn stage(
        &mut self,
        call: usize,
        limit: usize,
        changes: &[(String, String, String)],
        seen: Option<&Seen>,
    ) -> Reply {
        let keys = self.keys.clone();
        let mut args = vec![limit.to_string(), changes.len().to_string()];
        args.push(seen.map_or("0", |seen| if seen.strict { "2" } else { "1" }).to_owned());
        args.push(seen.map_or(0, |seen| seen.done).to_string());
        args.push(seen.map_or(0, |seen| seen.areas).to_string());
        args.push("600000".to_owned());
        for (path, value, saw) in changes {
            args.extend([path.clone(), value.clone(), saw.clone()]);
        }
        let mark = keys.stage_call(op(call).parse().unwrap());
        let all = [&*keys.head, &keys.staged, &keys.paths, &keys.sealed, &mark];
        self.run(&script::STAGE, &all, &args)
    }

    pub fn staged(&mut self, area: Option<&String>, args: &[String]) -> Reply {
        let keys = self.keys.clone();
        let (values, paths) = self.area(area);
        self.run(&script::STAGED, &[&keys.head, &values, &paths, &keys.sealed], args)
    }

    pub fn unstage(&mut self, area: Option<&String>, bounds: &Bounds) -> Reply {
        let sealed = self.keys.sealed.clone();
        let (values, paths) = self.area(area);
        let mut args = vec![bounds.lower.clone(), bounds.upper.clone(), bounds.limit.to_string()];
        args.push(area.cloned().unwrap_or_default());
        self.run(&script::UNSTAGE, &[&sealed, &values, &paths], &args)
    }

    pub fn unite(&mut self, older: Option<&String>, limit: usize) -> Reply {
        let (head, sealed) = (self.keys.head.clone(), self.keys.sealed.clone());
        let args = [older.cloned().unwrap_or_default(), limit.to_string()];
        self.run(&script::UNITE, &[&head, &sealed], &args)
    }

    fn area(&self, area: Option<&String>) -> (String, String) {
        match area {
            None => (self.keys.staged.clone(), self.keys.paths.clone()),
            Some(area) => seal_keys(&self.keys, area),
        }
    }

    pub fn restore(&mut self, part: &Part) -> Reply {
        let keys = self.keys.clone();
        let mut args = vec![
            if part.last { "1" } else { "0" }.to_owned(),
            part.state.clone(),
            part.done.to_string(),
            "restored".to_owned(),
            part.done.to_string(),
            part.outcomes_before.to_string(),
            part.rows_before.to_string(),
            LIFE_MS.to_owned(),
            part.outcomes.len().to_string(),
            part.producers.len().to_string(),
            LIFE_MS.to_owned(),
        ];
        for (ticket, op, record) in &part.outcomes {
            args.extend([ticket.to_string(), op.clone(), record.clone()]);
        }
        args.extend(part.producers.iter().flat_map(|(name, row)| [name.clone(), row.clone()]));
        let mut all = vec![&*keys.head, &keys.queue, &keys.outcomes, &keys.ops, &keys.producers];
        let draft = draft_keys(&keys, part.draft);
        all.extend(draft.iter().map(String::as_str));
        self.run(&script::RESTORE, &all, &args)
    }

    pub fn name(&mut self, name: &str, uid: &str) {
        redis::cmd("HSET").arg(&self.names).arg(name).arg(uid).exec(self.connection).unwrap();
    }

    pub fn unname(&mut self, name: &str, uid: &str) -> Reply {
        let names = self.names.clone();
        self.run(&script::UNNAME, &[&names], &[name.to_owned(), uid.to_owned()])
    }

    /// What is kept of an idle branch is gone.
    pub fn forget(&mut self) {
        let mut call = redis::cmd("DEL");
        call.arg(&self.keys.outcomes).arg(&self.keys.ops).exec(self.connection).unwrap();
    }

    /// Everything is gone.
    pub fn lose(&mut self) {
        let mut call = redis::cmd("DEL");
        for key in self.all_keys() {
            call.arg(key);
        }
        call.exec(self.connection).unwrap();
    }

    fn all_keys(&self) -> Vec<String> {
        let keys = &self.keys;
        let mut all = vec![keys.head.clone(), keys.queue.clone(), keys.outcomes.clone()];
        all.extend([keys.ops.clone(), keys.producers.clone(), keys.staged.clone()]);
        all.extend([keys.paths.clone(), keys.sealed.clone(), keys.pruned.clone()]);
        all.push(self.names.clone());
        for n in 0..AREAS {
            let (values, paths) = seal_keys(keys, &area(n));
            all.extend([values, paths]);
        }
        all.extend((0..DRAFTS).flat_map(|draft| draft_keys(keys, draft)));
        all.extend((0..CALLS).map(|call| keys.stage_call(op(call).parse().unwrap())));
        all
    }

    /// The branch as the server has it.
    pub fn dump(&mut self) -> Branch {
        let keys = self.keys.clone();
        let mut pipe = redis::pipe();
        pipe.cmd("HGETALL").arg(&keys.head);
        pipe.cmd("LRANGE").arg(&keys.queue).arg(0).arg(-1);
        pipe.cmd("XRANGE").arg(&keys.outcomes).arg("-").arg("+");
        for key in [&keys.ops, &keys.producers, &keys.staged, &self.names, &keys.pruned] {
            pipe.cmd("HGETALL").arg(key);
        }
        pipe.cmd("LRANGE").arg(&keys.sealed).arg(0).arg(-1);
        let mut values: Vec<Value> = pipe.query(self.connection).unwrap();
        let mut take = || values.remove(0);
        let head: BTreeMap<String, String> = redis::from_redis_value(take()).unwrap();
        let queue = redis::from_redis_value(take()).unwrap();
        let outcomes = outcomes(take());
        let ops: BTreeMap<String, u64> = redis::from_redis_value(take()).unwrap();
        let producers = redis::from_redis_value(take()).unwrap();
        let staged = redis::from_redis_value(take()).unwrap();
        let names = redis::from_redis_value(take()).unwrap();
        let pruned = redis::from_redis_value(take()).unwrap();
        let sealed = redis::from_redis_value(take()).unwrap();
        let areas = self.areas(&staged);
        let drafts = self.drafts();
        let calls = (0..CALLS).filter(|call| self.knows_call(*call)).collect();
        let mortal = self.mortal();
        let head = (!head.is_empty()).then(|| parse_head(&head));
        Branch {
            head,
            queue,
            outcomes,
            ops,
            producers,
            drafts,
            staged,
            sealed,
            pruned,
            areas,
            mortal,
            names,
            calls,
        }
    }

    fn drafts(&mut self) -> BTreeMap<usize, Draft> {
        let mut drafts = BTreeMap::new();
        for number in 0..DRAFTS {
            let keys = draft_keys(&self.keys, number);
            for key in &keys {
                let life: i64 = redis::cmd("PTTL").arg(key).query(self.connection).unwrap();
                assert_ne!(life, -1, "{key} must expire");
            }
            let mut pipe = redis::pipe();
            pipe.cmd("XRANGE").arg(&keys[0]).arg("-").arg("+");
            pipe.cmd("HGETALL").arg(&keys[1]).cmd("HGETALL").arg(&keys[2]);
            let mut values: Vec<Value> = pipe.query(self.connection).unwrap();
            let producers = redis::from_redis_value(values.remove(2)).unwrap();
            let ops = redis::from_redis_value(values.remove(1)).unwrap();
            let draft = Draft { outcomes: outcomes(values.remove(0)), ops, producers };
            if !draft.is_empty() {
                drafts.insert(number, draft);
            }
        }
        drafts
    }

    fn knows_call(&mut self, call: usize) -> bool {
        let mark = self.keys.stage_call(op(call).parse().unwrap());
        redis::cmd("EXISTS").arg(mark).query(self.connection).unwrap()
    }

    /// The areas; the paths of each set are those of its values.
    fn areas(
        &mut self,
        staged: &BTreeMap<String, String>,
    ) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut pipe = redis::pipe();
        pipe.cmd("ZRANGE").arg(&self.keys.paths).arg(0).arg(-1);
        for n in 0..AREAS {
            let (values, paths) = seal_keys(&self.keys, &area(n));
            pipe.cmd("HGETALL").arg(values);
            pipe.cmd("ZRANGE").arg(paths).arg(0).arg(-1);
        }
        let mut values: Vec<Value> = pipe.query(self.connection).unwrap();
        let paths: BTreeSet<String> = redis::from_redis_value(values.remove(0)).unwrap();
        assert_eq!(paths, staged.keys().cloned().collect(), "staged paths");
        let mut areas = BTreeMap::new();
        for n in 0..AREAS {
            let changes: BTreeMap<String, String> =
                redis::from_redis_value(values.remove(0)).unwrap();
            let paths: BTreeSet<String> = redis::from_redis_value(values.remove(0)).unwrap();
            assert_eq!(paths, changes.keys().cloned().collect(), "paths of area {n}");
            if !changes.is_empty() {
                areas.insert(area(n), changes);
            }
        }
        areas
    }

    fn mortal(&mut self) -> BTreeSet<Mortal> {
        let keys = self.keys.clone();
        let mut all = vec![
            (keys.head.clone(), Mortal::Head),
            (keys.outcomes.clone(), Mortal::Outcomes),
            (keys.ops.clone(), Mortal::Ops),
            (keys.producers.clone(), Mortal::Producers),
        ];
        for n in 0..AREAS {
            all.push((seal_keys(&keys, &area(n)).0, Mortal::Area(area(n))));
        }
        for key in [&keys.queue, &keys.staged, &keys.paths, &keys.sealed] {
            let life: i64 = redis::cmd("PTTL").arg(key).query(self.connection).unwrap();
            assert!(life < 0, "{key} must not expire");
        }
        let mut pipe = redis::pipe();
        for (key, _) in &all {
            pipe.cmd("PTTL").arg(key);
        }
        let lives: Vec<i64> = pipe.query(self.connection).unwrap();
        let dying = all.into_iter().zip(lives).filter(|(_, life)| *life >= 0);
        dying.map(|((_, which), _)| which).collect()
    }
}

fn asked(asker: &Asker) -> Vec<String> {
    vec![asker.now.to_string(), asker.helper.clone(), asker.turn.to_string()]
}

fn outcomes(stream: Value) -> BTreeMap<u64, (String, String)> {
    match Reply::of(stream) {
        Reply::List(outcomes) => outcomes.iter().map(outcome).collect(),
        other => panic!("{other:?}"),
    }
}

fn outcome(reply: &Reply) -> (u64, (String, String)) {
    let Reply::List(parts) = reply else { panic!("{reply:?}") };
    let (Reply::Text(id), Reply::List(fields)) = (&parts[0], &parts[1]) else {
        panic!("{reply:?}");
    };
    let [Reply::Text(o), Reply::Text(op), Reply::Text(r), Reply::Text(record)] = &fields[..] else {
        panic!("{reply:?}");
    };
    assert_eq!((o.as_str(), r.as_str()), ("o", "r"));
    let ticket = id.strip_suffix("-0").unwrap().parse().unwrap();
    (ticket, (op.clone(), record.clone()))
}

fn parse_head(fields: &BTreeMap<String, String>) -> Head {
    let number = |name: &str| fields.get(name).map(|text| text.parse().unwrap());
    let marks = number("mark_at").zip(number("mark_done")).zip(number("mark_before"));
    let adopting = fields.get("adopting").map(|text| {
        let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        (numbers[0], numbers[1], numbers[2])
    });
    let optional = if marks.is_some() { 3 } else { 0 } + usize::from(adopting.is_some());
    assert_eq!(fields.len(), 6 + optional, "{fields:?}");
    Head {
        state: fields["state"].clone(),
        done: fields["done"].parse().unwrap(),
        commit: fields["commit"].clone(),
        position: fields["position"].parse().unwrap(),
        turn: fields["turn"].clone(),
        turn_until: fields["turn_until"].parse().unwrap(),
        marks: marks.map(|((at, done), before)| (at, done, before)),
        adopting,
    }
}
