//! Which of a cluster's 16,384 slots a key is in, and which server has a slot.

use std::collections::BTreeSet;

use redis::{Arg, Cmd, Value};

use super::address::Address;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// Ranges that a map has, at most: one for each slot.
const RANGES_MAX: usize = SLOTS as usize;

/// The slot of a key: that of its hash tag, where it has one.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|&byte| byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16 as the cluster specification has it (XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// The slot that a command goes to; `None` for one without keys. All keys of one command share a
/// hash tag, so the first one tells.
pub(super) fn slot_of_command(command: &Cmd) -> Option<u16> {
    let mut args = command.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes,
        _ => b"".as_slice(),
    });
    let name = args.next()?.to_ascii_uppercase();
    let key = match name.as_slice() {
        b"EVAL" | b"EVALSHA" => args.nth(2),
        b"XREAD" => args.skip_while(|arg| !arg.eq_ignore_ascii_case(b"STREAMS")).nth(1),
        b"INFO" | b"PING" | b"CONFIG" | b"SLOWLOG" | b"CLIENT" | b"SCRIPT" | b"CLUSTER" => None,
        _ => args.next(),
    };
    key.map(slot_of)
}

/// Who has which slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// First and last slot and their server, in order.
    ranges: Vec<(u16, u16, Address)>,
}

impl SlotMap {
    /// From the reply to CLUSTER SLOTS of the server at `asked`. `None` when it is no such reply.
    pub(super) fn parse(reply: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(rows) = reply else { return None };
        let mut ranges = Vec::with_capacity(rows.len().min(RANGES_MAX));
        for row in rows.iter().take(RANGES_MAX) {
            let Value::Array(row) = row else { return None };
            let (Value::Int(first), Value::Int(last)) = (row.first()?, row.get(1)?) else {
                return None;
            };
            let Value::Array(primary) = row.get(2)? else { return None };
            let Value::Int(port) = primary.get(1)? else { return None };
            // A server that does not know its own address leaves it out.
            let host = match primary.first()? {
                Value::BulkString(host) if !matches!(host.as_slice(), b"" | b"?") => {
                    String::from_utf8(host.clone()).ok()?
                }
                _ => asked.host.clone(),
            };
            let port = u16::try_from(*port).ok()?;
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            ranges.push((first, last, Address { host, port }));
        }
        ranges.sort();
        Some(Self { ranges })
    }

    /// Whether nothing is known yet.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The server of a slot, if one is known.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        let after = self.ranges.partition_point(|(first, ..)| *first <= slot);
        let (_, last, address) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(address)
    }

    /// Notes that a slot is another server's now.
    pub(super) fn learn(&mut self, slot: u16, address: Address) {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 2);
        for (first, last, owner) in self.ranges.drain(..) {
            if first < slot {
                ranges.push((first, last.min(slot - 1), owner.clone()));
            }
            if last > slot {
                ranges.push((first.max(slot + 1), last, owner));
            }
        }
        ranges.push((slot, slot, address));
        ranges.sort();
        self.ranges = ranges;
    }

    /// Whether any slot has another server here than in `other`.
    pub(super) fn differs(&self, other: &Self) -> bool {
        (0..SLOTS).any(|slot| self.owner(slot) != other.owner(slot))
    }

    /// Every server that has slots.
    pub(super) fn servers(&self) -> BTreeSet<Address> {
        self.ranges.iter().map(|(_, _, address)| address.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address { host: "h".into(), port }
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
        assert_eq!(slot_of(b"a{b}{c}"), slot_of(b"b"));
    }

    #[test]
    fn a_command_goes_where_its_first_key_is() {
        let mut eval = redis::cmd("EVALSHA");
        eval.arg("sha").arg(2).arg("{t}:a").arg("{t}:b").arg("x");
        assert_eq!(slot_of_command(&eval), Some(slot_of(b"t")));
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(5).arg("STREAMS").arg("{t}:s").arg("0-0");
        assert_eq!(slot_of_command(&read), Some(slot_of(b"t")));
        assert_eq!(slot_of_command(redis::cmd("HGET").arg("k").arg("f")), Some(slot_of(b"k")));
        assert_eq!(slot_of_command(redis::cmd("INFO").arg("server")), None);
    }

    #[test]
    fn a_map_learns_one_slot_without_losing_its_neighbours() {
        let mut map = SlotMap { ranges: vec![(0, 99, at(1)), (100, 199, at(2))] };
        let before = map.clone();
        map.learn(50, at(2));
        let owners = [0, 49, 50, 51, 99, 100, 200].map(|slot| map.owner(slot).map(|at| at.port));
        assert_eq!(owners, [Some(1), Some(1), Some(2), Some(1), Some(1), Some(2), None]);
        assert!(map.differs(&before));
        map.learn(50, at(1));
        assert!(!map.differs(&before), "the same owners, in more pieces");
        map.learn(0, at(3));
        map.learn(199, at(3));
        assert_eq!(map.owner(0), Some(&at(3)));
        assert_eq!(map.owner(199), Some(&at(3)));
        assert_eq!(map.servers().len(), 3);
    }

    #[test]
    fn a_server_that_does_not_know_its_address_is_where_it_was_asked() {
        let text = |text: &str| Value::BulkString(text.into());
        let row = |host| {
            let node = Value::Array(vec![host, Value::Int(7), text("id")]);
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(5), node])])
        };
        for host in [text(""), Value::Nil, text("?")] {
            assert_eq!(SlotMap::parse(&row(host), &at(1)).unwrap().owner(5), Some(&at(7)));
        }
        let named = SlotMap::parse(&row(text("10.0.0.1")), &at(1)).unwrap();
        assert_eq!(named.owner(0).unwrap().to_string(), "10.0.0.1:7");
        assert_eq!(SlotMap::parse(&Value::Nil, &at(1)), None);
    }
}
