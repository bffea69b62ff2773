//! The rules as a process remembers them: a reading is shared by all that ask while it is young.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::clock::Deadline;
use crate::commit::log::record::RepoRecord;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::life::RepoLife;
use crate::model::name::RepoName;
use crate::objects::Objects;

use super::rules::{Rules, read_rules};
use crate::repo::config::NAMES_KEPT;
use crate::repo::place::living;

/// How old rules may be when they are applied.
pub const CACHED_FOR: Duration = Duration::from_secs(2);

/// One reading of a repository's rules, shared by all that ask while it is young.
type Reading = Shared<BoxFuture<'static, Result<Ruled, Arc<Error>>>>;

/// The life that a repository is in, and its rules.
#[derive(Clone)]
pub(super) struct Ruled {
    pub(super) life: RepoLife,
    pub(super) rules: Arc<Rules>,
}

/// The rules of the repositories that a process works on.
#[derive(Default)]
pub(in crate::repo) struct RulesCache {
    readings: Mutex<HashMap<RepoName, (Deadline, Reading)>>,
    /// Held while the rules of a repository are changed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for RulesCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesCache").finish_non_exhaustive()
    }
}

impl RulesCache {
    /// The rules as they were at most [`CACHED_FOR`] ago.
    pub(super) async fn rules(&self, objects: &Objects, repo: &RepoName) -> Result<Ruled> {
        let reading = self.reading(objects, repo);
        reading.await.map_err(|error| {
            self.forget(repo);
            match error.kind() {
                // There is no repository whose rules they could be.
                ErrorKind::NotFound => error.again(),
                _ => error.again().context("the rules of protected branches cannot be read"),
            }
        })
    }

    fn reading(&self, objects: &Objects, repo: &RepoName) -> Reading {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((young, reading)) = readings.get(repo)
            && !young.is_over()
        {
            return reading.clone();
        }
        if readings.len() >= NAMES_KEPT {
            readings.clear();
        }
        let (objects, name) = (objects.clone(), repo.clone());
        let reading = async move { read(&objects, &name).await.map_err(Arc::new) };
        let reading = reading.boxed().shared();
        // Its age counts from here, before it is read.
        readings.insert(repo.clone(), (Deadline::after(CACHED_FOR), reading.clone()));
        reading
    }

    pub(in crate::repo) fn forget(&self, repo: &RepoName) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }
}

async fn read(objects: &Objects, repo: &RepoName) -> Result<Ruled> {
    let (life, _) = living(repo, RepoRecord::newest(objects, repo).await?)?;
    let rules = read_rules(objects, &life).await.and_then(Rules::of)?;
    Ok(Ruled { life, rules: Arc::new(rules) })
}
