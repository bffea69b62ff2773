//! Names of keys. All keys of one branch share one hash tag, so that one branch is one cluster
//! slot and every script's keys lie together.

use std::borrow::Cow;

use crate::model::ids::{BranchUid, OpId};
use crate::model::life::RepoLife;
use crate::model::name::RepoName;

/// The keys of one branch incarnation.
#[derive(Debug, Clone)]
pub struct BranchKeys {
    /// Hash: state, done, commit, position, turn, turn_until.
    pub head: String,
    /// List of pending ops, oldest first.
    pub queue: String,
    /// Stream of outcomes with ids `<ticket>-0`.
    pub outcomes: String,
    /// List of pending ops that were taken out of the queue while the branch is rebuilt.
    pub aside: String,
    /// Hash: op id to ticket.
    pub ops: String,
    /// Hash: producer to epoch, sequence and what was decided.
    pub producers: String,
    /// Hash: path to staged value.
    pub staged: String,
    /// Sorted set of staged paths, lexicographic.
    pub paths: String,
    /// List of sealed areas, oldest first: area id (36), owner op id or blanks (36).
    pub sealed: String,
    /// Hash: sealed area to how far newer ones were taken out of it, before it is given back.
    pub pruned: String,
    /// Never there. A cluster refuses a call some of whose keys are missing while their slot is on
    /// its way to another server. Among the keys of a script that removes keys and looks at them
    /// again it makes sure of that: such a script would be broken off half-way, for the key that
    /// it has removed itself.
    pub absent: String,
    prefix: String,
}

impl BranchKeys {
    /// The keys of branch `uid` of repository `repo`.
    pub fn new(repo: &RepoName, uid: BranchUid) -> Self {
        let prefix = format!("onward:{{{repo}/{uid}}}:");
        Self {
            head: format!("{prefix}head"),
            queue: format!("{prefix}queue"),
            aside: format!("{prefix}aside"),
            outcomes: format!("{prefix}outcomes"),
            ops: format!("{prefix}ops"),
            producers: format!("{prefix}producers"),
            staged: format!("{prefix}staged"),
            paths: format!("{prefix}paths"),
            sealed: format!("{prefix}sealed"),
            pruned: format!("{prefix}pruned"),
            absent: format!("{prefix}absent"),
            prefix,
        }
    }

    /// The values and the paths of a sealed area.
    pub fn area(&self, area: OpId) -> (String, String) {
        (format!("{}sealed:{area}", self.prefix), format!("{}sealed-paths:{area}", self.prefix))
    }

    /// What process `id` is told on the branch: see `lua/includes/inbox.lua`, which has the same rule.
    pub fn inbox(&self, id: &str) -> String {
        format!("{}inbox:{id}", self.prefix)
    }

    /// The board of a subject: what processes offer to each other there, see `lua/offer.lua`.
    pub fn board(&self, subject: &str) -> String {
        let subject = blake3::hash(subject.as_bytes()).to_hex();
        let subject: String = subject.chars().take(32).collect();
        format!("{}board:{subject}", self.prefix)
    }

    /// `fixed` keys of a script, then those of `areas`, each with its paths; last the key that is
    /// never there. So do all scripts begin that take areas away.
    pub(super) fn and_areas<'a, const FIXED: usize>(
        &'a self,
        fixed: [&'a String; FIXED],
        areas: impl Iterator<Item = OpId>,
    ) -> Vec<Cow<'a, str>> {
        let mut all: Vec<Cow<'a, str>> = fixed.map(|key| Cow::from(key.as_str())).to_vec();
        for area in areas {
            let (values, paths) = self.area(area);
            all.extend([Cow::from(values), Cow::from(paths)]);
        }
        all.push(Cow::from(self.absent.as_str()));
        all
    }

    /// Where a branch is gathered that is put back in several calls.
    pub fn draft(&self, draft: OpId) -> DraftKeys {
        let key = |what: &str| format!("{}draft:{draft}:{what}", self.prefix);
        DraftKeys { outcomes: key("outcomes"), ops: key("ops"), producers: key("producers") }
    }

    /// The mark of one staging call.
    pub fn stage_call(&self, call: OpId) -> String {
        format!("{}stage:{call}", self.prefix)
    }
}

/// The keys of a draft: what outcomes, ops and producers of a branch will be.
#[derive(Debug, Clone)]
pub struct DraftKeys {
    /// What becomes [`BranchKeys::outcomes`].
    pub outcomes: String,
    /// What becomes [`BranchKeys::ops`].
    pub ops: String,
    /// What becomes [`BranchKeys::producers`].
    pub producers: String,
}

/// Hash: branch name to uid, for one life of a repository of one storage. It is a cache of what the
/// storage says: repositories of the same name in two storages behind one Redis must not share it, nor
/// two lives of one.
pub fn branches_key(repo: &RepoLife, storage: &str) -> String {
    let storage = blake3::hash(storage.trim_end_matches('/').as_bytes()).to_hex();
    let storage: String = storage.chars().take(16).collect();
    let life = match repo.number() {
        1 => String::new(),
        number => format!(":{number}"),
    };
    format!("onward:{{{}}}:branches:{storage}{life}", repo.name())
}
