//! Rooms: which part of the program may name which.

use super::source::{code_lines, without_tests};
use super::{files, is_test, report, sources};

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
    ("server", &["model", "clock", "measures", "tree", "objects", "coord", "commit", "repo"]),
    ("cli", &["model", "clock", "tree", "objects", "coord", "commit", "repo", "local", "server"]),
];

/// Names that every room may take from the crate's face: they belong to `model`.
const FACE: &[&str] = &["Error", "ErrorKind", "Result"];

/// The room of a file, and what comes before the name of another room in it. None for the crate's faces,
/// which see everything.
fn room_of(path: &str) -> Option<(&str, &'static str)> {
    if let Some(inner) = path.strip_prefix("crates/onward-") {
        return Some((inner.split('/').next()?, "internals::"));
    }
    let room = path.strip_prefix("src/")?.trim_end_matches(".rs").split('/').next()?;
    (!matches!(room, "lib" | "internals")).then_some((room, "crate::"))
}

#[test]
fn arrows_between_rooms_only_point_down() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        // The tests of a room see what they need.
        let Some((room, prefix)) = room_of(&path).filter(|_| !is_test(&path)) else {
            continue;
        };
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{path}: room '{room}' has no row in the table of this test"));
            continue;
        };
        for (number, line) in code_lines(without_tests(&text)) {
            for named in line.split(prefix).skip(1) {
                let end = named.find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = named.get(..end.unwrap_or(named.len())).unwrap();
                if name.is_empty() {
                    broken.push(format!("{path}:{number}: write one `use` for each room"));
                } else if name != room && !below.contains(&name) && !FACE.contains(&name) {
                    broken.push(format!("{path}:{number}: {room} must not know of {name}"));
                }
            }
        }
    }
    report("a room knows only the rooms below it", broken);
}

#[test]
fn every_row_is_a_room() {
    let rooms: Vec<String> = sources()
        .iter()
        .filter_map(|(path, _)| room_of(path).map(|(room, _)| room.to_owned()))
        .collect();
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
