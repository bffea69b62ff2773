//! A part of a file.

/// Which bytes of a file to read. What lies behind its end is left out of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// `len` bytes from `offset` on.
    From {
        /// The first byte, counted from the start of the file.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// The last bytes of the file, at most this many: the whole file if it is shorter.
    Last(u64),
}
