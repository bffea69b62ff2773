//! Random bytes, damaged bytes, and bytes that were found once.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{fixtures, run, seed, targets};

/// One thing that happens to bytes.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    /// A number in one of the ways that records have them.
    Number(Index, u64, u8),
    Cut(Index, Index),
    Truncate(Index),
    Insert(Index, Vec<u8>),
    /// A piece comes again, up to 64 times.
    Repeat(Index, Index, u8),
    /// A piece of another seed.
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let number = prop_oneof![
        any::<u64>(),
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        Just(u64::from(u32::MAX)),
        Just(1 << 31),
        Just(1 << 48),
        Just(65_535),
        Just(127),
    ];
    prop_oneof![
        3 => (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        3 => (at(), number, 0..6u8).prop_map(|(at, number, how)| Damage::Number(at, number, how)),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Cut(from, to)),
        1 => at().prop_map(Damage::Truncate),
        2 => (at(), vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (at(), at(), 1..64u8).prop_map(|(from, to, times)| Damage::Repeat(from, to, times)),
        1 => (at(), at(), at()).prop_map(|(at, from, to)| Damage::Splice(at, from, to)),
    ]
}

fn span(from: &Index, to: &Index, len: usize) -> std::ops::Range<usize> {
    let (a, b) = (from.index(len + 1), to.index(len + 1));
    a.min(b)..a.max(b)
}

fn encoded(number: u64, how: u8) -> Vec<u8> {
    match how {
        0 => {
            let mut out = Vec::new();
            crate::model::codec::put_u64(&mut out, number);
            out
        }
        1 => number.to_le_bytes().to_vec(),
        2 => (number as u32).to_le_bytes().to_vec(),
        3 => rmp_serde::to_vec(&number).unwrap(),
        // The length of an array, of bytes: MessagePack.
        4 => [&[0xdd][..], &(number as u32).to_be_bytes()].concat(),
        _ => [&[0xc6][..], &(number as u32).to_be_bytes()].concat(),
    }
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, other: &[u8]) {
    let len = bytes.len();
    match damage {
        Damage::Flip(at, bit) if len > 0 => bytes[at.index(len)] ^= 1 << bit,
        Damage::Set(at, byte) if len > 0 => bytes[at.index(len)] = *byte,
        Damage::Flip(..) | Damage::Set(..) => {}
        Damage::Number(at, number, how) => {
            let at = at.index(len + 1);
            let number = encoded(*number, *how);
            bytes.splice(at..(at + number.len()).min(len), number);
        }
        Damage::Cut(from, to) => drop(bytes.drain(span(from, to, len))),
        Damage::Truncate(at) => bytes.truncate(at.index(len + 1)),
        Damage::Insert(at, inserted) => {
            let at = at.index(len + 1);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Damage::Repeat(from, to, times) => {
            let piece = bytes[span(from, to, len)].repeat(usize::from(*times));
            let at = to.index(len + 1);
            bytes.splice(at..at, piece.into_iter().take(64 * 1024));
        }
        Damage::Splice(at, from, to) => {
            let at = at.index(len + 1);
            bytes.splice(at..at, other[span(from, to, other.len())].iter().copied());
        }
    }
}

#[test]
fn good_bytes_that_were_damaged_are_read_or_refused_clearly() {
    for target in targets() {
        let seeds = target.seeds(&fixtures()).unwrap();
        assert!(!seeds.is_empty(), "{} has nothing to start from", target.name);
        seeds.iter().for_each(|seed| run(&target, seed));
        let case = (any::<Index>(), any::<Index>(), vec(damage(), 1..6));
        seed::campaign(&case, 400, |(seed, other, damages)| {
            let (mut bytes, other) = (seed.get(&seeds).clone(), other.get(&seeds));
            damages.iter().for_each(|damage| apply(&mut bytes, damage, other));
            run(&target, &bytes);
            Ok(())
        });
    }
}

#[test]
fn random_bytes_are_read_or_refused_clearly() {
    for target in targets() {
        seed::campaign(&vec(any::<u8>(), 0..200), 200, |bytes| {
            run(&target, &bytes);
            Ok(())
        });
        // Every record begins with its version, and some with a kind before it.
        seed::campaign(&(0..4u8, vec(any::<u8>(), 0..100)), 200, |(version, bytes)| {
            run(&target, &[&[version][..], &bytes].concat());
            Ok(())
        });
    }
}

#[test]
fn what_campaigns_have_found_stays_mended() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut tried = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        // The longest name of a target that the file's begins with.
        let target = targets().into_iter().filter(|t| name.starts_with(&format!("{}-", t.name)));
        let target = target.max_by_key(|target| target.name.len());
        run(&target.unwrap_or_else(|| panic!("no target for {name}")), &bytes);
        tried += 1;
    }
    assert!(tried > 0);
}
