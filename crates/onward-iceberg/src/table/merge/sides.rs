//! A table as the three commits of a merge have it.

use crate::table::Metadata;

/// A table in a merge.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// As both sides began.
    pub base: &'a Metadata,
    /// As what is merged has it.
    pub source: &'a Metadata,
    /// As the branch has it that is merged into.
    pub dest: &'a Metadata,
}
