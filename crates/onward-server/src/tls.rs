//! TLS of a sidecar (feature `tls`).

#[cfg(not(feature = "tls"))]
use std::time::Duration;

#[cfg(not(feature = "tls"))]
use super::settings::TlsFiles;
#[cfg(not(feature = "tls"))]
use onward::{Error, Result};

#[cfg(feature = "tls")]
mod with_tls {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use crate::settings::TlsFiles;
    use onward::{Error, Result};

    /// Turns connections into encrypted ones.
    #[derive(Clone)]
    pub struct Tls(TlsAcceptor);

    impl Tls {
        /// Reads certificate and key.
        pub fn load(files: &TlsFiles) -> Result<Self> {
            let wrong = |path: &std::path::Path, error: String| {
                Error::invalid(format!(
                    "'{}' cannot be used: {error}; give files in PEM, the certificate followed by what leads to its root",
                    path.display()
                ))
            };
            let certs = CertificateDer::pem_file_iter(&files.cert)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(&files.cert, error.to_string()))?;
            if certs.is_empty() {
                return Err(wrong(&files.cert, "it has no certificate".into()));
            }
            let key = PrivateKeyDer::from_pem_file(&files.key)
                .map_err(|error| wrong(&files.key, error.to_string()))?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .and_then(|config| config.with_no_client_auth().with_single_cert(certs, key));
            let mut config = config.map_err(|error| wrong(&files.cert, error.to_string()))?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Self(TlsAcceptor::from(Arc::new(config))))
        }

        /// Encrypts a connection.
        pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
            &self,
            stream: S,
            timeout: Duration,
        ) -> std::io::Result<TlsStream<S>> {
            tokio::time::timeout(timeout, self.0.accept(stream)).await?
        }
    }
}

#[cfg(feature = "tls")]
pub use with_tls::Tls;

/// Stands for TLS in a program without it: there is no value of it.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
pub enum Tls {}

#[cfg(not(feature = "tls"))]
impl Tls {
    /// Says that this program has no TLS.
    pub fn load(_: &TlsFiles) -> Result<Self> {
        Err(Error::invalid(
            "this program was built without TLS: build it with `cargo build --release --features tls`, or put a proxy that has it in front",
        ))
    }

    /// Never called: without the feature there is no value of this type.
    pub async fn accept<S>(&self, _: S, _: Duration) -> std::io::Result<S> {
        match *self {}
    }
}
