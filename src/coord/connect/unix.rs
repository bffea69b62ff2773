//! One Redis server on a Unix socket of this machine, over connections that wake their process only for what
//! comes in.
//!
//! Such a socket tells whoever watches it for writing each time that the other side has read: a process that
//! waits for an answer is so woken twice, once to find that there is none yet. Where many processes share
//! the processors that is a good part of what a commit costs. So a connection is watched for reading alone,
//! and for writing while the server does not take in what it is sent.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisConnectionInfo, RedisError};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::coord::options::{BLOCK_MAX, LaneOptions};
use crate::model::error::Result;

use super::connector::Connector;
use super::link::Link;
use super::permit::Permits;
use super::server::{no_connection, reason, redact, wrong};

/// What stands in front of the path of a socket.
const SCHEMES: [&str; 3] = ["unix://", "redis+unix://", "valkey+unix://"];

/// One server, by the path of its socket.
pub(super) struct UnixServer {
    url: String,
    path: PathBuf,
    login: RedisConnectionInfo,
    connect_timeout: Duration,
    response_timeout: Duration,
    permits: Permits,
}

impl fmt::Debug for UnixServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl UnixServer {
    /// The server that a URL names, if it is one on a Unix socket.
    pub(super) fn at(url: &str, options: &LaneOptions) -> Result<Option<Self>> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(None);
        }
        let client = Client::open(url).map_err(|error| wrong(url, reason(&error)))?;
        let info = client.get_connection_info();
        let ConnectionAddr::Unix(path) = info.addr() else { return Ok(None) };
        Ok(Some(Self {
            url: redact(url),
            path: path.clone(),
            login: info.redis_settings().clone(),
            connect_timeout: options.connect_timeout,
            response_timeout: options.response_timeout,
            // Who gets no connection of his own can do without: he looks again instead.
            permits: Permits::new(options.blocking),
        }))
    }

    /// A connection, one of whose calls may take so long.
    async fn open(&self, response_timeout: Duration) -> Result<Link> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(response_timeout));
        let opening = async {
            let socket = Socket::connect(&self.path).await?;
            MultiplexedConnection::new_with_config(&self.login, socket, config).await
        };
        // A server that takes connections and says nothing must not hold anybody up.
        let opened = tokio::time::timeout(self.connect_timeout, opening).await;
        let timed_out = |_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut)));
        let (connection, driver) =
            opened.unwrap_or_else(timed_out).map_err(|error| no_connection(&self.url, error))?;
        Ok(Link::from(connection).driven_by(tokio::spawn(driver).abort_handle()))
    }
}

impl Connector for UnixServer {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link>> {
        Box::pin(self.open(self.response_timeout))
    }

    fn blocking<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Link>> {
        Box::pin(async {
            let permit = self.permits.take()?;
            Ok(self.open(BLOCK_MAX + self.response_timeout).await?.holding(permit))
        })
    }
}

/// A socket that is watched for what comes in.
struct Socket {
    inbound: AsyncFd<UnixStream>,
    /// The same socket, watched for room for what goes out, while there is none.
    outbound: Option<AsyncFd<UnixStream>>,
}

impl Socket {
    async fn connect(path: &Path) -> io::Result<Self> {
        Self::over(tokio::net::UnixStream::connect(path).await?.into_std()?)
    }

    /// Over a socket that does not block.
    fn over(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { inbound: watched(stream, Interest::READABLE)?, outbound: None })
    }
}

#[expect(
    deprecated,
    reason = "what is in its place asks for `unsafe`, as not every type keeps its descriptor: this one does"
)]
fn watched(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.inbound.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let wanted = room.len();
            let Ok(read) = ready.try_io(|stream| stream.get_ref().read(room)) else { continue };
            let read = read?;
            if read > 0 && read < wanted {
                // That was all: asking again would say so.
                ready.clear_ready();
            }
            buffer.advance(read);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(outbound) = &self.outbound {
                ready!(outbound.poll_write_ready(context))?.clear_ready();
            }
            match self.inbound.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.outbound.is_none() {
                        let stream = self.inbound.get_ref().try_clone()?;
                        self.outbound = Some(watched(stream, Interest::WRITABLE)?);
                    }
                }
                written => {
                    self.outbound = None;
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inbound.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Socket, Socket) {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        other.set_nonblocking(true).unwrap();
        (Socket::over(one).unwrap(), Socket::over(other).unwrap())
    }

    #[tokio::test]
    async fn what_is_larger_than_the_socket_holds_comes_through_both_ways() {
        const LEN: usize = 8 * 1024 * 1024;
        let (one, other) = pair();
        let ends = [one, other].map(|socket| async move {
            let (mut inbound, mut outbound) = tokio::io::split(socket);
            let sent: Vec<u8> = (0..LEN).map(|n| (n % 251) as u8).collect();
            let mut received = vec![0; LEN];
            let expected = sent.clone();
            let (wrote, read) =
                tokio::join!(outbound.write_all(&sent), inbound.read_exact(&mut received));
            wrote.unwrap();
            read.unwrap();
            assert!(received == expected, "the bytes differ");
        });
        futures::future::join_all(ends).await;
    }

    #[tokio::test]
    async fn it_is_watched_for_writing_only_while_the_other_side_does_not_read() {
        let (mut one, mut other) = pair();
        let chunk = [7; 64 * 1024];
        one.write_all(&chunk).await.unwrap();
        assert!(one.outbound.is_none());
        let mut sent = chunk.len();
        // Until there is no room.
        while let Poll::Ready(written) = futures::poll!(std::future::poll_fn(|context| {
            Pin::new(&mut one).poll_write(context, &chunk)
        })) {
            sent += written.unwrap();
        }
        assert!(one.outbound.is_some());
        let mut received = vec![0; sent];
        other.read_exact(&mut received).await.unwrap();
        one.write_all(&chunk).await.unwrap();
        assert!(one.outbound.is_none(), "and no longer once there is");
    }

    #[tokio::test]
    async fn the_end_of_the_other_side_is_the_end_of_what_comes_in() {
        let (mut one, mut other) = pair();
        one.write_all(b"last words").await.unwrap();
        drop(one);
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"last words");
        assert!(other.write_all(b"to nobody").await.is_err());
    }
}
