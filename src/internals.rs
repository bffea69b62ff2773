//! The rooms of the library, for the crates and tests of this repository: nothing in here carries any
//! promise, and any of it may change or go with the next version, however small.
//!
//! What a user of the library needs is at the crate root. The sidecar, the command and the tests live
//! in this repository and change together with the rooms; they name them through here, so that a look
//! at a `use` line tells what of the library they could not do without.

/// One module for each room, with all that the room shows to others.
macro_rules! rooms {
    ($($(#[$attribute:meta])* $room:ident,)*) => {
        $($(#[$attribute])* #[allow(missing_docs, reason = "the room has its own")]
        pub mod $room {
            pub use crate::$room::*;
        })*
    };
}

rooms! {
    clock,
    commit,
    coord,
    encryption,
    #[cfg(any(test, feature = "fuzzing"))]
    fuzzing,
    invariants,
    local,
    measures,
    model,
    objects,
    repo,
    tree,
}
