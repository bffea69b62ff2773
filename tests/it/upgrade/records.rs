//! Records of names and rules that a newer program has written, or rewritten, are never written
//! over by this one.

use onward::internals::commit::mend::restore::write_checkpoint;
use onward::internals::repo::protection::Rule;
use onward::{ErrorKind, RefExpr};

use crate::support::branch::{Audit, keys, op_id};
use crate::support::lake::{Deployment, entry};

/// Makes an object one of version 2, and returns its bytes.
async fn make_newer(deployment: &Deployment, key: &str) -> Vec<u8> {
    let mut bytes = deployment.objects.get(key).await.unwrap().unwrap().to_vec();
    assert_eq!(bytes[0], 1, "{key}");
    // That of a repository has a second version.
    bytes[0] = if key.ends_with("/repo") { 3 } else { 2 };
    bytes.extend_from_slice(b"and more");
    deployment.objects.put(key, bytes.clone().into()).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_newer_program_are_never_written_over() {
    let (deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let main = RefExpr::plain("main");
    lake.create_tag(&"v1".parse().unwrap(), &main).await.unwrap();
    lake.branch("tx").create(&main).await.unwrap();
    lake.protect(Rule::new("release-*")).await.unwrap();
    let keys = ["lake/protection", "lake/tags/v1", "lake/branches/tx/0000000001", "lake/repo"];
    let mut newer = Vec::new();
    for key in keys {
        newer.push(make_newer(&deployment, key).await);
    }
    let fresh = deployment.connect().await;
    let lake = fresh.repo("lake");
    let refusals = [
        lake.protect(Rule::new("main")).await.unwrap_err(),
        lake.unprotect("release-*").await.unwrap_err(),
        lake.protection().await.unwrap_err(),
        lake.delete_tag(&"v1".parse().unwrap()).await.unwrap_err(),
        lake.show_commit(&RefExpr::plain("v1")).await.unwrap_err(),
        lake.branch("tx").create(&main).await.unwrap_err(),
        lake.show().await.unwrap_err(),
        lake.branches().await.unwrap_err(),
        lake.delete().await.unwrap_err(),
        // Rules that cannot be read forbid everything.
        lake.branch("main").stage_put("x".parse().unwrap(), entry(1), None).await.unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::NewerVersion, "{error}");
        assert!(error.message().contains("use a newer program"), "{error}");
    }
    let taken = [
        lake.create_tag(&"v1".parse().unwrap(), &main).await.unwrap_err(),
        lake.create(&"main".parse().unwrap()).await.unwrap_err(),
    ];
    for error in taken {
        assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NewerVersion), "{error}");
    }
    for (key, newer) in keys.into_iter().zip(newer) {
        assert_eq!(*deployment.objects.get(key).await.unwrap().unwrap(), newer[..], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_a_newer_program_stays_and_the_log_does_without_it() {
    let (deployment, onward) = Deployment::lake().await;
    let commit = async |n: usize| {
        let change = onward.repo("lake").branch("main").change().op_id(op_id(n));
        change.put(format!("t/{n}"), entry(n)).commit().await.unwrap().commit().unwrap()
    };
    commit(1).await;
    let keys = keys(&deployment.objects, "main").await;
    let uid = keys.head.split(['/', '}']).nth(1).unwrap();
    let (repo, name) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let context = onward.coordinator().context(&repo, &name, uid.parse().unwrap());
    write_checkpoint(&context).await.unwrap();
    let key = format!("lake/checkpoints/{uid}");
    let newer = make_newer(&deployment, &key).await;
    commit(2).await;
    write_checkpoint(&context).await.unwrap();
    assert_eq!(*deployment.objects.get(&key).await.unwrap().unwrap(), newer[..]);
    // Redis is put back from the log alone.
    let _: () = deployment.redis.command(&["FLUSHALL"]);
    commit(3).await;
    Audit::of(&deployment.objects, "main").await.has_all(1..=3);
    assert_eq!(*deployment.objects.get(&key).await.unwrap().unwrap(), newer[..]);
}
