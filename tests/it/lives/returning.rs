//! A Redis that goes back to before a repository or a branch was made again.

use onward::{Onward, RefExpr};

use super::{content, create, put};
use crate::support::branch::Snapshot;
use crate::support::lake::{Deployment, entry};
use crate::support::until::until_async;

/// Everything a process can do with the branch `main`, and that it is there afterwards.
async fn works(onward: &Onward, first: &str) {
    let main = onward.repo("lake").branch("main");
    main.stage_put(format!("{first}-staged").parse().unwrap(), entry(7), None).await.unwrap();
    assert!(main.commit_staged().message("staged").commit().await.unwrap().commit().is_some());
    put(onward, "main", &format!("{first}-put"), 8).await.unwrap();
    let content = content(onward, "main").await.unwrap();
    for path in [format!("{first}-staged"), format!("{first}-put")] {
        assert!(content.iter().any(|(there, _)| *there == path), "{path}: {content:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_gone_back_to_an_earlier_life_heals_at_the_next_use() {
    for (is_branch, stages_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let (mut deployment, onward) = Deployment::lake().await;
        let knew = deployment.connect().await;
        put(&knew, "main", "old", 1).await.unwrap();
        let before = Snapshot::take(&deployment.redis);
        let main = onward.repo("lake").branch("main");
        if is_branch {
            let head = RefExpr::plain(main.delete().await.unwrap().unwrap().to_string());
            main.create(&head).await.unwrap();
        } else {
            onward.repo("lake").delete().await.unwrap();
            create(&onward).await.unwrap();
        }
        put(&onward, "main", "new", 2).await.unwrap();
        before.put_back(&deployment.redis);
        // All connections are lost with it, as when a Redis starts from an older file.
        deployment.redis.restart();
        let fresh = deployment.connect().await;
        for (name, process) in [("knew", &knew), ("fresh", &fresh), ("made", &onward)] {
            until_async("Redis is reached", || async { process.reach_redis().await.is_ok() }).await;
            // A staged write is compared with the log, an op is accepted without.
            if !stages_first {
                put(process, "main", &format!("{name}-first"), 9).await.unwrap();
            }
            works(process, name).await;
        }
        let content = content(&fresh, "main").await.unwrap();
        assert!(content.contains(&("new".into(), 2)), "{content:?}");
        assert_eq!(content.contains(&("old".into(), 1)), is_branch, "{content:?}");
        super::in_order(&deployment).await;
    }
}
