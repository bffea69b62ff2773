//! What a kind of rules is, and the object that keeps all rules of a kind.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::Result;
use crate::model::life::RepoLife;

/// A kind of rules.
pub(in crate::repo) trait Kind: Sized + 'static {
    /// A rule, as it is stored and shown.
    type Rule: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync;
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

/// The object: every rule of a kind.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<R> {
    rules: Vec<R>,
}

pub(crate) fn decode_rules<R: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<Vec<R>> {
    Ok(decode::<Stored<R>>(key, bytes)?.rules)
}

pub(crate) fn encode_rules<R: Serialize>(rules: Vec<R>) -> Result<Bytes> {
    encode(&Stored { rules })
}
