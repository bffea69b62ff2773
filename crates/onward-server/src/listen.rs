//! Connections: accepted up to a limit, served until the sidecar stops, then finished in good order.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use http::Extensions;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::metrics;
use super::patient::Patient;
use super::settings::{Limits, Listen};
use super::tls::Tls;
use onward::{Error, Result};

/// How long accepting rests when the system has no more file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection: an IP address, or `local` for a Unix socket.
#[derive(Debug, Clone)]
pub struct Peer(pub Arc<str>);

impl Peer {
    /// The peer of a request.
    pub fn of(extensions: &Extensions) -> Arc<str> {
        extensions.get::<Self>().map_or_else(|| "unknown".into(), |peer| peer.0.clone())
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How names of headers are spelled in answers: it says nothing in HTTP, and something to some clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderNames {
    /// `Content-Type`, as clients of lakeFS know it.
    TitleCase,
    /// `content-type`: clients of S3 take the names of metadata as they are spelled.
    #[cfg(feature = "s3")]
    LowerCase,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, removed with it.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it, or put his own there: nothing to do about either.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A bound socket.
pub struct Listener {
    socket: Socket,
    tls: Option<Tls>,
}

impl Listener {
    /// Binds the socket.
    pub async fn bind(listen: &Listen, tls: Option<Tls>) -> Result<Self> {
        let socket = match listen {
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).await.map_err(|error| {
                    Error::invalid(format!(
                        "cannot listen on {address}: choose another address or port (port 0 takes a free one)"
                    ))
                    .with_source(error)
                })?;
                Socket::Tcp(bound)
            }
            Listen::Unix(path) => Socket::Unix(bind_unix(path)?, SocketFile(path.clone())),
        };
        Ok(Self { socket, tls })
    }

    /// The URL at which it can be reached.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{scheme}://{address}"),
                Err(_) => format!("{scheme}://unknown"),
            },
            Socket::Unix(_, file) => format!("unix://{}", file.0.display()),
        }
    }

    /// Whether connections to it are encrypted.
    #[cfg(feature = "page")]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are whole; waiting for more of them only delays.
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(address.ip().to_string().into())))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer("local".into())))
            }
        }
    }

    /// Serves connections until `stopping`, then lets requests under way go on for the limits'
    /// grace. Returns whether all of them ended by themselves.
    pub async fn serve(
        self,
        app: Router,
        names: HeaderNames,
        limits: Limits,
        stopping: CancellationToken,
    ) -> bool {
        let places = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .title_case_headers(names == HeaderNames::TitleCase);
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = stopping.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let (http, watcher) = (http.clone(), graceful.watcher());
            let (tls, app) = (self.tls.clone(), app.clone());
            tokio::spawn(async move {
                let _place = place;
                let _counted = metrics::Counted::connection();
                let stream = Patient::new(stream, limits.write_timeout);
                let stream: Pin<Box<dyn Stream>> = match tls {
                    None => Box::pin(stream),
                    Some(tls) => match tls.accept(stream, limits.head_timeout).await {
                        Ok(stream) => Box::pin(stream),
                        Err(error) => return tracing::debug!(%error, "no TLS came about"),
                    },
                };
                let service = app.map_request(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer.clone());
                    request
                });
                let service = TowerToHyperService::new(service);
                let connection = http.serve_connection(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        // Nobody new is let in: who connects now is refused and tries elsewhere.
        drop(self.socket);
        tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_ok()
    }
}

/// Binds a socket that only its owner may use, in place of one that nobody listens on any more.
fn bind_unix(path: &std::path::Path) -> Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let cannot = |why: &str| Error::invalid(format!("cannot listen on {}: {why}", path.display()));
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(cannot("somebody listens there already"));
    }
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(cannot("there is something else than a socket"));
        }
        std::fs::remove_file(path)
            .map_err(|error| cannot("what is there cannot be removed").with_source(error))?;
    }
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    nix::sys::stat::umask(mask);
    let bound = bound.map_err(|error| cannot("the system refuses").with_source(error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| cannot("its permissions cannot be set").with_source(error))?;
    Ok(bound)
}
