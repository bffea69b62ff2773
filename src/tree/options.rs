//! What a [`super::Tree`] may use of the machine.

/// Limits of caches and concurrency. Memory beyond them is what readers and writers hold: one
/// block and a read-ahead of at most 512 KiB per level, and 4 MiB per range being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeOptions {
    /// Decoded blocks kept, in bytes. Default: 64 MiB.
    pub block_cache_bytes: u64,
    /// Decoded indexes of range files kept, in bytes. Default: 32 MiB.
    pub index_cache_bytes: u64,
    /// Decoded lists of long runs kept, in bytes. Default: 64 MiB.
    pub list_cache_bytes: u64,
    /// Reads one call may have under way. Default: 16.
    pub reads_max: usize,
    /// Ranges one writer may have under way. Default: 3.
    pub writes_max: usize,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 64 * 1024 * 1024,
            index_cache_bytes: 32 * 1024 * 1024,
            list_cache_bytes: 64 * 1024 * 1024,
            reads_max: 16,
            writes_max: 3,
        }
    }
}
