//! Who encrypts: the one place that chooses an implementation of cryptography for connections, to Redis
//! and to object stores.
//!
//! *ring*, because it builds with any C compiler and in seconds, where `aws-lc` takes as long as half of
//! the dependencies together.

/// Whether this build can encrypt at all.
pub const CAN_ENCRYPT: bool =
    cfg!(any(feature = "aws", feature = "gcp", feature = "azure", feature = "tls"));

/// Sees to it that this process has an implementation, where this build can encrypt at all: the one that
/// the program has chosen before, or else ours. Without one, making a client panics.
pub fn ready() {
    // Whoever came first has chosen, which is no error.
    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure", feature = "tls"))]
    let _ = rustls::crypto::ring::default_provider().install_default();
}
