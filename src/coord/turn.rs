//! Whose turn it is to run a round: advice against doing work twice, never a lock.

use super::call::ScriptCall;

/// Who asks for the turn, and for how long.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Id of the process.
    pub helper: String,
    /// How long a turn lasts unless extended, in milliseconds.
    pub length_ms: u64,
}

impl Turn {
    /// The arguments with which every script that knows the turn begins: by the clock of the
    /// server, as those of processes differ.
    pub(super) fn put_into(&self, call: &mut ScriptCall) {
        call.bytes(b"-").bytes(&self.helper).number(self.length_ms);
    }
}
