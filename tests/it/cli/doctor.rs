//! What `onward doctor` says of deployments, sound and otherwise.

use std::sync::Arc;

use onward::ErrorKind;
use onward::internals::coord::LaneOptions;
use onward::internals::coord::Lanes;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
use onward::internals::repo::doctor::commands::COMMANDS;
use onward::internals::repo::doctor::{Check, Health, examine_parts};
use serde_json::Value;

use super::Desk;
use crate::support::faulty_store::{Fault, FaultyStore, Op};
use crate::support::redis::{Listen, RedisServer};

async fn examined(redis: &RedisServer, objects: &Objects) -> Vec<Check> {
    let lanes = Lanes::open(&redis.url(), LaneOptions::default()).await.unwrap();
    let mut checks = Vec::new();
    examine_parts(&lanes, objects, &mut |check| checks.push(check)).await;
    checks
}

fn health(checks: &[Check], name: &str) -> Health {
    let found = checks.iter().find(|check| check.check == name);
    found.unwrap_or_else(|| panic!("no check {name} among {checks:#?}")).health
}

#[test]
fn a_local_instance_keeps_every_promise_and_nothing_is_left_behind() {
    let desk = Desk::lake();
    let before = desk.done("ls -r lake/main --json").stdout;
    let said = desk.done("doctor --json");
    let checks: Vec<Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(checks.len() >= 14, "{checks:#?}");
    // How fast it is depends on the machine.
    let slow = |check: &Value| check["check"].as_str().unwrap().ends_with("_latency");
    for check in checks.iter().filter(|check| !slow(check)) {
        assert_eq!(check["health"], "good", "{check}");
    }
    assert_eq!(desk.done("ls -r lake/main --json").stdout, before);
}

#[test]
fn a_redis_that_is_not_there_is_bad_and_the_storage_is_examined_all_the_same() {
    let desk = Desk::new();
    let storage = format!("file://{}/lake", desk.path().display());
    let line = format!("doctor --redis unix:///nowhere/redis.sock --storage {storage}");
    let said = desk.fails(1, &line);
    assert!(said.stdout.contains("redis_reached") && said.stdout.contains("/nowhere/redis.sock"));
    assert!(said.stdout.contains("storage_create_if_absent"), "{}", said.stdout);
}

#[tokio::test]
async fn what_loses_data_is_said_with_what_to_change() {
    let args = ["--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"];
    let redis = RedisServer::with(Listen::Socket, &args);
    let checks = examined(&redis, &Objects::open("memory://").unwrap()).await;
    assert_eq!(health(&checks, "redis_persistence"), Health::Warning);
    assert_eq!(health(&checks, "redis_eviction"), Health::Bad);
    assert_eq!(health(&checks, "storage_durability"), Health::Bad);
    assert_eq!(health(&checks, "redis_scripts"), Health::Good);
    for check in checks.iter().filter(|check| check.health != Health::Good) {
        assert!(check.advice.is_some(), "{check:?}");
    }
    let _: String = redis.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let checks = examined(&redis, &Objects::open("memory://").unwrap()).await;
    assert_eq!(health(&checks, "redis_eviction"), Health::Warning);
}

#[tokio::test]
async fn a_store_that_ignores_conditions_or_does_not_answer_is_bad() {
    let redis = RedisServer::new();
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let objects = Objects::from_store(Arc::new(store.clone()), "s3://bucket");
    assert_eq!(health(&examined(&redis, &objects).await, "storage_create_if_absent"), Health::Good);
    store.ignore_conditions();
    assert_eq!(health(&examined(&redis, &objects).await, "storage_create_if_absent"), Health::Bad);
    store.heal();
    store.fail_all(Op::Create, Fault::ReadOnly);
    let checks = examined(&redis, &objects).await;
    assert_eq!(health(&checks, "storage_create_if_absent"), Health::Bad);
}

#[tokio::test]
async fn a_user_without_rights_and_a_replica_are_told() {
    let redis = RedisServer::with(Listen::Port, &[]);
    let rights = ["ACL", "SETUSER", "limited", "on", ">secret", "~other:*", "+@all"];
    let _: String = redis.command(&rights);
    let url = redis.url().replace("redis://", "redis://limited:secret@");
    let lanes = Lanes::open(&url, LaneOptions::default()).await.unwrap();
    let mut checks = Vec::new();
    let objects = Objects::open("memory://").unwrap();
    examine_parts(&lanes, &objects, &mut |check| checks.push(check)).await;
    assert_eq!(health(&checks, "redis_permissions"), Health::Bad);
    assert_eq!(health(&checks, "redis_scripts"), Health::Bad);
    assert!(!format!("{checks:?}").contains("secret"), "{checks:?}");
    let replica = RedisServer::with(Listen::Port, &[]);
    let port = redis.port().to_string();
    let _: String = replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let options = LaneOptions { patience: std::time::Duration::ZERO, ..LaneOptions::default() };
    let lanes = Lanes::open(&replica.url(), options).await.unwrap();
    let mut checks = Vec::new();
    examine_parts(&lanes, &objects, &mut |check| checks.push(check)).await;
    assert_eq!(health(&checks, "redis_role"), Health::Bad);
}

#[tokio::test]
async fn a_command_that_only_scripts_call_and_the_user_may_not_is_named() {
    let redis = RedisServer::with(Listen::Port, &[]);
    let objects = Objects::open("memory://").unwrap();
    let url = redis.url().replace("redis://", "redis://limited:secret@");
    for command in COMMANDS.iter().map(|command| command.split(' ').next().unwrap()) {
        let without = format!("-{}", command.to_lowercase());
        let rights = [
            "ACL",
            "SETUSER",
            "limited",
            "reset",
            "on",
            ">secret",
            "~onward:*",
            "+@all",
            "-@admin",
        ];
        let _: String = redis.command(&[&rights[..], &[without.as_str()]].concat());
        let lanes = Lanes::open(&url, LaneOptions::default()).await.unwrap();
        let mut checks = Vec::new();
        examine_parts(&lanes, &objects, &mut |check| checks.push(check)).await;
        let check = checks.iter().find(|check| check.check == "redis_commands").unwrap();
        assert_eq!(check.health, Health::Bad, "{command}: {check:?}");
        assert!(check.found.starts_with(&format!("{command} cannot")), "{command}: {check:?}");
        let _: String = redis.command(&["ACL", "DELUSER", "limited"]);
    }
    let left: Vec<String> = redis.command(&["KEYS", "*"]);
    for key in left {
        let left_ms: i64 = redis.command(&["PTTL", &key]);
        assert!(left_ms > 0, "{key} stays");
    }
    let checks = examined(&redis, &objects).await;
    assert_eq!(health(&checks, "redis_commands"), Health::Good);
}

#[tokio::test]
async fn hashes_that_stay_lists_are_told() {
    let redis = RedisServer::new();
    let objects = Objects::open("memory://").unwrap();
    assert_eq!(health(&examined(&redis, &objects).await, "redis_hashes"), Health::Good);
    // Under the name that Redis 6.2 knows, which newer ones know as well.
    let _: String = redis.command(&["CONFIG", "SET", "hash-max-ziplist-entries", "1000000"]);
    assert_eq!(health(&examined(&redis, &objects).await, "redis_hashes"), Health::Warning);
}

#[tokio::test]
async fn a_server_without_info_is_told_as_such() {
    let redis = RedisServer::with(Listen::Socket, &["--rename-command", "INFO", "TELL"]);
    let error = Lanes::open(&redis.url(), LaneOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("version by INFO"), "{error}");
    assert!(error.message().contains("rename-command"), "{error}");
}
