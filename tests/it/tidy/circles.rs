//! Circles among the files inside a room: two files that need each other are read as one, or not at all.
//! Each opens by giving what they share a file of its own.

use std::collections::BTreeSet;

use super::graph::{Modules, circles};
use super::{packages, report_except};

/// Circles that are left. A row is one circle, whole: where it has become smaller or is gone, so must
/// its row.
const CIRCLES: &[&[&str]] = &[];

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
