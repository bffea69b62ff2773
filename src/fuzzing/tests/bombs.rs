//! Few bytes that claim to be many, or to be very deep. Each of them is refused before anything of
//! that size is made.

use bytes::Bytes;

use super::{by_name, run};
use crate::commit::log::entry::LogEntry;
use crate::commit::mend::restore::Checkpoint;
use crate::model::codec::{put_bytes, put_u64};
use crate::model::error::{ErrorKind, Result};
use crate::tree::frame::{Packer, decompress, unpack};
use crate::tree::load::decode_list;
use crate::tree::range_index::decode_index;
use crate::tree::{InlineRun, Record};

const MIB: u64 = 1 << 20;

/// What `decode` holds at most, and that it refuses.
#[track_caller]
fn refused<T>(decode: impl FnOnce() -> Result<T>) -> (u64, String) {
    let mut message = String::new();
    let info = allocation_counter::measure(|| {
        let error = decode().err().expect("a bomb is refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        message = error.to_string();
    });
    (info.bytes_max, message)
}

fn log_entry(body: &[u8], claims: usize) -> Vec<u8> {
    let packed = zstd::bulk::compress(body, 1).unwrap();
    let len = (claims as u32).to_le_bytes();
    let bytes = [&b"ONWL\x02"[..], &len, &packed].concat();
    [&bytes[..], &crc32c::crc32c(&bytes).to_le_bytes()].concat()
}

#[test]
fn a_frame_that_claims_or_holds_gigabytes_is_refused() {
    // Claimed: 60 bytes cannot become 64 MiB.
    let small = log_entry(b"few", 64 << 20);
    let (held, message) = refused(|| LogEntry::decode("log", &small));
    assert!(held < MIB && message.contains("cannot become"), "{held}: {message}");
    let mut list = vec![1];
    put_u64(&mut list, 512 << 20);
    Packer::new().unwrap().pack(&[0; 1000], &mut list).unwrap();
    let (held, message) = refused(|| decode_list(&Bytes::from(list)));
    assert!(held < MIB && message.contains("cannot become"), "{held}: {message}");
    // Held: a gigabyte of zeros in some tens of KiB stops at what was claimed.
    let zeros = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    assert!(zeros.len() < 100_000);
    let (held, _) = refused(|| decompress(&zeros, 1 << 20));
    assert!(held < 2 * MIB, "{held}");
    let frame = [&[1][..], &zeros].concat();
    let frame = [&frame[..], &crc32c::crc32c(&frame).to_le_bytes()].concat();
    let (held, _) = refused(|| unpack(&Bytes::from(frame), 1 << 20));
    assert!(held < 2 * MIB, "{held}");
    // Both: over the limit of the record.
    let (held, message) = refused(|| LogEntry::decode("log", &log_entry(&zeros, 1 << 30)));
    assert!(held < MIB && message.contains("over the size limit"), "{held}: {message}");
}

/// Records with paths of a KiB that share all but their ends: six bytes each.
fn dense_run(count: u32) -> InlineRun {
    let record = |number: u32| {
        let path = format!("{}{number:06}", "x".repeat(1018)).parse().unwrap();
        Record { path, op: 0, value: Bytes::from_static(b"\0") }
    };
    InlineRun::from_records((0..count).map(record).collect()).unwrap()
}

#[test]
fn runs_of_a_log_entry_that_share_what_they_say_are_bounded_together() {
    let run = dense_run(60_000);
    let held = run.held_bytes();
    assert!(run.encode().len() * 50 < held, "{} for {held}", run.encode().len());
    // Twelve of them would hold 700 MiB, and compress to next to nothing.
    let (_, mut entry) = (0, LogEntry::decode("log", &first_entry()).unwrap());
    let run = std::sync::Arc::new(run);
    entry.runs = std::iter::repeat_n(run, 12).collect();
    let bytes = entry.encode().unwrap();
    assert!(bytes.len() < 16 << 20);
    let (_, message) = refused(|| LogEntry::decode("log", &bytes));
    assert!(message.contains("over the size limit"), "{message}");
}

fn first_entry() -> Vec<u8> {
    std::fs::read(super::fixtures().join("log-entry-first-v2.bin")).unwrap()
}

#[test]
fn an_index_whose_paths_share_what_they_say_is_bounded() {
    let summary = |out: &mut Vec<u8>, blocks: u64| {
        put_u64(out, 1);
        out.extend_from_slice(&[7; 16]);
        put_bytes(out, b"a");
        put_bytes(out, b"z");
        [blocks, 0, blocks].into_iter().for_each(|number| put_u64(out, number));
        out.push(0);
        put_u64(out, blocks);
    };
    // Eight bytes for a path of a KiB, eight million times.
    let mut index = Vec::new();
    summary(&mut index, 8 << 20);
    index.resize(64 << 20, 0);
    let (held, message) = refused(|| decode_index(&index, u64::MAX));
    assert!(held < MIB && message.contains("do not fit"), "{held}: {message}");
    // As many as are allowed, each with a path as long as can be.
    let mut index = Vec::new();
    let blocks = 1u64 << 17;
    summary(&mut index, blocks);
    let mut before = String::new();
    for number in 0..blocks {
        let path = format!("{}{number:08}", "x".repeat(1016));
        let shared = crate::tree::block::shared_prefix(&before, &path);
        put_u64(&mut index, shared as u64);
        put_bytes(&mut index, &path.as_bytes()[shared..]);
        [0, 6, 1, 1].into_iter().for_each(|number| put_u64(&mut index, number));
        before = path;
    }
    let (held, _) = refused(|| decode_index(&index, u64::MAX));
    assert!(held < 300 * MIB, "{held}");
}

#[test]
fn lengths_that_lie_reserve_nothing() {
    // An array, a map, bytes and text of four thousand million, where each kind of record has one.
    for claim in [0xdd, 0xdf, 0xc6, 0xdb] {
        let claim = [&[claim][..], &[0xff; 4]].concat();
        for (name, front) in [
            ("log-body", &b""[..]),
            ("checkpoint", b"\x01"),
            ("outcome", b"\x01"),
            ("protection", b"\x01"),
            ("write-policy", b"\x01"),
            ("sinks", b"\x01"),
            ("sink-progress", b"\x01"),
            ("access-key", b"\x01"),
            ("upload", b"\x01"),
            ("tag", b"\x01"),
            ("repo", b"\x01"),
            ("hint-body", b""),
            ("op", b"0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8dP\x01"),
        ] {
            run(&by_name(name), &[front, &claim].concat());
            // As the value of the first field of a map, and inside one that nobody knows.
            run(&by_name(name), &[front, b"\x81\xa1?", &claim].concat());
            run(&by_name(name), &[front, b"\x81\xa5rules", &claim].concat());
        }
    }
    for reply in [&b"*4000000000\r\n"[..], b"$4000000000\r\n", b"%4000000000\r\n", b"~99999999\r\n"]
    {
        run(&by_name("reply"), reply);
    }
}

#[test]
fn what_is_nested_very_deep_does_not_exhaust_the_stack() {
    // On a stack as small as any that decodes here: a worker thread has 2 MiB.
    let small_stack = std::thread::Builder::new().stack_size(1 << 20);
    let tried = small_stack.spawn(|| {
        let depth = 200_000;
        for open in [&b"\x91"[..], b"\x81\xa1?", b"\xdc\x00\x01", b"\x92\x00", b"\x81\xa5rules"] {
            let deep = open.repeat(depth);
            for (name, front) in [
                ("log-body", &b""[..]),
                ("checkpoint", b"\x01"),
                ("outcome", b"\x01"),
                ("protection", b"\x01"),
                ("write-policy", b"\x01"),
                ("sinks", b"\x01"),
                ("sink-progress", b"\x01"),
                ("access-key", b"\x01"),
                ("upload", b"\x01"),
                ("repo", b"\x01"),
                ("branch", b"\x01"),
                ("hint-body", b""),
                ("op", b"0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8dP\x01"),
            ] {
                (by_name(name).run)(&[front, &deep].concat());
                (by_name(name).run)(&[front, b"\x81\xa1?", &deep].concat());
            }
        }
        for open in ["[", "{\"put\":", "{\"put\":{\"metadata\":{\"a\":", "[{\"x\":"] {
            (by_name("change-file").run)(open.repeat(depth / 20).as_bytes());
        }
        for open in ["*1\r\n", "%1\r\n:1\r\n", "~1\r\n", "|1\r\n:1\r\n"] {
            (by_name("reply").run)(open.repeat(1000).as_bytes());
        }
    });
    tried.unwrap().join().unwrap();
    assert!(Checkpoint::decode(&[&[1][..], &b"\x91".repeat(2000)].concat()).is_err());
}
