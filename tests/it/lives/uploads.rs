//! Objects that were uploaded in one life of a repository and are named in another: they go with the
//! life they were uploaded in, so nothing that goes on may come to name them.

use std::time::Duration;

use futures::TryStreamExt;
use onward::internals::objects::layout;
use onward::internals::repo::gc::{GRACE, GcOptions};
use onward::{Condition, Entry, ErrorKind, Onward};
use reqwest::StatusCode;
use serde_json::json;

use super::{commits, content, create, held, in_order, put};
use crate::support::lake::{Deployment, entry};
use crate::support::sidecar::{Sidecar, told};

/// The API of the branch `main` of `lake`.
const MAIN: &str = "/api/v1/repositories/lake/branches/main";

async fn upload(onward: &Onward, repo: &str, bytes: &'static [u8]) -> Entry {
    onward.repo(repo).branch("main").upload(bytes).await.unwrap()
}

/// Removes all that nothing names, whatever its age.
async fn collect(onward: &Onward) {
    let days_later = onward::internals::clock::now_ms() + 2 * GRACE.as_millis() as i64;
    let options = GcOptions { exclusive: true, now_ms: Some(days_later), ..Default::default() };
    onward.repo("lake").gc(&options, &mut |_| ()).await.unwrap();
}

async fn bytes_of(onward: &Onward, entry: &Entry) -> Vec<u8> {
    let chunks = onward.repo("lake").open(entry).await.unwrap().chunks;
    let parts: Vec<_> = chunks.try_collect().await.unwrap();
    parts.concat()
}

/// Every way to have a branch name `old`, alone and in the middle of others, comes to nothing.
async fn is_refused_everywhere(onward: &Onward, old: &Entry) {
    let main = onward.repo("lake").branch("main");
    let few = || main.change().put("before", entry(1)).put("old", old.clone());
    let many = (0..2000).fold(few(), |change, n| change.put(format!("{n}"), entry(n)));
    let path = || "old".parse().unwrap();
    for (how, tried) in [
        ("staged", main.stage_put(path(), old.clone(), None).await),
        ("staged if absent", main.stage_put(path(), old.clone(), Some(Condition::Absent)).await),
        ("few", few().commit().await.map(drop)),
        ("many", many.commit().await.map(drop)),
        ("submitted", few().submit().await.map(drop)),
    ] {
        let error = tried.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{how}: {error}");
        assert!(error.message().contains("made again"), "{how}: {error}");
        assert!(error.message().contains("upload again"), "{how}: {error}");
    }
    assert_eq!(main.status("", None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_life_is_neither_staged_nor_committed() {
    let (deployment, onward) = Deployment::lake().await;
    let knew = [deployment.connect().await, deployment.connect().await];
    for knew in &knew {
        put(knew, "main", "first", 1).await.unwrap();
    }
    let old = upload(&onward, "lake", b"old").await;
    let later = old.address.replace("/lake/data/", "/lake/lives/0000000007/data/");
    assert_ne!(later, old.address);
    let later = Entry { address: later, ..old.clone() };
    is_refused_everywhere(&onward, &later).await;

    onward.repo("lake").delete().await.unwrap();
    create(&onward).await.unwrap();
    for process in [&onward, &knew[0], &deployment.connect().await] {
        is_refused_everywhere(process, &old).await;
        is_refused_everywhere(process, &later).await;
        assert_eq!(commits(process).await, 1);
    }
    // What lies in this life is taken, by who has not heard of it yet, too; and so is what is not of
    // this repository.
    let (staged, committed) =
        (upload(&onward, "lake", b"staged").await, upload(&onward, "lake", b"committed").await);
    let main = knew[1].repo("lake").branch("main");
    main.stage_put("staged".parse().unwrap(), staged.clone(), None).await.unwrap();
    assert!(main.commit_staged().commit().await.unwrap().commit().is_some());
    onward.repo("pond").create(&"main".parse().unwrap()).await.unwrap();
    let foreign = upload(&onward, "pond", b"foreign").await;
    let change = main.change().put("committed", committed.clone()).put("foreign", foreign);
    assert!(change.commit().await.unwrap().commit().is_some());
    collect(&onward).await;
    assert_eq!(content(&onward, "main").await.unwrap().len(), 3);
    assert_eq!(bytes_of(&onward, &staged).await, b"staged");
    assert_eq!(bytes_of(&onward, &committed).await, b"committed");
    in_order(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_next_life_overtakes_is_to_be_sent_again() {
    for condition in [None, Some(("If-None-Match", "*"))] {
        let (deployment, other) = Deployment::lake().await;
        let (onward, gate) = held(&deployment, "uploaded").await;
        let sidecar = Sidecar::over(deployment, onward, |_| ()).await;
        let (_, place) = sidecar.get(&format!("{MAIN}/staging/backing?path=linked")).await;
        let send = || {
            let request = sidecar.request("POST", &format!("{MAIN}/objects?path=a")).body("bytes");
            let request = request.timeout(Duration::from_secs(60));
            told(
                condition
                    .iter()
                    .fold(request, |request, (name, value)| request.header(*name, *value)),
            )
        };
        let overtakes = async {
            gate.reached().await;
            other.repo("lake").delete().await.unwrap();
            create(&other).await.unwrap();
            gate.open();
        };
        let ((status, said), ()) = futures::join!(send(), overtakes);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
        assert!(said["message"].as_str().unwrap().contains("upload again"), "{said}");
        let objects = &sidecar.deployment.objects;
        let old = objects.list(&layout::data_dir(&"lake".parse().unwrap()), None);
        assert_eq!(old.try_collect::<Vec<_>>().await.unwrap().len(), 0, "it is withdrawn");

        // An address that was given out before is no better.
        let link = json!({"staging": place, "checksum": "c", "size_bytes": 1});
        let backing = format!("{MAIN}/staging/backing?path=linked");
        let (status, said) = sidecar.send("PUT", &backing, link).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert!(said["message"].as_str().unwrap().contains("upload again"), "{said}");

        let (status, said) = send().await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        collect(&other).await;
        let (_, bytes) = sidecar.get("/api/v1/repositories/lake/refs/main/objects?path=a").await;
        assert_eq!(bytes, json!("bytes"));
        in_order(&sidecar.deployment).await;
    }
}
