//! Where a sidecar may be led: whoever may make a sink makes it call URLs of his choice, and the sidecar can reach
//! what he cannot.
//!
//! Of a name every address is looked at, and the connection goes to one that was looked at and to no other: a name
//! that stands for something else a moment later leads nowhere. An address in the URL itself never comes to a
//! resolver, and is looked at by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use onward::internals::model::error::quoted;
use onward::{Error, ErrorKind, Result};
use url::{Host, Url};

/// Somewhere that events may go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// Every address that the whole internet can be reached at, encrypted.
    Public,
    /// A host of this name, whatever it stands for.
    Host(String),
    /// The hosts whose names end in this, with a dot in front.
    Below(String),
    /// A network, by its first address and the length of its prefix.
    Network(IpAddr, u8),
}

impl FromStr for Allowed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "'{}' is nowhere that events may go: write public, a host (hooks.internal), a domain (*.internal), an address or a network (10.1.0.0/16)",
                quoted(text)
            ))
        };
        if text == "public" {
            return Ok(Self::Public);
        }
        if let Some((address, len)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let len: u8 = len.parse().map_err(|_| wrong())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            // One in the clothes of the other family has a length of the wrong one.
            let fits = len <= most && plain(address) == address;
            return if fits { Ok(Self::Network(address, len)) } else { Err(wrong()) };
        }
        if let Ok(address) = text.parse::<IpAddr>().map(plain) {
            return Ok(Self::Network(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        let (name, is_below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        match Host::parse(name) {
            Ok(Host::Domain(name)) if is_below => Ok(Self::Below(format!(".{name}"))),
            Ok(Host::Domain(name)) => Ok(Self::Host(name)),
            _ => Err(wrong()),
        }
    }
}

impl Allowed {
    fn has_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        match self {
            Self::Host(host) => host == name,
            Self::Below(end) => name.ends_with(end.as_str()),
            Self::Public | Self::Network(..) => false,
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let Self::Network(network, len) = *self else { return false };
        match (network, plain(address)) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let bits = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                network.to_bits() & bits == address.to_bits() & bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let bits = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                network.to_bits() & bits == address.to_bits() & bits
            }
            _ => false,
        }
    }
}

/// An address without the clothes of another family.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        v4 => v4,
    }
}

/// Whether the whole internet can be reached at an address: none of the ranges that IANA's registries of special
/// addresses keep from it (RFC 6890 and those that came after).
fn is_public(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        0 | 10 | 127 | 224..=255 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => (b == 0 && matches!(c, 0 | 2)) || (b == 88 && c == 99) || b == 168,
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Of what is given out at all: not Teredo, 6to4 and the like, which carry addresses of the other family, and
    // not what is for documents.
    (0x2000..0x4000).contains(&a)
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && !(a == 0x3fff && b < 0x1000)
}

/// Where events may go.
#[derive(Debug, Clone)]
pub struct Reach(Arc<[Allowed]>);

impl Reach {
    /// By words: `public` (the whole internet, encrypted), hosts, domains, addresses, networks. Those that are
    /// named may be private, and be reached without encryption.
    pub fn new(words: &[String]) -> Result<Self> {
        words
            .iter()
            .map(|word| word.parse())
            .collect::<Result<Vec<_>>>()
            .map(|all| Self(all.into()))
    }

    /// A webhook's URL, if it can lead anywhere that is allowed, by what it says itself: a name is looked up when
    /// something is sent.
    pub fn url(&self, text: &str) -> Result<Url> {
        let wrong =
            |why: &str| Error::invalid(format!("'{}' is no URL of a webhook: {why}", shown(text)));
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it begins with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "a login in it would be shown to everybody; requests are signed instead",
            ));
        }
        if url.fragment().is_some() {
            return Err(wrong("what stands behind # is never sent"));
        }
        let is_named = match url.host() {
            Some(Host::Domain(name)) => self.0.iter().any(|allowed| allowed.has_name(name)),
            Some(Host::Ipv4(address)) => self.check_address(address.into())?,
            Some(Host::Ipv6(address)) => self.check_address(address.into())?,
            None => return Err(wrong("it names no host")),
        };
        // A name may yet stand for addresses in a network that is named.
        let may_be_plain = is_named
            || matches!(url.host(), Some(Host::Domain(_)))
                && self.0.iter().any(|allowed| matches!(allowed, Allowed::Network(..)));
        if url.scheme() == "http" && !may_be_plain {
            return Err(forbidden(&format!(
                "'{}' is not encrypted: use https, or name the host where the sidecar is started (--allow-sink)",
                shown(text)
            )));
        }
        Ok(url)
    }

    /// Whether an address is in a network that is named. Fails where it is not allowed at all.
    fn check_address(&self, address: IpAddr) -> Result<bool> {
        if self.0.iter().any(|allowed| allowed.has_address(address)) {
            return Ok(true);
        }
        match self.0.contains(&Allowed::Public) && is_public(address) {
            true => Ok(false),
            false => Err(forbidden(&format!(
                "no event may go to address {address}: name its network where the sidecar is started (--allow-sink)"
            ))),
        }
    }

    /// The addresses that a name stands for and that something may be sent to. `is_plain`: it is not encrypted,
    /// which only what is named may be.
    pub async fn addresses(&self, name: &str, is_plain: bool) -> Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let found: Vec<SocketAddr> = found
            .map_err(|error| {
                Error::unavailable(format!("host '{}' is not known", quoted(name)))
                    .with_source(error)
            })?
            .collect();
        if self.0.iter().any(|allowed| allowed.has_name(name)) {
            return Ok(found);
        }
        // All of them, as who chooses among them is not asked.
        for address in &found {
            let is_named = self.check_address(address.ip()).map_err(|error| {
                // Names of this network are not to be looked up by whoever may see a sink.
                tracing::info!(%error, host = name, "a webhook leads where no event may go");
                let host = quoted(name);
                forbidden(&format!("host '{host}' stands for an address that no event may go to"))
            })?;
            if is_plain && !is_named {
                return Err(forbidden(&format!(
                    "host '{}' is reached by https alone",
                    quoted(name)
                )));
            }
        }
        Ok(found)
    }

    /// Whether events may go to a Redis at this host: only where it is named.
    pub fn names_host(&self, host: &str) -> bool {
        let is_host = |allowed: &Allowed| allowed.has_name(host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_address =
            |address: IpAddr| self.0.iter().any(|allowed| allowed.has_address(address));
        self.0.iter().any(is_host) || bare.parse().is_ok_and(is_address)
    }
}

fn forbidden(message: &str) -> Error {
    Error::new(ErrorKind::Forbidden, message)
}

/// A URL as people are shown it: its host alone, as what stands behind that is often all that a receiver goes by.
pub fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let bare = host.rsplit('@').next().unwrap_or_default();
    let more = if rest.len() > host.len() + 1 { "/…" } else { "" };
    format!("{}://{}{more}", quoted(scheme), quoted(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(words: &[&str]) -> Reach {
        Reach::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_only_this_network_can_reach_is_refused_unless_it_is_named() {
        let public = reach(&["public"]);
        for url in [
            "http://127.0.0.1/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/",
            "https://10.1.2.3/",
            "https://172.31.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://224.0.0.1/",
            "https://[2002:7f00:1::]/",
            "https://[64:ff9b::7f00:1]/",
            "http://93.184.216.34/",
            "https://198.18.0.1/",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
            "https://255.255.255.255/",
            "http://hooks.example.com/",
        ] {
            let error = public.url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{url}: {error}");
        }
        for url in [
            "https://93.184.216.34/a?b=c",
            "https://[2606:4700::1111]/",
            "https://hooks.example.com/x",
        ] {
            public.url(url).unwrap();
        }
        let named = reach(&["10.1.0.0/16", "hooks.internal", "*.corp.example", "::1"]);
        for url in [
            "http://10.1.200.3/",
            "https://10.1.0.1:8443/",
            "http://hooks.internal/",
            "http://a.corp.example/",
            "http://[::1]/",
            "http://[::ffff:10.1.0.1]/",
        ] {
            named.url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
        for url in ["http://10.2.0.1/", "https://93.184.216.34/", "http://127.0.0.1/"] {
            assert_eq!(named.url(url).unwrap_err().kind(), ErrorKind::Forbidden, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_webhook_is_refused() {
        let public = reach(&["public"]);
        for url in [
            "",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://a:b@c.example/",
            "https://a.example/#b",
            "https://",
        ] {
            assert_eq!(public.url(url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
        }
        for word in ["", "10.0.0.0/33", "::ffff:10.0.0.0/104", "a b", "*.", "http://a"] {
            assert!(word.parse::<Allowed>().is_err(), "{word}");
        }
        assert_eq!(shown("https://me:secret@a.example/b?token=c"), "https://a.example/…");
        assert_eq!(shown("http://a.example:80/"), "http://a.example:80");
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_leads_nowhere() {
        let error = reach(&["public"]).addresses("localhost", false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(!reach(&["localhost"]).addresses("localhost", true).await.unwrap().is_empty());
        assert!(
            !reach(&["127.0.0.0/8", "::1"]).addresses("localhost", true).await.unwrap().is_empty()
        );
    }
}
