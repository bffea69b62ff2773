//! What Onward relies on in an object store: one contract, run against memory, local files and S3
//! over HTTP; then what must hold when a store misreports or fails.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use onward::ErrorKind;
use onward::internals::objects::backend::InMemory;
use onward::internals::objects::{Checksum, Created, Listed, Objects, Refusal, Span, refusal};

use crate::support::faulty_store::{Fault, FaultyStore, Op};
#[cfg(feature = "aws")]
use crate::support::s3::{S3Server, Trap};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn contract(objects: &Objects) {
    objects.probe().await.unwrap();
    assert_eq!(keys(objects, "").await, [""; 0], "a probe leaves nothing");
    one_writer_wins_a_create(objects).await;
    objects_are_read_whole_and_in_spans(objects).await;
    objects_are_replaced_and_deleted(objects).await;
    listings_find_what_is_there(objects).await;
    uploads_of_any_size_arrive(objects).await;
    objects_are_made_of_others(objects).await;
}

async fn one_writer_wins_a_create(objects: &Objects) {
    let writers = (0..8).map(|n| {
        let mine = bytes(&format!("writer {n}"));
        async move { (mine.clone(), objects.create("race/1", mine).await.unwrap()) }
    });
    let outcomes = futures::future::join_all(writers).await;
    let winner = objects.get("race/1").await.unwrap().unwrap();
    for (mine, created) in outcomes {
        if mine == winner {
            assert_eq!(created, Created::Written);
        } else {
            assert_eq!(created, Created::Found(winner.clone()));
        }
    }
    assert_eq!(objects.create("race/1", winner).await.unwrap(), Created::Written);
    objects.delete("race/1").await.unwrap();
}

async fn objects_are_read_whole_and_in_spans(objects: &Objects) {
    assert_eq!(objects.get("a/absent").await.unwrap(), None);
    assert_eq!(objects.get_span("a/absent", Span::Last(8)).await.unwrap(), None);
    assert_eq!(objects.get_span("a/absent", Span::Last(0)).await.unwrap(), None);
    assert_eq!(objects.size("a/absent").await.unwrap(), None);
    assert!(objects.stream("a/absent").await.unwrap().is_none());
    objects.put("a/ten", bytes("0123456789")).await.unwrap();
    objects.put("a/none", Bytes::new()).await.unwrap();
    let span = |span| async move { objects.get_span("a/ten", span).await.unwrap().unwrap() };
    assert_eq!(span(Span::From { offset: 2, len: 3 }).await, "234");
    assert_eq!(span(Span::From { offset: 8, len: 100 }).await, "89");
    assert_eq!(span(Span::From { offset: 10, len: 1 }).await, "");
    assert_eq!(span(Span::From { offset: 99, len: 1 }).await, "");
    assert_eq!(span(Span::From { offset: 0, len: 0 }).await, "");
    assert_eq!(span(Span::Last(3)).await, "789");
    assert_eq!(span(Span::Last(100)).await, "0123456789");
    assert_eq!(span(Span::Last(0)).await, "");
    assert_eq!(objects.get_span("a/none", Span::Last(8)).await.unwrap(), Some(Bytes::new()));
    assert_eq!(objects.get("a/none").await.unwrap(), Some(Bytes::new()));
    assert_eq!(objects.size("a/ten").await.unwrap(), Some(10));
    let streamed = objects.stream("a/ten").await.unwrap().unwrap();
    assert_eq!(streamed.size, 10);
    let chunks: Vec<Bytes> = streamed.chunks.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"0123456789");
    delete_all(objects).await;
}

async fn objects_are_replaced_and_deleted(objects: &Objects) {
    objects.put("b/x", bytes("old")).await.unwrap();
    objects.put("b/x", bytes("newer")).await.unwrap();
    assert_eq!(objects.get("b/x").await.unwrap().unwrap(), "newer");
    let (old, newer) = (bytes("old"), bytes("newer"));
    assert!(!objects.replace("b/x", &old, bytes("x")).await.unwrap());
    assert_eq!(objects.get("b/x").await.unwrap().unwrap(), "newer");
    assert!(objects.replace("b/x", &newer, bytes("newest")).await.unwrap());
    assert_eq!(objects.get("b/x").await.unwrap().unwrap(), "newest");
    objects.delete("b/x").await.unwrap();
    objects.delete("b/x").await.unwrap();
    assert_eq!(objects.get("b/x").await.unwrap(), None);
    assert!(!objects.replace("b/x", &newer, bytes("x")).await.unwrap());
    assert_eq!(objects.get("b/x").await.unwrap(), None);
    let many: Vec<String> = (0..5).map(|n| format!("b/many/{n}")).collect();
    for key in &many[1..] {
        objects.put(key, bytes("x")).await.unwrap();
    }
    objects.delete_many(&many).await.unwrap();
    objects.delete_many(&[]).await.unwrap();
    assert_eq!(keys(objects, "b").await, [""; 0]);
}

async fn listings_find_what_is_there(objects: &Objects) {
    let all = ["lake/tags/a%2Fb+/c", "lake/x/1", "lake/x/2/deep", "lake/x/3", "lake/xy/4"];
    for key in all {
        objects.put(key, bytes(key)).await.unwrap();
    }
    assert_eq!(keys(objects, "").await, all);
    assert_eq!(keys(objects, "lake/x").await, ["lake/x/1", "lake/x/2/deep", "lake/x/3"]);
    assert_eq!(keys(objects, "lake/nowhere").await, [""; 0]);
    assert!(objects.list_dirs("").await.unwrap().contains(&"lake".to_owned()));
    assert_eq!(objects.list_dirs("lake/").await.unwrap(), ["tags", "x", "xy"]);
    assert_eq!(objects.list_dirs("lake/nowhere").await.unwrap(), [""; 0]);
    let after = |after, limit| async move {
        let listed = objects.list_sorted("lake/x", Some(after), limit).await.unwrap();
        listed.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
    };
    assert_eq!(after("lake/x/1", 9).await, ["lake/x/2/deep", "lake/x/3"]);
    assert_eq!(after("lake/x/1", 1).await, ["lake/x/2/deep"]);
    assert_eq!(after("lake/x/2", 9).await, ["lake/x/2/deep", "lake/x/3"], "a place, not a key");
    assert_eq!(after("lake/x/3", 9).await, [""; 0]);
    assert_eq!(after("lake/x/1", 0).await, [""; 0]);
    let first = objects.list_sorted("lake/x", None, 1).await.unwrap();
    assert_eq!(first[0].size, 8);
    assert!(first[0].modified_ms > 1_600_000_000_000);
    delete_all(objects).await;
}

async fn uploads_of_any_size_arrive(objects: &Objects) {
    let small = objects.upload("u/small", &b"abc"[..], Checksum::Md5).await.unwrap();
    assert_eq!((small.size, small.checksum.as_str()), (3, "900150983cd24fb0d6963f7d28e17f72"));
    let len = (16 << 20) * 2 + 5;
    let large: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
    let uploaded = objects.upload("u/large", &large[..], Checksum::Blake3).await.unwrap();
    assert_eq!(uploaded.size, len as u64);
    assert_eq!(uploaded.checksum, format!("blake3:{}", blake3::hash(&large).to_hex()));
    let read = objects.get("u/large").await.unwrap().unwrap();
    assert!(read == large, "what arrived is what was sent");
    assert_eq!(objects.get("u/small").await.unwrap().unwrap(), "abc");
    delete_all(objects).await;
}

async fn objects_are_made_of_others(objects: &Objects) {
    // More than is read at once of a local file.
    let long = vec![7; 300 << 10];
    objects.put("j/a", bytes("begin,")).await.unwrap();
    objects.put("j/b", long.clone().into()).await.unwrap();
    objects.put("j/to", bytes("what was there")).await.unwrap();
    let [a, b] = [("j/a".to_owned(), 6), ("j/b".to_owned(), long.len() as u64)];
    objects.join(&[a.clone(), b.clone(), a.clone()], "j/to").await.unwrap();
    let expected = [b"begin,".as_slice(), &long, b"begin,"].concat();
    assert!(objects.get("j/to").await.unwrap().unwrap() == expected);
    for wrong in [("j/absent".to_owned(), 6), ("j/a".to_owned(), 7)] {
        let error = objects.join(&[b.clone(), wrong], "j/none").await.unwrap_err();
        assert!(error.to_string().contains("begin the upload anew"), "{error}");
    }
    assert_eq!(keys(objects, "j").await, ["j/a", "j/b", "j/to"]);
    delete_all(objects).await;
}

async fn keys(objects: &Objects, prefix: &str) -> Vec<String> {
    let mut listed: Vec<Listed> = objects.list(prefix, None).try_collect().await.unwrap();
    listed.sort_unstable();
    listed.into_iter().map(|entry| entry.key).collect()
}

async fn delete_all(objects: &Objects) {
    for key in keys(objects, "").await {
        objects.delete(&key).await.unwrap();
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&Objects::open("memory://").unwrap()).await;
}

#[tokio::test]
async fn local_files_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/store%20one", dir.path().display());
    contract(&Objects::open(&url).unwrap()).await;
    assert!(dir.path().join("store one").is_dir());
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn s3_over_http_keeps_the_contract() {
    let server = S3Server::start().await;
    contract(&Objects::open_with(&server.url(), &server.options()).unwrap()).await;
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_409_of_s3_that_wrote_nothing_is_tried_again() {
    let server = S3Server::start().await;
    let objects = Objects::open_with(&server.url(), &server.options()).unwrap();
    server.set_trap(Trap::Conflict409, 2);
    assert_eq!(objects.create("log/1", bytes("mine")).await.unwrap(), Created::Written);
    assert_eq!(objects.get("log/1").await.unwrap().unwrap(), "mine");
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_create_of_s3_whose_reply_was_lost_is_known_as_our_own() {
    let server = S3Server::start().await;
    let objects = Objects::open_with(&server.url(), &server.options()).unwrap();
    server.set_trap(Trap::LostReply, 1);
    assert_eq!(objects.create("log/1", bytes("mine")).await.unwrap(), Created::Written);
    let other = objects.create("log/1", bytes("yours")).await.unwrap();
    assert_eq!(other, Created::Found(bytes("mine")));
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_bucket_that_is_not_there_is_a_refusal_and_not_an_empty_store() {
    let server = S3Server::start().await;
    let objects = Objects::open_with("s3://elsewhere/x", &server.options()).unwrap();
    let errors = [
        objects.get("log/1").await.unwrap_err(),
        objects.create("log/1", bytes("x")).await.unwrap_err(),
        objects.list("log", None).next().await.unwrap().unwrap_err(),
        objects.probe().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(refusal(&error), Some(Refusal::Gone), "{error}");
    }
}

fn faulty() -> (FaultyStore, Objects) {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    (store, objects)
}

#[tokio::test]
async fn a_create_that_only_seemed_to_lose_is_seen_through() {
    let (store, objects) = faulty();
    store.fail_next(Op::Create, 3, Fault::FalseConflict);
    assert_eq!(objects.create("k", bytes("mine")).await.unwrap(), Created::Written);
    store.fail_next(Op::Create, 1, Fault::RetriedCreate);
    assert_eq!(objects.create("l", bytes("mine")).await.unwrap(), Created::Written);
    store.fail_next(Op::Create, 1, Fault::LostReply);
    let error = objects.create("m", bytes("mine")).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(refusal(&error), None, "an outage is waited for");
    assert_eq!(objects.create("m", bytes("mine")).await.unwrap(), Created::Written);
}

#[tokio::test]
async fn a_store_in_conflict_with_itself_is_not_tried_for_ever() {
    let (store, objects) = faulty();
    store.fail_all(Op::Create, Fault::FalseConflict);
    let error = objects.create("k", bytes("mine")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(objects.counters().creates <= 10);
}

#[tokio::test]
async fn a_full_or_read_only_store_is_a_refusal_that_says_what_to_do() {
    let (store, objects) = faulty();
    store.fail_writes(Fault::Full);
    let error = objects.put("k", bytes("x")).await.unwrap_err();
    assert_eq!(refusal(&error), Some(Refusal::Full));
    assert!(error.to_string().contains("no space is left"), "{error}");
    store.heal();
    store.fail_writes(Fault::ReadOnly);
    let error = objects.create("k", bytes("x")).await.unwrap_err();
    assert_eq!(refusal(&error), Some(Refusal::ReadOnly));
    assert!(error.to_string().contains("writable"), "{error}");
}

#[tokio::test]
async fn a_store_that_ignores_put_if_absent_is_found_out_by_the_probe() {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "memory://");
    objects.probe().await.unwrap();
    store.ignore_conditions();
    assert_eq!(refusal(&objects.probe().await.unwrap_err()), Some(Refusal::Forks));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_meets_the_deadline() {
    let (store, objects) = faulty();
    let objects = objects.with_deadline(Duration::from_secs(3));
    for op in [Op::Get, Op::Create, Op::Put, Op::List, Op::Delete] {
        store.fail_all(op, Fault::Hang);
    }
    let errors = [
        objects.get("k").await.unwrap_err(),
        objects.create("k", bytes("x")).await.unwrap_err(),
        objects.put("k", bytes("x")).await.unwrap_err(),
        objects.delete("k").await.unwrap_err(),
        objects.list("k", None).next().await.unwrap().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("no answer within 3 s"), "{error}");
    }
}

#[tokio::test]
async fn an_upload_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let objects = Objects::open(&url).unwrap();
    let broken = futures::stream::iter([
        Ok(Bytes::from(vec![7; 17 << 20])),
        Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
    ]);
    let reader = tokio_util::io::StreamReader::new(broken);
    let error = objects.upload("u/x", reader, Checksum::Md5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(objects.get("u/x").await.unwrap(), None);
    let left = walkdir::WalkDir::new(dir.path()).into_iter().filter_map(Result::ok);
    assert_eq!(left.filter(|entry| entry.file_type().is_file()).count(), 0);

    let (store, objects) = faulty();
    store.fail_next(Op::Multipart, 1, Fault::Outage);
    let error = objects.upload("u/x", &vec![7; 17 << 20][..], Checksum::Md5).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(objects.get("u/x").await.unwrap(), None);
}

#[tokio::test]
async fn local_files_are_joined_step_by_step_and_a_part_that_is_missing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    // Empty to the disk, and more than is copied at once.
    let len = (64 << 20) + 5;
    std::fs::File::create(dir.path().join("long")).unwrap().set_len(len).unwrap();
    objects.put("end", bytes("end")).await.unwrap();
    let parts = [("long".to_owned(), len), ("end".to_owned(), 3)];
    objects.join(&parts, "all").await.unwrap();
    assert_eq!(objects.size("all").await.unwrap(), Some(len + 3));
    let last = objects.get_span("all", Span::Last(4)).await.unwrap().unwrap();
    assert_eq!(last, b"\0end".as_slice());
    std::fs::remove_file(dir.path().join("end")).unwrap();
    objects.join(&parts, "none").await.unwrap_err();
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 2, "the long one and what was made of it");
}

#[tokio::test]
async fn an_upload_to_local_files_reads_one_mebibyte_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let (len, piece) = (20 << 20, 64 << 10);
    let written = objects.clone();
    let pieces = futures::stream::iter(0..len / piece).map(move |n| {
        let ahead = (n * piece) as u64 - written.counters().bytes_written;
        assert!(ahead <= 1 << 20, "{ahead}");
        Ok::<_, std::io::Error>(Bytes::from(vec![n as u8; piece]))
    });
    let reader = tokio_util::io::StreamReader::new(pieces);
    let uploaded = objects.upload("u/x", reader, Checksum::Blake3).await.unwrap();
    assert_eq!(uploaded.size, len as u64);
    assert_eq!(objects.counters().puts, 20);
}

#[tokio::test]
async fn a_root_that_was_removed_or_swapped_is_not_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let objects = Objects::open(&format!("file://{}", root.display())).unwrap();
    objects.create("log/1", bytes("first")).await.unwrap();
    std::fs::rename(&root, dir.path().join("elsewhere")).unwrap();
    for again in [false, true] {
        if again {
            std::fs::create_dir(&root).unwrap();
        }
        let errors = [
            objects.get("log/1").await.unwrap_err(),
            objects.create("log/1", bytes("second")).await.unwrap_err(),
            objects.put("log/1", bytes("second")).await.unwrap_err(),
            objects.list_sorted("log", None, 1).await.unwrap_err(),
            objects.list_dirs("").await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(refusal(&error), Some(Refusal::Gone), "{error}");
        }
    }
}

#[tokio::test]
async fn keys_that_would_leave_the_root_are_refused_by_every_call() {
    let objects = Objects::open("memory://").unwrap();
    for key in ["../x", "/etc/passwd", "a//b", ""] {
        let errors = [
            objects.get(key).await.unwrap_err(),
            objects.create(key, bytes("x")).await.unwrap_err(),
            objects.put(key, bytes("x")).await.unwrap_err(),
            objects.delete(key).await.unwrap_err(),
            objects.upload(key, &b"x"[..], Checksum::Md5).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::InvalidInput));
    }
    assert_eq!(objects.counters().puts, 0);
}

#[tokio::test]
async fn counters_tell_what_was_asked() {
    let objects = Objects::open("memory://").unwrap();
    objects.create("a", bytes("12345")).await.unwrap();
    objects.clone().create("a", bytes("1")).await.unwrap();
    objects.list_dirs("").await.unwrap();
    objects.delete("a").await.unwrap();
    let counters = objects.counters();
    assert_eq!((counters.creates, counters.gets, counters.puts), (2, 1, 0));
    assert_eq!((counters.lists, counters.deletes), (1, 1));
    assert_eq!((counters.bytes_written, counters.bytes_read), (6, 5));
}
