//! What a kind of rules is, and the object that keeps all rules of a kind.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode_up_to, encode_as};
use crate::model::error::Result;
use crate::model::life::RepoLife;

/// A kind of rules.
pub(in crate::repo) trait Kind: Sized + 'static {
    /// A rule, as it is stored and shown.
    type Rule: Stored + Clone + PartialEq + DeserializeOwned + Send + Sync;
    /// All of them, as they are applied.
    type Ready: Send + Sync;
    /// What they are, in words.
    const WHAT: &'static str;

    /// The object that keeps them.
    fn key(life: &RepoLife) -> String;
    /// Fails where a rule that is to be made is not valid.
    fn check(rule: &Self::Rule) -> Result<()>;
    /// Makes them ready to be applied.
    fn ready(rules: Vec<Self::Rule>) -> Result<Self::Ready>;
}

/// A rule as it is stored: which version of the record it takes.
pub(crate) trait Stored: Serialize {
    /// The newest version that this program reads.
    const NEWEST: u8 = 1;

    /// The first version that has all that this rule says.
    fn version(&self) -> u8 {
        1
    }
}

/// The object: every rule of a kind.
#[derive(Debug, Serialize, Deserialize)]
struct All<R> {
    rules: Vec<R>,
}

pub(crate) fn decode_rules<R: Stored + DeserializeOwned>(
    key: &str,
    bytes: &[u8],
) -> Result<Vec<R>> {
    Ok(decode_up_to::<All<R>>(R::NEWEST, key, bytes)?.rules)
}

pub(crate) fn encode_rules<R: Stored>(rules: Vec<R>) -> Result<Bytes> {
    let version = rules.iter().map(Stored::version).max().unwrap_or(1);
    encode_as(version, &All { rules })
}
