//! What a question to a branch is: who it is put to, and how its answer shows where the branch stands.

use crate::commit::context::BranchContext;
use crate::coord::HeadView;
use crate::coord::rows::ProducerRows;
use crate::coord::staging::{Stage, StagedPage};
use crate::coord::status::StatusReply;
use crate::coord::submit::SubmitReply;
use crate::coord::view::View;
use crate::model::cancel::Cancelled;
use crate::model::error::{Error, Result};

/// Whoever knows what a name of a branch stands for.
pub trait Name {
    /// The incarnation that the name stands for, as far as is known. Fails with
    /// [`crate::ErrorKind::NotFound`] where it stands for none.
    fn find(&self) -> impl Future<Output = Result<BranchContext>> + Send;

    /// The incarnation has ended: finishes its removal, so that the name is found anew.
    fn bury(&self, ended: &BranchContext) -> impl Future<Output = Result<()>> + Send;

    /// The incarnation is nowhere in the object store: its repository was deleted. Forgets that the
    /// name was thought to stand for it.
    fn forget(&self, gone: &BranchContext) -> impl Future<Output = Result<()>> + Send;

    /// The error of a name that stands for nothing.
    fn nowhere(&self) -> Error;
}

/// An answer, as far as it shows where the branch stands.
pub trait Shows {
    /// The head, where the answer is about it.
    fn head(&self) -> Option<&HeadView> {
        None
    }

    /// Whether it says that something was done. Asking again would do it again, or find it done; and
    /// what a Redis may lose right after it was done needs no proof that it was not lost right before.
    fn is_effect(&self) -> bool {
        false
    }
}

impl Shows for View {
    fn head(&self) -> Option<&HeadView> {
        Some(&self.head)
    }
}

impl Shows for StagedPage {
    fn head(&self) -> Option<&HeadView> {
        Some(&self.head)
    }
}

impl Shows for Stage {
    fn is_effect(&self) -> bool {
        *self == Self::Written
    }
}

impl Shows for (Stage, Option<HeadView>) {
    fn head(&self) -> Option<&HeadView> {
        // What was written is written; that there was nothing to write rests on the head.
        self.1.as_ref().filter(|_| self.0 == Stage::Needless)
    }

    fn is_effect(&self) -> bool {
        self.0.is_effect()
    }
}

#[doc(hidden)]
impl Shows for Cancelled {
    fn is_effect(&self) -> bool {
        matches!(self, Self::Marked(_))
    }
}

impl Shows for StatusReply {}
impl Shows for ProducerRows {}
impl Shows for SubmitReply {}
impl Shows for () {}
