//! A whole deployment as a program has left it, under `tests/fixtures/data-v1`: what its storage has,
//! file by file, and what its Redis has, as the commands that make it. Every later program opens it,
//! reads it, verifies it and commits on it.
//!
//! `ONWARD_WRITE_FIXTURES=1` writes it where it is missing, and never changes it.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use onward::internals::objects::Objects;
use onward::internals::repo::protection::{Action, Rule};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{Config, Onward, Outcome, RefExpr};
use serde_json::{Value, json};
use walkdir::WalkDir;

use crate::support::branch::{Audit, Ghost, keys, op_id};
use crate::support::lake::entry;
use crate::support::redis::RedisServer;
use crate::support::root::root;
use crate::support::until::PATIENCE;
use crate::support::verify::sound;

fn folder() -> PathBuf {
    root().join("tests/fixtures/data-v1")
}

async fn connect(redis: &RedisServer, storage: &Path) -> Onward {
    let url = format!("file://{}", storage.display());
    Onward::connect(Config::new(redis.url(), url).committer("fixture")).await.unwrap()
}

fn change(onward: &Onward, branch: &str, n: usize) -> onward::internals::repo::ChangeBuilder {
    let change = onward.repo("lake").branch(branch).change().op_id(op_id(n));
    change.put(format!("orders/{n:03}.parquet"), entry(n)).message(format!("message {n}"))
}

/// Makes a deployment with one of everything: commits, also of a producer and of many changes, so
/// many that levels were folded; a merge, a revert, a reset; a tag, rules, a branch that has ended;
/// a sealed area that was given back, a staged path, and an op that waits.
async fn make(redis: &RedisServer, storage: &Path) {
    let onward = connect(redis, storage).await;
    let lake = onward.repo("lake");
    lake.create(&"main".parse().unwrap()).await.unwrap();
    let (main, plain) = (lake.branch("main"), RefExpr::plain("main"));
    for n in 1..=20 {
        let change = change(&onward, "main", n).meta("größe", n.to_string());
        let change = if n % 5 == 0 { change.producer("orders", 1, n as u64) } else { change };
        change.commit().await.unwrap().commit().unwrap();
    }
    lake.create_tag(&"v1.0-é".parse().unwrap(), &plain).await.unwrap();
    lake.branch("tx").create(&plain).await.unwrap();
    change(&onward, "tx", 31).commit().await.unwrap().commit().unwrap();
    change(&onward, "main", 32).delete("orders/001.parquet").commit().await.unwrap();
    let merged = main.merge(RefExpr::plain("tx")).message("merge tx").commit().await.unwrap();
    assert!(merged.commit().is_some(), "{merged:?}");
    lake.branch("gone").create(&plain).await.unwrap();
    lake.branch("gone").delete().await.unwrap();
    lake.protect(Rule::new("release-*").only([Action::Delete])).await.unwrap();
    let mut large = main.change().op_id(op_id(40)).message("large");
    for n in 0..600 {
        large = large.put(format!("large/{n:05}.parquet"), entry(n));
    }
    large.commit().await.unwrap().commit().unwrap();
    main.stage_put("staged/a".parse().unwrap(), entry(51), None).await.unwrap();
    main.stage_delete("orders/002.parquet".parse().unwrap(), None).await.unwrap();
    let objects = Objects::open(&format!("file://{}", storage.display())).unwrap();
    let branch_keys = keys(&objects, "main").await;
    let uid = branch_keys.head.split(['/', '}']).nth(1).unwrap().parse().unwrap();
    let (repo, name) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let context = onward.coordinator().context(&repo, &name, uid);
    onward::internals::commit::mend::restore::write_checkpoint(&context).await.unwrap();
    // An op that was accepted, and that nobody has decided.
    let ghost = Ghost::haunt(redis, &branch_keys);
    change(&onward, "main", 60).submit().await.unwrap();
    onward.close().await;
    drop(ghost);
}

/// Bytes as JSON: text where it is text.
fn as_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => json!(text),
        _ => json!({"hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()}),
    }
}

fn from_json(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => {
            let hex = other["hex"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        }
    }
}

/// The commands that make what a Redis has, except for how long it lives.
fn commands(redis: &RedisServer) -> Vec<Vec<Vec<u8>>> {
    let mut connection = redis.connect();
    let mut all: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    all.sort();
    let mut commands = Vec::new();
    for key in all {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
        let mut ask = |words: &[&str]| -> Vec<Vec<u8>> {
            let mut call = redis::cmd(words[0]);
            for word in &words[1..] {
                call.arg(*word);
            }
            call.query(&mut connection).unwrap()
        };
        let start = |name: &str| vec![name.as_bytes().to_vec(), key.clone().into_bytes()];
        match kind.as_str() {
            "hash" => commands.push([start("HSET"), ask(&["HGETALL", &key])].concat()),
            "list" => commands.push([start("RPUSH"), ask(&["LRANGE", &key, "0", "-1"])].concat()),
            "zset" => {
                let paths = ask(&["ZRANGE", &key, "0", "-1"]);
                let members = paths.into_iter().flat_map(|path| [b"0".to_vec(), path]).collect();
                commands.push([start("ZADD"), members].concat());
            }
            "stream" => {
                let call = redis::cmd("XRANGE").arg(&key).arg("-").arg("+").clone();
                let entries: Vec<(Vec<u8>, Vec<Vec<u8>>)> = call.query(&mut connection).unwrap();
                for (id, fields) in entries {
                    commands.push([start("XADD"), vec![id], fields].concat());
                }
            }
            // Marks of calls, which live for seconds.
            "string" => {}
            other => panic!("a {other} in Redis"),
        }
    }
    commands
}

fn play(redis: &RedisServer, commands: &Value) {
    let mut connection = redis.connect();
    for command in commands.as_array().unwrap() {
        let words: Vec<Vec<u8>> = command.as_array().unwrap().iter().map(from_json).collect();
        let mut call = redis::cmd(std::str::from_utf8(&words[0]).unwrap());
        for word in &words[1..] {
            call.arg(&word[..]);
        }
        call.exec(&mut connection).unwrap();
    }
}

/// Everything that a reader sees of a ref, and its log.
async fn seen(onward: &Onward, reference: &str) -> Value {
    let lake = onward.repo("lake");
    let reference: RefExpr = reference.parse().unwrap();
    let page = lake.list(&reference, &ListRequest::default()).await.unwrap();
    assert_eq!(page.next, None, "all of it is on one page");
    let entry = |item: &ListItem| match item {
        ListItem::Object(path, entry) => json!([path, entry]),
        ListItem::CommonPrefix(prefix) => panic!("{prefix}"),
    };
    let entries: Vec<Value> = page.items.iter().map(entry).collect();
    let log = lake.log(&reference, &Default::default()).await.unwrap();
    let log: Vec<_> = log.try_collect().await.unwrap();
    let log: Vec<Value> = log
        .iter()
        .map(|info| json!([info.id, info.commit.message, info.commit.metadata]))
        .collect();
    json!({"entries": entries, "log": log})
}

fn copy(from: &Path, to: &Path) {
    for file in WalkDir::new(from).into_iter().map(Result::unwrap) {
        let target = to.join(file.path().strip_prefix(from).unwrap());
        if file.file_type().is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

async fn write_if_missing() {
    if folder().exists() || std::env::var_os("ONWARD_WRITE_FIXTURES").is_none() {
        return;
    }
    let (redis, dir) = (RedisServer::new(), tempfile::tempdir().unwrap());
    make(&redis, dir.path()).await;
    copy(dir.path(), &folder().join("storage"));
    let commands: Vec<Vec<Value>> = commands(&redis)
        .iter()
        .map(|command| command.iter().map(|word| as_json(word)).collect())
        .collect();
    std::fs::write(folder().join("redis.json"), format!("{:#}\n", json!(commands))).unwrap();
    let onward = connect(&redis, dir.path()).await;
    // The op that waits is decided by whoever looks; what is told of is what comes of it.
    change(&onward, "main", 60).commit().await.unwrap();
    let said = json!({
        "main": seen(&onward, "main@").await,
        "tx": seen(&onward, "tx").await,
        "v1.0-é": seen(&onward, "v1.0-é").await,
    });
    std::fs::write(folder().join("seen.json"), format!("{said:#}\n")).unwrap();
    onward.close().await;
}

fn read_json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

/// The ids of commits that are decided now differ from those of then, by their time at the least.
fn without_newest(mut said: Value) -> Value {
    said["log"].as_array_mut().unwrap().remove(0);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_an_earlier_program_has_left_goes_on() {
    write_if_missing().await;
    let (redis, dir) = (RedisServer::new(), tempfile::tempdir().unwrap());
    copy(&folder().join("storage"), dir.path());
    play(&redis, &read_json("redis.json"));
    let then = read_json("seen.json");

    // The op that waited is decided, once, and whoever submits it again gets its outcome.
    let onward = connect(&redis, dir.path()).await;
    let waited = change(&onward, "main", 60).commit().await.unwrap();
    assert!(waited.commit().is_some(), "{waited:?}");
    let again = change(&onward, "main", 60).commit().await.unwrap();
    assert_eq!(again.commit(), waited.commit());
    let now = seen(&onward, "main@").await;
    assert_eq!(without_newest(now), without_newest(then["main"].clone()));
    for reference in ["tx", "v1.0-é"] {
        assert_eq!(seen(&onward, reference).await, then[reference], "{reference}");
    }
    let lake = onward.repo("lake");
    assert_eq!(lake.protection().await.unwrap().len(), 1);
    let names: Vec<String> =
        lake.branches().await.unwrap().iter().map(|branch| branch.name.to_string()).collect();
    assert_eq!(names, ["main", "tx"]);
    sound(&onward).await;

    // What was staged is still staged, and can be committed; producers are where they were.
    let (main, plain) = (lake.branch("main"), RefExpr::plain("main"));
    let staged = lake.stat(&plain, &"staged/a".parse().unwrap()).await.unwrap();
    assert_eq!(staged, entry(51));
    main.commit_staged().message("staged").commit().await.unwrap().commit().unwrap();
    let repeated = change(&onward, "main", 20).producer("orders", 1, 20).commit().await.unwrap();
    assert!(matches!(repeated, Outcome::Committed { .. }), "{repeated:?}");
    let other = change(&onward, "main", 70).producer("orders", 1, 20).commit().await.unwrap();
    let Outcome::Behind { earlier_op, earlier, .. } = other else { panic!("{other:?}") };
    assert_eq!((earlier_op, earlier), (Some(op_id(20)), repeated.commit()));
    let behind = change(&onward, "main", 71).producer("orders", 1, 19).commit().await.unwrap();
    assert!(matches!(behind, Outcome::Behind { .. }), "{behind:?}");

    // And once more from the storage alone.
    let _: () = redis.command(&["FLUSHALL"]);
    let fresh = connect(&redis, dir.path()).await;
    let next = change(&fresh, "main", 72).timeout(PATIENCE).commit().await.unwrap();
    assert!(next.commit().is_some(), "{next:?}");
    let merged =
        fresh.repo("lake").branch("tx").merge(plain).message("back").commit().await.unwrap();
    assert!(merged.commit().is_some(), "{merged:?}");
    sound(&fresh).await;
    let objects = Objects::open(&format!("file://{}", dir.path().display())).unwrap();
    let audit = Audit::of(&objects, "main").await;
    audit.has_all((1..=20).chain([32, 40, 60, 72]));
}
