//! Exit codes, and how a command that failed says so.

use std::process::ExitCode;

use onward::{Error, ErrorKind, Outcome};
use serde_json::json;

use super::out::{Out, Unsaid, printable_lines};
use super::shape::add;

/// What the exit code says. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something unexpected, or something that was to be taken was not.
    Unexpected = 1,
    /// The arguments or the input break a rule.
    Usage = 2,
    /// A conflict, a condition that did not hold, a producer's sequence that is behind, or a rule
    /// that forbids it.
    Conflict = 3,
    /// Something named is not there.
    NotFound = 4,
    /// Redis or the storage cannot serve.
    Unavailable = 5,
    /// A limit is reached; come back later.
    Overloaded = 6,
    /// Fenced by a newer epoch of its producer.
    Fenced = 7,
    /// Accepted, but not decided before the deadline; or not there yet what was waited for.
    StillQueued = 8,
    /// There was nothing to commit.
    NoChanges = 9,
    /// As many staged commits as may wait on the branch, or gave back what they had taken.
    TooManySealed = 10,
    /// Told to stop by Ctrl-C, as shells say it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The same, unless something that was to be taken was not: then that is no success.
    pub fn unless_missed(self, missed: u64) -> Self {
        match self {
            Self::Done | Self::NoChanges if missed > 0 => Self::Unexpected,
            exit => exit,
        }
    }

    /// What a kind of error means for the exit code.
    pub fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict | ErrorKind::Forbidden | ErrorKind::OpIdReused => Self::Conflict,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Overloaded { .. } => Self::Overloaded,
            ErrorKind::TooManySealed { .. } => Self::TooManySealed,
            ErrorKind::Fenced => Self::Fenced,
            _ => Self::Unexpected,
        }
    }

    /// What the outcome of a commit means for the exit code.
    pub fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Committed { .. } | Outcome::Applied { .. } => Self::Done,
            Outcome::NoChanges { .. } => Self::NoChanges,
            Outcome::Conflict { .. } | Outcome::LostRace { .. } | Outcome::Behind { .. } => {
                Self::Conflict
            }
            Outcome::Fenced { .. } => Self::Fenced,
            Outcome::StillQueued { .. } => Self::StillQueued,
            Outcome::Failed { .. } | Outcome::Cancelled { .. } => Self::Unexpected,
            // One that this program does not know yet.
            _ => Self::Unexpected,
        }
    }
}

/// Why a command ends before its end.
#[derive(Debug)]
pub enum Failure {
    /// Something to tell.
    Error(Error),
    /// Whoever read our output has gone: nothing to tell, nobody to tell it to.
    Unheard,
    /// The user pressed Ctrl-C.
    Interrupted,
}

/// What a command comes to.
pub type Done = Result<Exit, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Unsaid> for Failure {
    fn from(unsaid: Unsaid) -> Self {
        match unsaid {
            Unsaid::Error(error) => Self::Error(error),
            Unsaid::Unheard => Self::Unheard,
        }
    }
}

impl Failure {
    /// Tells it, and gives the exit code.
    pub fn tell(&self, out: &Out) -> Exit {
        match self {
            Self::Unheard => Exit::Done,
            Self::Interrupted => {
                out.note("interrupted");
                Exit::Interrupted
            }
            Self::Error(error) => {
                if out.is_json() {
                    let mut told =
                        json!({"kind": kind_name(error.kind()), "message": error.to_string()});
                    if let Some(retry_after) = error.kind().retry_after() {
                        add(&mut told, "retry_after_ms", millis(retry_after));
                    }
                    out.error(&json!({ "error": told }).to_string());
                } else {
                    // An error may name a path, which others have made.
                    let words = printable_lines(&error.to_string());
                    out.error(&format!("{} {words}", out.red("error:")));
                    if let Some(retry_after) = error.kind().retry_after() {
                        out.error(&format!("come back in {} ms", millis(retry_after)));
                    }
                }
                Exit::of_kind(error.kind())
            }
        }
    }
}

/// Whole milliseconds of a duration, for JSON.
pub fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Overloaded { .. } => "overloaded",
        ErrorKind::TooManySealed { .. } => "too_many_sealed",
        ErrorKind::Fenced => "fenced",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::NewerVersion => "newer_version",
        ErrorKind::OpIdReused => "op_id_reused",
        _ => "internal",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onward::internals::clock;
    use onward::{CommitId, Details, Ticket};

    use super::*;

    #[test]
    fn the_numbers_are_those_documented() {
        let all = [
            (Exit::Done, 0),
            (Exit::Unexpected, 1),
            (Exit::Usage, 2),
            (Exit::Conflict, 3),
            (Exit::NotFound, 4),
            (Exit::Unavailable, 5),
            (Exit::Overloaded, 6),
            (Exit::Fenced, 7),
            (Exit::StillQueued, 8),
            (Exit::NoChanges, 9),
            (Exit::TooManySealed, 10),
            (Exit::Interrupted, 130),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        let retry_after = Duration::from_millis(5);
        for (kind, exit) in [
            (ErrorKind::InvalidInput, Exit::Usage),
            (ErrorKind::NotFound, Exit::NotFound),
            (ErrorKind::Conflict, Exit::Conflict),
            (ErrorKind::Forbidden, Exit::Conflict),
            (ErrorKind::OpIdReused, Exit::Conflict),
            (ErrorKind::Unavailable, Exit::Unavailable),
            (ErrorKind::Overloaded { retry_after }, Exit::Overloaded),
            (ErrorKind::TooManySealed { retry_after }, Exit::TooManySealed),
            (ErrorKind::Fenced, Exit::Fenced),
            (ErrorKind::Corrupt, Exit::Unexpected),
            (ErrorKind::NewerVersion, Exit::Unexpected),
            (ErrorKind::Internal, Exit::Unexpected),
        ] {
            assert_eq!(Exit::of_kind(kind), exit);
        }
    }

    #[test]
    fn every_outcome_has_its_exit_code() {
        let op_id = clock::new_op_id();
        let (details, reason) = (Details::of(op_id), String::new());
        let (ticket, commit) = (Ticket(1), CommitId::from_bytes([0; 32]));
        for (outcome, exit) in [
            (Outcome::Committed { commit, ticket, details }, Exit::Done),
            (Outcome::Applied { ticket, details }, Exit::Done),
            (Outcome::NoChanges { ticket: None, details }, Exit::NoChanges),
            (Outcome::Conflict { ticket: None, paths: vec![], total: 1, details }, Exit::Conflict),
            (Outcome::LostRace { ticket, hint: String::new(), details }, Exit::Conflict),
            (Outcome::Failed { ticket: None, reason: reason.clone(), details }, Exit::Unexpected),
            (Outcome::Cancelled { ticket, details }, Exit::Unexpected),
            (
                Outcome::Behind {
                    reason: reason.clone(),
                    standing: None,
                    earlier_op: None,
                    earlier: None,
                    details,
                },
                Exit::Conflict,
            ),
            (Outcome::Fenced { reason, standing: None, details }, Exit::Fenced),
            (Outcome::StillQueued { ticket, cause: None, details }, Exit::StillQueued),
        ] {
            assert_eq!(Exit::of_outcome(&outcome), exit);
        }
    }
}
