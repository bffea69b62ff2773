//! Steps and states in words.

use std::fmt;

use super::actions::{Action, Source};
use super::state::{Stage, State};
use super::values::{Decided, Element, Verdict};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = |reply: &bool| if *reply { "" } else { ", and the reply is lost" };
        match self {
            Self::Stage { call, at, reply } => {
                write!(f, "stage: write {call} at Redis {at}{}", lost(reply))
            }
            Self::Submit { call, at, reply } => {
                write!(f, "submit: op {call} at Redis {at}{}", lost(reply))
            }
            Self::Status { call, at } => {
                write!(f, "status: Redis {at} has the outcome of op {call}")
            }
            Self::FindInLog { call } => {
                write!(f, "find_in_log: the log has the outcome of op {call}")
            }
            Self::Cancel { call, at } => write!(f, "cancel: op {call} at Redis {at}"),
            Self::Forget { call } => write!(f, "the client of op {call} starts again"),
            Self::View { at, by: None } => write!(f, "view: a round begins at Redis {at}"),
            Self::View { at, by: Some(by) } => {
                write!(f, "view: client {by} begins a round at Redis {at}")
            }
            Self::Look { at } => write!(f, "view: somebody looks at Redis {at}, to follow the log"),
            Self::Ahead(helper) => {
                write!(f, "view: round {helper} prepares what is behind its batch")
            }
            Self::DecideAhead(helper) => {
                write!(f, "decide: round {helper} creates the log entry behind its own")
            }
            Self::Load(helper) => write!(f, "staged: round {helper} reads sealed areas"),
            Self::Decide { helper, reply } => {
                write!(f, "decide: round {helper} creates its log entry{}", lost(reply))
            }
            Self::Publish { helper, reply } => write!(f, "publish: round {helper}{}", lost(reply)),
            Self::Successor(helper) => {
                write!(f, "successor: round {helper} reads the next log entry")
            }
            Self::ReadBack { at } => write!(f, "read_back: somebody reads the log for Redis {at}"),
            Self::Restore(helper) => {
                write!(f, "restore: round {helper} puts the branch into Redis")
            }
            Self::Adopt { at } => write!(f, "publish: the next log entry, at Redis {at}"),
            Self::Crash(helper) => write!(f, "round {helper} ends where it stands"),
            Self::Save => write!(f, "Redis saves its state"),
            Self::RollBack(_) => write!(f, "Redis goes back to a state that it saved"),
            Self::Wipe => write!(f, "Redis loses everything"),
            Self::Split(Source::Present) => {
                write!(f, "a second primary appears, with the same state")
            }
            Self::Split(Source::Earlier(_)) => {
                write!(f, "a second primary appears, with an earlier state")
            }
            Self::Split(Source::Nothing) => write!(f, "a second primary appears, with nothing"),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, if self.cancelled { " (cancelled)" } else { "" })
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Committed => "committed",
            Verdict::NoChanges => "no changes",
            Verdict::Cancelled => "cancelled",
            Verdict::Failed => "failed",
        };
        write!(f, "{} {verdict}", self.op)?;
        if !self.writes.is_empty() {
            write!(f, " with {}", list(&self.writes))?;
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, redis) in self.redis.iter().enumerate() {
            let Some(redis) = redis else {
                write!(f, "Redis {number}: nothing; ")?;
                continue;
            };
            write!(f, "Redis {number}: done {}, queue [{}]", redis.done, list(&redis.queue))?;
            if !redis.staged.is_empty() {
                write!(f, ", staged [{}]", list(redis.staged.values()))?;
            }
            for area in &redis.sealed {
                let owner = area.owner.map_or("nobody".to_owned(), |op| format!("op {op}"));
                let writes = redis.areas.get(&area.id).into_iter().flat_map(|area| area.values());
                write!(f, ", sealed [{}] of {owner}", list(writes))?;
            }
            write!(f, "; ")?;
        }
        let entries = self.log.iter().map(|entry| format!("{}: {}", entry.first, list(&entry.ops)));
        write!(f, "log [{}]", entries.collect::<Vec<_>>().join(" | "))?;
        for (number, helper) in self.helpers.iter().enumerate() {
            match &helper.stage {
                Stage::Viewed(view) => {
                    write!(f, "; round {number} has seen [{}]", list(view.elements.iter()))?;
                }
                Stage::Built { entry, .. } => {
                    write!(
                        f,
                        "; round {number} would decide {}: [{}]",
                        entry.first,
                        list(&entry.ops)
                    )?;
                }
                Stage::Decided { entry, .. } => {
                    write!(
                        f,
                        "; round {number} would publish {}: [{}]",
                        entry.first,
                        list(&entry.ops)
                    )?;
                }
                Stage::Following { done } => write!(f, "; round {number} follows from {done}")?,
                Stage::Restoring { entries } => {
                    write!(f, "; round {number} has read {entries} log entries")?
                }
            }
        }
        Ok(())
    }
}
