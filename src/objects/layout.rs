//! Where everything lies in the object store: keys from names and back. Pure.
//!
//! ```text
//! <repo>/repo                                        the repository; created if absent, and replaced by
//!                                                    what says that it has ended
//! <repo>/lives/<number, 10 digits>/…                 its second life, and those after it: all the same
//! <repo>/branches/<name>/<incarnation, 10 digits>    one life of a branch; created if absent
//! <repo>/branches/<name>/<incarnation>.deleted       the mark that this life is over
//! <repo>/tags/<name, escaped>                        a tag; created if absent
//! <repo>/protection                                  rules of protected branches; overwritten
//! <repo>/write-policy                                rules of how objects are written; overwritten
//! <repo>/sinks                                       where events go; overwritten
//! <repo>/sink-progress/<id>-<uid>                    how far a sink has come; created if absent, and replaced
//!                                                    as it was read
//! <repo>/log/<uid>/<first ticket, 20 digits>         one decided batch; created if absent
//! <repo>/checkpoints/<uid>                           hint to a recent log entry; overwritten
//! <repo>/ranges/<id, first 2>/<id>                   a range, named by content
//! <repo>/runs/<id>                                   a run, named by content
//! <repo>/hint-key                                    what signs hints; created if absent
//! <repo>/data/<id, first 2>/<id>                     an object uploaded through Onward
//! <repo>/uploads/<id>/upload                         an upload in parts that is under way; created if absent
//! <repo>/uploads/<id>/<number, 5 digits>             a part of it: which object has its bytes; overwritten
//! <repo>/uploads-ended/<id>                          how it ended; created if absent, and replaced by what
//!                                                    says that its object has had its name
//! <repo>/metadata                                    the user's key-value pairs; overwritten
//! <repo>/refs/<id>                                   a dump of all refs; created if absent
//! _onward/keys/<access key id>                       an access key; overwritten
//! _onward/storage                                    what was found of this storage; overwritten
//! _onward/token-key                                  what signs logins and upload addresses; created if absent
//! _onward/seal-key                                   what secrets of access keys are sealed with; created if absent
//! _iceberg/<repo>/…                                  files of Iceberg tables: not this room's, and left alone
//! ```
//!
//! Numbers have leading zeros so that the order of keys is the order of numbers.

use crate::model::ids::{BranchUid, RangeId, RunId, Ticket};
use crate::model::life::{LIVES, RepoLife, parse_number};
use crate::model::name::{BranchName, RepoName, TagName};

use super::spelling::{escape, fanned, padded, parse_fanned, segments, unescape};

/// The folder that holds the later lives of a repository, by number.
pub fn lives_dir(repo: &RepoName) -> String {
    format!("{repo}/{LIVES}")
}

/// The number of a life, from the name of its folder in [`lives_dir`].
pub fn parse_life_number(folder: &str) -> Option<u32> {
    parse_number(folder)
}

/// The record of a life of a repository.
pub fn repo(repo: &RepoLife) -> String {
    format!("{repo}/repo")
}

/// The secret that signs the hints of a repository.
pub fn hint_key(repo: &RepoLife) -> String {
    format!("{repo}/hint-key")
}

/// The folder of a life of a repository: everything it has lies below. Later lives lie in that of the
/// first, see [`lives_dir`].
pub fn repo_dir(repo: &RepoLife) -> String {
    repo.to_string()
}

/// The folder with one folder for each name that a branch ever had.
pub fn branches_dir(repo: &RepoLife) -> String {
    format!("{repo}/branches")
}

/// The folder of all lives of the branch `name`.
pub fn branch_dir(repo: &RepoLife, name: &BranchName) -> String {
    format!("{repo}/branches/{name}")
}

/// The record of one life of a branch; the first incarnation is 1.
pub fn branch(repo: &RepoLife, name: &BranchName, incarnation: u32) -> String {
    format!("{repo}/branches/{name}/{incarnation:010}")
}

/// The mark that this life of the branch is over.
pub fn branch_deleted(repo: &RepoLife, name: &BranchName, incarnation: u32) -> String {
    format!("{}.deleted", branch(repo, name, incarnation))
}

/// A key below [`branches_dir`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchKey {
    /// The name of the branch.
    pub name: BranchName,
    /// Which of its lives, from 1.
    pub incarnation: u32,
    /// Whether the key is the mark that this life is over.
    pub deleted: bool,
}

/// Reads a key made by [`branch`] or [`branch_deleted`].
pub fn parse_branch(key: &str) -> Option<BranchKey> {
    let ["branches", name, life] = inside(key)? else {
        return None;
    };
    let (number, deleted) = match life.strip_suffix(".deleted") {
        Some(number) => (number, true),
        None => (life, false),
    };
    let incarnation = u32::try_from(padded(number, 10)?).ok()?;
    Some(BranchKey { name: BranchName::new(name).ok()?, incarnation, deleted })
}

/// The folder of the tags.
pub fn tags_dir(repo: &RepoLife) -> String {
    format!("{repo}/tags")
}

/// The record of a tag.
pub fn tag(repo: &RepoLife, name: &TagName) -> String {
    format!("{repo}/tags/{}", escape(name.as_str()))
}

/// Reads a key made by [`tag`].
pub fn parse_tag(key: &str) -> Option<TagName> {
    let (_, rest) = RepoLife::split(key)?;
    TagName::new(unescape(rest.strip_prefix("tags/")?)?).ok()
}

/// The rules of protected branches.
pub fn protection(repo: &RepoLife) -> String {
    format!("{repo}/protection")
}

/// The rules of how objects are written.
pub fn write_policy(repo: &RepoLife) -> String {
    format!("{repo}/write-policy")
}

/// The sinks: where events of the repository go.
pub fn sinks(repo: &RepoLife) -> String {
    format!("{repo}/sinks")
}

/// How far a sink has come, by a name that no other sink has, not one of the same id either.
pub fn sink_progress(repo: &RepoLife, name: &str) -> String {
    format!("{repo}/sink-progress/{name}")
}

/// The folder of the logs, with one folder for each branch uid.
pub fn logs_dir(repo: &RepoLife) -> String {
    format!("{repo}/log")
}

/// The log of one life of a branch.
pub fn log_dir(repo: &RepoLife, uid: BranchUid) -> String {
    format!("{repo}/log/{uid}")
}

/// The log entry of the batch whose first op has ticket `first`.
pub fn log_entry(repo: &RepoLife, uid: BranchUid, first: Ticket) -> String {
    format!("{repo}/log/{uid}/{:020}", first.0)
}

/// Reads a key made by [`log_entry`].
pub fn parse_log_entry(key: &str) -> Option<(BranchUid, Ticket)> {
    let ["log", uid, first] = inside(key)? else {
        return None;
    };
    Some((uid.parse().ok()?, Ticket(padded(first, 20)?)))
}

/// The hint that names a recent log entry of a branch.
pub fn checkpoint(repo: &RepoLife, uid: BranchUid) -> String {
    format!("{repo}/checkpoints/{uid}")
}

/// The folder of the checkpoints.
pub fn checkpoints_dir(repo: &RepoLife) -> String {
    format!("{repo}/checkpoints")
}

/// Reads a key made by [`checkpoint`].
pub fn parse_checkpoint(key: &str) -> Option<BranchUid> {
    let ["checkpoints", uid] = inside(key)? else {
        return None;
    };
    uid.parse().ok()
}

/// The folder of the ranges.
pub fn ranges_dir(repo: &RepoLife) -> String {
    format!("{repo}/ranges")
}

/// The key of a range.
pub fn range(repo: &RepoLife, id: RangeId) -> String {
    format!("{repo}/ranges/{}", fanned(&id.to_string()))
}

/// Reads a key made by [`range`].
pub fn parse_range(key: &str) -> Option<RangeId> {
    parse_fanned(RepoLife::split(key)?.1, "ranges")
}

/// The folder of the runs.
pub fn runs_dir(repo: &RepoLife) -> String {
    format!("{repo}/runs")
}

/// The key of a run.
pub fn run(repo: &RepoLife, id: RunId) -> String {
    format!("{repo}/runs/{id}")
}

/// Reads a key made by [`run`].
pub fn parse_run(key: &str) -> Option<RunId> {
    let ["runs", id] = inside(key)? else {
        return None;
    };
    id.parse().ok()
}

/// The folder of the uploaded objects.
pub fn data_dir(repo: &RepoLife) -> String {
    format!("{repo}/data")
}

/// An uploaded object, under an id drawn for it.
pub fn data(repo: &RepoLife, id: u128) -> String {
    format!("{repo}/data/{}", fanned(&format!("{id:032x}")))
}

/// Reads a key made by [`data`].
pub fn parse_data(key: &str) -> Option<u128> {
    // A range id has the same form: 32 lower-case hex digits behind their first two.
    parse_fanned::<RangeId>(RepoLife::split(key)?.1, "data").map(|id| u128::from_be_bytes(id.0))
}

/// The folder of uploads in parts: nothing in it names what has to stay.
pub fn uploads_dir(repo: &RepoLife) -> String {
    format!("{repo}/uploads")
}

/// The folder of one upload in parts, under an id drawn for it.
pub fn upload_dir(repo: &RepoLife, id: u128) -> String {
    format!("{repo}/uploads/{id:032x}")
}

/// The record of an upload in parts that is under way.
pub fn upload(repo: &RepoLife, id: u128) -> String {
    format!("{}/upload", upload_dir(repo, id))
}

/// The record of a part of an upload.
pub fn upload_part(repo: &RepoLife, id: u128, number: u16) -> String {
    format!("{}/{number:05}", upload_dir(repo, id))
}

/// The folder of how uploads in parts ended, apart from those under way, which are listed.
pub fn uploads_ended_dir(repo: &RepoLife) -> String {
    format!("{repo}/uploads-ended")
}

/// How an upload in parts ended.
pub fn upload_done(repo: &RepoLife, id: u128) -> String {
    format!("{}/{id:032x}", uploads_ended_dir(repo))
}

/// The number of the part that a key made by [`upload_part`] is the record of.
pub fn parse_upload_part(key: &str) -> Option<u16> {
    let ["uploads", _, number] = inside(key)? else {
        return None;
    };
    u16::try_from(padded(number, 5)?).ok()
}

/// The user's key-value pairs of a repository.
pub fn metadata(repo: &RepoLife) -> String {
    format!("{repo}/metadata")
}

/// A dump of all refs, under an id drawn for it.
pub fn refs_dump(repo: &RepoLife, id: u128) -> String {
    format!("{repo}/refs/{id:032x}")
}

/// What signs logins and the addresses of uploads.
pub const TOKEN_KEY: &str = "_onward/token-key";

/// What secrets of access keys are sealed with.
pub const SEAL_KEY: &str = "_onward/seal-key";

/// What was found of this storage when it was tried.
pub const STORAGE_VERDICT: &str = "_onward/storage";

/// The folder of what nobody but the deployment's own programs may read.
pub const PRIVATE_DIR: &str = "_onward";

/// The folder of the access keys.
pub fn access_keys_dir() -> String {
    "_onward/keys".to_owned()
}

/// An access key. Its id must be one that [`parse_access_key`] reads.
pub fn access_key(id: &str) -> String {
    format!("_onward/keys/{id}")
}

/// The id of an access key, from a key made by [`access_key`].
pub fn parse_access_key(key: &str) -> Option<&str> {
    key.strip_prefix("_onward/keys/").filter(|id| is_access_key_id(id))
}

/// Whether an access key may have this id: 4 to 64 letters, digits, `-` and `_`.
pub fn is_access_key_id(id: &str) -> bool {
    (4..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The life of a repository that a key belongs to.
pub fn parse_life(key: &str) -> Option<RepoLife> {
    RepoLife::split(key).map(|(life, _)| life)
}

/// What of a key follows the folder of its repository's life, in so many segments.
fn inside<const N: usize>(key: &str) -> Option<[&str; N]> {
    segments(RepoLife::split(key)?.1)
}

/// An object that is written to try the store; no repository has this name.
pub(super) fn probe(nonce: u64) -> String {
    format!("_onward/probe-{nonce:016x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lake() -> RepoLife {
        RepoLife::first(RepoName::new("lake").unwrap())
    }

    #[test]
    fn every_key_reads_back() {
        let (first, main, uid) = (lake(), BranchName::new("main").unwrap(), BranchUid(0xfeed));
        assert_eq!(branch(&first, &main, 7), "lake/branches/main/0000000007");
        assert_eq!(
            branch(&first.next(), &main, 7),
            "lake/lives/0000000002/branches/main/0000000007"
        );
        assert_eq!(
            log_entry(&first, uid, Ticket(42)),
            "lake/log/000000000000feed/00000000000000000042"
        );
        for repo in [first.clone(), first.next()] {
            keys_read_back(&repo, &main);
        }
    }

    fn keys_read_back(repo: &RepoLife, name: &BranchName) {
        let uid = BranchUid(0xfeed);
        let life = |deleted| Some(BranchKey { name: name.clone(), incarnation: 7, deleted });
        assert_eq!(parse_branch(&branch(repo, name, 7)), life(false));
        assert_eq!(parse_branch(&branch_deleted(repo, name, 7)), life(true));
        assert_eq!(parse_log_entry(&log_entry(repo, uid, Ticket::MAX)), Some((uid, Ticket::MAX)));
        assert_eq!(parse_checkpoint(&checkpoint(repo, uid)), Some(uid));
        assert_eq!(parse_range(&range(repo, RangeId([3; 16]))), Some(RangeId([3; 16])));
        assert_eq!(parse_run(&run(repo, RunId([4; 16]))), Some(RunId([4; 16])));
        assert_eq!(parse_data(&data(repo, 5 << 120)), Some(5 << 120));
        assert_eq!(parse_life(&super::repo(repo)).as_ref(), Some(repo));
    }

    #[test]
    fn foreign_keys_are_not_read() {
        let strangers = [
            "",
            "lake",
            "lake/log/feed/1",
            "lake/log/000000000000feed/42",
            "lake/log",
            "lake/log/000000000000feed/00000000000000000042/x",
            "lake/ranges/00/03030303030303030303030303030303",
            "lake/branches/main/1",
            "lake/branches/main/99999999999",
            "lake/tags/%",
            "lake/tags/%2f",
            "lake/tags/%zz",
            "lake/lives/0000000001/ranges/03/03030303030303030303030303030303",
            "lake/lives/2/ranges/03/03030303030303030303030303030303",
        ];
        for key in strangers {
            assert_eq!(parse_branch(key), None, "{key}");
            assert_eq!(parse_log_entry(key), None, "{key}");
            assert_eq!(parse_range(key), None, "{key}");
            assert_eq!(parse_tag(key), None, "{key}");
        }
    }

    #[test]
    fn the_order_of_log_keys_is_the_order_of_tickets() {
        let key = |ticket| log_entry(&lake(), BranchUid(1), Ticket(ticket));
        assert!(key(9) < key(10));
        assert!(key(999_999) < key(1_000_000));
    }

    proptest! {
        #[test]
        fn every_tag_has_one_valid_key_and_reads_back(name in "\\PC{1,255}") {
            if let Ok(name) = TagName::new(name) {
                let key = tag(&lake(), &name);
                prop_assert!(super::super::key::object(&key).is_ok(), "{}", key);
                prop_assert_eq!(parse_tag(&key), Some(name));
            }
        }
    }

    #[test]
    fn the_longest_tag_fits() {
        let name = TagName::new("é".repeat(127)).unwrap();
        let key = tag(&lake(), &name);
        assert!(super::super::key::object(&key).is_ok(), "{key}");
        assert_eq!(parse_tag(&key), Some(name));
    }
}
