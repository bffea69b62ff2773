//! A commit: who changed the branch, why, from what, to what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::{put_bytes, put_i64, put_u64};
use super::error::{Error, Result};
use super::ids::{BranchUid, CommitId, MetarangeId, OpId, Ticket, first_16};

/// A commit as the log keeps it. Its id is the hash of this and the address of its place in the
/// log, see [`Commit::id`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The op that made it.
    pub op_id: OpId,
    /// Parents, first parent first; none for the first commit of a repository.
    pub parents: Vec<CommitId>,
    /// One more than the largest generation of its parents; 1 without parents.
    pub generation: u64,
    /// Who asked for it.
    pub committer: String,
    /// The message of the commit: why it was made.
    pub message: String,
    /// When it was submitted, in milliseconds since the Unix epoch, by the submitter's clock.
    pub created_ms: i64,
    /// The user's own key-value pairs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The content of the whole branch after it.
    pub metarange: MetarangeId,
}

impl Commit {
    /// The 128-bit hash of everything the commit says.
    pub fn content_hash(&self) -> [u8; 16] {
        let mut bytes = Vec::with_capacity(256);
        put_bytes(&mut bytes, self.op_id.to_string().as_bytes());
        put_u64(&mut bytes, self.parents.len() as u64);
        for parent in &self.parents {
            bytes.extend_from_slice(parent.as_bytes());
        }
        put_u64(&mut bytes, self.generation);
        put_bytes(&mut bytes, self.committer.as_bytes());
        put_bytes(&mut bytes, self.message.as_bytes());
        put_i64(&mut bytes, self.created_ms);
        put_u64(&mut bytes, self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            put_bytes(&mut bytes, key.as_bytes());
            put_bytes(&mut bytes, value.as_bytes());
        }
        bytes.extend_from_slice(&self.metarange.0);
        let mut hasher = blake3::Hasher::new_derive_key("onward 2026 commit");
        hasher.update(&bytes);
        first_16(&hasher.finalize())
    }

    /// The id of this commit at index `index` of the batch that starts at `first` in the log of
    /// branch `uid`.
    pub fn id(&self, uid: BranchUid, first: Ticket, index: u16) -> Result<CommitId> {
        CommitId::new(self.content_hash(), uid, first, index)
    }

    /// Checks that `id` is the id of this commit: what was read is what was written.
    pub fn verify(&self, id: &CommitId) -> Result<()> {
        if self.content_hash() == id.hash() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("commit {id} does not have the content its id stands for")))
        }
    }
}
