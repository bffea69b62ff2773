//! The operations of the lakeFS API as the description tells them: which there are, and what each does. Their
//! parameters and shapes are lakeFS's, and are described there.

use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::{ContentBuilder, Object, Ref, Required, ResponseBuilder};

use super::ROOT;

/// The tag that all of them have.
pub const TAG: &str = "lakeFS";

/// What is said of a successful answer.
const DONE: &str = "Done, in the shape that lakeFS's clients expect";

use HttpMethod::{Delete, Get, Head, Post, Put};

/// An operation: its method, its path below the API's root, lakeFS's name of it, what it does.
type Operation = (HttpMethod, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const OPERATIONS: &[Operation] = &[
    (Get, "/healthcheck", "healthCheck", "Whether the sidecar lives"),
    (Get, "/setup_lakefs", "getSetupState", "That nothing is to be set up"),
    (Post, "/setup_lakefs", "setup", "Refused: access keys are made by the operator"),
    (Post, "/setup_comm_prefs", "setupCommPrefs", "Taken, and not looked at"),
    (Get, "/auth/capabilities", "getAuthCapabilities", "That there are no users to invite"),
    (Post, "/auth/login", "login", "A token for an access key and its secret, for an hour"),
    (Get, "/config", "getConfig", "Version and storage"),
    (Get, "/config/version", "getLakeFSVersion", "The version of lakeFS that clients compare with"),
    (Get, "/config/storage", "getStorageConfig", "Which storage there is, and what it can do"),
    (Get, "/user", "getCurrentUser", "Whose access key this is"),
    (Post, "/statistics", "postStatsEvents", "Taken and forgotten"),
    (Get, "/usage-report/summary", "getUsageReportSummary", "An empty report"),
    (Get, "/license", "getLicense", "Not offered: 501"),
    (Get, "/repositories", "listRepositories", "The repositories, page by page"),
    (Post, "/repositories", "createRepository", "Makes a repository with its default branch"),
    (Get, "/repositories/{repo}", "getRepository", "A repository"),
    (Delete, "/repositories/{repo}", "deleteRepository", "Removes a repository and all that is in it"),
    (Get, "/repositories/{repo}/metadata", "getRepositoryMetadata", "The key-value pairs of a repository"),
    (Post, "/repositories/{repo}/metadata", "setRepositoryMetadata", "Adds and replaces key-value pairs of a repository"),
    (Delete, "/repositories/{repo}/metadata", "deleteRepositoryMetadata", "Removes key-value pairs of a repository"),
    (Get, "/repositories/{repo}/settings/branch_protection", "getBranchProtectionRules", "The rules of protected branches"),
    (Put, "/repositories/{repo}/settings/branch_protection", "setBranchProtectionRules", "Sets the rules of protected branches"),
    (Get, "/repositories/{repo}/settings/gc_rules", "getGCRules", "Not offered: 501"),
    (Put, "/repositories/{repo}/settings/gc_rules", "setGCRules", "Not offered: 501"),
    (Delete, "/repositories/{repo}/settings/gc_rules", "deleteGCRules", "Not offered: 501"),
    (Get, "/repositories/{repo}/gc/rules/set_allowed", "setGarbageCollectionRulesPreflight", "Not offered: 501"),
    (Get, "/repositories/{repo}/branches", "listBranches", "The branches, page by page"),
    (Post, "/repositories/{repo}/branches", "createBranch", "Makes a branch at a ref"),
    (Get, "/repositories/{repo}/branches/{branch}", "getBranch", "A branch and the commit it is at"),
    (Delete, "/repositories/{repo}/branches/{branch}", "deleteBranch", "Ends a branch"),
    (Put, "/repositories/{repo}/branches/{branch}", "resetBranch", "Takes back what is staged: all, below a prefix, or of an object"),
    (Put, "/repositories/{repo}/branches/{branch}/hard_reset", "hardResetBranch", "Points a branch at another commit"),
    (Get, "/repositories/{repo}/branches/{branch}/diff", "diffBranch", "What is staged on a branch"),
    (Post, "/repositories/{repo}/branches/{branch}/revert", "revertBranch", "Takes the changes of a commit back, with a commit"),
    (Post, "/repositories/{repo}/branches/{branch}/cherry-pick", "cherryPick", "Repeats the changes of a commit on a branch"),
    (Post, "/repositories/{repo}/branches/{branch}/objects", "uploadObject", "Uploads an object and stages it"),
    (Put, "/repositories/{repo}/branches/{branch}/objects", "stageObject", "Stages an object that lies elsewhere"),
    (Delete, "/repositories/{repo}/branches/{branch}/objects", "deleteObject", "Stages the removal of an object"),
    (Post, "/repositories/{repo}/branches/{branch}/objects/delete", "deleteObjects", "Stages the removal of many objects"),
    (Post, "/repositories/{repo}/branches/{branch}/objects/copy", "copyObject", "Stages an object under another path, without copying its bytes"),
    (Put, "/repositories/{repo}/branches/{branch}/objects/stat/user_metadata", "updateObjectUserMetadata", "Replaces the user's metadata of an object"),
    (Get, "/repositories/{repo}/refs/{ref}/objects", "getObject", "The bytes of an object, or a part of them"),
    (Head, "/repositories/{repo}/refs/{ref}/objects", "headObject", "What getObject would answer, without the bytes"),
    (Get, "/repositories/{repo}/refs/{ref}/objects/stat", "statObject", "What a path names"),
    (Get, "/repositories/{repo}/refs/{ref}/objects/ls", "listObjects", "The paths of a ref, page by page, as folders where a delimiter is given"),
    (Get, "/repositories/{repo}/branches/{branch}/staging/backing", "getPhysicalAddress", "An address to upload to"),
    (Put, "/repositories/{repo}/branches/{branch}/staging/backing", "linkPhysicalAddress", "Stages what was uploaded to such an address"),
    (Post, "/repositories/{repo}/branches/{branch}/commits", "commit", "Commits what is staged"),
    (Get, "/repositories/{repo}/commits/{ref}", "getCommit", "A commit"),
    (Get, "/repositories/{repo}/refs/{ref}/commits", "logCommits", "The commits that lead to a ref, page by page"),
    (Get, "/repositories/{repo}/refs/{left}/diff/{right}", "diffRefs", "What differs between two refs, or since they parted"),
    (Post, "/repositories/{repo}/refs/{source}/merge/{dest}", "mergeIntoBranch", "Merges a ref into a branch"),
    (Get, "/repositories/{repo}/refs/{source}/merge/{dest}", "findMergeBase", "Where two refs have parted"),
    (Get, "/repositories/{repo}/tags", "listTags", "The tags, page by page"),
    (Post, "/repositories/{repo}/tags", "createTag", "Makes a tag at a ref"),
    (Get, "/repositories/{repo}/tags/{tag}", "getTag", "A tag and its commit"),
    (Delete, "/repositories/{repo}/tags/{tag}", "deleteTag", "Removes a tag"),
    (Post, "/repositories/{repo}/branches/{branch}/import", "importStart", "Begins an import of folders and objects that lie elsewhere, in one commit"),
    (Get, "/repositories/{repo}/branches/{branch}/import", "importStatus", "How far an import is"),
    (Delete, "/repositories/{repo}/branches/{branch}/import", "importCancel", "Calls an import off"),
    (Put, "/repositories/{repo}/refs/dump", "dumpRefs", "Writes all refs down in one object"),
    (Put, "/repositories/{repo}/refs/restore", "restoreRefs", "Makes refs of a dump again that are missing"),
    (Post, "/repositories/{repo}/dump", "dumpSubmit", "Begins a dump"),
    (Get, "/repositories/{repo}/dump", "dumpStatus", "How far a dump is"),
    (Post, "/repositories/{repo}/restore", "restoreSubmit", "Begins a restore"),
    (Get, "/repositories/{repo}/restore", "restoreStatus", "How far a restore is"),
];

/// The paths, each with one operation; a path comes once for each.
pub fn paths() -> impl Iterator<Item = (String, PathItem)> {
    OPERATIONS.iter().map(|(method, path, name, what)| {
        let refused = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let refused = ResponseBuilder::new()
            .description("Refused, or not possible now")
            .content("application/json", refused);
        let operation = OperationBuilder::new()
            .tag(TAG)
            .operation_id(Some(*name))
            .summary(Some(*what))
            .parameters(Some(placeholders(path).map(|name| {
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .schema(Some(Object::with_type(utoipa::openapi::Type::String)))
                    .build()
            })))
            .response("2XX", ResponseBuilder::new().description(DONE).build())
            .response("default", refused.build());
        (format!("{ROOT}{path}"), PathItem::new(method.clone(), operation))
    })
}

/// The names in braces of a path.
fn placeholders(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}
