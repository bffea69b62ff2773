//! What a failed call means: the object is absent, the name is taken, or the store failed; and
//! whether a failure is an outage, which is worth waiting for, or a refusal, which is not.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use super::backend;
use crate::model::error::Error;

/// Why a store refuses: trying again does not help until somebody changes something. An error
/// without a refusal ([`refusal`]) is an outage and may pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The storage can be read but not written.
    ReadOnly,
    /// The credentials or file permissions do not allow it.
    Denied,
    /// No space or no quota is left.
    Full,
    /// The bucket or the root directory is not there, or is another one than when it was opened.
    Gone,
    /// The store lacks something that Onward needs, put-if-absent above all.
    Unsupported,
    /// Of several writers that create one object the store lets more than one through.
    Forks,
    /// The store does not understand the request: it is another kind of store, or is spoken to in
    /// another way than it is set up for.
    Misunderstood,
}

impl Refusal {
    fn what_to_do(self) -> &'static str {
        match self {
            Self::ReadOnly => {
                "the storage is read-only; make it writable, or name another with --storage"
            }
            Self::Denied => {
                "permission is denied; check the credentials and the rights of this user"
            }
            Self::Full => "no space is left on the storage; free some or enlarge it",
            Self::Gone => {
                "the bucket or directory is not there; create or mount it, or correct --storage"
            }
            Self::Unsupported => {
                "the storage does not offer what Onward needs (reads, writes, put-if-absent, listing, deleting \
                 several objects in one request); use another"
            }
            Self::Forks => {
                "the storage lets several writers create one object, so that a branch could get two histories; \
                 use another"
            }
            Self::Misunderstood => {
                "the storage refuses the request as it is, and would again: check the endpoint, the region, the \
                 bucket's name and its rules, and whether it is this kind of store; the answer says more"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what_to_do())
    }
}

/// Why the store refused, if `error` comes from a refusal of the object store; `None` for an
/// outage and for every other error.
pub fn refusal(error: &Error) -> Option<Refusal> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(failure) = current.downcast_ref::<Failure>() {
            return failure.refusal;
        }
        cause = current.source();
    }
    None
}

/// The cause under an [`Error`] of the store: the backend's own error and its meaning.
#[derive(Debug)]
struct Failure {
    refusal: Option<Refusal>,
    source: Option<backend::Error>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.refusal) {
            // The backend repeats its causes in its own text, so the chain ends here.
            (Some(source), _) => f.write_str(one_line(&source.to_string()).as_str()),
            (None, Some(refusal)) => refusal.fmt(f),
            (None, None) => f.write_str("no answer"),
        }
    }
}

impl StdError for Failure {}

/// Bodies of HTTP errors are XML over many lines; people get the beginning of it.
fn one_line(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 500;
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN_CHARS_MAX).collect()
}

/// What one call was about, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) verb: &'static str,
    pub(super) key: &'a str,
    pub(super) url: &'a str,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} '{}' in {}", self.verb, self.key, self.url)
    }
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The object is not there.
    Absent,
    /// The object is there already.
    Taken,
    /// The store failed or refused.
    Failed(Error),
}

impl Trouble {
    /// For calls to which absent and taken are no answers.
    pub(super) fn into_error(self, call: Call<'_>) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Absent => refused(call, Refusal::Gone),
            Self::Taken => Error::unavailable(format!("{call}: somebody writes it now; try again")),
        }
    }
}

/// Reads the meaning of a backend's error.
pub(super) fn classify(call: Call<'_>, error: backend::Error) -> Trouble {
    use backend::Error as E;
    let refusal = match &error {
        E::NotFound { .. } if !names_missing_bucket(&error) => return Trouble::Absent,
        E::AlreadyExists { .. } | E::Precondition { .. } => return Trouble::Taken,
        E::NotFound { .. } => Some(Refusal::Gone),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => Some(Refusal::Denied),
        E::NotSupported { .. } | E::NotImplemented { .. } => Some(Refusal::Unsupported),
        other => io_refusal(other).or_else(|| text_refusal(other)),
    };
    let message = match refusal {
        Some(refusal) => format!("{call}: {refusal}"),
        None => format!("{call}: the storage does not answer as it should; it is safe to retry"),
    };
    let failure = Failure { refusal, source: Some(error) };
    Trouble::Failed(Error::unavailable(message).with_source(failure))
}

/// The error of a refusal found by Onward itself.
pub(super) fn refused(call: Call<'_>, refusal: Refusal) -> Error {
    let failure = Failure { refusal: Some(refusal), source: None };
    Error::unavailable(call.to_string()).with_source(failure)
}

/// The error of such a refusal that begins with what was found.
pub(super) fn refused_as(call: Call<'_>, refusal: Refusal, found: &str) -> Error {
    refused(call, refusal).context(found)
}

/// The error of an I/O call that Onward made itself (opening a local root).
pub(super) fn io_failed(call: Call<'_>, error: io::Error) -> Error {
    let source = backend::Error::Generic { store: "LocalFileSystem", source: Box::new(error) };
    classify(call, source).into_error(call)
}

/// The error of a call that took longer than its deadline. Whether it took effect is unknown.
pub(super) fn late(call: Call<'_>, deadline: Duration) -> Error {
    Error::unavailable(format!(
        "{call}: no answer within {} s; check that the storage is reachable, then retry",
        deadline.as_secs_f32()
    ))
}

/// A 404 about the bucket must never look like an absent object: an empty store and a wrong one
/// are not the same.
fn names_missing_bucket(error: &backend::Error) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "specified bucket does not exist"]
        .iter()
        .any(|mark| text.contains(mark))
}

fn io_refusal(error: &backend::Error) -> Option<Refusal> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => return Some(Refusal::Full),
                io::ErrorKind::ReadOnlyFilesystem => return Some(Refusal::ReadOnly),
                io::ErrorKind::PermissionDenied => return Some(Refusal::Denied),
                io::ErrorKind::NotADirectory => return Some(Refusal::Gone),
                io::ErrorKind::Unsupported => return Some(Refusal::Unsupported),
                _ => {}
            }
        }
        cause = current.source();
    }
    None
}

/// Some refusals are told in the text only: listings carry no status, and stores with a full disk
/// answer a 5xx.
fn text_refusal(error: &backend::Error) -> Option<Refusal> {
    if names_missing_bucket(error) {
        return Some(Refusal::Gone);
    }
    let text = error.to_string();
    let has = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    if has(&["507 Insufficient Storage", "StorageFull", "QuotaExceeded"]) {
        return Some(Refusal::Full);
    }
    // S3 says this of a connection that was too slow, with status 400.
    if has(&["<Code>RequestTimeout</Code>", "<Code>IncompleteBody</Code>"]) {
        return None;
    }
    match status(&text)? {
        401 | 403 => Some(Refusal::Denied),
        405 | 501 => Some(Refusal::Unsupported),
        // Theirs to come again: too early, too late, too many.
        408 | 423 | 425 | 429 => None,
        400..=499 | 505 => Some(Refusal::Misunderstood),
        _ => None,
    }
}

/// The status of an HTTP answer that an error tells of, which the client underneath gives in its text
/// alone: `400 Bad Request`, in front of the body.
fn status(text: &str) -> Option<u16> {
    let (_, told) = text.split_once("status code: ")?;
    let digits = told.get(..3)?;
    let ends = told.get(3..).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    digits.parse().ok().filter(|status| ends && (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const CALL: Call<'static> = Call { verb: "write", key: "a", url: "memory://" };

    fn generic(source: io::Error) -> backend::Error {
        backend::Error::Generic { store: "test", source: Box::new(source) }
    }

    #[test]
    fn a_full_disk_is_a_refusal_and_says_so() {
        let full = generic(io::Error::from_raw_os_error(28));
        let error = classify(CALL, full).into_error(CALL);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(refusal(&error), Some(Refusal::Full));
        assert!(error.message().contains("no space"), "{error}");
        assert_eq!(refusal(&error.context("cannot commit")), Some(Refusal::Full));
    }

    #[test]
    fn an_outage_is_not_a_refusal() {
        let reset = generic(io::Error::from(io::ErrorKind::ConnectionReset));
        let error = classify(CALL, reset).into_error(CALL);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(refusal(&error), None);
        assert_eq!(refusal(&late(CALL, Duration::from_secs(1))), None);
        assert_eq!(refusal(&Error::conflict("x")), None);
    }

    #[test]
    fn what_a_status_says_is_a_refusal_or_an_outage() {
        let answered = |status: &str| {
            let text = format!(
                "Error performing PUT http://h/b/k in 1.2s - Server returned non-2xx status code: {status}: <Error/>"
            );
            generic(io::Error::other(text))
        };
        let cases = [
            ("400 Bad Request", Some(Refusal::Misunderstood)),
            ("411 Length Required", Some(Refusal::Misunderstood)),
            ("401 Unauthorized", Some(Refusal::Denied)),
            ("403 Forbidden", Some(Refusal::Denied)),
            ("405 Method Not Allowed", Some(Refusal::Unsupported)),
            ("501 Not Implemented", Some(Refusal::Unsupported)),
            ("507 Insufficient Storage", Some(Refusal::Full)),
            ("408 Request Timeout", None),
            ("429 Too Many Requests", None),
            ("500 Internal Server Error", None),
            ("503 Service Unavailable", None),
            ("400 Bad Request: <Code>RequestTimeout</Code>", None),
        ];
        for (status, meaning) in cases {
            let error = classify(CALL, answered(status)).into_error(CALL);
            assert_eq!(refusal(&error), meaning, "{status}");
            assert_eq!(error.message().contains("safe to retry"), meaning.is_none(), "{error}");
        }
    }

    #[test]
    fn a_missing_bucket_is_not_an_absent_object() {
        let not_found = |text: &str| backend::Error::NotFound {
            path: "a".into(),
            source: text.to_owned().into(),
        };
        assert!(matches!(classify(CALL, not_found("NoSuchKey")), Trouble::Absent));
        let error = classify(CALL, not_found("<Code>NoSuchBucket</Code>")).into_error(CALL);
        assert_eq!(refusal(&error), Some(Refusal::Gone));
    }
}
