//! Circles among the files inside a room: two files that need each other are read as one, or not at all.
//! Each opens by giving what they share a file of its own.

use std::collections::BTreeSet;

use super::graph::{Modules, circles};
use super::{packages, report_except};

/// Circles that are left. A row is one circle, whole: where it has become smaller or is gone, so must
/// its row.
const CIRCLES: &[&[&str]] = &[
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
