//! The right to one more connection that waits in a server.

use std::any::Any;

/// Whatever gives a permit back to its pool when it is dropped.
pub type Permit = Box<dyn Any + Send + Sync>;
