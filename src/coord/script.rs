//! Scripts by the hash of their text: old and new versions of the program use one Redis side by
//! side, and a server that lost its script cache is taught again on the spot.

use std::sync::OnceLock;

/// One script of `lua/`.
#[derive(Debug)]
pub struct Script {
    /// Name of the file, for counters and messages.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, sha: OnceLock::new() }
    }

    /// The SHA-1 that names the script to Redis.
    pub fn sha(&self) -> &str {
        self.sha.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $id:ident = $file:literal;)*) => {
        $($(#[$doc])* pub static $id: Script =
            Script::new($file, include_str!(concat!("../../lua/", $file, ".lua")));)*

        /// Every script, to be taught to a server at first contact.
        pub static ALL: &[&Script] = &[$(&$id),*];
    };
}

scripts! {
    /// Accepts ops.
    SUBMIT = "submit";
    /// Looks at the head and the front of the queue.
    VIEW = "view";
    /// Keeps the turn.
    EXTEND = "extend";
    /// Reads rows of producers.
    ROWS = "rows";
    /// Makes a decided batch visible.
    PUBLISH = "publish";
    /// Tells what became of ops.
    STATUS = "status";
    /// Marks a pending op as cancelled.
    CANCEL = "cancel";
    /// Writes staged changes.
    STAGE = "stage";
    /// Reads staged changes.
    STAGED = "staged";
    /// Takes staged changes back.
    UNSTAGE = "unstage";
    /// Puts a branch into Redis as the log has it.
    RESTORE = "restore";
    /// Replaces an unreadable queue element.
    MEND = "mend";
    /// Removes a branch's name.
    UNNAME = "unname";
}
