//! Circles among the files inside a room: two files that need each other are read as one, or not at all.
//! Each opens by giving what they share a file of its own.

use std::collections::BTreeSet;

use super::graph::{circles, named_files};
use super::{packages, report_except};

/// Circles that are left. A row is one circle, whole: where it has become smaller or is gone, so must
/// its row.
const CIRCLES: &[&[&str]] = &[
    &[
        "src/cli/args.rs",
        "src/cli/bench/bulk.rs",
        "src/cli/bench/contend.rs",
        "src/cli/bench/drain.rs",
        "src/cli/bench/grow.rs",
        "src/cli/bench/merges.rs",
        "src/cli/bench/mod.rs",
        "src/cli/bench/processes.rs",
        "src/cli/bench/read.rs",
        "src/cli/bench/stall.rs",
        "src/cli/commit.rs",
        "src/cli/demo/cast.rs",
        "src/cli/demo/mod.rs",
        "src/cli/demo/proof.rs",
        "src/cli/demo/writer.rs",
        "src/cli/diff.rs",
        "src/cli/exit.rs",
        "src/cli/gc.rs",
        "src/cli/import.rs",
        "src/cli/ingest/mod.rs",
        "src/cli/ingest/report.rs",
        "src/cli/ingest/writer.rs",
        "src/cli/instance.rs",
        "src/cli/log.rs",
        "src/cli/merge.rs",
        "src/cli/out.rs",
        "src/cli/pair.rs",
        "src/cli/progress.rs",
        "src/cli/protect.rs",
        "src/cli/serve.rs",
        "src/cli/session.rs",
        "src/cli/settings.rs",
        "src/cli/signals.rs",
        "src/cli/tell.rs",
        "src/cli/verify.rs",
    ],
    &["src/commit/log/lake.rs", "src/commit/merge/graph.rs", "src/commit/merge/prepared.rs"],
    &["src/commit/round/build.rs", "src/commit/round/large.rs"],
    &["src/commit/round/load.rs", "src/commit/round/lookup.rs", "src/commit/round/prepare.rs"],
    &["src/local/mod.rs", "src/local/place.rs", "src/local/process.rs", "src/local/wire.rs"],
    &["src/repo/doctor/mod.rs", "src/repo/doctor/redis.rs", "src/repo/doctor/storage.rs"],
    &[
        "src/server/api/changes.rs",
        "src/server/api/events.rs",
        "src/server/api/merges.rs",
        "src/server/api/mod.rs",
        "src/server/api/tickets.rs",
        "src/server/api/whole.rs",
        "src/server/auth/caller.rs",
        "src/server/lakefs/branches.rs",
        "src/server/lakefs/commits.rs",
        "src/server/lakefs/config.rs",
        "src/server/lakefs/dumps.rs",
        "src/server/lakefs/imports.rs",
        "src/server/lakefs/merges.rs",
        "src/server/lakefs/mod.rs",
        "src/server/lakefs/objects.rs",
        "src/server/lakefs/refs.rs",
        "src/server/lakefs/repositories.rs",
        "src/server/lakefs/staging.rs",
        "src/server/lakefs/tags.rs",
        "src/server/listen.rs",
        "src/server/mod.rs",
        "src/server/requests.rs",
        "src/server/tls.rs",
    ],
    &[
        "src/server/auth/login.rs",
        "src/server/health.rs",
        "src/server/metrics.rs",
        "src/server/state.rs",
    ],
];

#[test]
fn files_of_a_room_do_not_go_in_circles() {
    let row = |files: &BTreeSet<String>| {
        let names: Vec<String> = files.iter().map(|file| format!("\"{file}\"")).collect();
        format!("&[{}],", names.join(", "))
    };
    let mut found = BTreeSet::new();
    for package in packages() {
        let graph = named_files(&package);
        for circle in circles(&graph) {
            for file in &circle {
                let inside = graph[file].intersection(&circle).cloned().collect::<Vec<_>>();
                println!("{file} -> {}", inside.join(" "));
            }
            found.insert(row(&circle));
        }
    }
    let allowed =
        CIRCLES.iter().map(|files| row(&files.iter().map(|file| (*file).into()).collect()));
    report_except("no two files of a room need each other", &found, &allowed.collect());
}
