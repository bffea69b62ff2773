//! Buckets: which there are, and what clients ask of them before they begin.

use std::time::{Duration, UNIX_EPOCH};

use http::Extensions;
use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketAclOutput, GetBucketLocationOutput, GetObjectAclOutput, Grant,
    Grantee, HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Owner, Permission, Timestamp,
    Type,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::error::{told, told_bucket};
use super::gateway::Gateway;
use super::unoffered::refuse_unoffered;
use crate::auth::{Caller, Role};
use crate::lakefs::DEFAULT_BRANCH;
use onward::internals::repo::{NamesRequest, RepoInfo};
use onward::{BranchName, ErrorKind};

/// Buckets of one answer, at most, as in S3.
const BUCKETS_MAX: usize = 10_000;

/// Who owns everything here.
const OWNER: &str = "onward";

/// The one owner that there is.
pub fn owner() -> Owner {
    Owner { display_name: Some(OWNER.to_owned()), id: Some(OWNER.to_owned()) }
}

fn grants() -> Vec<Grant> {
    let grantee = Grantee {
        display_name: Some(OWNER.to_owned()),
        email_address: None,
        id: Some(OWNER.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    vec![Grant { grantee: Some(grantee), permission }]
}

/// Those whose names begin with a prefix, page by page where a client asks for pages.
pub async fn list(
    gateway: &Gateway,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let amount = match input.max_buckets {
        None => BUCKETS_MAX,
        Some(max) => usize::try_from(max)
            .ok()
            .filter(|max| (1..=BUCKETS_MAX).contains(max))
            .ok_or_else(|| s3_error!(InvalidArgument, "max-buckets is 1 to {BUCKETS_MAX}"))?,
    };
    let asked = NamesRequest {
        prefix: input.prefix.clone().unwrap_or_default(),
        after: input.continuation_token.unwrap_or_default(),
        amount,
    };
    let page = gateway.app.onward.repos_page(&asked, "").await.map_err(told)?;
    let next = page.items.last().filter(|_| page.has_more).map(|info| info.name.to_string());
    let bucket = |info: RepoInfo| Bucket {
        creation_date: u64::try_from(info.created_ms)
            .ok()
            .map(|ms| Timestamp::from(UNIX_EPOCH + Duration::from_millis(ms))),
        name: Some(info.name.to_string()),
        ..Bucket::default()
    };
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(page.items.into_iter().map(bucket).collect()),
        continuation_token: next,
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}

/// Fails where there is no such bucket.
pub async fn require(gateway: &Gateway, bucket: &str) -> S3Result<()> {
    gateway.app.onward.repo(bucket).show().await.map(drop).map_err(told_bucket)
}

pub async fn head(gateway: &Gateway, bucket: &str) -> S3Result<S3Response<HeadBucketOutput>> {
    require(gateway, bucket).await?;
    Ok(S3Response::new(HeadBucketOutput::default()))
}

/// No region is what S3 says of its first one, and what signs here may have any.
pub async fn location(
    gateway: &Gateway,
    bucket: &str,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    require(gateway, bucket).await?;
    let location_constraint = Some(BucketLocationConstraint::from(String::new()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

pub async fn acl(gateway: &Gateway, bucket: &str) -> S3Result<S3Response<GetBucketAclOutput>> {
    require(gateway, bucket).await?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(grants()), owner: Some(owner()) }))
}

/// The same as of its bucket.
pub fn object_acl() -> GetObjectAclOutput {
    GetObjectAclOutput { grants: Some(grants()), owner: Some(owner()), ..Default::default() }
}

/// Makes a repository with the branch `main`, for who may. Clients ask for one before they write, whether it is
/// there or not: who may write is told that it is.
pub async fn create(
    gateway: &Gateway,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let S3Request { input, headers, extensions, .. } = request;
    let there = || s3_error!(BucketAlreadyOwnedByYou, "the repository is there");
    match require(gateway, &input.bucket).await {
        Ok(()) => return Err(there()),
        Err(error) if *error.code() == S3ErrorCode::NoSuchBucket => {}
        Err(error) => return Err(error),
    }
    admin(&extensions)?;
    refuse_unoffered(&headers)?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(s3_error!(NotImplemented, "objects are not locked here: protect the branch"));
    }
    let main = BranchName::new(DEFAULT_BRANCH).map_err(told)?;
    match gateway.app.onward.repo(input.bucket.as_str()).create(&main).await {
        Ok(_) => {
            Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
        }
        Err(error) if error.kind() == ErrorKind::Conflict => Err(there()),
        Err(error) => Err(told(error)),
    }
}

/// Never deletes one: what was ever committed is still in it, and somebody may be writing.
pub async fn delete(
    gateway: &Gateway,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let bucket = &request.input.bucket;
    admin(&request.extensions)?;
    require(gateway, bucket).await?;
    Err(s3_error!(
        BucketNotEmpty,
        "a repository has its history when its objects are deleted, and is not deleted over S3: `onward repo delete {bucket}`"
    ))
}

/// Repositories are made and ended by administrators.
fn admin(extensions: &Extensions) -> S3Result<()> {
    let caller = extensions.get::<Caller>().ok_or_else(|| s3_error!(AccessDenied))?;
    caller.require(Role::Admin).map_err(told)
}
