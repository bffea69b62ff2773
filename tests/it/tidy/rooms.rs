//! Rooms: which part of the program may name which.

use std::collections::BTreeSet;

use super::graph::Modules;
use super::source::code_lines;
use super::{files, packages, report, sources};

/// Which rooms a room may name; arrows only point down. A new room gets a row. `server` and `cli` are
/// packages of their own, which reach the others as `onward::internals`.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("invariants", &[]),
    ("clock", &["model"]),
    ("encryption", &[]),
    ("measures", &[]),
    ("tree", &["model", "clock", "measures"]),
    ("objects", &["model", "clock", "encryption", "measures"]),
    ("coord", &["model", "clock", "encryption", "measures"]),
    ("local", &["model", "clock"]),
    ("commit", &["model", "clock", "measures", "invariants", "tree", "objects", "coord"]),
    ("repo", &["model", "clock", "tree", "objects", "coord", "commit"]),
    ("fuzzing", &["model", "tree", "objects", "coord", "commit", "repo"]),
    ("export", &["model", "clock"]),
    ("iceberg", &["model", "clock", "objects", "repo"]),
    (
        "server",
        &[
            "model",
            "clock",
            "encryption",
            "measures",
            "tree",
            "objects",
            "coord",
            "commit",
            "repo",
            "export",
            "iceberg",
        ],
    ),
    // Stands on what the library promises, and on no room of it.
    ("kafka", &[]),
    (
        "cli",
        &[
            "model",
            "clock",
            "encryption",
            "tree",
            "objects",
            "coord",
            "commit",
            "repo",
            "local",
            "export",
            "server",
            "kafka",
        ],
    ),
];

/// The room of a file. None for the faces of the library, which see everything.
fn room_of(path: &str) -> Option<&str> {
    if let Some(inner) = path.strip_prefix("crates/onward-") {
        return inner.split('/').next();
    }
    let room = path.strip_prefix("src/")?.trim_end_matches(".rs").split('/').next()?;
    (!matches!(room, "lib" | "internals")).then_some(room)
}

/// The rooms that each file names, in its own package and in the library.
fn named_rooms() -> Vec<(String, BTreeSet<String>)> {
    let mut named = Vec::new();
    for package in packages() {
        let modules = Modules::of(&package);
        let mut foreign = modules.foreign_rooms();
        for (file, targets) in modules.all_files() {
            let mut rooms = foreign.remove(&file).unwrap_or_default();
            rooms.extend(targets.iter().filter_map(|target| room_of(target).map(str::to_owned)));
            named.push((file, rooms));
        }
    }
    named
}

#[test]
fn arrows_between_rooms_only_point_down() {
    let mut broken = Vec::new();
    for (path, named) in named_rooms() {
        let Some(room) = room_of(&path) else {
            continue;
        };
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{path}: room '{room}' has no row in the table of this test"));
            continue;
        };
        for name in named.iter().filter(|name| *name != room && !below.contains(&name.as_str())) {
            broken.push(format!("{path}: {room} must not know of {name}"));
        }
    }
    report("a room knows only the rooms below it", broken);
}

#[test]
fn every_row_is_a_room() {
    let rooms: Vec<String> =
        sources().iter().filter_map(|(path, _)| room_of(path).map(str::to_owned)).collect();
    let mut broken = Vec::new();
    for (room, below) in ROOMS {
        for name in std::iter::once(room).chain(*below) {
            if !rooms.iter().any(|known| known == name) {
                broken.push(format!("{name}, in the row of {room}"));
            }
        }
    }
    report("a row without a room is gone", broken);
}

#[test]
fn only_the_object_port_names_the_crate_underneath() {
    let mut broken = Vec::new();
    for folder in ["src", "crates", "tests"] {
        for (path, text) in files(folder, &["rs"]) {
            let names =
                code_lines(&text).any(|(_, line)| line.contains(concat!("object_", "store::")));
            if names && path != "src/objects/backend.rs" {
                broken.push(path);
            }
        }
    }
    report("the store's crate is named in src/objects/backend.rs only", broken);
}
