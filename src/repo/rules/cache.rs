//! Rules as a process remembers them: a reading is shared by all that ask while it is young.

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

use super::kind::{Kind, decode_rules};
use crate::repo::config::NAMES_KEPT;
use crate::repo::place::living;

/// How old rules may be when they are applied.
pub const CACHED_FOR: Duration = Duration::from_secs(2);

/// One reading of a repository's rules, shared by all that ask while it is young.
type Reading<K> = Shared<BoxFuture<'static, Result<Ruled<K>, Arc<Error>>>>;

/// The life that a repository is in, and its rules.
pub(in crate::repo) struct Ruled<K: Kind> {
    pub(in crate::repo) life: RepoLife,
    pub(in crate::repo) rules: Arc<K::Ready>,
}

impl<K: Kind> Clone for Ruled<K> {
    fn clone(&self) -> Self {
        Self { life: self.life.clone(), rules: Arc::clone(&self.rules) }
    }
}

/// The rules of a kind of the repositories that a process works on.
pub(in crate::repo) struct RulesCache<K: Kind> {
    readings: Mutex<HashMap<RepoName, (Deadline, Reading<K>)>>,
    /// Held while the rules of a repository are changed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl<K: Kind> Default for RulesCache<K> {
    fn default() -> Self {
        Self { readings: Mutex::default(), changing: tokio::sync::Mutex::default() }
    }
}

impl<K: Kind> fmt::Debug for RulesCache<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesCache").finish_non_exhaustive()
    }
}

impl<K: Kind> RulesCache<K> {
    /// The rules as they were at most [`CACHED_FOR`] ago.
    pub(in crate::repo) async fn rules(
        &self,
        objects: &Objects,
        repo: &RepoName,
    ) -> Result<Ruled<K>> {
        let reading = self.reading(objects, repo);
        reading.await.map_err(|error| {
            self.forget(repo);
            match error.kind() {
                // There is no repository whose rules they could be.
                ErrorKind::NotFound => error.again(),
                _ => error.again().context(format!("{} cannot be read", K::WHAT)),
            }
        })
    }

    fn reading(&self, objects: &Objects, repo: &RepoName) -> Reading<K> {
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
        let reading = async move { read::<K>(&objects, &name).await.map_err(Arc::new) };
        let reading = reading.boxed().shared();
        // Its age counts from here, before it is read.
        readings.insert(repo.clone(), (Deadline::after(CACHED_FOR), reading.clone()));
        reading
    }

    pub(in crate::repo) fn forget(&self, repo: &RepoName) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }
}

async fn read<K: Kind>(objects: &Objects, repo: &RepoName) -> Result<Ruled<K>> {
    let (life, _) = living(repo, RepoRecord::newest(objects, repo).await?)?;
    let rules = read_rules::<K>(objects, &life).await.and_then(K::ready)?;
    Ok(Ruled { life, rules: Arc::new(rules) })
}

/// The rules of a kind in one life of a repository, as they are now.
pub(super) async fn read_rules<K: Kind>(
    objects: &Objects,
    life: &RepoLife,
) -> Result<Vec<K::Rule>> {
    let key = K::key(life);
    match objects.get(&key).await? {
        Some(bytes) => decode_rules(&key, &bytes),
        None => Ok(Vec::new()),
    }
}
