//! Storages on which branches can fork: found out by the first who writes, remembered, refused.

use onward::internals::objects::{Objects, Refusal, layout, refusal};
use onward::internals::repo::doctor::{Check, Health, examine_parts};
use onward::{ErrorKind, Onward};
use onward_server::{Listen, Server, ServerConfig};

use crate::cli::{Desk, Said};
use crate::support::lake::{Deployment, entry};
use crate::support::redis::RedisServer;
use crate::support::s3::{S3Server, Trap};
use crate::support::sidecar::Sidecar;

/// A deployment over a server, as one more process opens it.
fn over(s3: &S3Server) -> Deployment {
    let objects = Objects::open_with(&s3.url(), &s3.options()).unwrap();
    Deployment { redis: RedisServer::new(), objects }
}

async fn create(onward: &Onward) -> onward::Result<()> {
    onward.repo("lake").create(&"main".parse().unwrap()).await.map(drop)
}

async fn examined(deployment: &Deployment, name: &str) -> Check {
    let onward = deployment.connect().await;
    let mut checks = Vec::new();
    let lanes = onward.coordinator().lanes();
    examine_parts(lanes, &deployment.objects, &mut |check| checks.push(check)).await;
    checks.into_iter().find(|check| check.check == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_checks_and_then_writes_is_found_out_by_many_writers_at_once() {
    let s3 = S3Server::that_forks().await;
    let deployment = over(&s3);
    let check = examined(&deployment, "storage_create_if_absent").await;
    assert_eq!(check.health, Health::Bad, "{check:?}");
    assert!(check.found.contains("at the same time"), "{check:?}");
    let s3 = S3Server::start().await;
    let deployment = over(&s3);
    let check = examined(&deployment, "storage_create_if_absent").await;
    assert_eq!(check.health, Health::Good, "{check:?}");
    let check = examined(&deployment, "storage_replace_if_same").await;
    assert_eq!(check.health, Health::Good, "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_which_branches_fork_is_refused_unless_that_is_accepted() {
    let s3 = S3Server::that_forks().await;
    let deployment = over(&s3);
    let refused = create(&deployment.connect().await).await.unwrap_err();
    assert_eq!(refusal(&refused), Some(Refusal::Forks), "{refused}");
    assert!(refused.message().contains("--accept-unsafe-storage"), "{refused}");
    let late = over(&s3);
    let onward = late.connect().await;
    assert_eq!(late.objects.size("lake/repo").await.unwrap(), None, "nothing was made");
    create(&onward).await.unwrap_err();
    assert_eq!(late.objects.counters().creates, 0, "what was found is remembered");
    let config = ServerConfig::new("127.0.0.1:0".parse::<Listen>().unwrap());
    let refused = Server::bind(onward, config).await.err().unwrap();
    assert_eq!(refusal(&refused), Some(Refusal::Forks), "{refused}");
    let config = late.config().accept_unsafe_storage();
    let onward = Onward::with_objects(config, late.objects.clone()).await.unwrap();
    create(&onward).await.unwrap();
    let change = onward.repo("lake").branch("main").change().put("a", entry(1));
    assert!(change.commit().await.unwrap().commit().is_some());
    let commit = late.connect().await.repo("lake").branch("main").change().put("b", entry(2));
    let refused = commit.commit().await.unwrap_err();
    assert_eq!(refusal(&refused), Some(Refusal::Forks), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lacks_something_is_told_what_and_not_that_branches_fork_on_it() {
    let s3 = S3Server::without_bulk_delete().await;
    let deployment = over(&s3);
    let check = examined(&deployment, "storage_create_if_absent").await;
    assert_eq!(check.health, Health::Bad, "{check:?}");
    assert!(check.found.contains("cannot delete"), "{check:?}");
    for text in [&check.found, check.advice.as_ref().unwrap()] {
        assert!(!text.contains("two histories"), "{text}");
    }
    let onward = deployment.connect().await;
    let refused = create(&onward).await.unwrap_err();
    assert_eq!(refusal(&refused), Some(Refusal::Unsupported), "{refused}");
    assert!(!refused.message().contains("two histories"), "{refused}");
    let config = ServerConfig::new("127.0.0.1:0".parse::<Listen>().unwrap());
    assert!(Server::bind(onward, config).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_such_a_store_and_uses_it_where_that_is_accepted() {
    for (s3, why) in [
        (S3Server::that_forks().await, "--accept-unsafe-storage"),
        (S3Server::without_bulk_delete().await, "cannot delete"),
    ] {
        let (desk, redis) = (Desk::new(), RedisServer::new());
        let run = async |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut command = desk.command(&words);
            command.env("ONWARD_REDIS", redis.url()).env("ONWARD_STORAGE", s3.url());
            for (name, value) in s3.options() {
                command.env(name.to_uppercase(), value);
            }
            // Its answers come from this process.
            tokio::task::spawn_blocking(move || Said::of(command.output().unwrap())).await.unwrap()
        };
        let (create, commit) = ("repo create lake", "commit lake/main -m m --allow-empty");
        let refused = run(create).await;
        assert_eq!(refused.code, 5, "{}", refused.stderr);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        assert_eq!(run("repo show lake --accept-unsafe-storage").await.code, 4, "nothing was made");
        for line in [create, commit] {
            let said = run(&format!("{line} --accept-unsafe-storage")).await;
            assert_eq!(said.code, 0, "{line}: {}", said.stderr);
        }
        let refused = run(commit).await;
        assert_eq!(refused.code, 5, "{}", refused.stderr);
        assert_eq!(run("log lake/main --json").await.lines().len(), 2, "who reads is not asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_is_not_ready_on_a_store_that_turned_out_to_fork() {
    let s3 = S3Server::start().await;
    let deployment = over(&s3);
    let onward = deployment.connect().await;
    create(&onward).await.unwrap();
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    assert_eq!(sidecar.plain("GET", "/readyz").send().await.unwrap().status(), 200);
    // The doctor finds out anew, and another process comes.
    let key = layout::STORAGE_VERDICT;
    let kept = sidecar.deployment.objects.get(key).await.unwrap().expect("it was remembered");
    let forks = S3Server::that_forks().await;
    let other = over(&forks);
    create(&other.connect().await).await.unwrap_err();
    let bad = other.objects.get(key).await.unwrap().unwrap();
    assert_ne!(bad, kept);
    sidecar.deployment.objects.put(key, bad).await.unwrap();
    let onward = sidecar.deployment.connect().await;
    assert_eq!(onward.reach_storage().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let examined = examined(&sidecar.deployment, "storage_create_if_absent").await;
    assert_eq!(examined.health, Health::Good);
    let onward = sidecar.deployment.connect().await;
    onward.reach_storage().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_deployment_costs_each_process_one_read_and_readers_none() {
    let s3 = S3Server::start().await;
    let first = over(&s3);
    create(&first.connect().await).await.unwrap();
    let reader = Deployment { redis: RedisServer::new(), ..over(&s3) };
    let onward = reader.connect().await;
    onward.repo("lake").show().await.unwrap();
    let gets = reader.objects.counters().gets;
    assert_eq!(gets, 1, "of the repository's record");
    onward.check_storage().await.unwrap();
    assert_eq!(reader.objects.counters().gets, gets + 1);
    onward.check_storage().await.unwrap();
    assert_eq!(reader.objects.counters().gets, gets + 1);
    assert_eq!(reader.objects.counters().creates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn local_files_and_memory_are_not_tried() {
    let dir = tempfile::tempdir().unwrap();
    for url in [format!("file://{}", dir.path().display()), "memory://".to_owned()] {
        let objects = Objects::open(&url).unwrap();
        let deployment = Deployment { redis: RedisServer::new(), objects };
        let onward = deployment.connect().await;
        onward.check_storage().await.unwrap();
        let counted = deployment.objects.counters();
        assert_eq!((counted.gets, counted.creates, counted.puts), (0, 0, 0), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_does_not_understand_is_not_called_safe_to_retry() {
    let s3 = S3Server::start().await;
    let deployment = over(&s3);
    s3.set_trap(Trap::Misunderstood, 1);
    let check = examined(&deployment, "storage_create_if_absent").await;
    assert_eq!(check.health, Health::Bad, "{check:?}");
    assert!(check.found.contains("400 Bad Request"), "{check:?}");
    assert!(!check.found.contains("safe to retry"), "{check:?}");
    assert!(check.advice.as_ref().unwrap().contains("AWS_ENDPOINT"), "{check:?}");
}
