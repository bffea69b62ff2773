//! How ids, numbers and names are spelled in keys, and read back. Pure.

use std::str::FromStr;

/// A piece of an escaped name, in bytes: with it every name fits a file name.
const PIECE_LEN: usize = 200;

/// Splits ids over 256 folders: a file system with a million files in one folder is slow.
pub(super) fn fanned(id: &str) -> String {
    let first: String = id.chars().take(2).collect();
    format!("{first}/{id}")
}

/// The id of what lies in `folder` under its first two digits; `rest` is what follows in the key on the
/// folder of the repository.
pub(super) fn parse_fanned<T: FromStr>(rest: &str, folder: &str) -> Option<T> {
    let [found, first, id] = segments(rest)?;
    if found != folder || first.len() != 2 || !id.starts_with(first) {
        return None;
    }
    id.parse().ok()
}

pub(super) fn segments<const N: usize>(key: &str) -> Option<[&str; N]> {
    let segments: Vec<&str> = key.splitn(N + 1, '/').collect();
    segments.try_into().ok()
}

/// A number with exactly so many digits.
pub(super) fn padded(text: &str, digits: usize) -> Option<u64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A name in letters, digits and `-_.`, everything else as `%XX` of its UTF-8 bytes. A long one is
/// cut into folders; all pieces but the last end in `+`, so that no piece is another name's whole.
pub(super) fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    let mut pieces = String::with_capacity(escaped.len() + 8);
    for (index, character) in escaped.chars().enumerate() {
        if index > 0 && index % PIECE_LEN == 0 {
            pieces.push_str("+/");
        }
        pieces.push(character);
    }
    pieces
}

/// Reads what [`escape`] wrote, and nothing else: one name has one form.
pub(super) fn unescape(pieces: &str) -> Option<String> {
    let escaped = pieces.replace("+/", "");
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |byte| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (escape(&name) == pieces).then_some(name)
}
