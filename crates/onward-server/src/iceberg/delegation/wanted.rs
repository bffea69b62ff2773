//! What a client says of how it wants to reach files that it has no credentials for, and who it is.

use http::{HeaderMap, HeaderName};

use crate::error::ApiResult;
use crate::headers::list;
use onward::internals::repo::access_keys::{AccessKey, Role};

/// The mechanisms that a client takes part in, with commas between.
const HEADER: HeaderName = HeaderName::from_static("x-iceberg-access-delegation");

/// What a client takes part in. Nothing is given to who does not ask.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Credentials that are made for it.
    pub vended: bool,
    /// The access key that it showed.
    pub key: String,
    /// What that may do.
    pub role: Role,
}

impl Wanted {
    /// What the headers of a request say. Names of mechanisms that are not known mean nothing.
    pub fn of(headers: &HeaderMap, key: &AccessKey) -> ApiResult<Self> {
        let listed = list(headers, &HEADER)?.unwrap_or_default();
        let has = |name: &str| listed.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
        Ok(Self { vended: has("vended-credentials"), ..Self::credentials(key) })
    }

    /// What is wanted by who asks for credentials and nothing else.
    pub fn credentials(key: &AccessKey) -> Self {
        Self { vended: true, key: key.id.clone(), role: key.role }
    }
}
