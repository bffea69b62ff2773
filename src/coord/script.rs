//! Scripts by the hash of their text: old and new versions of the program use one Redis side by
//! side, and a server that lost its script cache is taught again on the spot.
//!
//! A rule that several scripts share stands in `lua/includes/` once. It is put in front of each of
//! them here, when the crate is built: Redis has no modules, and sees one text.

use std::sync::OnceLock;

/// One script of `lua/`.
#[derive(Debug)]
pub struct Script {
    /// Name of the file, for counters and messages.
    pub name: &'static str,
    /// Names of the files in `lua/includes/` that the text begins with, in order.
    pub includes: &'static [&'static str],
    /// The text: the includes, then the script.
    pub text: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    const fn new(
        name: &'static str,
        includes: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self { name, includes, text, sha: OnceLock::new() }
    }

    /// The SHA-1 that names the script to Redis.
    pub fn sha(&self) -> &str {
        self.sha.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $id:ident = $file:literal $(with $($include:literal)+)?;)*) => {
        $($(#[$doc])* pub static $id: Script = Script::new(
            $file,
            &[$($($include),+)?],
            concat!(
                $($(include_str!(concat!("../../lua/includes/", $include, ".lua")), "\n",)+)?
                include_str!(concat!("../../lua/", $file, ".lua"))
            ),
        );)*

        /// Every script, to be taught to a server at first contact.
        pub static ALL: &[&Script] = &[$(&$id),*];
    };
}

scripts! {
    /// Accepts ops into the queue.
    SUBMIT = "submit" with "clock" "head" "turn" "areas" "outcomes" "idle" "memory" "inbox";
    /// Looks at the head and the front of the queue.
    VIEW = "view" with "clock" "head" "turn" "front";
    /// Keeps the turn.
    EXTEND = "extend" with "clock" "head" "turn";
    /// Reads rows of producers.
    ROWS = "rows" with "head";
    /// Makes a decided batch visible.
    PUBLISH = "publish"
        with "clock" "head" "turn" "areas" "area_keys" "changes" "prune" "element" "front" "adopting"
        "outcomes" "idle" "inbox";
    /// Takes out of an area what newer ones have.
    PRUNE = "prune" with "head" "areas" "area_keys" "changes" "prune";
    /// Tells what became of ops.
    STATUS = "status" with "head" "outcomes";
    /// Marks a pending op as cancelled.
    CANCEL = "cancel" with "head" "element" "adopting";
    /// Writes staged changes.
    STAGE = "stage" with "head" "changes";
    /// Reads staged changes.
    STAGED = "staged" with "head";
    /// Takes staged changes back.
    UNSTAGE = "unstage" with "areas" "changes";
    /// Makes one area of two that were given back.
    UNITE = "unite" with "areas" "area_keys" "changes";
    /// Puts back which ops were decided.
    REMEMBER = "remember" with "head" "idle" "memory";
    /// Puts a branch into Redis as the log has it.
    RESTORE = "restore" with "turn" "outcomes" "idle";
    /// Replaces an unreadable queue element.
    MEND = "mend";
    /// Removes a branch's name.
    UNNAME = "unname";
    /// Puts offers onto a board.
    OFFER = "offer" with "clock";
    /// Tells what is offered on a board.
    OFFERS = "offers" with "clock";
}
