//! The primitives of Avro's binary encoding, both ways.

use super::Unreadable;

/// Appends a number: zigzag, seven bits a byte, the lowest first.
pub(in crate::table) fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1) ^ (value >> 63);
    loop {
        let low = (rest & 0x7f).to_le_bytes()[0];
        rest = ((rest as u64) >> 7) as i64;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Appends bytes, or the UTF-8 of a string.
pub(in crate::table) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, i64::try_from(value.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(value);
}

/// Takes a number from the front.
pub(super) fn take_long(from: &mut &[u8]) -> Result<i64, Unreadable> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first().ok_or_else(|| Unreadable::new("cut short"))?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(((value >> 1) as i64) ^ -((value & 1) as i64));
        }
    }
    Err(Unreadable::new("a number of more than 64 bits"))
}

/// Takes as many bytes from the front.
pub(super) fn take<'a>(from: &mut &'a [u8], many: usize) -> Result<&'a [u8], Unreadable> {
    let (taken, rest) = from.split_at_checked(many).ok_or_else(|| Unreadable::new("cut short"))?;
    *from = rest;
    Ok(taken)
}

/// Takes a length, and as many bytes behind it.
pub(super) fn take_bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Unreadable> {
    let many = take_long(from)?;
    take(from, usize::try_from(many).map_err(|_| Unreadable::new("a length below 0"))?)
}
