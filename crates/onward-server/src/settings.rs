//! How a sidecar listens, and its limits.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use onward::internals::model::error::quoted;
use onward::{Error, Result};

/// Where a sidecar listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket, which only its owner may use.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Listen {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(Error::invalid(
                    "a Unix socket has an absolute path: unix:///run/onward.sock",
                ));
            }
            return Ok(Self::Unix(path.into()));
        }
        let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let bare = bare.unwrap_or(text).replace("localhost:", "127.0.0.1:");
        bare.parse().map(Self::Tcp).map_err(|_| {
            Error::invalid(format!(
                "'{}' is not an address to listen on: write 127.0.0.1:8000, [::1]:8000, 0.0.0.0:8000 or unix:///run/onward.sock",
                quoted(text)
            ))
        })
    }
}

/// Certificate and private key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and what leads from it to a root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a sidecar allows. Beyond a limit requests are refused with 413, 408, 429 or 503 before
/// anything of them was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time. More of them wait to be accepted.
    pub connections: usize,
    /// Requests of one access key at the same time.
    pub requests_per_key: usize,
    /// A body of JSON, in bytes.
    pub json_len: usize,
    /// A change set, unpacked, in bytes.
    pub changes_len: usize,
    /// How long the head of a request may take to arrive, and how long a connection may be idle:
    /// clients do not repeat a POST over one that was closed meanwhile.
    pub head_timeout: Duration,
    /// How long the next piece of a body may take to arrive.
    pub piece_timeout: Duration,
    /// How long a client may take nothing of an answer: as long as it may be idle.
    pub write_timeout: Duration,
    /// How long accepted requests may go on when the sidecar is asked to stop.
    pub grace: Duration,
    /// Imports, dumps and restores under way or remembered.
    pub tasks: usize,
    /// Listeners of event streams at the same time.
    pub streams: usize,
    /// Those of one access key: nobody takes them all.
    pub streams_per_key: usize,
    /// Listings, histories and differences that are written as files at the same time. Each holds 48 MiB at most.
    pub exports: usize,
    /// Those of one access key.
    pub exports_per_key: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            requests_per_key: 4096,
            json_len: 16 << 20,
            changes_len: 256 << 20,
            head_timeout: Duration::from_secs(120),
            piece_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            grace: Duration::from_secs(30),
            tasks: 1000,
            streams: 500,
            streams_per_key: 100,
            exports: 8,
            exports_per_key: 4,
        }
    }
}

/// How the S3 gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Listen {
    /// Where: it has no path of its own, so no address of another API.
    pub listen: Listen,
    /// Domains below which the first label of a host is a bucket, besides buckets in paths.
    pub domains: Vec<String>,
}

/// A role whose sessions clients of Iceberg tables get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendedRole {
    /// Its name: `arn:aws:iam::…:role/…`.
    pub arn: String,
    /// How long a session lasts.
    pub lifetime: Duration,
}

/// A key that clients of Iceberg tables get.
#[derive(Clone, PartialEq, Eq)]
pub struct VendedKey {
    /// The id of the key.
    pub id: String,
    /// The secret that goes with the id.
    pub secret: String,
}

impl fmt::Debug for VendedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How clients of Iceberg tables reach the files of these in S3, if they have no credentials of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IcebergAccess {
    /// The address of S3 for clients, if it is not the sidecar's own.
    pub s3_endpoint: Option<String>,
    /// A role whose sessions they get, each cut to a table.
    pub role: Option<VendedRole>,
    /// Where sessions come from, if not from Amazon.
    pub sts_endpoint: Option<String>,
    /// A key that those get who may write.
    pub write_key: Option<VendedKey>,
    /// A key that those get who may read and no more.
    pub read_key: Option<VendedKey>,
}

impl IcebergAccess {
    /// Whether nothing is said that needs S3.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What a sidecar is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: Listen,
    /// Whether it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Whether it may listen for other machines without TLS: behind a proxy that has it.
    pub insecure: bool,
    /// The administrator's key id and secret, made if absent.
    pub admin: Option<(String, String)>,
    /// Folders, as URLs, that it may import from and read linked objects from.
    pub sources: Vec<String>,
    /// Where events may go: `public`, hosts, domains, addresses, networks.
    pub allow_sinks: Vec<String>,
    /// The folder, as a URL, that Iceberg tables lie below; none for the deployment's own storage.
    pub iceberg_warehouse: Option<String>,
    /// How clients reach the files of Iceberg tables.
    pub iceberg_access: IcebergAccess,
    /// How the S3 gateway listens, if there is to be one.
    pub s3: Option<S3Listen>,
    /// The command `onward`, which the page starts to read Parquet files; without it there is no preview of them.
    #[cfg(feature = "page")]
    pub command: Option<PathBuf>,
    /// What it allows.
    pub limits: Limits,
}

impl ServerConfig {
    /// A sidecar for this machine.
    pub fn new(listen: Listen) -> Self {
        let limits = Limits::default();
        Self {
            listen,
            tls: None,
            insecure: false,
            admin: None,
            sources: Vec::new(),
            allow_sinks: vec!["public".to_owned()],
            iceberg_warehouse: None,
            iceberg_access: IcebergAccess::default(),
            s3: None,
            #[cfg(feature = "page")]
            command: None,
            limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for (text, local) in [
            ("127.0.0.1:8000", true),
            ("localhost:0", true),
            ("http://127.0.0.1:8000", true),
            ("[::1]:8000", true),
            ("0.0.0.0:8000", false),
            ("unix:///run/onward.sock", true),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().is_local(), local, "{text}");
        }
        for bad in ["", "8000", "unix://run", "example:1", "127.0.0.1"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }
}
