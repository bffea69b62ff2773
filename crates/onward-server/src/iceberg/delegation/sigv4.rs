//! Signatures of AWS (version 4), by Amazon's own crate.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Method;

use onward::internals::clock;
use onward::internals::objects::Login;
use onward::{Error, Result};

/// Who signs, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The key that it is signed with.
    pub login: &'a Login,
    /// The service, such as `sts`.
    pub service: &'a str,
    /// The region of the service.
    pub region: &'a str,
}

impl Signer<'_> {
    /// The headers that sign a request, which is sent with those that it has.
    pub fn sign(
        &self,
        method: &Method,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>> {
        let Login { key_id, secret, token } = self.login.clone();
        let identity = Credentials::new(key_id, secret, token, None, "onward").into();
        let now = UNIX_EPOCH + Duration::from_millis(clock::now_ms().unsigned_abs());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(failed)?;
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new(method.as_str(), url, pairs, body).map_err(failed)?;
        let (signed, _) = sign(request, &params.into()).map_err(failed)?.into_parts();
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("a request cannot be signed").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_its_time_its_scope_and_what_it_was_made_for() {
        let login = Login {
            key_id: "KEY".to_owned(),
            secret: "SECRET".to_owned(),
            token: Some("TOKEN".to_owned()),
        };
        let signer = Signer { login: &login, service: "sts", region: "eu-west-1" };
        let headers = [("content-type".to_owned(), "text/plain".to_owned())];
        let url = "https://sts.eu-west-1.amazonaws.com/";
        let signed = signer.sign(&Method::POST, url, &headers, b"body").unwrap();
        let of = |wanted: &str| {
            signed.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(of("x-amz-security-token"), "TOKEN");
        let date = of("x-amz-date").get(..8).unwrap();
        let said = of("authorization");
        assert!(said.starts_with(&format!(
            "AWS4-HMAC-SHA256 Credential=KEY/{date}/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
        )), "{said}");
    }
}
