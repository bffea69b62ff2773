//! The framing of bodies that come in pieces (`aws-chunked`), before s3s reads it: s3s holds a whole piece in
//! memory, however long a client makes it, and takes a body that breaks off between two for a whole one.
//!
//! A piece without a signature is cut into small ones, since nobody has signed how it is framed. One with a
//! signature can be judged as a whole alone, so it has a limit.

use std::collections::VecDeque;

use axum::BoxError;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use s3s::S3ErrorCode;

use super::checksums::Outcome;

/// Bytes of a piece that is cut, at most.
const CUT_LEN: usize = 1 << 20;

/// Bytes of a signed piece, at most.
const SIGNED_LEN_MAX: usize = 16 << 20;

/// Bytes of the line before a piece, at most, as s3s has it.
const LINE_LEN_MAX: usize = 1024;

/// Digits of the length of a piece, at most: s3s reads no more of them.
const DIGITS_MAX: usize = 8;

/// Where in the framing one is.
enum Place {
    /// In the line before a piece.
    Line(Vec<u8>),
    /// In a piece, with so many bytes to come.
    Piece { left: usize, is_signed: bool },
    /// In what ends a piece.
    End { rest: &'static [u8], is_signed: bool },
    /// Behind the last piece: trailers.
    Behind,
}

struct Framing<S> {
    body: S,
    place: Place,
    ready: VecDeque<Bytes>,
    outcome: Outcome,
    is_over: bool,
}

/// The same body in pieces that can be held in memory, with an error in place of its end where it breaks
/// off before its last one, and what comes of it.
pub fn framed<S, E>(body: S) -> (impl Stream<Item = Result<Bytes, BoxError>> + Send, Outcome)
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<BoxError>,
{
    let outcome = Outcome::default();
    let framing = Framing {
        body,
        place: Place::Line(Vec::new()),
        ready: VecDeque::new(),
        outcome: outcome.clone(),
        is_over: false,
    };
    let framed = futures::stream::unfold(framing, |mut framing| async move {
        let piece = framing.next().await?;
        framing.is_over |= piece.is_err();
        Some((piece, framing))
    });
    (framed, outcome)
}

impl<S, E> Framing<S>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<BoxError>,
{
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            if self.is_over {
                return None;
            }
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    if let Err(error) = self.take(bytes) {
                        return Some(Err(error));
                    }
                }
                Some(Err(error)) => return Some(Err(error.into())),
                None => {
                    self.is_over = true;
                    return match self.place {
                        Place::Behind => None,
                        _ => Some(Err(self.broken("the body ends before its last piece"))),
                    };
                }
            }
        }
    }

    /// Takes what came of the body.
    fn take(&mut self, mut bytes: Bytes) -> Result<(), BoxError> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Line(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                    line.extend_from_slice(&bytes.split_to(end.unwrap_or(bytes.len())));
                    if line.len() > LINE_LEN_MAX {
                        return Err(self.broken("the line before a piece of the body is too long"));
                    }
                    if end.is_some() {
                        let line = std::mem::take(line);
                        self.begin(line)?;
                    }
                }
                Place::Piece { left, is_signed } => {
                    let data = bytes.split_to(bytes.len().min(*left).min(CUT_LEN));
                    *left -= data.len();
                    let (is_signed, is_done) = (*is_signed, *left == 0);
                    match is_signed {
                        true => self.ready.push_back(data),
                        false => self.cut(data),
                    }
                    if is_done {
                        self.place = Place::End { rest: b"\r\n", is_signed };
                    }
                }
                Place::End { rest, is_signed } => {
                    let byte = bytes.split_to(1);
                    let Some(left) = rest.strip_prefix(byte.as_ref()) else {
                        return Err(self.broken("a piece of the body is longer than it says"));
                    };
                    *rest = left;
                    let (is_signed, is_done) = (*is_signed, left.is_empty());
                    if is_signed {
                        self.ready.push_back(byte);
                    }
                    if is_done {
                        self.place = Place::Line(Vec::new());
                    }
                }
                Place::Behind => self.ready.push_back(std::mem::take(&mut bytes)),
            }
        }
        Ok(())
    }

    /// Begins what a line announces: `LENGTH` in hex, and perhaps `;chunk-signature=…`.
    fn begin(&mut self, line: Vec<u8>) -> Result<(), BoxError> {
        let is_signed = line.contains(&b';');
        let digits = line.split(|byte| matches!(byte, b';' | b'\r')).next();
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        let is_length = digits.len() <= DIGITS_MAX
            && line.ends_with(b"\r\n")
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = usize::from_str_radix(digits, 16).ok().filter(|_| is_length);
        let Some(left) = length else {
            return Err(self.broken("a piece of the body does not begin with its length"));
        };
        if is_signed && left > SIGNED_LEN_MAX {
            let why = format!(
                "a signed piece of a body has at most {SIGNED_LEN_MAX} bytes: send smaller ones, or the body unsigned"
            );
            return Err(self.outcome.refuse(S3ErrorCode::EntityTooLarge, why));
        }
        if is_signed || left == 0 {
            self.ready.push_back(line.into());
        }
        self.place = match left {
            0 => Place::Behind,
            left => Place::Piece { left, is_signed },
        };
        Ok(())
    }

    /// A piece of its own of what came.
    fn cut(&mut self, data: Bytes) {
        self.ready.push_back(format!("{:x}\r\n", data.len()).into());
        self.ready.push_back(data);
        self.ready.push_back(Bytes::from_static(b"\r\n"));
    }

    fn broken(&self, why: &str) -> BoxError {
        self.outcome
            .refuse(S3ErrorCode::IncompleteBody, format!("{why}: nothing was done, send it again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// What comes of a body that arrives in pieces of `step` bytes: all of it, or its refusal.
    async fn through(body: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let arriving =
            body.chunks(step).map(|bytes| Ok::<_, Infallible>(Bytes::copy_from_slice(bytes)));
        let (framed, outcome) = framed(futures::stream::iter(arriving.collect::<Vec<_>>()));
        let all: Vec<_> = Box::pin(framed).collect().await;
        match all.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(pieces) => Ok(pieces.concat()),
            Err(_) => Err(outcome.refusal().unwrap().code().as_str().to_owned()),
        }
    }

    /// The pieces of a body without signatures, and what is behind them.
    fn pieces(mut body: &[u8]) -> (Vec<&[u8]>, &[u8]) {
        let mut pieces = Vec::new();
        loop {
            let at = body.iter().position(|byte| *byte == b'\n').unwrap();
            let line = std::str::from_utf8(&body[..at - 1]).unwrap();
            let len = usize::from_str_radix(line, 16).unwrap();
            body = &body[at + 1..];
            if len == 0 {
                return (pieces, body);
            }
            pieces.push(&body[..len]);
            assert_eq!(&body[len..len + 2], b"\r\n");
            body = &body[len + 2..];
        }
    }

    #[tokio::test]
    async fn a_long_piece_reaches_s3s_in_short_ones() {
        let data: Vec<u8> = (0..3 * CUT_LEN + 5).map(|n| (n % 251) as u8).collect();
        let line = format!("{:x}\r\n", data.len());
        let body = [line.as_bytes(), &data, b"\r\n3\r\nabc\r\n0\r\nname:value\r\n\r\n"].concat();
        for step in [body.len(), CUT_LEN - 7, 1000] {
            let framed = through(&body, step).await.unwrap();
            let (pieces, behind) = pieces(&framed);
            assert!(pieces.iter().all(|piece| piece.len() <= CUT_LEN), "{step}");
            assert_eq!(pieces.concat(), [&data[..], b"abc"].concat());
            assert_eq!(behind, b"name:value\r\n\r\n");
        }
    }

    #[tokio::test]
    async fn a_signed_piece_is_passed_on_as_it_is_unless_it_is_too_long() {
        let body = b"3;chunk-signature=ab\r\nabc\r\n0;chunk-signature=cd\r\n\r\n";
        for step in [body.len(), 1, 5] {
            assert_eq!(through(body, step).await.unwrap(), body, "{step}");
        }
        let announced = |len: usize| format!("{len:x};chunk-signature=ab\r\n").into_bytes();
        let refused = through(&announced(SIGNED_LEN_MAX + 1), 7).await;
        assert_eq!(refused, Err("EntityTooLarge".to_owned()));
        assert_eq!(through(&announced(SIGNED_LEN_MAX), 7).await, Err("IncompleteBody".to_owned()));
    }

    #[tokio::test]
    async fn what_is_not_framed_or_breaks_off_is_refused() {
        for body in ["", "3", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n"] {
            let refused = through(body.as_bytes(), 2).await;
            assert_eq!(refused, Err("IncompleteBody".to_owned()), "{body:?}");
        }
        for body in ["+3\r\nabc", "\r\n", "3\nabc", "3x\r\nabc", "000000003\r\nabc", "3\r\nabcd"] {
            let all = format!("{body}\r\n0\r\n\r\n");
            let refused = through(all.as_bytes(), all.len()).await;
            assert_eq!(refused, Err("IncompleteBody".to_owned()), "{body:?}");
        }
        let long = [&b"3;"[..], &[b'x'; LINE_LEN_MAX]].concat();
        assert_eq!(through(&long, 100).await, Err("IncompleteBody".to_owned()));
    }
}
