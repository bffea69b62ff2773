//! The one error type of the crate: a kind that says what the caller should do, a message that
//! says what happened, and the cause underneath.
//!
//! A lost race and a conflict are *values* ([`crate::Outcome`]), not errors: an error is something
//! the caller did not cause by competing.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The longest text of a stranger that a message repeats, in bytes.
const QUOTE_MAX: usize = 1024;

/// The beginning of a text that somebody else chose: what is said of it must not be as long as it
/// may be.
pub fn short(text: &str) -> Cow<'_, str> {
    if text.len() <= QUOTE_MAX {
        return text.into();
    }
    let beginning = (0..=QUOTE_MAX).rev().find_map(|end| text.get(..end));
    format!("{}…", beginning.unwrap_or_default()).into()
}

/// The beginning of such a text with everything escaped that is no plain character.
pub fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(100).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", shown.escape_debug())
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a rule; the message names the rule. Correct it and call again.
    InvalidInput,
    /// A repository, branch, ref, path or object is not there.
    NotFound,
    /// A name is taken or a stated condition does not hold. Read again and decide.
    Conflict,
    /// A rule of the repository forbids it; the message names the rule. Do it another way, or ask
    /// for the rule to be changed.
    Forbidden,
    /// Redis or the object store did not answer, or refused. Nothing is known to be lost.
    Unavailable,
    /// A stated limit is reached; nothing was accepted. Come back after the given time.
    Overloaded {
        /// How long to wait before the next attempt, computed from the measured rate.
        retry_after: Duration,
    },
    /// As many staged commits as may have sealed what they take and were not decided; nothing was
    /// accepted, and what is staged stays staged. Come back after the given time.
    TooManySealed {
        /// How long to wait before the next attempt, computed from the measured rate.
        retry_after: Duration,
    },
    /// A producer with a newer epoch took over, or this sequence was decided before.
    Fenced,
    /// The op id stands for another request, which was accepted before; nothing of this one was.
    /// Submit it under an id of its own.
    OpIdReused,
    /// Stored bytes are damaged or missing.
    Corrupt,
    /// Stored bytes, or a waiting op, are of a newer program. Nothing is wrong with them, and this
    /// program leaves them as they are: use a newer one.
    NewerVersion,
    /// An invariant of this program does not hold: a bug. Please report it with the message.
    Internal,
}

impl ErrorKind {
    /// How long to wait before the next attempt, where a limit is reached that waiting helps with.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } | Self::TooManySealed { retry_after } => {
                Some(retry_after)
            }
            _ => None,
        }
    }
}

/// An error of Onward. See [`ErrorKind`] for what to do about it.
pub struct Error {
    kind: ErrorKind,
    message: String,
    outage: bool,
    refused: bool,
    lasting: bool,
    known_as: Option<&'static str>,
    at_the_prompt: Option<Box<str>>,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind` with a `message` for people: what was tried, what happened, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            outage: false,
            refused: false,
            lasting: false,
            known_as: None,
            at_the_prompt: None,
            source: None,
        }
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Shorthand for [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Shorthand for [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Shorthand for [`ErrorKind::NewerVersion`]: `what` has `version`, and `known` is the newest
    /// that this program reads.
    pub fn newer(what: impl fmt::Display, version: u64, known: u64) -> Self {
        let message = format!(
            "{what} has version {version}, this program reads {known}: use a newer program"
        );
        Self::new(ErrorKind::NewerVersion, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Says that something could not be reached, or was not ready: see [`Error::is_outage`].
    #[must_use]
    pub fn outage(mut self) -> Self {
        self.outage = true;
        self
    }

    /// Says that the call was refused before it did anything: see [`Error::is_refused`].
    #[must_use]
    pub(crate) fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Says that the call comes to nothing until somebody changes something: see [`Error::lasts`].
    #[must_use]
    pub(crate) fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The same error where an earlier try of the call may have been carried out.
    #[must_use]
    pub(crate) fn in_doubt(mut self) -> Self {
        self.refused = false;
        self
    }

    /// Says by which words users of lakeFS know it: their scripts compare them.
    #[must_use]
    #[doc(hidden)]
    pub fn known_as(mut self, words: &'static str) -> Self {
        self.known_as = Some(words);
        self
    }

    /// Adds what to do, by a command that whoever calls over HTTP does not have.
    #[must_use]
    #[doc(hidden)]
    pub fn at_the_prompt(mut self, way_out: impl Into<String>) -> Self {
        self.at_the_prompt = Some(way_out.into().into());
        self
    }

    /// The error as callers over HTTP are told: the words that they know it by, what happened and its
    /// cause, without commands.
    #[doc(hidden)]
    pub fn for_callers(&self) -> String {
        let told = self.with_cause(self.message.clone());
        match self.known_as {
            Some(words) => format!("{words}: {told}"),
            None => told,
        }
    }

    fn with_cause(&self, told: String) -> String {
        match &self.source {
            Some(source) => format!("{told}: {}", short(&source.to_string())),
            None => told,
        }
    }

    /// Attaches the underlying cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Puts `context` in front of the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same error once more, for another who asked the same thing. The cause becomes part of
    /// the message.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.with_cause(self.message.clone()),
            outage: self.outage,
            refused: self.refused,
            lasting: self.lasting,
            known_as: self.known_as,
            at_the_prompt: self.at_the_prompt.clone(),
            source: None,
        }
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without commands that help and without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Unavailable || self.kind.retry_after().is_some()
    }

    /// Whether Redis could not be reached or was not ready, rather than that it refused: the same
    /// call succeeds when that is over, which a failover brings about by itself.
    pub fn is_outage(&self) -> bool {
        self.outage
    }

    /// Whether the call, and every try of it, was refused before it did anything: nothing is in doubt.
    #[doc(hidden)]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether Redis is set up so that it refuses the call, for as long as nobody changes that.
    pub(crate) fn lasts(&self) -> bool {
        self.lasting
    }

    /// Whether it says that stored bytes are missing or damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self.kind, ErrorKind::Corrupt | ErrorKind::NotFound)
    }

    /// Whether it says something about what was asked for or is stored, rather than about reaching
    /// it: it comes again however often the call is repeated.
    pub fn is_permanent(&self) -> bool {
        self.is_damage() || self.kind == ErrorKind::InvalidInput
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = match &self.at_the_prompt {
            Some(way_out) => format!("{}: {way_out}", self.message),
            None => self.message.clone(),
        };
        f.write_str(&self.with_cause(told))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn StdError + 'static))
    }
}
