//! Inboxes: what a process is told of its own ops, as they are decided, and that the turn is its.
//!
//! A hint and no more. A letter can be lost on its way, crowded out by others, or never be sent, by a
//! program that knows no inboxes; whoever waits looks after a while in any case. Which letters there are
//! is in `lua/includes/inbox.lua`.

use std::time::Duration;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::ids::{OpId, Ticket};

use super::branch::RedisBranch;
use super::failure::{classify, code};
use super::options::BLOCK_MAX;
use super::outcomes::{StreamRecord, Tail};

/// What an element of the queue ends with, before the id of its process.
const MARK: &[u8] = b"@in:";

/// What a letter of outcomes begins with.
const OUTCOMES: &str = "1";

/// Errors of a server that is the right one, has lost nothing, and will not take anything off a list for
/// now: because this user may not, or as it is a write.
const REFUSALS: &[&str] =
    &["NOPERM", "NOCOMMAND", "NOREPLICAS", "MISCONF", "OOM", "ASK", "TRYAGAIN"];

/// What came of waiting for a letter.
#[derive(Debug)]
pub enum Heard {
    /// The oldest one that there was.
    Letter(Letter),
    /// None in time.
    Nothing,
    /// Inboxes cannot be read here at present.
    Refused(Error),
}

/// What a process is told.
#[derive(Debug, Clone)]
pub enum Letter {
    /// What became of ops of its own.
    Outcomes {
        /// Tickets decided after the batch that they were in.
        done: u64,
        /// Each of them, in ticket order.
        outcomes: Vec<StreamRecord>,
    },
    /// To look at the branch: the turn is its, or a newer program says what this one cannot read.
    Look,
}

impl RedisBranch {
    /// An element with where its process is told of it.
    pub(super) fn addressed(&self, element: &Bytes) -> Bytes {
        [element, MARK, self.turn().helper.as_bytes()].concat().into()
    }
}

impl Tail {
    /// The next letter to this process, as soon as there is one, for as long as `patience`. A tail that
    /// fails is of no more use.
    pub async fn letter(&mut self, patience: Duration) -> Result<Heard> {
        let key = self.branch.keys().inbox(&self.branch.turn().helper);
        let patience_ms = patience.min(BLOCK_MAX).as_millis().max(1);
        let (seconds, millis) = (patience_ms / 1000, patience_ms % 1000);
        self.branch.lanes().count("blpop");
        let reply = redis::cmd("BLPOP")
            .arg(key)
            .arg(format!("{seconds}.{millis:03}"))
            .query_async::<Option<(Vec<u8>, Vec<u8>)>>(&mut self.link)
            .await;
        match reply {
            Ok(None) => Ok(Heard::Nothing),
            Ok(Some((_, letter))) => Ok(Heard::Letter(Letter::read(&letter))),
            Err(error) => {
                let is_refused = code(&error).is_some_and(|code| REFUSALS.contains(&code));
                let verdict = classify("blpop", &self.branch.lanes().url(), error);
                if is_refused {
                    return Ok(Heard::Refused(verdict.error));
                }
                self.branch.lanes().note_loss();
                Err(verdict.error.context("waiting for outcomes was cut off"))
            }
        }
    }
}

impl Letter {
    /// Reads a letter. What cannot be read is a reason to look.
    pub fn read(letter: &[u8]) -> Self {
        Self::outcomes(letter).unwrap_or(Self::Look)
    }

    fn outcomes(letter: &[u8]) -> Option<Self> {
        let mut rest = letter;
        if word(&mut rest)? != OUTCOMES {
            return None;
        }
        let done = word(&mut rest)?.parse().ok()?;
        let mut outcomes = Vec::new();
        while !rest.is_empty() {
            let (op_id, behind) = rest.split_at_checked(OpId::TEXT_LEN)?;
            rest = behind;
            let op_id = std::str::from_utf8(op_id).ok()?.parse().ok()?;
            let ticket = Ticket(word(&mut rest)?.parse().ok()?);
            let len = word(&mut rest)?.parse().ok()?;
            let (record, behind) = rest.split_at_checked(len)?;
            rest = behind;
            outcomes.push(StreamRecord { ticket, op_id, record: Bytes::copy_from_slice(record) });
        }
        Some(Self::Outcomes { done, outcomes })
    }
}

/// What stands before the next blank.
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (word, behind) = rest.split_at_checked(end)?;
    *rest = behind.get(1..)?;
    std::str::from_utf8(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written_and_anything_else_is_a_reason_to_look() {
        let (one, other) = (OpId::of_bytes(b"one"), OpId::of_bytes(b"other"));
        let letter =
            [format!("1 9 {one}7 5 ").as_bytes(), b"a\0 9 ", format!("{other}9 0 ").as_bytes()]
                .concat();
        let Letter::Outcomes { done: 9, outcomes } = Letter::read(&letter) else { panic!() };
        let told: Vec<_> = outcomes.iter().map(|o| (o.op_id, o.ticket.0, &o.record[..])).collect();
        assert_eq!(told, [(one, 7, &b"a\0 9 "[..]), (other, 9, &b""[..])]);
        for cut in (0..letter.len()).filter(|cut| *cut != 4 && *cut != 4 + 36 + 9) {
            assert!(matches!(Letter::read(&letter[..cut]), Letter::Look), "{cut}");
        }
        for letter in [&b"turn"[..], b"2 9 ", b"1 9 x", b""] {
            assert!(matches!(Letter::read(letter), Letter::Look), "{letter:?}");
        }
    }
}
