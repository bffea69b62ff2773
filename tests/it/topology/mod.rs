//! Several Redis servers behind one URL: primaries that are killed, cut off and replaced while
//! writers commit. Every acknowledged commit is in the log once, nothing is decided twice, every
//! op gets its outcome and the queues empty themselves.

mod cluster;
mod outage;
mod own_connections;
mod sentinel;
#[cfg(feature = "tls")]
mod tls;
