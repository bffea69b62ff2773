//! Why a request of the catalog is not carried out: a kind that has a name in the REST specification, and a message
//! that says what to do.

use std::fmt;
use std::time::Duration;

use onward::ErrorKind;

use crate::table::{Failed, Invalid};

/// Results of the catalog.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// What a client is to make of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong by itself.
    BadRequest,
    /// The repository or the ref that the warehouse names is not there.
    NoSuchWarehouse,
    /// A namespace is not there.
    NoSuchNamespace,
    /// A table is not there.
    NoSuchTable,
    /// A view is not there.
    NoSuchView,
    /// A file that a request names is not there.
    NotFound,
    /// A name is taken.
    AlreadyExists,
    /// A namespace has something in it.
    NamespaceNotEmpty,
    /// The request asks for two things that cannot both be.
    Unprocessable,
    /// A rule, or the kind of the ref, forbids it.
    Forbidden,
    /// A check of the branch refuses this commit. It may accept another one.
    Refused,
    /// What was asserted does not hold: the commit is not and never will be made.
    CommitFailed,
    /// Nobody can say now whether the commit was made.
    CommitStateUnknown,
    /// It was not done, for now: the same request may be sent again.
    Unavailable,
    /// Nothing that this catalog offers.
    Unsupported,
    /// What is asked for is more than is taken in one piece.
    TooLarge,
    /// Something stored is damaged, or a fault of ours.
    Internal,
}

/// Why a request is not carried out.
#[derive(Debug, Clone)]
pub struct CatalogError {
    /// What a client is to make of it.
    pub kind: Kind,
    /// What happened and what to do, for people.
    pub message: String,
    /// How long to wait before the same request is sent again, where that helps.
    pub retry_after: Option<Duration>,
}

/// How long to wait where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl CatalogError {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let retry_after = (kind == Kind::Unavailable).then_some(RETRY_AFTER);
        Self { kind, message: message.into(), retry_after }
    }

    /// Shorthand for [`Kind::BadRequest`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// Shorthand for [`Kind::CommitFailed`].
    pub fn commit_failed(message: impl Into<String>) -> Self {
        Self::new(Kind::CommitFailed, message)
    }

    /// Puts `context` in front of the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// An error of the library, for who asked for something of a branch and for no table.
    pub fn of_branch(self) -> onward::Error {
        match self.kind {
            Kind::Unavailable | Kind::CommitFailed => onward::Error::unavailable(self.message),
            Kind::BadRequest => onward::Error::invalid(self.message),
            _ => onward::Error::internal(self.message),
        }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CatalogError {}

impl From<onward::Error> for CatalogError {
    /// What a call of the library is told that reads, or that did nothing: a commit whose outcome is unknown is not
    /// told so.
    fn from(error: onward::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput => Kind::BadRequest,
            ErrorKind::NotFound => Kind::NoSuchWarehouse,
            ErrorKind::Conflict | ErrorKind::Fenced | ErrorKind::OpIdReused => Kind::CommitFailed,
            ErrorKind::Forbidden if error.is_refused() => Kind::Refused,
            ErrorKind::Forbidden => Kind::Forbidden,
            ErrorKind::Unavailable
            | ErrorKind::Overloaded { .. }
            | ErrorKind::TooManySealed { .. } => Kind::Unavailable,
            _ => Kind::Internal,
        };
        let own = Self::new(kind, error.for_callers());
        Self { retry_after: error.kind().retry_after().or(own.retry_after), ..own }
    }
}

impl From<Invalid> for CatalogError {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.message())
    }
}

impl From<Failed> for CatalogError {
    fn from(failed: Failed) -> Self {
        Self::commit_failed(failed.message())
    }
}
