//! A relay between clients and Redis that breaks the connection at the worst moment.
//!
//! It reads the protocol, so that faults hit a chosen request or its reply. A reply is never left
//! out or repeated on a connection that goes on: TCP does not do that, and a client that matches
//! replies by their order could not know. What does happen is a reply that never comes because
//! the connection breaks or stalls, and a request that is carried out twice because something in
//! between sent it again; these are here. Push messages (pub/sub) are not understood; a stream that
//! is no request and reply at all (replication) goes through a [`Relay::raw`] one.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// The connection breaks before Redis sees the request.
    LoseRequest,
    /// Redis carries it out; the connection breaks instead of the reply.
    LoseReply,
    /// The connection breaks before Redis sees the request, and nothing moves from then on.
    BreakAndStall,
    /// The request goes on so much later, and those behind it too.
    DelayRequest(Duration),
    /// The reply comes so much later, and those behind it too.
    DelayReply(Duration),
    /// Redis gets the request twice; the client gets the first reply.
    Duplicate,
}

/// What happens to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Flow,
    /// Nothing moves, nothing breaks.
    Stall,
    /// Connections are broken and new ones closed at once.
    Refuse,
}

struct Rule {
    /// A text that one of the request's words contains, in any case.
    text: String,
    /// How many such requests pass first.
    pass: usize,
    hit: Hit,
}

struct Shared {
    upstream: Mutex<String>,
    /// Bytes are passed on as they come, without a look at what they say.
    raw: bool,
    rules: Mutex<Vec<Rule>>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    mode: watch::Sender<Mode>,
    /// How often all connections were broken; each watches for a change.
    cuts: watch::Sender<u64>,
}

/// A running relay; gone with the value.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `upstream` (`unix:///path` or `redis://host:port`).
    pub async fn start(upstream: &str) -> Self {
        Self::of(upstream, false).await
    }

    /// A relay that passes bytes on as they come: it stalls, refuses and cuts, but hits nothing.
    pub async fn raw(upstream: &str) -> Self {
        Self::of(upstream, true).await
    }

    async fn of(upstream: &str, raw: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream.to_owned()),
            raw,
            rules: Mutex::default(),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            mode: watch::Sender::new(Mode::Flow),
            cuts: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, task }
    }

    /// Breaks all connections; new ones lead to another server.
    pub fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.shared.upstream.lock().unwrap());
        self.cut();
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on, the `nth` (from 1) request with a word that contains `text` (empty: any
    /// request; upper and lower case are the same) meets `hit`, once.
    pub fn hit(&self, text: &str, nth: usize, hit: Hit) {
        let rule = Rule { text: text.to_ascii_lowercase(), pass: nth - 1, hit };
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// How many rules have not been used yet.
    pub fn pending(&self) -> usize {
        self.shared.rules.lock().unwrap().len()
    }

    /// How many requests came, hit or not.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many connections came, served or not.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Holds everything back; connections stay open.
    pub fn stall(&self) {
        self.shared.mode.send_replace(Mode::Stall);
    }

    /// Breaks all connections and closes new ones at once.
    pub fn refuse(&self) {
        self.shared.mode.send_replace(Mode::Refuse);
        self.cut();
    }

    /// Breaks all connections; new ones work.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Everything moves again.
    pub fn flow(&self) {
        self.shared.mode.send_replace(Mode::Flow);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        self.refuse();
    }
}

impl Shared {
    fn draw(&self, request: &[u8]) -> Option<Hit> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut rules = self.rules.lock().unwrap();
        let lower = request.to_ascii_lowercase();
        let matching = |rule: &Rule| {
            rule.text.is_empty()
                || lower.windows(rule.text.len()).any(|w| w == rule.text.as_bytes())
        };
        let mut due = None;
        for (index, rule) in rules.iter_mut().enumerate() {
            if matching(rule) {
                if rule.pass > 0 {
                    rule.pass -= 1;
                } else if due.is_none() {
                    due = Some(index);
                }
            }
        }
        due.map(|index| rules.remove(index).hit)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        shared.connections.fetch_add(1, Ordering::Relaxed);
        // Subscribed before the first byte, so that a cut right afterwards counts.
        let mut cuts = shared.cuts.subscribe();
        if *shared.mode.borrow() == Mode::Refuse {
            continue;
        }
        tokio::spawn(async move {
            let _ = client.set_nodelay(true);
            let mode = shared.mode.subscribe();
            tokio::select! {
                _ = carry(client, &shared, mode) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn carry(client: TcpStream, shared: &Shared, mode: watch::Receiver<Mode>) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let upstream = shared.upstream.lock().unwrap().clone();
    if let Some(path) = upstream.strip_prefix("unix://") {
        let (from_redis, to_redis) = UnixStream::connect(path).await?.into_split();
        pipe(from_client, to_redis, from_redis, to_client, shared, mode).await
    } else {
        let address = upstream.trim_start_matches("redis://");
        let (from_redis, to_redis) = TcpStream::connect(address).await?.into_split();
        if shared.raw {
            let there = pass_on(from_client, to_redis, mode.clone());
            let back = pass_on(from_redis, to_client, mode);
            return tokio::select! { done = there => done, done = back => done };
        }
        pipe(from_client, to_redis, from_redis, to_client, shared, mode).await
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let len = from.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        flowing(&mut mode).await;
        to.write_all(&buffer[..len]).await?;
    }
}

/// What to do with the next reply.
enum Reply {
    Forward,
    Delay(Duration),
    Swallow,
    Cut,
}

async fn pipe(
    from_client: impl AsyncRead + Unpin,
    mut to_redis: impl AsyncWrite + Unpin,
    from_redis: impl AsyncRead + Unpin,
    mut to_client: impl AsyncWrite + Unpin,
    shared: &Shared,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let coming: Mutex<VecDeque<Reply>> = Mutex::default();
    let requests = async {
        let mut frames = Frames::new(from_client);
        let mut mode = mode.clone();
        while let Some(request) = frames.next().await? {
            flowing(&mut mode).await;
            let hit = shared.draw(&request);
            let replies = match hit {
                Some(Hit::LoseRequest) => return Err(cut()),
                Some(Hit::BreakAndStall) => {
                    shared.mode.send_replace(Mode::Stall);
                    return Err(cut());
                }
                Some(Hit::LoseReply) => vec![Reply::Cut],
                Some(Hit::DelayReply(time)) => vec![Reply::Delay(time)],
                Some(Hit::DelayRequest(time)) => {
                    tokio::time::sleep(time).await;
                    vec![Reply::Forward]
                }
                Some(Hit::Duplicate) => vec![Reply::Forward, Reply::Swallow],
                None => vec![Reply::Forward],
            };
            coming.lock().unwrap().extend(replies);
            to_redis.write_all(&request).await?;
            if hit == Some(Hit::Duplicate) {
                to_redis.write_all(&request).await?;
            }
        }
        Ok::<(), io::Error>(())
    };
    let replies = async {
        let mut frames = Frames::new(from_redis);
        let mut mode = mode.clone();
        while let Some(reply) = frames.next().await? {
            flowing(&mut mode).await;
            let next = coming.lock().unwrap().pop_front();
            match next {
                Some(Reply::Swallow) => continue,
                Some(Reply::Cut) => return Err(cut()),
                Some(Reply::Delay(time)) => tokio::time::sleep(time).await,
                Some(Reply::Forward) | None => {}
            }
            to_client.write_all(&reply).await?;
        }
        Ok::<(), io::Error>(())
    };
    tokio::select! { done = requests => done, done = replies => done }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

async fn flowing(mode: &mut watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| *mode != Mode::Stall).await;
}

/// Splits a stream into whole messages of the Redis protocol.
struct Frames<R> {
    reader: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(len) = frame_len(&self.buffer) {
                return Ok(Some(self.buffer.drain(..len).collect()));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Length of the message at the start of `bytes`, if it is complete.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let number = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<i64>().ok();
    let mut len = line + 2;
    match bytes[0] {
        b'$' | b'=' | b'!' => {
            if let Ok(content) = usize::try_from(number()?) {
                len += content + 2;
            }
        }
        b'*' | b'~' | b'>' | b'%' | b'|' => {
            let per_item = if matches!(bytes[0], b'%' | b'|') { 2 } else { 1 };
            for _ in 0..number()? * per_item {
                len += frame_len(bytes.get(len..)?)?;
            }
        }
        _ => {}
    }
    (len <= bytes.len()).then_some(len)
}

#[test]
fn messages_are_measured_whole_or_not_at_all() {
    for whole in
        ["+OK\r\n", ":1\r\n", "$3\r\na\r\n\r\n", "$-1\r\n", "*2\r\n$1\r\na\r\n*0\r\n", "_\r\n"]
    {
        assert_eq!(frame_len(whole.as_bytes()), Some(whole.len()), "{whole:?}");
        for cut in 0..whole.len() {
            assert_eq!(frame_len(&whole.as_bytes()[..cut]), None, "{whole:?} cut at {cut}");
        }
    }
}
