//! What a client is told with a table of how to reach its files.

use http::HeaderValue;
use http::header::CACHE_CONTROL;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::address::Address;
use super::vending::{Share, Vended, Vending};
use super::wanted::Wanted;
use crate::settings::IcebergAccess;
use onward::internals::objects::{Bucket, Objects};
use onward::internals::repo::access_keys::Role;
use onward::{Error, Result};
use onward_iceberg::catalog::{Access, CatalogError, Place, SEPARATOR, TableIdent};
use onward_iceberg::table::Metadata;

/// What stands for itself in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Properties of tables that name folders of their files, besides their location.
const FOLDERS: [&str; 4] = [
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
];

/// How clients reach the files of a deployment's tables.
#[derive(Debug, Default)]
pub struct Delegation {
    /// How they reach the bucket; none where tables do not lie in one.
    address: Option<Address>,
    vending: Option<Vending>,
}

/// What a client is told with one table.
#[derive(Debug, Default)]
pub struct Grant {
    /// Parts of the answer.
    pub access: Access,
    /// What tells answers with other parts from this one.
    tag: Option<String>,
    /// When what is secret in it was made, seconds since the Unix epoch.
    since: Option<i64>,
}

impl Grant {
    /// The ETag of an answer that has this in it.
    pub fn e_tag(&self, plain: String) -> String {
        match &self.tag {
            Some(tag) => format!("{plain}-{tag}"),
            None => plain,
        }
    }

    /// When an answer that has this in it was last another one, seconds since the Unix epoch.
    pub fn mtime(&self, plain: i64) -> i64 {
        self.since.map_or(plain, |since| since.max(plain))
    }

    /// Who may keep an answer that has this in it: nobody, where it has a secret.
    pub fn cache_control(&self) -> Option<(http::HeaderName, HeaderValue)> {
        self.access
            .credentials
            .is_some()
            .then(|| (CACHE_CONTROL, HeaderValue::from_static("no-store")))
    }
}

impl Delegation {
    /// What an operator allows for tables that lie in a store.
    pub fn new(settings: &IcebergAccess, tables: &Objects) -> Result<Self> {
        let Some(bucket) = tables.bucket() else {
            if settings.is_plain() {
                return Ok(Self::default());
            }
            return Err(Error::invalid(format!(
                "settings say how clients of Iceberg tables reach S3, and the tables lie in {}: leave them out",
                tables.url()
            )));
        };
        let address = Some(Address::new(bucket, settings.s3_endpoint.as_deref())?);
        Ok(Self { address, vending: Vending::new(settings, bucket)? })
    }

    /// Whether credentials are given to clients.
    pub fn vends(&self) -> bool {
        self.vending.is_some()
    }

    /// What a client is told with a table: nothing, if it does not take part in this.
    pub async fn grant(
        &self,
        place: &Place,
        ident: &TableIdent,
        table: &Metadata,
        wanted: &Wanted,
    ) -> std::result::Result<Grant, CatalogError> {
        let Some((bucket, address)) = place.warehouse().bucket().zip(self.address.as_ref()) else {
            return Ok(Grant::default());
        };
        let Some(vending) = self.vending.as_ref().filter(|_| wanted.vended) else {
            return Ok(Grant::default());
        };
        let locations = locations(place, table);
        let share = Share {
            folders: folders(place, bucket, &locations)?,
            writes: wanted.role >= Role::Write && place.can_be_changed(),
        };
        let vended = vending.credentials(bucket, share, wanted).await?;
        Ok(vended.map_or_else(Grant::default, |vended| {
            given(address, bucket, place, ident, &locations, &vended)
        }))
    }
}

/// Where files of a table lie, as it names them.
fn locations(place: &Place, table: &Metadata) -> Vec<String> {
    let named = FOLDERS.into_iter().filter_map(|name| table.property(name));
    let within = named.filter(|location| place.warehouse().check(location).is_ok());
    let mut all = vec![table.location().trim_end_matches('/').to_owned()];
    for location in within.map(|location| location.trim_end_matches('/').to_owned()) {
        if !all.iter().any(|known| format!("{location}/").starts_with(&format!("{known}/"))) {
            all.push(location);
        }
    }
    all
}

fn folders(
    place: &Place,
    bucket: &Bucket,
    locations: &[String],
) -> std::result::Result<Vec<String>, CatalogError> {
    locations.iter().map(|location| place.warehouse().prefix_of(bucket, location)).collect()
}

/// What clients must know of the bucket.
fn settings_of(address: &Address, bucket: &Bucket) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: &str| config.insert(name.to_owned(), Value::from(value));
    set("client.region", bucket.region());
    set("s3.region", bucket.region());
    if let Some(endpoint) = address.endpoint() {
        set("s3.endpoint", endpoint);
    }
    if address.is_in_path() {
        set("s3.path-style-access", "true");
    }
    // Java's clients leave files alone then, where they would clean up.
    set("s3.delete-enabled", "false");
    config
}

/// Where a table is in the catalog, from the catalog's address on.
fn url_of(place: &Place, ident: &TableIdent, what: &str) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let namespace = ident.namespace.levels().join(&SEPARATOR.to_string());
    format!(
        "v1/{}/namespaces/{}/tables/{}/{what}",
        escaped(&place.prefix()),
        escaped(&namespace),
        escaped(&ident.name)
    )
}

fn tag(config: &Map<String, Value>, of_login: &str) -> Option<String> {
    let said = format!("{} {of_login}", Value::Object(config.clone()));
    let hash = blake3::hash(said.as_bytes()).to_hex();
    Some(format!("v{}", hash.get(..16).unwrap_or_default()))
}

fn given(
    address: &Address,
    bucket: &Bucket,
    place: &Place,
    ident: &TableIdent,
    locations: &[String],
    vended: &Vended,
) -> Grant {
    let Vended { login, until_ms, since_ms } = vended;
    let mut config = settings_of(address, bucket);
    if until_ms.is_some() {
        let again = url_of(place, ident, "credentials");
        config.insert("client.refresh-credentials-endpoint".to_owned(), Value::from(again));
    }
    let of_login = format!("{} {until_ms:?}", login.key_id);
    let tag = tag(&config, &of_login);
    let mut set = |name: &str, value: &str| config.insert(name.to_owned(), Value::from(value));
    set("s3.access-key-id", &login.key_id);
    set("s3.secret-access-key", &login.secret);
    if let Some(token) = &login.token {
        set("s3.session-token", token);
    }
    if let Some(until) = until_ms {
        set("s3.session-token-expires-at-ms", &until.to_string());
    }
    let of_location =
        |location: &String| json!({"prefix": format!("{location}/"), "config": config});
    let credentials = Some(locations.iter().map(of_location).collect());
    let since = until_ms.map(|_| since_ms / 1000);
    Grant { access: Access { config, credentials }, tag, since }
}
