//! What s3s asks of us: the secret that a request should be signed with, and whether its signer may do it.

use std::sync::Arc;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use super::error::told;
use super::talk::{TALK, Talk};
use crate::auth::{Caller, Role};
use crate::requests::Operation;

/// Secrets of the keys that requests name, found out before.
pub struct Secrets;

#[async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let talk = TALK.try_with(Arc::clone).ok();
        // Who signs was read once here, and once by s3s: it must be the same.
        let talk = talk.filter(|talk| talk.signing.key.id == access_key);
        let talk = talk.ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(SecretKey::from(talk.secret()))
    }
}

/// Roles of access keys.
pub struct Roles;

#[async_trait]
impl S3Access for Roles {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let talk: Arc<Talk> = TALK
            .try_with(Arc::clone)
            .ok()
            .filter(|_| cx.credentials().is_some())
            .ok_or_else(|| s3_error!(AccessDenied, "anonymous requests are not answered"))?;
        talk.verify();
        let operation = cx.s3_op().name().to_owned();
        let role = needed(&operation);
        if let Some(shown) = cx.extensions_mut().get::<Operation>() {
            shown.set(operation);
        }
        let caller = Caller { key: Arc::clone(&talk.signing.key) };
        caller.require(role).map_err(told)?;
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

/// The role that an operation needs. One that nobody knows here changes something.
fn needed(operation: &str) -> Role {
    let reads = ["Get", "Head", "List", "Select"].iter().any(|verb| operation.starts_with(verb));
    // Whose uploads there are is a matter of those who write.
    match reads && !matches!(operation, "ListParts" | "ListMultipartUploads") {
        true => Role::Read,
        false => Role::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_only_read_changes_nothing() {
        for name in ["GetObject", "HeadObject", "ListObjects", "ListObjectsV2", "ListBuckets"] {
            assert_eq!(needed(name), Role::Read, "{name}");
        }
        for name in ["PutObject", "DeleteObjects", "CopyObject", "ListParts", "Unheard"] {
            assert_eq!(needed(name), Role::Write, "{name}");
        }
    }
}
