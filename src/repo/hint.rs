//! Hints: what a merge that lost a race had worked out, for a client that tries again itself.
//!
//! A hint is a text of up to about 30 KiB: `v1.`, the record, and an HMAC-SHA256 over it with a
//! secret of the repository. It holds for one destination branch and for one hour. A hint decides
//! nothing: a merge that is refused its hint can always be made without.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock;
use crate::commit::lake::Lake;
use crate::commit::op::PreparedMerge;
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::RepoName;
use crate::objects::{Created, layout};

/// How long a hint holds.
const VALID_MS: i64 = 3_600_000;

/// The longest hint.
const LEN_MAX: usize = 64 * 1024;

const PREFIX: &str = "v1.";

/// The length of the secret and of the code, in bytes.
const KEY_LEN: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    repo: RepoName,
    dest: BranchUid,
    expires_ms: i64,
    merge: PreparedMerge,
}

/// The hint for going on with `merge` into branch `dest`.
pub(super) async fn issue(lake: &Lake, dest: BranchUid, merge: PreparedMerge) -> Result<String> {
    let expires_ms = clock::now_ms().saturating_add(VALID_MS);
    let body = Body { repo: lake.repo().clone(), dest, expires_ms, merge };
    let body = rmp_serde::to_vec_named(&body)
        .map_err(|error| Error::internal("a hint cannot be encoded").with_source(error))?;
    let code = mac(&key(lake).await?, &body)?.finalize().into_bytes();
    Ok(format!("{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(body), URL_SAFE_NO_PAD.encode(code)))
}

/// What a hint says, if it is one of ours, for this branch, and in time.
pub(super) async fn redeem(lake: &Lake, dest: BranchUid, hint: &str) -> Result<PreparedMerge> {
    let refused = |why: &str| {
        Error::invalid(format!("the hint is refused: {why}; merge without it, nothing is lost"))
    };
    if hint.len() > LEN_MAX {
        return Err(refused("it is longer than any hint"));
    }
    let parts = hint.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
    let (body, code) = parts.ok_or_else(|| refused("it is not a hint"))?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| refused("it is not a hint"));
    let (body, code) = (decode(body)?, decode(code)?);
    mac(&key(lake).await?, &body)?
        .verify_slice(&code)
        .map_err(|_| refused("this repository did not sign it"))?;
    let body: Body =
        rmp_serde::from_slice(&body).map_err(|_| refused("this program cannot read it"))?;
    if body.repo != *lake.repo() || body.dest != dest {
        return Err(refused("it is for another branch"));
    }
    if body.expires_ms < clock::now_ms() {
        return Err(refused("it has expired"));
    }
    Ok(body.merge)
}

fn mac(key: &[u8], body: &[u8]) -> Result<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| Error::internal("the key of hints is not usable").with_source(error))?;
    Ok(mac.chain_update(b"onward hint\0").chain_update(body))
}

/// The repository's secret; made when it is first asked for.
async fn key(lake: &Lake) -> Result<Vec<u8>> {
    let key = layout::hint_key(lake.repo());
    let found = match lake.objects().get(&key).await? {
        Some(found) => found,
        None => {
            let fresh = bytes::Bytes::copy_from_slice(&clock::random_bytes::<KEY_LEN>());
            match lake.objects().create(&key, fresh.clone()).await? {
                Created::Written => fresh,
                Created::Found(theirs) => theirs,
            }
        }
    };
    if found.len() != KEY_LEN {
        return Err(Error::corrupt(format!(
            "object '{key}' is damaged: delete it; hints that are out become invalid, nothing else does"
        )));
    }
    Ok(found.to_vec())
}
