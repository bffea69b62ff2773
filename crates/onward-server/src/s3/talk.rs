//! What is known of a request while it is answered, for the parts of s3s's that are given no more than a
//! name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use crate::auth::Signing;

tokio::task_local! {
    /// The request that this task answers.
    pub static TALK: Arc<Talk>;
}

/// A request and who signs it.
pub struct Talk {
    /// The address that it comes from.
    pub from: Arc<str>,
    /// The key that it names.
    pub signing: Signing,
    is_asked: AtomicBool,
    is_verified: AtomicBool,
}

impl Talk {
    /// Of somebody at the address `from`, who says that he has this key.
    pub fn new(from: Arc<str>, signing: Signing) -> Self {
        Self {
            from,
            signing,
            is_asked: AtomicBool::new(false),
            is_verified: AtomicBool::new(false),
        }
    }

    /// The secret, for s3s to compare the signature with.
    pub fn secret(&self) -> &str {
        self.is_asked.store(true, Ordering::Relaxed);
        &self.signing.secret
    }

    /// Takes down that the signature was right.
    pub fn verify(&self) {
        self.is_verified.store(true, Ordering::Relaxed);
    }

    /// Whether it was, by how the request was answered; `None` where it was not compared, or was right and
    /// asks for what there is not.
    pub fn is_right(&self, answered: StatusCode) -> Option<bool> {
        if self.is_verified.load(Ordering::Relaxed) {
            return Some(true);
        }
        let is_wrong = self.is_asked.load(Ordering::Relaxed) && answered == StatusCode::FORBIDDEN;
        is_wrong.then_some(false)
    }
}
