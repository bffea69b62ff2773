//! Targets: range files and their parts, lists of ranges, inline runs, values.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use super::target::{Target, read, target, with_crc};
use crate::model::change::{decode_value, encode_value};
use crate::model::ids::RangeId;
use crate::model::path::ObjectPath;
use crate::tree::block::Block;
use crate::tree::frame::{Packer, unpack};
use crate::tree::load::{decode_list, encode_list};
use crate::tree::range::MAGIC;
use crate::tree::range_index::{RangeIndex, Trailer, decode_index};
use crate::tree::run::decode_ranges;
use crate::tree::{
    ALL, InlineRun, MemoryStore, RunPlace, RunRef, ScanStart, Tree, TreeOptions, TreeStore,
};

pub(super) const TARGETS: &[Target] = &[
    target("range-file", "range-v", range_file),
    Target { unwrap: index_of, ..target("range-index", "range-v", range_index) },
    Target { unwrap: block_of, ..target("range-block", "range-v", range_block) },
    Target { samples: &[b"\x04\0\0\0\0abcd...."], ..target("frame", "", frame) },
    target("range-list", "range-list-", range_list),
    Target { unwrap: list_of, ..target("range-list-inside", "range-list-", range_list_inside) },
    target("inline-run", "inline-run-", inline_run),
    target("value", "value-", value),
];

const ID: RangeId = RangeId([7; 16]);

fn range_file(bytes: &[u8]) {
    read_range(Bytes::copy_from_slice(bytes));
    if let Some((mended, id)) = mend_range(bytes) {
        read_file(mended, id);
    }
}

fn read_range(file: Bytes) {
    // A file under its own name comes further.
    let id = index(&file).map_or(ID, |index| index.range.id);
    read_file(file, id);
}

fn index(file: &Bytes) -> Option<RangeIndex> {
    let trailer = Trailer::read(file).ok()?;
    let start = file.len().checked_sub(trailer.tail_len())?;
    let frame = file.slice(start..file.len() - 32);
    // The name stands in the summary: read it as what it says it is.
    let len = u32::from_le_bytes(file[file.len() - 20..file.len() - 16].try_into().unwrap());
    let content = unpack(&frame, len as usize).ok()?;
    decode_index(&content, file.len() as u64).ok()
}

/// The file with every checksum made right, as far as it can be taken apart.
fn mend_range(bytes: &[u8]) -> Option<(Bytes, RangeId)> {
    let mut file = bytes.to_vec();
    let len = file.len();
    let trailer_at = len.checked_sub(32)?;
    let crc = crc32c::crc32c(&file[trailer_at..trailer_at + 20]);
    file[trailer_at + 20..trailer_at + 24].copy_from_slice(&crc.to_le_bytes());
    file[len - 8..].copy_from_slice(&MAGIC);
    file.get_mut(..8)?.copy_from_slice(&MAGIC);
    let trailer = Trailer::read(&Bytes::copy_from_slice(&file)).ok()?;
    mend_frame(file.get_mut(len.checked_sub(trailer.tail_len())?..trailer_at)?)?;
    let index = index(&Bytes::copy_from_slice(&file))?;
    for block in &index.blocks {
        let from = usize::try_from(block.offset).ok()?;
        mend_frame(file.get_mut(from..from.checked_add(block.len)?)?)?;
    }
    Some((file.into(), index.range.id))
}

fn mend_frame(frame: &mut [u8]) -> Option<()> {
    let mended = with_crc(frame)?;
    frame.copy_from_slice(&mended);
    Some(())
}

fn read_file(file: Bytes, id: RangeId) {
    run(async {
        let store = Arc::new(MemoryStore::new());
        store.write_range(id, file).await.unwrap();
        let tree = Tree::new(store, small_caches());
        read(tree.verify_range(id).await);
        let Some(index) = read(tree.read_index_of(id).await) else { return };
        let range = index.range.clone();
        let place = RunPlace::Ranges(vec![range.clone()]);
        let run = Arc::new(RunRef {
            id: crate::model::ids::RunId([1; 16]),
            records: range.records,
            deletes: range.deletes,
            bytes: range.bytes,
            conditions: range.conditions,
            place,
        });
        let records = tree.scan_run(Arc::clone(&run), ALL, ScanStart::all());
        for record in read(records.try_collect::<Vec<_>>().await).unwrap_or_default() {
            read(decode_value(&record.value));
        }
        let metarange =
            crate::tree::Metarange { levels: vec![crate::tree::Level::all(Arc::clone(&run))] };
        for path in [&range.first, &range.last] {
            read(tree.get(&metarange, path).await);
        }
        read(tree.list(&metarange, &crate::tree::ListRequest::default()).await);
    });
}

fn small_caches() -> TreeOptions {
    TreeOptions {
        block_cache_bytes: 1 << 20,
        index_cache_bytes: 1 << 20,
        list_cache_bytes: 1 << 20,
        ..TreeOptions::default()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The content of the index of a range file.
fn index_of(file: &[u8]) -> Vec<u8> {
    let file = Bytes::copy_from_slice(file);
    let trailer = Trailer::read(&file).unwrap();
    let start = file.len() - trailer.tail_len();
    let len = u32::from_le_bytes(file[file.len() - 20..file.len() - 16].try_into().unwrap());
    unpack(&file.slice(start..file.len() - 32), len as usize).unwrap().to_vec()
}

fn range_index(content: &[u8]) {
    if let Some(index) = read(decode_index(content, u64::MAX)) {
        for block in &index.blocks {
            assert!(index.block_of_path(block.last_path.as_bytes()) < index.blocks.len());
        }
    }
}

/// The number of records of a block, and its content.
fn block_of(file: &[u8]) -> Vec<u8> {
    let file = Bytes::copy_from_slice(file);
    let index = index(&file).unwrap();
    let block = index.blocks.last().unwrap();
    let from = block.offset as usize;
    let content = unpack(&file.slice(from..from + block.len), block.content_len).unwrap();
    [&(block.records as u16).to_le_bytes()[..], &content].concat()
}

fn range_block(bytes: &[u8]) {
    let Some((count, content)) = bytes.split_first_chunk::<2>() else { return };
    let content = Bytes::copy_from_slice(content);
    let Some(block) = read(Block::decode(content, u16::from_le_bytes(*count).into())) else {
        return;
    };
    for at in 0..block.len() {
        let (path, op) = (block.path(at).unwrap(), block.op(at).unwrap());
        assert_eq!(block.lower_bound((path, std::cmp::Reverse(op))), at);
        block.value(at).unwrap();
    }
    let count = block.len();
    if let Some(records) = read(block.into_records()) {
        assert_eq!(records.len(), count);
    }
}

/// A length, and a frame that is to have it.
fn frame(bytes: &[u8]) {
    let Some((len, frame)) = bytes.split_first_chunk::<4>() else { return };
    let len = u32::from_le_bytes(*len) as usize % (1 << 26);
    for frame in [Some(frame.to_vec()), with_crc(frame)].into_iter().flatten() {
        if let Some(content) = read(unpack(&Bytes::from(frame), len)) {
            assert_eq!(content.len(), len);
        }
    }
}

fn range_list(bytes: &[u8]) {
    read(decode_list(&Bytes::copy_from_slice(bytes)));
    if let Some(mended) = with_crc(bytes) {
        read(decode_list(&mended.into()));
    }
}

/// What a list of ranges says, without its frame.
fn list_of(list: &[u8]) -> Vec<u8> {
    crate::tree::run::encode_ranges(&decode_list(&Bytes::copy_from_slice(list)).unwrap())
}

fn range_list_inside(content: &[u8]) {
    if let Some(ranges) = read(decode_ranges(content)) {
        let list = encode_list(&ranges).unwrap();
        assert_eq!(decode_list(&list).unwrap()[..], ranges[..]);
        read(RunRef::of_ranges(ranges));
    }
    let mut out = Vec::new();
    Packer::new().unwrap().pack(content, &mut out).unwrap();
    unpack(&out.into(), content.len()).unwrap();
}

fn inline_run(bytes: &[u8]) {
    let mut mended = bytes.to_vec();
    if let Some((_, body)) = bytes.split_at_checked(5) {
        mended[1..5].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    }
    for bytes in [bytes, &mended] {
        let Some(run) = read(InlineRun::decode(bytes)) else { continue };
        assert_eq!(InlineRun::decode(&run.encode()).unwrap(), run);
        run.id();
        run.get(&ObjectPath::new("orders/1.parquet").unwrap(), ALL);
        for record in run.records() {
            assert!(run.get(&record.path, record.op).is_some());
        }
    }
}

fn value(bytes: &[u8]) {
    if let Some((change, condition)) = read(decode_value(bytes)) {
        let mut again = Vec::new();
        encode_value(&change, condition.as_ref(), &mut again);
        assert_eq!(decode_value(&again).unwrap(), (change, condition));
    }
}
