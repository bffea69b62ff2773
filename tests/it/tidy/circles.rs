//! Circles among the files inside a room: two files that need each other are read as one, or not at all.
//! Each opens by giving what they share a file of its own.

use std::collections::BTreeSet;

use super::graph::{Modules, circles};
use super::{packages, report_except};

/// Circles that are left. A row is one circle, whole: where it has become smaller or is gone, so must
/// its row.
const CIRCLES: &[&[&str]] = &[
    &[
        "crates/onward-cli/src/args.rs",
        "crates/onward-cli/src/bench/bulk.rs",
        "crates/onward-cli/src/bench/contend.rs",
        "crates/onward-cli/src/bench/drain.rs",
        "crates/onward-cli/src/bench/grow.rs",
        "crates/onward-cli/src/bench/merges.rs",
        "crates/onward-cli/src/bench/mod.rs",
        "crates/onward-cli/src/bench/processes.rs",
        "crates/onward-cli/src/bench/read.rs",
        "crates/onward-cli/src/bench/stall.rs",
        "crates/onward-cli/src/commit.rs",
        "crates/onward-cli/src/demo/cast.rs",
        "crates/onward-cli/src/demo/mod.rs",
        "crates/onward-cli/src/demo/proof.rs",
        "crates/onward-cli/src/demo/writer.rs",
        "crates/onward-cli/src/diff.rs",
        "crates/onward-cli/src/exit.rs",
        "crates/onward-cli/src/gc.rs",
        "crates/onward-cli/src/import.rs",
        "crates/onward-cli/src/ingest/mod.rs",
        "crates/onward-cli/src/ingest/report.rs",
        "crates/onward-cli/src/ingest/writer.rs",
        "crates/onward-cli/src/instance.rs",
        "crates/onward-cli/src/log.rs",
        "crates/onward-cli/src/merge.rs",
        "crates/onward-cli/src/out.rs",
        "crates/onward-cli/src/pair.rs",
        "crates/onward-cli/src/progress.rs",
        "crates/onward-cli/src/protect.rs",
        "crates/onward-cli/src/serve.rs",
        "crates/onward-cli/src/session.rs",
        "crates/onward-cli/src/settings.rs",
        "crates/onward-cli/src/signals.rs",
        "crates/onward-cli/src/tell.rs",
        "crates/onward-cli/src/verify.rs",
    ],
    &[
        "crates/onward-server/src/api/changes.rs",
        "crates/onward-server/src/api/events.rs",
        "crates/onward-server/src/api/merges.rs",
        "crates/onward-server/src/api/mod.rs",
        "crates/onward-server/src/api/producers.rs",
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
