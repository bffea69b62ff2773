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

impl Span {
    /// How many bytes it asks for.
    pub fn len(self) -> u64 {
        match self {
            Self::From { len, .. } | Self::Last(len) => len,
        }
    }

    /// Whether it asks for none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the span is all of an object of `size` bytes, or more.
    pub fn covers(self, size: u64) -> bool {
        match self {
            Self::From { offset, len } => offset == 0 && len >= size,
            Self::Last(len) => len >= size,
        }
    }

    /// Whether the span has nothing in common with an object of `size` bytes.
    pub fn misses(self, size: u64) -> bool {
        match self {
            Self::From { offset, len } => len == 0 || offset >= size,
            Self::Last(len) => len == 0 || size == 0,
        }
    }
}
