//! What `onward doctor` says of deployments, sound and otherwise.

use std::sync::Arc;

use onward::internals::coord::LaneOptions;
use onward::internals::coord::Lanes;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::InMemory;
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
