//! The shapes of the lakeFS API (OpenAPI of lakeFS 1.6x): what its clients send and expect.
//!
//! Required fields are never null. Unknown fields are refused: a field that this program does not
//! know may ask for something that must not be left out in silence. Known ones that say nothing here
//! (`force`, which overrides read-only repositories in lakeFS) are taken and not looked at.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use onward::internals::repo::history::CommitInfo;
use onward::{Entry, ObjectPath};

/// The most results of a page.
pub const PAGE_MAX: usize = 1000;

/// How many results a page has unless the client says.
const PAGE_DEFAULT: usize = 100;

/// Where a list goes on.
#[derive(Debug, Serialize)]
pub struct Pagination {
    pub has_more: bool,
    pub next_offset: String,
    pub results: usize,
    pub max_per_page: usize,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct List<T> {
    pub pagination: Pagination,
    pub results: Vec<T>,
}

impl<T> List<T> {
    /// A page; `next` is where the list goes on, if it does.
    pub fn new(results: Vec<T>, next: Option<String>) -> Self {
        let pagination = Pagination {
            has_more: next.is_some(),
            next_offset: next.unwrap_or_default(),
            results: results.len(),
            max_per_page: PAGE_MAX,
        };
        Self { pagination, results }
    }
}

/// How many results are wanted: `-1` and nothing mean the default, 0 one too, as in lakeFS.
pub fn amount(asked: Option<i64>) -> usize {
    match asked {
        Some(asked) if asked > 0 => usize::try_from(asked).unwrap_or(PAGE_MAX).min(PAGE_MAX),
        _ => PAGE_DEFAULT,
    }
}

/// The query of a plain list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    pub prefix: String,
    pub after: String,
    pub amount: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryCreation {
    pub name: String,
    /// Every repository of a deployment lies in its storage, so this is not used; clients have to
    /// send it.
    #[serde(default, rename = "storage_namespace")]
    _storage_namespace: IgnoredAny,
    #[serde(default, rename = "storage_id")]
    _storage_id: IgnoredAny,
    #[serde(default)]
    pub default_branch: String,
    #[serde(default)]
    pub sample_data: bool,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Debug, Serialize)]
pub struct Repository {
    pub id: String,
    pub creation_date: i64,
    pub default_branch: String,
    pub storage_namespace: String,
    pub storage_id: String,
    pub read_only: bool,
}

/// A branch or a tag, and its commit.
#[derive(Debug, Serialize)]
pub struct Ref {
    pub id: String,
    pub commit_id: String,
    /// Why its commit is not told: not in lakeFS, and only where there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchCreation {
    pub name: String,
    pub source: String,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
    #[serde(default)]
    pub hidden: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagCreation {
    pub id: String,
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetCreation {
    #[serde(rename = "type")]
    pub what: ResetType,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetType {
    Object,
    CommonPrefix,
    Reset,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitCreation {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Seconds since the Unix epoch.
    #[serde(default)]
    pub date: Option<i64>,
    #[serde(default)]
    pub allow_empty: bool,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

/// What a revert or cherry-pick may say otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitOverrides {
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevertCreation {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default)]
    pub parent_number: i64,
    #[serde(default)]
    pub commit_overrides: Option<CommitOverrides>,
    #[serde(default)]
    pub allow_empty: bool,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CherryPickCreation {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default)]
    pub parent_number: Option<i64>,
    #[serde(default)]
    pub commit_overrides: Option<CommitOverrides>,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Merge {
    pub message: Option<String>,
    pub metadata: Option<BTreeMap<String, String>>,
    pub strategy: Option<String>,
    pub force: bool,
    pub allow_empty: bool,
    pub squash_merge: bool,
}

/// An id in as many hex digits as lakeFS's have, which some clients count on.
pub fn digits(id: impl std::fmt::Display) -> String {
    format!("{:0<64}", id.to_string())
}

#[derive(Debug, Serialize)]
pub struct Commit {
    pub id: String,
    pub parents: Vec<String>,
    pub committer: String,
    pub message: String,
    pub creation_date: i64,
    pub meta_range_id: String,
    pub metadata: BTreeMap<String, String>,
    pub generation: u64,
    pub version: u8,
}

impl From<CommitInfo> for Commit {
    fn from(info: CommitInfo) -> Self {
        let CommitInfo { id, commit, .. } = info;
        Self {
            id: id.to_string(),
            parents: commit.parents.iter().map(ToString::to_string).collect(),
            committer: commit.committer,
            message: commit.message,
            creation_date: commit.created_ms.div_euclid(1000),
            meta_range_id: digits(commit.metarange),
            metadata: commit.metadata,
            generation: commit.generation,
            version: 1,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ObjectStats {
    pub path: String,
    pub path_type: &'static str,
    pub physical_address: String,
    pub checksum: String,
    pub mtime: i64,
    pub size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_address_expiry: Option<i64>,
}

/// The content type of an object that was stored without one.
pub const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

impl ObjectStats {
    /// An object, with the user's key-value pairs if they are wanted.
    pub fn object(path: &ObjectPath, entry: Entry, with_metadata: bool) -> Self {
        Self {
            path: path.to_string(),
            path_type: "object",
            physical_address: entry.address,
            checksum: entry.checksum,
            mtime: entry.mtime,
            size_bytes: entry.size,
            metadata: with_metadata.then_some(entry.metadata),
            content_type: Some(entry.content_type.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into())),
            physical_address_expiry: None,
        }
    }

    /// All paths that begin with this.
    pub fn common_prefix(prefix: String) -> Self {
        Self {
            path: prefix,
            path_type: "common_prefix",
            physical_address: String::new(),
            checksum: String::new(),
            mtime: 0,
            size_bytes: 0,
            metadata: None,
            content_type: None,
            physical_address_expiry: None,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Diff {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub path: String,
    pub path_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<RightStats>,
}

/// What the right side of a diff has.
#[derive(Debug, Serialize)]
pub struct RightStats {
    pub checksum: String,
    pub mtime: i64,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathList {
    pub paths: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct ObjectError {
    pub status_code: u16,
    pub message: String,
    pub path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectCopyCreation {
    pub src_path: String,
    #[serde(default)]
    pub src_ref: Option<String>,
    #[serde(default, rename = "shallow")]
    _shallow: IgnoredAny,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateUserMetadata {
    pub set: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagingLocation {
    #[serde(default)]
    pub physical_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presigned_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presigned_url_expiry: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagingMetadata {
    pub staging: StagingLocation,
    pub checksum: String,
    pub size_bytes: u64,
    #[serde(default)]
    pub user_metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default)]
    pub mtime: Option<i64>,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

/// An object that is staged by its address: lakeFS's internal operation, for importers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStageCreation {
    pub physical_address: String,
    pub checksum: String,
    pub size_bytes: u64,
    #[serde(default)]
    pub mtime: Option<i64>,
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchProtectionRule {
    pub pattern: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportCreation {
    pub paths: Vec<ImportLocation>,
    pub commit: CommitCreation,
    #[serde(default, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportLocation {
    #[serde(rename = "type")]
    pub kind: ImportType,
    pub path: String,
    #[serde(default)]
    pub destination: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportType {
    CommonPrefix,
    Object,
}

/// A dump of refs. lakeFS has three parts; here one object has them all, and each names it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefsDump {
    pub commits_meta_range_id: String,
    pub tags_meta_range_id: String,
    pub branches_meta_range_id: String,
    #[serde(default, skip_serializing, rename = "force")]
    _force: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginInformation {
    pub access_key_id: String,
    pub secret_access_key: String,
}
