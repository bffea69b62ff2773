//! A session of a role, by Amazon's STS or one that speaks as it does: `AssumeRole`.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use serde::Deserialize;
use url::form_urlencoded;

use super::sigv4::Signer;
use onward::internals::clock;
use onward::internals::encryption;
use onward::internals::objects::Login;
use onward::{Error, Result};

/// How long STS may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const ANSWER_LEN_MAX: usize = 64 << 10;
/// The version of the API.
const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// What is asked of STS.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The name of the role that is taken on.
    pub role: &'a str,
    /// What is written down of who asked, in Amazon's log.
    pub name: &'a str,
    /// What the session may do of what the role may.
    pub policy: &'a str,
    /// How long it lasts.
    pub lifetime: Duration,
}

/// A session of a role that has begun.
#[derive(Debug, Clone)]
pub struct Session {
    /// What its requests are signed with.
    pub login: Login,
    /// When it ends, ms since the Unix epoch.
    pub until_ms: i64,
}

/// Why there is no session.
#[derive(Debug)]
pub enum NoSession {
    /// STS takes the policy for malformed, or for too large when it is packed: another one may do.
    OfPolicy(Error),
    /// Something that has nothing to do with what the session was to be.
    OfAll(Error),
}

impl From<Error> for NoSession {
    fn from(error: Error) -> Self {
        Self::OfAll(error)
    }
}

/// The codes by which STS refuses a policy.
const OF_POLICY: [&str; 2] = ["MalformedPolicyDocument", "PackedPolicyTooLarge"];

/// Where sessions come from.
#[derive(Debug)]
pub struct Sts {
    client: reqwest::Client,
    url: String,
    region: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AssumeRoleResult")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Issued,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issued {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

/// What STS says that gives no session.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Error")]
    error: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    code: String,
    #[serde(default)]
    message: String,
}

impl Sts {
    /// The service at an address, or else Amazon's for the region.
    pub fn new(url: Option<&str>, region: &str) -> Result<Self> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = match url.filter(|url| !url.is_empty()) {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://sts.{region}.{domain}/"),
        };
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Error::invalid(format!(
                "'{}' is no address of STS: it looks like https://sts.eu-west-1.amazonaws.com",
                url.escape_debug()
            )));
        }
        encryption::ready();
        let client = reqwest::Client::builder().redirect(Policy::none()).timeout(DEADLINE).build();
        let client =
            client.map_err(|error| Error::internal("STS cannot be asked").with_source(error))?;
        Ok(Self { client, url, region: region.to_owned() })
    }

    /// Begins a session.
    pub async fn assume(&self, login: &Login, wish: &Wish<'_>) -> Result<Session, NoSession> {
        let form = [
            ("Action", "AssumeRole".to_owned()),
            ("Version", VERSION.to_owned()),
            ("RoleArn", wish.role.to_owned()),
            ("RoleSessionName", wish.name.to_owned()),
            ("DurationSeconds", wish.lifetime.as_secs().to_string()),
            ("Policy", wish.policy.to_owned()),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = [(CONTENT_TYPE.as_str().to_owned(), FORM.to_owned())];
        let signer = Signer { login, service: "sts", region: &self.region };
        let signed = signer.sign(&Method::POST, &self.url, &headers, body.as_bytes())?;
        let mut request = self.client.post(&self.url).header(CONTENT_TYPE, FORM);
        for (name, value) in signed {
            let mut value = HeaderValue::try_from(value)
                .map_err(|error| Error::internal("STS cannot be asked").with_source(error))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let (status, answer) = read(request.body(body)).await?;
        match status.is_success() {
            true => Ok(session(&answer)?),
            false => Err(refusal(status, &answer)),
        }
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<(http::StatusCode, Vec<u8>)> {
    let away = |error: reqwest::Error| {
        Error::unavailable("STS does not answer").with_source(error.without_url())
    };
    let mut answer = request.send().await.map_err(away)?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(away)? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_LEN_MAX {
            return Err(Error::unavailable("STS answers with more than it has to say"));
        }
    }
    Ok((answer.status(), body))
}

fn session(answer: &[u8]) -> Result<Session> {
    // What could not be read may have a secret in it, and is not repeated.
    let strange = || Error::unavailable("STS answers with no session that can be read");
    let text = std::str::from_utf8(answer).map_err(|_| strange())?;
    let Answer { result } = quick_xml::de::from_str(text).map_err(|_| strange())?;
    let Issued { access_key_id, secret_access_key, session_token, expiration } = result.credentials;
    let until_ms = clock::ms_of_rfc3339(&expiration).ok_or_else(strange)?;
    let login =
        Login { key_id: access_key_id, secret: secret_access_key, token: Some(session_token) };
    Ok(Session { login, until_ms })
}

/// What STS says that gives none. Whether that is so for now only cannot be told by all services alike.
fn refusal(status: http::StatusCode, answer: &[u8]) -> NoSession {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    let refusal = quick_xml::de::from_str::<Refusal>(text);
    let said = match &refusal {
        Ok(Refusal { error: Named { code, message } }) => {
            let message: String = message.chars().take(300).collect();
            format!("{}: {}", code.escape_debug(), message.escape_debug())
        }
        Err(_) => String::new(),
    };
    let error = Error::unavailable(format!("STS gives no session of the role ({status}) {said}"));
    match refusal.is_ok_and(|refusal| OF_POLICY.contains(&refusal.error.code.as_str())) {
        true => NoSession::OfPolicy(error),
        false => NoSession::OfAll(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_and_a_refusal_says_why() {
        let told = b"<?xml version=\"1.0\"?><AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser><Credentials><AccessKeyId>KEY</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey><SessionToken>TOKEN</SessionToken><Expiration>2026-11-29T03:00:00Z</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>";
        let session = super::session(told).unwrap();
        assert_eq!(session.login.key_id, "KEY");
        assert_eq!(session.login.token.as_deref(), Some("TOKEN"));
        assert_eq!(session.until_ms, 1_795_921_200_000);
        let error = super::session(b"<AssumeRoleResponse><SecretAccessKey>SECRET").unwrap_err();
        assert!(!error.to_string().contains("SECRET"));
        let refused = |code: &str| {
            let answer = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>not you</Message></Error></ErrorResponse>"
            );
            refusal(http::StatusCode::FORBIDDEN, answer.as_bytes())
        };
        let NoSession::OfAll(error) = refused("AccessDenied") else { panic!() };
        assert!(error.to_string().contains("AccessDenied: not you"), "{error}");
        assert!(matches!(refused("PackedPolicyTooLarge"), NoSession::OfPolicy(_)));
    }
}
