//! Who encrypts: the one place that chooses an implementation of cryptography for connections, to Redis
//! and to object stores.
//!
//! *ring*, because it builds with any C compiler and in seconds, where `aws-lc` takes as long as half of
//! the dependencies together.

/// Sees to it that this process has an implementation: the one that the program has chosen before, or
/// else ours.
pub fn ready() {
    // Whoever came first has chosen, which is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
