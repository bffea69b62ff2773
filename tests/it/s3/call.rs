//! A request that is signed by hand (SigV4), so that every part of it can be wrong.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The payload's hash in a request whose body is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The hash of nothing signed, of a body with a trailer.
pub const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The hash of a body whose pieces are signed one by one.
pub const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

const REGION: &str = "us-east-1";

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }

    /// The texts of all elements of this name.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let ends = text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
        ends.map(|text| text.replace("&quot;", "\"").replace("&amp;", "&")).collect()
    }

    /// The status and the code of an error.
    pub fn told(&self) -> (u16, String) {
        (self.status.as_u16(), self.element("Code"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn etag(&self) -> String {
        self.header("etag").to_owned()
    }
}

/// The empty piece that ends a body in pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Right,
    /// With another signature.
    Forged,
    Missing,
}

#[derive(Clone)]
pub struct Call {
    base: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    unsigned: Vec<(String, String)>,
    body: Bytes,
    payload: Option<String>,
    key: (String, String),
    /// Seconds since the Unix epoch.
    now: i64,
    host: String,
}

impl Call {
    pub fn new(base: &str, method: &str, path: &str, key: &(String, String)) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        Self {
            base: base.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs.map(pair).collect(),
            headers: Vec::new(),
            unsigned: Vec::new(),
            body: Bytes::new(),
            payload: None,
            key: key.clone(),
            now: onward::internals::clock::now_ms() / 1000,
            host: base.strip_prefix("http://").unwrap().to_owned(),
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A header that is added when all is signed.
    pub fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Bytes::copy_from_slice(body.as_ref());
        self
    }

    /// What is said of the body's hash.
    pub fn payload(mut self, payload: &str) -> Self {
        self.payload = Some(payload.to_owned());
        self
    }

    pub fn of(mut self, key: &(String, String)) -> Self {
        self.key = key.clone();
        self
    }

    /// As if it were so many seconds later.
    pub fn later(mut self, seconds: i64) -> Self {
        self.now += seconds;
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    /// Sends it, signed by a header.
    pub async fn send(self) -> Answer {
        self.dispatch(self.signed(), &self.query).await
    }

    /// The same with the path as it is: clients make another one of `..`, however it is written. The
    /// status and all that follows it.
    pub async fn send_raw(self) -> (u16, String) {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.host);
        for (name, value) in self.signed() {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len());
        let mut stream = tokio::net::TcpStream::connect(self.base.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        stream.write_all(&[text.as_bytes(), &self.body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap(), answer)
    }

    fn signed(&self) -> Vec<(String, String)> {
        let (time, date) = self.times();
        let payload = self.payload.clone().unwrap_or_else(|| hex(&Sha256::digest(&self.body)));
        let mut headers = self.headers.clone();
        headers.push(("x-amz-date".to_owned(), time));
        headers.push(("x-amz-content-sha256".to_owned(), payload.clone()));
        let (signed, signature) = self.sign(&headers, &self.query, &payload);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{date}/{REGION}/s3/aws4_request, SignedHeaders={signed}, Signature={signature}",
            self.key.0
        );
        headers.push(("authorization".to_owned(), authorization));
        headers
    }

    /// Sends a body in pieces that are signed one by one.
    pub async fn send_chunks(mut self, pieces: &[&str], last: Last) -> Answer {
        let (time, date) = self.times();
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut headers = self.headers.clone();
        headers.push(("x-amz-date".to_owned(), time.clone()));
        headers.push(("x-amz-content-sha256".to_owned(), CHUNKS.to_owned()));
        headers.push(("x-amz-decoded-content-length".to_owned(), len.to_string()));
        headers.push(("content-encoding".to_owned(), "aws-chunked".to_owned()));
        let (signed, signature) = self.sign(&headers, &self.query, CHUNKS);
        let mut before = signature.clone();
        let mut body = String::new();
        for piece in pieces.iter().chain([&""]) {
            let scope = format!("{date}/{REGION}/s3/aws4_request");
            let empty = hex(&Sha256::digest(b""));
            let of_piece = hex(&Sha256::digest(piece.as_bytes()));
            let text =
                format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{before}\n{empty}\n{of_piece}");
            before = hex(&hmac(&self.signing_key(&date), text.as_bytes()));
            let shown = match (last, piece.is_empty()) {
                (Last::Missing, true) => break,
                (Last::Forged, true) => "0".repeat(64),
                _ => before.clone(),
            };
            body += &format!("{:x};chunk-signature={shown}\r\n{piece}\r\n", piece.len());
        }
        self.body = body.into();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{date}/{REGION}/s3/aws4_request, SignedHeaders={signed}, Signature={signature}",
            self.key.0
        );
        headers.push(("authorization".to_owned(), authorization));
        let query = self.query.clone();
        self.dispatch(headers, &query).await
    }

    /// A body with a checksum behind it, nothing of which is signed.
    pub fn with_trailer(self, text: &str, name: &str, value: &str) -> Self {
        let body = format!("{:x}\r\n{text}\r\n0\r\n{name}:{value}\r\n\r\n", text.len());
        self.header("x-amz-trailer", name)
            .header("x-amz-decoded-content-length", text.len().to_string())
            .header("content-encoding", "aws-chunked")
            .payload(UNSIGNED_TRAILER)
            .body(body)
    }

    /// Sends it, signed by its URL for so many seconds.
    pub async fn send_presigned(self, expires: &str) -> Answer {
        let (time, date) = self.times();
        let signed = self.signed_names(&self.headers);
        let mut query = self.query.clone();
        let scope = format!("{}/{date}/{REGION}/s3/aws4_request", self.key.0);
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", scope.replace('/', "%2F")),
            ("X-Amz-Date", time),
            ("X-Amz-Expires", expires.to_owned()),
            ("X-Amz-SignedHeaders", signed.replace(';', "%3B")),
        ] {
            query.push((name.to_owned(), value));
        }
        let (_, signature) = self.sign(&self.headers, &query, UNSIGNED);
        query.push(("X-Amz-Signature".to_owned(), signature));
        self.dispatch(self.headers.clone(), &query).await
    }

    /// Sends it as it is.
    pub async fn send_anonymous(self) -> Answer {
        self.dispatch(self.headers.clone(), &self.query).await
    }

    async fn dispatch(&self, headers: Vec<(String, String)>, query: &[(String, String)]) -> Answer {
        onward::internals::encryption::ready();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let url = format!("{}{}{query}", self.base, self.path);
        let method: Method = self.method.parse().unwrap();
        let mut request = reqwest::Client::new().request(method, url).header("host", &self.host);
        for (name, value) in headers.iter().chain(&self.unsigned) {
            request = request.header(name, value);
        }
        if !self.body.is_empty() || self.method == "PUT" || self.method == "POST" {
            request = request.body(self.body.clone());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap_or_default() }
    }

    fn times(&self) -> (String, String) {
        let moment = jiff_of(self.now);
        let date = moment.split('T').next().unwrap().to_owned();
        (moment, date)
    }

    fn signed_names(&self, headers: &[(String, String)]) -> String {
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.push("host");
        names.sort_unstable();
        names.dedup();
        names.join(";")
    }

    fn sign(
        &self,
        headers: &[(String, String)],
        query: &[(String, String)],
        payload: &str,
    ) -> (String, String) {
        let (time, date) = self.times();
        let mut query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        query.sort_unstable();
        let mut lines: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
        lines.push(("host", &self.host));
        lines.sort_unstable();
        let lines: String = lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = self.signed_names(headers);
        let canonical = format!(
            "{}\n{}\n{}\n{}\n{names}\n{payload}",
            self.method,
            // A slash is one, however it is written.
            self.path.replace("%2F", "/"),
            query.join("&"),
            lines
        );
        let scope = format!("{date}/{REGION}/s3/aws4_request");
        let hash = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        (names, hex(&hmac(&self.signing_key(&date), text.as_bytes())))
    }

    fn signing_key(&self, date: &str) -> Vec<u8> {
        let secret = format!("AWS4{}", self.key.1);
        let steps = [date, REGION, "s3", "aws4_request"];
        steps.iter().fold(secret.into_bytes(), |key, step| hmac(&key, step.as_bytes()))
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as signatures write it.
fn jiff_of(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap();
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}
