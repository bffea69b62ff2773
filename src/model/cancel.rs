//! Calling an op off.

use super::ids::Ticket;

/// What calling an op off did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// No such op is known.
    Unknown,
    /// The op is marked; its outcome will be `cancelled` unless a helper was faster.
    Marked(Ticket),
    /// The op was decided before.
    Decided(Ticket),
}
