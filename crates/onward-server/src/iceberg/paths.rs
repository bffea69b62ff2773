//! What URLs name: a place, a namespace, a table, by the raw path. A name may have a slash, a dot or a blank in it, and
//! clients write a blank as `%20` or, like Java's, as `+`.

use axum::extract::{FromRequestParts, OriginalUri};
use http::request::Parts;

use super::error::{Answer, IcebergError};
use crate::error::ApiError;
use crate::state::AppState;
use onward_iceberg::catalog::{CatalogError, Namespace, Place, TableIdent};

/// The place that the prefix of a URL names.
pub struct InPlace(pub Place);

/// A namespace there.
pub struct InNamespace(pub Place, pub Namespace);

/// A table there.
pub struct InTable(pub Place, pub TableIdent);

/// The names in a path `…/v1/{prefix}/namespaces/{namespace}/tables/{table}`, as far as it goes.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    prefix: String,
    namespace: Option<String>,
    table: Option<String>,
}

impl Named {
    fn of(path: &str) -> Result<Self, ApiError> {
        let rest = path.split_once("/v1/").map_or("", |(_, rest)| rest);
        let mut parts = rest.split('/');
        let prefix = decode(parts.next().unwrap_or_default())?;
        let mut name = |folder: &str| match (parts.next(), parts.next()) {
            (Some(found), Some(name)) if found == folder => {
                decode(&name.replace('+', " ")).map(Some)
            }
            _ => Ok(None),
        };
        Ok(Self { prefix, namespace: name("namespaces")?, table: name("tables")? })
    }
}

/// The namespace that a parameter names. Iceberg's clients escape its levels, and then the parameter once more.
pub fn in_query(namespace: &str) -> Answer<Namespace> {
    Ok(Namespace::of_url(&decode(&namespace.replace('+', " "))?)?)
}

/// A text without its escapes. What is no escape stays as it is.
fn decode(part: &str) -> Result<String, ApiError> {
    let mut pieces = part.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                decoded.extend(piece.bytes().skip(2));
            }
            None => {
                decoded.push(b'%');
                decoded.extend(piece.bytes());
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| ApiError::invalid("the path of the URL is not UTF-8"))
}

async fn named(parts: &mut Parts, app: &AppState) -> Answer<(Place, Named)> {
    let uri = match parts.extensions.get::<OriginalUri>() {
        Some(uri) => &uri.0,
        None => &parts.uri,
    };
    let named = Named::of(uri.path())?;
    Ok((app.catalog.place(&named.prefix).await?, named))
}

fn absent(what: &str) -> IcebergError {
    CatalogError::invalid(format!("the URL names no {what}")).into()
}

impl FromRequestParts<AppState> for InPlace {
    type Rejection = IcebergError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Answer<Self> {
        Ok(Self(named(parts, app).await?.0))
    }
}

impl FromRequestParts<AppState> for InNamespace {
    type Rejection = IcebergError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Answer<Self> {
        let (place, named) = named(parts, app).await?;
        let namespace = named.namespace.ok_or_else(|| absent("namespace"))?;
        Ok(Self(place, Namespace::of_url(&namespace)?))
    }
}

impl FromRequestParts<AppState> for InTable {
    type Rejection = IcebergError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Answer<Self> {
        let (place, named) = named(parts, app).await?;
        let namespace = named.namespace.ok_or_else(|| absent("namespace"))?;
        let table = named.table.ok_or_else(|| absent("table"))?;
        Ok(Self(place, TableIdent::new(Namespace::of_url(&namespace)?, table)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_every_client_writes_them() {
        let named = |path: &str| Named::of(path).unwrap();
        let expected = |prefix: &str, namespace: Option<&str>, table: Option<&str>| Named {
            prefix: prefix.to_owned(),
            namespace: namespace.map(str::to_owned),
            table: table.map(str::to_owned),
        };
        for (path, prefix, namespace, table) in [
            ("/iceberg/v1/lake@main/namespaces", "lake@main", None, None),
            ("/iceberg/v1/lake%40main/namespaces/a%1Fb", "lake@main", Some("a\u{1f}b"), None),
            ("/iceberg/v1/l/namespaces/a/tables", "l", Some("a"), None),
            ("/iceberg/v1/l/namespaces/a/tables/b%20c/metrics", "l", Some("a"), Some("b c")),
            ("/iceberg/v1/l/namespaces/a+b/tables/c%2Bd", "l", Some("a b"), Some("c+d")),
            ("/iceberg/v1/l/namespaces/a%2Fb/tables/%C3%A4.x", "l", Some("a/b"), Some("ä.x")),
            ("/iceberg/v1/l/namespaces/v1/tables/v1", "l", Some("v1"), Some("v1")),
            ("/iceberg/v1/l/namespaces/a/views/b", "l", Some("a"), None),
            ("/iceberg/v1/l/tables/rename", "l", None, None),
        ] {
            assert_eq!(named(path), expected(prefix, namespace, table), "{path}");
        }
        assert!(Named::of("/iceberg/v1/l/namespaces/%ff").is_err());
        for (escaped, level) in [("a%2Fb", "a/b"), ("a+b", "a b"), ("a%b", "a%b"), ("50%", "50%")] {
            assert_eq!(in_query(escaped).unwrap().levels(), [level], "{escaped}");
        }
    }
}
