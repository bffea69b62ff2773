//! Verification: a sound repository has no findings, and every kind of damage is found and named,
//! once, with nothing else beside it.

use bytes::Bytes;
use futures::TryStreamExt;
use onward::internals::commit::mend::restore::write_checkpoint;
use onward::internals::repo::verify::{Finding, FindingKind};
use onward::{Change, Onward, PathChange, RefExpr};

use crate::support::branch::keys;
use crate::support::lake::{Deployment, entry};
use crate::support::verify::{sound, verify};

/// Commits puts of `count` paths with `path` in front.
async fn commit_many(onward: &Onward, branch: &str, path: &str, count: usize) {
    let mut change = onward.repo("lake").branch(branch).change().message(path);
    for n in 0..count {
        let path = format!("{path}/{n:06}").parse().unwrap();
        change.push(PathChange { path, change: Change::Put(entry(n)), condition: None }).unwrap();
    }
    assert!(change.commit().await.unwrap().commit().is_some());
}

async fn upload(onward: &Onward, branch: &str, path: &str) {
    let branch = onward.repo("lake").branch(branch);
    let entry = branch.upload(path.as_bytes()).await.unwrap();
    branch.stage_put(path.parse().unwrap(), entry, None).await.unwrap();
}

/// A repository with something of everything: small and large commits, a run with a list of its
/// own, folds, staged commits, uploads, branches that begin and end, a tag, a checkpoint.
async fn busy() -> (Deployment, Onward) {
    let (deployment, onward) = Deployment::lake().await;
    let (repo, main) = (onward.repo("lake"), onward.repo("lake").branch("main"));
    for n in 0..40 {
        main.change().put(format!("t/{n:03}"), entry(n)).commit().await.unwrap();
    }
    repo.create_tag(&"v1".parse().unwrap(), &RefExpr::plain("main")).await.unwrap();
    commit_many(&onward, "main", "many", 9_000).await;
    // Long paths make large ranges, and a list of them that does not fit its reference.
    commit_many(&onward, "main", &"long/".repeat(180), 10_000).await;
    repo.branch("dev").create(&RefExpr::plain("main")).await.unwrap();
    for n in 0..5 {
        upload(&onward, "dev", &format!("up/{n}")).await;
    }
    repo.branch("dev").commit_staged().message("staged").commit().await.unwrap();
    upload(&onward, "main", "up/not-committed").await;
    repo.branch("gone").create(&RefExpr::plain("dev")).await.unwrap();
    commit_many(&onward, "gone", "gone", 5_000).await;
    repo.branch("gone").delete().await.unwrap();
    main.change().put("t/000", entry(77)).commit().await.unwrap();
    main.change().delete("t/001").commit().await.unwrap();
    let (repo, name) = ("lake".parse().unwrap(), "main".parse().unwrap());
    let uid = repo_uid(&deployment, "main").await.parse().unwrap();
    write_checkpoint(&onward.coordinator().context(&repo, &name, uid)).await.unwrap();
    // Folds in the background come to their end.
    onward.close().await;
    let onward = deployment.connect().await;
    (deployment, onward)
}

async fn repo_uid(deployment: &Deployment, branch: &str) -> String {
    let head = keys(&deployment.objects, branch).await.head;
    head.split(['/', '}']).nth(1).unwrap().to_owned()
}

async fn below(deployment: &Deployment, folder: &str) -> Vec<String> {
    let listed = deployment.objects.list(&format!("lake/{folder}"), None);
    let mut keys: Vec<String> = listed.map_ok(|listed| listed.key).try_collect().await.unwrap();
    keys.sort();
    keys
}

/// What is found when an object is not there, or one of its bytes is another.
async fn damage(deployment: &Deployment, onward: &Onward, key: &str) -> [Vec<Finding>; 2] {
    let bytes = deployment.objects.get(key).await.unwrap().unwrap();
    deployment.objects.delete(key).await.unwrap();
    let (missing, _) = verify(onward).await;
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    deployment.objects.put(key, Bytes::from(flipped)).await.unwrap();
    let (corrupt, _) = verify(onward).await;
    deployment.objects.put(key, bytes).await.unwrap();
    [missing, corrupt]
}

fn assert_named(findings: &[Finding], kind: FindingKind, key: &str) {
    let [finding] = findings else { panic!("one finding for '{key}': {findings:#?}") };
    assert_eq!((finding.kind, finding.key.as_str()), (kind, key), "{finding:#?}");
    assert!(!finding.meaning.is_empty() && !finding.advice.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_repository_is_sound_and_each_damage_is_named_alone() {
    let (deployment, onward) = busy().await;
    let summary = sound(&onward).await;
    assert!(summary.entries > 40 && summary.commits > 40, "{summary:?}");
    assert!(summary.runs > 10 && summary.ranges >= 4, "{summary:?}");
    assert!(summary.records > 19_000 && summary.objects >= 5, "{summary:?}");

    let uid = repo_uid(&deployment, "main").await;
    let log = below(&deployment, &format!("log/{uid}")).await;
    let (runs, ranges) = (below(&deployment, "runs").await, below(&deployment, "ranges").await);
    // What only the branch that has ended had, or a fold that came too late, is nobody's loss.
    let mut needed = [0, 0];
    for key in runs.iter().chain(&ranges) {
        let [missing, corrupt] = damage(&deployment, &onward, key).await;
        if missing.is_empty() {
            assert!(corrupt.is_empty(), "{corrupt:#?}");
            continue;
        }
        assert_named(&missing, FindingKind::Missing, key);
        assert_named(&corrupt, FindingKind::Corrupt, key);
        assert!(missing[0].commit.is_some() && missing[0].reference.is_some());
        needed[usize::from(ranges.contains(key))] += 1;
    }
    assert!(needed[0] > 0 && needed[1] == summary.ranges, "{needed:?}, {summary:?}");
    assert!(needed[1] < ranges.len() as u64);
    for key in [&log[0], &log[log.len() / 2], log.last().unwrap()] {
        let [missing, corrupt] = damage(&deployment, &onward, key).await;
        assert_named(&missing, FindingKind::Missing, key);
        assert_named(&corrupt, FindingKind::Corrupt, key);
    }
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_records_and_uploads_are_named_alone() {
    let (deployment, onward) = busy().await;
    let objects = &deployment.objects;
    let uid = repo_uid(&deployment, "main").await;

    let tag = &below(&deployment, "tags").await[0];
    let [_, flipped] = damage(&deployment, &onward, tag).await;
    assert!(flipped.len() == 1 && flipped[0].key == *tag, "{flipped:#?}");

    // Uploads: those of a commit are looked for, the one that is only staged is not.
    let mut named = 0;
    for key in below(&deployment, "data").await {
        let bytes = objects.get(&key).await.unwrap().unwrap();
        objects.delete(&key).await.unwrap();
        let (findings, _) = verify(&onward).await;
        named += findings.len();
        findings.iter().for_each(|_| assert_named(&findings, FindingKind::Missing, &key));
        objects.put(&key, Bytes::from_static(b"other length")).await.unwrap();
        let (findings, _) = verify(&onward).await;
        findings.iter().for_each(|_| assert_named(&findings, FindingKind::Corrupt, &key));
        objects.put(&key, bytes).await.unwrap();
    }
    assert_eq!(named, 5);

    let checkpoint = format!("lake/checkpoints/{uid}");
    let bytes = objects.get(&checkpoint).await.unwrap().unwrap();
    objects.put(&checkpoint, bytes.slice(..bytes.len() - 1)).await.unwrap();
    assert_named(&verify(&onward).await.0, FindingKind::Corrupt, &checkpoint);
    let other = format!("lake/checkpoints/{}", repo_uid(&deployment, "dev").await);
    objects.put(&checkpoint, bytes.clone()).await.unwrap();
    objects.put(&other, bytes).await.unwrap();
    assert_named(&verify(&onward).await.0, FindingKind::Inconsistent, &other);
    objects.delete(&other).await.unwrap();

    // A log that no branch has.
    let record = "lake/branches/main/0000000001";
    let bytes = objects.get(record).await.unwrap().unwrap();
    objects.delete(record).await.unwrap();
    let first = &below(&deployment, &format!("log/{uid}")).await[0];
    assert_named(&verify(&onward).await.0, FindingKind::Inconsistent, first);
    objects.put(record, bytes).await.unwrap();

    // An entry of one place in another, whole as it is.
    let log = below(&deployment, &format!("log/{uid}")).await;
    let (here, there) = (&log[3], &log[4]);
    let bytes = objects.get(there).await.unwrap().unwrap();
    objects.put(there, objects.get(here).await.unwrap().unwrap()).await.unwrap();
    assert_named(&verify(&onward).await.0, FindingKind::Corrupt, there);
    objects.put(there, bytes).await.unwrap();
    sound(&onward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_changes_nothing_and_an_outage_is_no_finding() {
    let (deployment, onward) = Deployment::lake().await;
    let before = below(&deployment, "").await;
    let calls = deployment.objects.counters();
    sound(&onward).await;
    let after = deployment.objects.counters();
    assert_eq!(
        (calls.puts, calls.creates, calls.deletes),
        (after.puts, after.creates, after.deletes)
    );
    assert_eq!(below(&deployment, "").await, before);
    let error = onward.repo("nope").verify(Default::default(), &mut |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), onward::ErrorKind::NotFound);
}
