//! What buckets and keys name: a repository, a ref in it, and a path at that.

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::error::{told, told_of};
use crate::state::App;
use onward::internals::model::error::quoted;
use onward::internals::model::name::BranchName;
use onward::internals::repo::{Branch, Repository};
use onward::{ErrorKind, ObjectPath, RefExpr};

/// What stands between a ref and a path.
pub const SLASH: char = '/';

/// A key of a bucket.
pub struct Named {
    /// The name of the bucket.
    pub bucket: String,
    /// The repository that it is.
    pub repo: Repository,
    /// The first part of the key.
    pub reference: String,
    /// What follows: none for the ref itself, as clients write it that know folders (`main/`).
    pub path: Option<ObjectPath>,
}

/// What `BUCKET/KEY` names.
pub fn named(app: &App, bucket: &str, key: &str) -> S3Result<Named> {
    let Some((reference, path)) = key.split_once(SLASH) else {
        return Err(no_key(format!(
            "there is no '{}' in bucket '{bucket}': a key begins with a branch, a tag or a commit, and a slash",
            quoted(key)
        )));
    };
    let path = match path {
        "" => None,
        path => Some(ObjectPath::new(path).map_err(told)?),
    };
    Ok(Named {
        bucket: bucket.to_owned(),
        repo: app.onward.repo(bucket),
        reference: reference.to_owned(),
        path,
    })
}

/// 404: there is no such key.
pub fn no_key(message: String) -> S3Error {
    S3Error::with_message(S3ErrorCode::NoSuchKey, message)
}

impl Named {
    /// The key, as it was sent.
    pub fn key(&self) -> String {
        let path = self.path.as_ref().map(ObjectPath::as_str).unwrap_or_default();
        format!("{}{SLASH}{path}", self.reference)
    }

    /// The ref that is read.
    pub fn reference(&self) -> S3Result<RefExpr> {
        // A text that cannot be a ref names nothing.
        self.reference.parse().map_err(|error: onward::Error| no_key(error.for_callers()))
    }

    /// The path, where the key has one.
    pub fn path(&self) -> S3Result<&ObjectPath> {
        self.path.as_ref().ok_or_else(|| {
            s3_error!(InvalidArgument, "the key names a ref and no object: write REF/PATH")
        })
    }

    /// The branch that is written to. Fails with `MethodNotAllowed` where the ref is something else.
    pub async fn branch(&self) -> S3Result<Branch> {
        let read_only = || {
            S3Error::with_message(
                S3ErrorCode::MethodNotAllowed,
                format!(
                    "'{}' is not a branch: tags, commits and the committed head of a branch are read only",
                    quoted(&self.reference)
                ),
            )
        };
        let branch = self.repo.branch(self.reference.as_str());
        let missing = match BranchName::new(self.reference.as_str()) {
            Ok(_) => match branch.show().await {
                Ok(_) => return Ok(branch),
                Err(error) if error.kind() == ErrorKind::NotFound => error,
                Err(error) => return Err(told(error)),
            },
            Err(error) => error,
        };
        let Ok(reference) = self.reference.parse() else { return Err(told(missing)) };
        match self.repo.commit_of(&reference).await {
            Ok(_) => Err(read_only()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(told_of(&self.repo, missing).await)
            }
            Err(error) => Err(told(error)),
        }
    }
}
