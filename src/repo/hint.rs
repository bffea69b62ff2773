//! Hints: what a merge that lost a race had worked out, for a client that tries again itself.
//!
//! A hint is a text of up to about 30 KiB: `v1.`, the record, and an HMAC-SHA256 over it with a
//! secret of the repository. It holds for one destination branch and for one hour. A hint decides
//! nothing: a merge that is refused its hint can always be made without.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::commit::context::BranchContext;
use crate::commit::log::lake::Lake;
use crate::commit::op::merge::PreparedMerge;
use crate::model::codec::unpack;
use crate::model::error::{Error, Result};
use crate::model::ids::BranchUid;
use crate::model::name::RepoName;
use crate::objects::{Secret, layout};

/// How long a hint holds, by the clock of Redis.
const VALID_MS: i64 = 3_600_000;

/// The longest hint.
const LEN_MAX: usize = 64 * 1024;

const VERSION: u64 = 1;

/// What the codes of hints are set apart by.
pub(crate) const PURPOSE: &[u8] = b"onward hint\0";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) repo: RepoName,
    pub(crate) dest: BranchUid,
    pub(crate) expires_ms: i64,
    pub(crate) merge: PreparedMerge,
}

/// The hint for going on with `merge` into branch `dest`.
pub(super) async fn issue(context: &BranchContext, merge: PreparedMerge) -> Result<String> {
    let (lake, dest) = (&context.lake, context.uid);
    let expires_ms = context.redis.now_ms().await?.saturating_add(VALID_MS);
    let body = Body { repo: lake.repo().clone(), dest, expires_ms, merge };
    let body = rmp_serde::to_vec_named(&body)
        .map_err(|error| Error::internal("a hint cannot be encoded").with_source(error))?;
    Ok(seal(&body, &key(lake).await?))
}

/// What a hint says, if it is one of ours, for this branch, and in time.
pub(super) async fn redeem(context: &BranchContext, hint: &str) -> Result<PreparedMerge> {
    let parts = Parts::of(hint)?;
    let (lake, now_ms) = (&context.lake, context.redis.now_ms().await?);
    parts.open(&key(lake).await?, lake.repo(), context.uid, now_ms)
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("the hint is refused: {why}; merge without it, nothing is lost"))
}

/// A hint, taken apart.
pub(crate) struct Parts {
    pub(crate) body: Vec<u8>,
    code: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(hint: &str) -> Result<Self> {
        if hint.len() > LEN_MAX {
            return Err(refused("it is longer than any hint"));
        }
        let (version, rest) = hint.split_once('.').ok_or_else(|| refused("it is not a hint"))?;
        match version.strip_prefix('v').and_then(|number| number.parse().ok()) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                let newer = Error::newer("the hint", newer, VERSION);
                return Err(refused(newer.message()));
            }
            _ => return Err(refused("it is not a hint")),
        }
        let (body, code) = rest.split_once('.').ok_or_else(|| refused("it is not a hint"))?;
        let decode =
            |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| refused("it is not a hint"));
        Ok(Self { body: decode(body)?, code: decode(code)? })
    }

    /// What it says, if it was signed with `key` for this branch and holds at `now_ms`.
    pub(crate) fn open(
        &self,
        key: &Secret,
        repo: &RepoName,
        dest: BranchUid,
        now_ms: i64,
    ) -> Result<PreparedMerge> {
        if !key.verifies(&[&self.body], &self.code) {
            return Err(refused("this repository did not sign it"));
        }
        let body: Body = unpack(&self.body).map_err(|_| refused("this program cannot read it"))?;
        if body.repo != *repo || body.dest != dest {
            return Err(refused("it is for another branch"));
        }
        if body.expires_ms < now_ms {
            return Err(refused("it has expired"));
        }
        Ok(body.merge)
    }
}

/// The text of a hint.
pub(crate) fn seal(body: &[u8], key: &Secret) -> String {
    let code = key.sign(&[body]);
    format!("v{VERSION}.{}.{}", URL_SAFE_NO_PAD.encode(body), URL_SAFE_NO_PAD.encode(code))
}

/// The repository's secret.
async fn key(lake: &Lake) -> Result<Secret> {
    Secret::obtain(lake.objects(), &layout::hint_key(lake.life()), PURPOSE).await
}
