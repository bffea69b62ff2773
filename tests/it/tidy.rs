//! The house rules, written down so that nobody has to remember them.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Lines of a source file without its tests; most have less than half of this.
const SOURCE_LINES_MAX: usize = 600;

/// Which rooms a room may name; arrows only point down. A new room gets a row.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("invariants", &[]),
    ("clock", &["model"]),
    ("measures", &[]),
    ("tree", &["model", "clock", "measures"]),
    ("objects", &["model", "clock", "measures"]),
    ("coord", &["model", "clock", "measures"]),
    ("local", &["model", "clock"]),
    ("commit", &["model", "clock", "measures", "invariants", "tree", "objects", "coord"]),
    ("repo", &["model", "clock", "tree", "objects", "coord", "commit"]),
    ("fuzzing", &["model", "tree", "objects", "coord", "commit", "repo"]),
    ("server", &["model", "clock", "measures", "tree", "objects", "coord", "commit", "repo"]),
    ("kafka", &["model", "clock", "tree", "objects", "coord", "commit", "repo"]),
    (
        "cli",
        &[
            "model", "clock", "tree", "objects", "coord", "commit", "repo", "local", "server",
            "kafka",
        ],
    ),
];

/// Names that every room may take from the crate's face: they belong to `model`.
const FACE: &[&str] = &["Error", "ErrorKind", "Result"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` with one of these extensions, with their paths from the root.
fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let skipped = [".git", "target", ".onward", "node_modules"];
    let mut files = Vec::new();
    for entry in WalkDir::new(root().join(folder))
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !skipped.contains(&entry.file_name().to_string_lossy().as_ref()))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
    {
        let extension = entry.path().extension().unwrap_or_default().to_string_lossy();
        if !extensions.is_empty() && !extensions.contains(&extension.as_ref()) {
            continue;
        }
        // What is not text has no rules here.
        if let Ok(text) = fs::read_to_string(entry.path()) {
            let path = entry.path().strip_prefix(root()).unwrap();
            files.push((path.to_string_lossy().into_owned(), text));
        }
    }
    files
}

/// A source file up to its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn report(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut broken = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in files(folder, &["rs"]) {
            if !text.starts_with("//! ") {
                broken.push(path);
            }
        }
    }
    report("a Rust file starts with a line of `//!` that says what it is for", broken);
}

#[test]
fn every_script_documents_its_contract() {
    let mut broken = Vec::new();
    for (path, text) in files("", &["lua"]) {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        if header.is_empty() {
            broken.push(format!("{path}: no header"));
        }
        for part in ["-- KEYS", "-- ARGV", "-- Returns", "-- Cost"] {
            if !header.iter().any(|line| line.starts_with(part)) {
                broken.push(format!("{path}: no line '{part}' in its header"));
            }
        }
    }
    report("a Lua script opens with its purpose, KEYS, ARGV, Returns and Cost", broken);
}

#[test]
fn no_source_file_grows_without_end() {
    let mut broken = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        let lines = without_tests(&text).lines().count();
        if lines > SOURCE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines"));
        }
    }
    report("a file has one subject; split it before it has 600 lines without its tests", broken);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that the rule does not find itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
        concat!("db", "g!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("#[ign", "ore"),
    ];
    let mut broken = Vec::new();
    for folder in ["src", "tests", "benches", "lua", "scripts"] {
        for (path, text) in files(folder, &["rs", "lua", "sh", ""]) {
            for (number, line) in text.lines().enumerate() {
                if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                    broken.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    report("what is not done is not merged", broken);
}

#[test]
fn tests_wait_for_conditions_and_never_for_time() {
    let words = [concat!("sle", "ep("), concat!(".elap", "sed("), concat!("Instant", "::now")];
    let mut broken = Vec::new();
    let mut check = |path: &str, from: usize, text: &str| {
        for (number, line) in code_lines(text) {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                broken.push(format!("{path}:{}: {word}", from + number));
            }
        }
    };
    for (path, text) in files("tests", &["rs"]) {
        // The clock of a simulation is not that of the machine.
        let apart = ["tests/it/support/", "tests/it/simulation/"];
        if !apart.iter().any(|folder| path.starts_with(folder)) {
            check(&path, 0, &text);
        }
    }
    for (path, text) in files("src", &["rs"]) {
        let tested = without_tests(&text);
        check(&path, tested.lines().count(), text.get(tested.len()..).unwrap());
    }
    report("a test uses support::until, and bounds nothing by the clock of the machine", broken);
}

#[test]
fn every_test_file_is_part_of_the_test_binary() {
    let mut broken = Vec::new();
    for (folder, list) in [("tests/it", "main.rs"), ("tests/it/support", "mod.rs")] {
        let declared = fs::read_to_string(root().join(folder).join(list)).unwrap();
        for (path, _) in files(folder, &["rs"]) {
            let path = Path::new(&path);
            let name = path.file_stem().unwrap().to_string_lossy();
            if path.parent() == Some(Path::new(folder))
                && !list.starts_with(name.as_ref())
                && !declared.contains(&format!("mod {name};"))
            {
                broken.push(format!("{}: not declared in {folder}/{list}", path.display()));
            }
        }
    }
    report("a test that is not compiled tests nothing", broken);
}

#[test]
fn arrows_between_rooms_only_point_down() {
    let mut broken = Vec::new();
    for (path, text) in files("src", &["rs"]) {
        let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
        let room = inner.split('/').next().unwrap();
        // The crate's face and the binaries see everything, and the tests of a room what they need.
        if matches!(room, "lib" | "main" | "bin") || path.contains("/tests/") {
            continue;
        }
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{path}: room '{room}' has no row in the table of this test"));
            continue;
        };
        for (number, line) in code_lines(without_tests(&text)) {
            for named in line.split("crate::").skip(1) {
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
fn only_the_object_port_names_the_crate_underneath() {
    let mut broken = Vec::new();
    for folder in ["src", "tests"] {
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

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut broken = Vec::new();
    for (path, text) in files("", &[]) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                broken.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    report("paths of one machine do not belong into the project", broken);
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("make demo") && readme.contains("make test"));
}
