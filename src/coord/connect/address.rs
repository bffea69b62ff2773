//! Addresses of several servers, as URLs name them:
//!
//! ```text
//! redis-cluster://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT],…
//! redis-sentinel://[USER[:PASSWORD]@]HOST[:PORT],…/NAME[/DB][?sentinel_user=…&sentinel_password=…]
//! ```
//!
//! With `rediss-` in front of either, all connections are encrypted. User and password are those of
//! the servers that hold the data. A `%` escapes what has a meaning in URLs.

use std::fmt;

use crate::model::error::{Error, Result};

const CLUSTER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    /// Reads `HOST[:PORT]`; an IPv6 address with a port stands in brackets, or, as servers tell
    /// it, without.
    pub(super) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// Reads an address as servers tell it.
    pub(super) fn told(text: &str) -> Option<Self> {
        Self::parse(text, CLUSTER_PORT)
    }
}

/// User and password, where a server asks for them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// A login is never told: not in logs, not in messages.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Login(none)" } else { "Login(…)" })
    }
}

impl Login {
    fn is_empty(&self) -> bool {
        self.user.is_none() && self.password.is_none()
    }
}

/// What stands behind the servers of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// They are nodes of a cluster.
    Cluster,
    /// They are Sentinels that know where the primary of this name is.
    Sentinel {
        /// The name of the primary, as the Sentinels know it.
        name: String,
        /// What they ask for themselves.
        login: Login,
    },
}

/// A URL that names several servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) kind: Kind,
    pub(super) tls: bool,
    pub(super) addresses: Vec<Address>,
    /// What the servers with the data ask for.
    pub(super) login: Login,
    pub(super) db: i64,
}

impl Servers {
    /// Reads a URL. `None` when it is one of a single server.
    pub(super) fn parse(url: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Ok(None);
        };
        let (tls, cluster) = match scheme {
            "redis-cluster" => (false, true),
            "rediss-cluster" => (true, true),
            "redis-sentinel" => (false, false),
            "rediss-sentinel" => (true, false),
            _ => return Ok(None),
        };
        match cluster {
            true => Self::cluster(tls, rest).map(Some).map_err(|why| {
                Error::invalid(format!(
                    "the URL of the Redis cluster cannot be used: {why}; write redis-cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT"
                ))
            }),
            false => Self::sentinel(tls, rest).map(Some).map_err(|why| {
                Error::invalid(format!(
                    "the URL of the Sentinels cannot be used: {why}; write redis-sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME"
                ))
            }),
        }
    }

    fn cluster(tls: bool, rest: &str) -> Result<Self, String> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path, "" | "0") {
            return Err("a cluster has one database and no name".to_owned());
        }
        let (login, addresses) = authority_of(authority, CLUSTER_PORT)?;
        Ok(Self { kind: Kind::Cluster, tls, addresses, login, db: 0 })
    }

    fn sentinel(tls: bool, rest: &str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, db) = path.split_once('/').unwrap_or((path, "0"));
        let name = unescaped(name)?;
        if name.is_empty() {
            return Err("the name of the primary is missing".to_owned());
        }
        let db = db.parse().map_err(|_| format!("'{db}' is no number of a database"))?;
        let (login, addresses) = authority_of(authority, SENTINEL_PORT)?;
        let mut own = Login::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "sentinel_user" => own.user = Some(unescaped(value)?),
                "sentinel_password" => own.password = Some(unescaped(value)?),
                _ => {
                    return Err(format!(
                        "'{key}' is not known; sentinel_user and sentinel_password are"
                    ));
                }
            }
        }
        Ok(Self { kind: Kind::Sentinel { name, login: own }, tls, addresses, login, db })
    }
}

/// The URL without user and password, fit for messages.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let hidden = if self.login.is_empty() { "" } else { "…@" };
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(",");
        match &self.kind {
            Kind::Cluster => write!(f, "redis{tls}-cluster://{hidden}{addresses}"),
            Kind::Sentinel { name, .. } => {
                write!(f, "redis{tls}-sentinel://{hidden}{addresses}/{name}")?;
                if self.db == 0 { Ok(()) } else { write!(f, "/{}", self.db) }
            }
        }
    }
}

fn authority_of(text: &str, default_port: u16) -> Result<(Login, Vec<Address>), String> {
    let (login, hosts) = match text.rsplit_once('@') {
        None => (Login::default(), text),
        Some((login, hosts)) => {
            let (user, password) = match login.split_once(':') {
                None => (unescaped(login)?, None),
                Some((user, password)) => (unescaped(user)?, Some(unescaped(password)?)),
            };
            (Login { user: Some(user).filter(|user| !user.is_empty()), password }, hosts)
        }
    };
    let read = |text: &str| {
        // What is wrong may be a piece of a password.
        Address::parse(text, default_port)
            .ok_or_else(|| "an address is not of the form HOST:PORT".to_owned())
    };
    let addresses = hosts.split(',').map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((login, addresses))
}

fn unescaped(text: &str) -> Result<String, String> {
    let wrong = || "a '%' in it is not followed by two hexadecimal digits".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(wrong());
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Servers {
        Servers::parse(url).unwrap().unwrap()
    }

    fn addresses(servers: &Servers) -> Vec<String> {
        servers.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_cluster_is_named_by_some_of_its_nodes() {
        let servers = parsed("redis-cluster://a:7000,b,[::1]:7002,10.0.0.1");
        assert_eq!(servers.kind, Kind::Cluster);
        assert_eq!(addresses(&servers), ["a:7000", "b:6379", "[::1]:7002", "10.0.0.1:6379"]);
        assert_eq!(servers.to_string(), "redis-cluster://a:7000,b:6379,[::1]:7002,10.0.0.1:6379");
        assert!(parsed("rediss-cluster://a").tls);
    }

    #[test]
    fn sentinels_come_with_the_name_of_a_primary() {
        let servers = parsed("redis-sentinel://a,b:5000/lake/2");
        assert_eq!(addresses(&servers), ["a:26379", "b:5000"]);
        assert_eq!(servers.db, 2);
        let name = "lake".to_owned();
        assert_eq!(servers.kind, Kind::Sentinel { name, login: Login::default() });
        let error = Servers::parse("redis-sentinel://a:1").unwrap_err();
        assert!(error.message().contains("/NAME"), "{error}");
    }

    #[test]
    fn servers_and_sentinels_have_passwords_of_their_own_and_no_message_shows_them() {
        let url =
            "redis-sentinel://me:p%40ss:w@a:1/lake?sentinel_user=s&sentinel_password=hid%25den";
        let servers = parsed(url);
        assert_eq!(servers.login.user.as_deref(), Some("me"));
        assert_eq!(servers.login.password.as_deref(), Some("p@ss:w"));
        let Kind::Sentinel { login, .. } = &servers.kind else { panic!("not a Sentinel") };
        assert_eq!(login.password.as_deref(), Some("hid%den"));
        for shown in [servers.to_string(), format!("{servers:?}")] {
            assert!(!shown.contains("ss:w") && !shown.contains("den"), "{shown}");
        }
        let password_alone = parsed("redis-cluster://:secret@a:1");
        assert_eq!(password_alone.login.user, None);
        assert_eq!(password_alone.to_string(), "redis-cluster://…@a:1");
        let error = Servers::parse("redis-cluster://u:secret@a:b").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn other_urls_are_those_of_one_server() {
        for url in ["redis://h:1", "unix:///s", "rediss://h", "nonsense"] {
            assert_eq!(Servers::parse(url).unwrap(), None);
        }
    }
}
