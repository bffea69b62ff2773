//! Credentials that are given to clients: sessions of a role, each for the folders of one table, or keys that the
//! operator has made for this.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;

use super::policy::{partition, policies};
use super::recent::Recent;
use super::sts::{NoSession, Session, Sts, Wish};
use super::wanted::Wanted;
use crate::settings::{IcebergAccess, VendedKey, VendedRole};
use onward::internals::clock::{self, Deadline};
use onward::internals::objects::{Bucket, Login};
use onward::{Error, Result};
use onward_iceberg::catalog::{CatalogError, Kind};

/// Sessions that are kept. Each is of one access key and one table.
const KEPT_MAX: usize = 4096;

/// For how long a failure of STS is told again.
const AWAY: Duration = Duration::from_secs(3);

/// The longest name of a session, in characters.
const NAME_LEN_MAX: usize = 64;

/// Credentials for a client.
#[derive(Debug, Clone)]
pub struct Vended {
    /// What it signs with.
    pub login: Login,
    /// When they end, ms since the Unix epoch; never, if nobody ends them.
    pub until_ms: Option<i64>,
    /// When they were made, ms since the Unix epoch.
    pub since_ms: i64,
}

/// What somebody may have of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    /// Keys of the table's files begin with these.
    pub folders: Vec<String>,
    /// Whether he may write there.
    pub writes: bool,
}

/// Where credentials come from.
#[derive(Debug)]
pub enum Vending {
    /// Sessions of a role.
    Role(Sessions),
    /// Keys that stand: for who may write, and for who may read.
    Keys(Option<Vended>, Option<Vended>),
}

impl Vending {
    /// What the operator allows; none where that is nothing.
    pub fn new(settings: &IcebergAccess, bucket: &Bucket) -> Result<Option<Self>> {
        let keys = (standing(&settings.write_key), standing(&settings.read_key));
        match (&settings.role, keys) {
            (None, (None, None)) => Ok(None),
            (None, (write, read)) => Ok(Some(Self::Keys(write, read))),
            (Some(role), (None, None)) => Ok(Some(Self::Role(Sessions {
                sts: Sts::new(settings.sts_endpoint.as_deref(), bucket.region())?,
                role: role.clone(),
                kept: Mutex::default(),
                away: Mutex::default(),
            }))),
            (Some(_), _) => Err(Error::invalid(
                "clients of Iceberg tables get sessions of a role or keys that stand: give --iceberg-vended-role, or keys, and not both",
            )),
        }
    }

    /// Credentials for a share of a table; none where nobody may have any.
    pub async fn credentials(
        &self,
        bucket: &Bucket,
        share: Share,
        wanted: &Wanted,
    ) -> std::result::Result<Option<Vended>, CatalogError> {
        match self {
            Self::Keys(write, _) if share.writes => Ok(write.clone()),
            Self::Keys(_, read) => Ok(read.clone()),
            Self::Role(sessions) => sessions.get(bucket, share, &wanted.key).await,
        }
    }
}

fn standing(key: &Option<VendedKey>) -> Option<Vended> {
    let VendedKey { id, secret } = key.clone()?;
    let login = Login { key_id: id, secret, token: None };
    Some(Vended { login, until_ms: None, since_ms: 0 })
}

/// Whose session it is, and for what.
type Holder = (String, Share);

/// Sessions of a role, kept for half of their life, so that who gets one has the other half.
#[derive(Debug)]
pub struct Sessions {
    sts: Sts,
    role: VendedRole,
    kept: Mutex<Recent<Holder, Arc<Turn<Option<Kept>>>>>,
    /// Why there was no session last, for nobody.
    away: Mutex<Option<Why>>,
}

/// What came of the last request for a session.
#[derive(Debug)]
enum Kept {
    Vended(Vended),
    /// None of what could be said of these folders is taken for a policy.
    Refused(Why),
}

/// Why there is no session, and until when that is told without asking.
#[derive(Debug, Clone)]
struct Why {
    until: Deadline,
    error: CatalogError,
}

impl Why {
    /// Those who are refused are no operators: the log has what STS said, with the names of accounts and roles.
    fn new(error: &Error) -> Self {
        tracing::warn!(%error, "no session of the role for clients of tables");
        let error = CatalogError::new(
            Kind::Unavailable,
            "credentials for the files of this table cannot be had now, as STS gives no session: the sidecar's log says why. Try again, or bring credentials of your own",
        );
        Self { until: Deadline::after(AWAY), error }
    }

    /// Fails for as long as this is told.
    fn pass(&self) -> std::result::Result<(), CatalogError> {
        if self.until.is_over() { Ok(()) } else { Err(self.error.clone()) }
    }
}

impl Sessions {
    async fn get(
        &self,
        bucket: &Bucket,
        share: Share,
        key: &str,
    ) -> std::result::Result<Option<Vended>, CatalogError> {
        let place = self.place((key.to_owned(), share.clone()));
        // One asks for all who want the same.
        let mut kept = place.lock().await;
        match kept.as_ref() {
            Some(Kept::Vended(vended)) if is_fresh(vended) => return Ok(Some(vended.clone())),
            Some(Kept::Refused(why)) => why.pass()?,
            _ => {}
        }
        let partition = partition(&self.role.arn);
        let policies = policies(partition, bucket.name(), &share.folders, share.writes);
        if policies.is_empty() {
            tracing::warn!(folder = ?share.folders.first(), "no session can be cut to the folder of a table: its name has a character that no policy may have, or is too long");
            return Ok(None);
        }
        // Nobody waits who waits for nothing.
        if let Some(why) = self.away().clone() {
            why.pass()?;
        }
        for (at, policy) in policies.iter().enumerate() {
            match self.begin(bucket, key, policy).await {
                Ok(Session { login, until_ms }) => {
                    let since_ms = clock::now_ms();
                    let vended = Vended { login, until_ms: Some(until_ms), since_ms };
                    *kept = Some(Kept::Vended(vended.clone()));
                    return Ok(Some(vended));
                }
                Err(NoSession::OfAll(error)) => {
                    let why = Why::new(&error);
                    *self.away() = Some(why.clone());
                    return Err(why.error);
                }
                // Others have policies of their own.
                Err(NoSession::OfPolicy(error)) if at + 1 == policies.len() => {
                    let why = Why::new(&error);
                    *kept = Some(Kept::Refused(why.clone()));
                    return Err(why.error);
                }
                Err(NoSession::OfPolicy(_)) => {}
            }
        }
        Ok(None)
    }

    async fn begin(
        &self,
        bucket: &Bucket,
        key: &str,
        policy: &str,
    ) -> std::result::Result<Session, NoSession> {
        let (name, VendedRole { arn: role, lifetime }) = (session_name(key), &self.role);
        let wish = Wish { role, name: &name, policy, lifetime: *lifetime };
        self.sts.assume(&bucket.log_in().await?, &wish).await
    }

    fn away(&self) -> MutexGuard<'_, Option<Why>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, holder: Holder) -> Arc<Turn<Option<Kept>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asks for one, or waits for it, holds its place.
        kept.get(holder, KEPT_MAX, |place| Arc::strong_count(place) == 1)
    }
}

/// Whether more than half of its life is left.
fn is_fresh(vended: &Vended) -> bool {
    vended.until_ms.is_none_or(|until| {
        let now = clock::now_ms();
        until - now > (until - vended.since_ms) / 2
    })
}

/// The name of a session: what Amazon's log says of who asked.
fn session_name(key: &str) -> String {
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() || "=,.@-".contains(char) { char } else { '-' }
    };
    format!("onward-{key}").chars().map(plain).take(NAME_LEN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_given_while_half_of_its_life_is_left() {
        let login = Login { key_id: String::new(), secret: String::new(), token: None };
        let now = clock::now_ms();
        let of = |since, until| Vended { login: login.clone(), until_ms: until, since_ms: since };
        assert!(is_fresh(&of(now - 1000, Some(now + 10_000))));
        assert!(!is_fresh(&of(now - 10_000, Some(now + 1000))));
        assert!(!is_fresh(&of(now - 10_000, Some(now - 1))));
        assert!(is_fresh(&of(0, None)));
        assert_eq!(session_name("A B/ü"), "onward-A-B--");
        assert_eq!(session_name(&"a".repeat(99)).len(), NAME_LEN_MAX);
    }
}
