//! DELETE, of one object or of many.

use std::collections::BTreeMap;

use http::Extensions;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error as Failed, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::gateway::Gateway;
use super::names::{Named, named};
use super::putting::{check_folder, write_conditions};
use super::versions::required;
use super::written::Pen;
use onward::Change;

/// Keys of one request, at most, as in S3.
const KEYS_MAX: usize = 1000;

/// Deletes one object. One that is not there is deleted.
pub async fn delete(
    gateway: &Gateway,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let S3Request { input, headers, extensions, .. } = request;
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "an object is deleted on conditions by If-Match alone"
        ));
    }
    let named = named(&gateway.app, &input.bucket, &input.key)?;
    let branch = named.branch().await?;
    let conditions = write_conditions(&headers)?;
    match &named.path {
        Some(path) => {
            Pen::new(&branch, &extensions).change(path, Change::Delete, &conditions).await?;
        }
        // The folder of a branch goes with the branch.
        None => check_folder(&named, &conditions)?,
    }
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

/// Deletes what can be deleted, and tells of the rest key by key.
pub async fn delete_many(
    gateway: &Gateway,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let S3Request { input, extensions, .. } = request;
    let objects = input.delete.objects;
    if objects.len() > KEYS_MAX {
        return Err(s3_error!(MalformedXML, "a request deletes {KEYS_MAX} keys at most"));
    }
    super::buckets::require(gateway, &input.bucket).await?;
    let mut answer = Answer { quiet: input.delete.quiet == Some(true), ..Answer::default() };
    let mut by_ref: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    for object in objects {
        match checked(gateway, &input.bucket, &object) {
            Ok(named) => by_ref.entry(named.reference.clone()).or_default().push(named),
            Err(error) => answer.failed(object.key, &error),
        }
    }
    for (_, named) in by_ref {
        delete_all(named, &extensions, &mut answer).await;
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(answer.deleted),
        errors: Some(answer.errors),
        ..DeleteObjectsOutput::default()
    }))
}

fn checked(gateway: &Gateway, bucket: &str, object: &ObjectIdentifier) -> S3Result<Named> {
    if object.e_tag.is_some() || object.size.is_some() || object.last_modified_time.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "of many objects none is deleted on conditions: delete it alone, with If-Match"
        ));
    }
    required(object.version_id.as_deref())?;
    named(&gateway.app, bucket, &object.key)
}

/// Deletes what is named at one ref, in as few calls as that takes.
async fn delete_all(all: Vec<Named>, extensions: &Extensions, answer: &mut Answer) {
    let paths = all.iter().filter_map(|named| named.path.clone()).collect();
    let Some(first) = all.first() else { return };
    let failures = match first.branch().await {
        Ok(branch) => Pen::new(&branch, extensions).delete_all(paths).await,
        Err(error) => Err(error),
    };
    for named in &all {
        let failed = match (&failures, &named.path) {
            (Err(error), _) => Some(error),
            (Ok(failures), Some(path)) => {
                failures.iter().find(|(paths, _)| paths.contains(path)).map(|(_, error)| error)
            }
            (Ok(_), None) => None,
        };
        match failed {
            None => answer.deleted(named.key()),
            Some(error) => answer.failed(named.key(), error),
        }
    }
}

#[derive(Default)]
struct Answer {
    quiet: bool,
    deleted: Vec<DeletedObject>,
    errors: Vec<Failed>,
}

impl Answer {
    fn deleted(&mut self, key: String) {
        if !self.quiet {
            self.deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() });
        }
    }

    fn failed(&mut self, key: String, error: &S3Error) {
        self.errors.push(Failed {
            code: Some(error.code().as_str().to_owned()),
            message: error.message().map(str::to_owned),
            key: Some(key),
            version_id: None,
        });
    }
}
