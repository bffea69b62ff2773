//! What a cursor has at hand: records in memory, whichever form they came in.

use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::inline::InlineRun;

/// The records at hand: a whole inline run or one block.
pub(crate) enum Page {
    Inline(Arc<InlineRun>),
    Block(Arc<Block>),
    None,
}

impl Page {
    pub(crate) fn path(&self, at: usize) -> Option<&str> {
        match self {
            Self::Inline(run) => run.records().get(at).map(|record| record.path.as_str()),
            Self::Block(block) => block.path(at),
            Self::None => None,
        }
    }

    pub(crate) fn op(&self, at: usize) -> Option<u16> {
        match self {
            Self::Inline(run) => run.records().get(at).map(|record| record.op),
            Self::Block(block) => block.op(at),
            Self::None => None,
        }
    }

    /// Index of the first record behind all records of the path at `at`.
    pub(crate) fn next_path(&self, at: usize) -> usize {
        let mut next = at + 1;
        match self {
            Self::Inline(run) => {
                let path = run.records().get(at).map(|record| &record.path);
                while run.records().get(next).is_some_and(|record| Some(&record.path) == path) {
                    next += 1;
                }
            }
            Self::Block(block) => {
                while block.same_path(next) {
                    next += 1;
                }
            }
            Self::None => {}
        }
        next
    }

    pub(crate) fn lower_bound(&self, bound: &[u8]) -> usize {
        match self {
            Self::Inline(run) => {
                run.records().partition_point(|record| record.path.as_str().as_bytes() < bound)
            }
            Self::Block(block) => block.lower_bound_path(bound),
            Self::None => 0,
        }
    }

    pub(crate) fn value(&self, at: usize) -> Option<&[u8]> {
        match self {
            Self::Inline(run) => run.records().get(at).map(|record| &*record.value),
            Self::Block(block) => block.value(at),
            Self::None => None,
        }
    }

    pub(crate) fn shared_value(&self, at: usize) -> Option<Bytes> {
        match self {
            Self::Inline(run) => run.records().get(at).map(|record| record.value.clone()),
            Self::Block(block) => block.shared_value(at),
            Self::None => None,
        }
    }
}
