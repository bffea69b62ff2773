//! Circles among the files inside a room: two files that need each other are read as one, or not at all.
//! Each opens by giving what they share a file of its own.

use std::collections::BTreeSet;

use super::graph::{Modules, circles};
use super::{packages, report_except};

/// Circles that are left. A row is one circle, whole: where it has become smaller or is gone, so must
/// its row.
const CIRCLES: &[&[&str]] = &[
    &[
        "crates/onward-server/src/api/changes.rs",
        "crates/onward-server/src/api/events.rs",
        "crates/onward-server/src/api/merges.rs",
        "crates/onward-server/src/api/mod.rs",
        "crates/onward-server/src/api/tickets.rs",
        "crates/onward-server/src/api/whole.rs",
        "crates/onward-server/src/auth/caller.rs",
        "crates/onward-server/src/lakefs/branches.rs",
        "crates/onward-server/src/lakefs/commits.rs",
        "crates/onward-server/src/lakefs/config.rs",
        "crates/onward-server/src/lakefs/dumps.rs",
        "crates/onward-server/src/lakefs/imports.rs",
        "crates/onward-server/src/lakefs/merges.rs",
        "crates/onward-server/src/lakefs/mod.rs",
        "crates/onward-server/src/lakefs/objects.rs",
        "crates/onward-server/src/lakefs/refs.rs",
        "crates/onward-server/src/lakefs/repositories.rs",
        "crates/onward-server/src/lakefs/staging.rs",
        "crates/onward-server/src/lakefs/tags.rs",
        "crates/onward-server/src/lib.rs",
        "crates/onward-server/src/listen.rs",
        "crates/onward-server/src/requests.rs",
        "crates/onward-server/src/tls.rs",
    ],
    &[
        "crates/onward-server/src/auth/login.rs",
        "crates/onward-server/src/health.rs",
        "crates/onward-server/src/metrics.rs",
        "crates/onward-server/src/state.rs",
    ],
    &[
        "src/commit/accept/queue.rs",
        "src/commit/help/helper.rs",
        "src/commit/help/upkeep.rs",
        "src/commit/mend/reconcile.rs",
    ],
    &["src/commit/log/lake.rs", "src/commit/merge/graph.rs", "src/commit/merge/prepared.rs"],
    &["src/commit/round/build.rs", "src/commit/round/large.rs"],
    &["src/commit/round/load.rs", "src/commit/round/lookup.rs", "src/commit/round/prepare.rs"],
    &["src/local/mod.rs", "src/local/place.rs", "src/local/process.rs", "src/local/wire.rs"],
    &[
        "src/repo/branch.rs",
        "src/repo/names.rs",
        "src/repo/onward.rs",
        "src/repo/pages.rs",
        "src/repo/protection.rs",
        "src/repo/repository.rs",
        "src/repo/tags.rs",
        "src/repo/ticket.rs",
    ],
    &["src/repo/doctor/mod.rs", "src/repo/doctor/redis.rs", "src/repo/doctor/storage.rs"],
];

#[test]
fn files_of_a_room_do_not_go_in_circles() {
    let row = |files: &BTreeSet<String>| {
        let names: Vec<String> = files.iter().map(|file| format!("\"{file}\"")).collect();
        format!("&[{}],", names.join(", "))
    };
    let mut found = BTreeSet::new();
    for package in packages() {
        let graph = Modules::of(&package).named_files();
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
