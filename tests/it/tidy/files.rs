//! Files and functions: what they open with, how long they are, what must not be in them.

use std::collections::BTreeSet;

use super::source::{functions, without_tests};
use super::{files, is_test, report, report_except, sources};

/// Lines of a source file without its tests; most have less than half of this.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from its name to its brace: what fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that are longer, until they are split.
const LONG_FILES: &[&str] = &[];

/// Functions that are longer, until they are split.
const LONG_FUNCTIONS: &[&str] = &[];

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut broken = Vec::new();
    for folder in ["src", "crates", "tests", "benches", "examples"] {
        for (path, text) in files(folder, &["rs"]) {
            if !text.starts_with("//! ") {
                broken.push(path);
            }
        }
    }
    report("a Rust file starts with a line of `//!` that says what it is for", broken);
}

#[test]
fn no_source_file_grows_without_end() {
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        if !is_test(&path) && lines > FILE_LINES_MAX {
            println!("{path}: {lines} lines");
            found.insert(path);
        }
    }
    let allowed = LONG_FILES.iter().map(|path| (*path).to_owned()).collect();
    let rule = format!(
        "a file has one subject; split it before it has more than {FILE_LINES_MAX} lines without its tests"
    );
    report_except(&rule, &found, &allowed);
}

#[test]
fn every_function_fits_a_screen() {
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        for (name, line, lines) in functions(without_tests(&text)) {
            if lines > FUNCTION_LINES_MAX {
                println!("{path}:{line}: {name} has {lines} lines");
                found.insert(format!("{path}: {name}"));
            }
        }
    }
    let allowed = LONG_FUNCTIONS.iter().map(|name| (*name).to_owned()).collect();
    report_except("a function has at most 70 lines", &found, &allowed);
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
    for folder in ["src", "crates", "tests", "benches", "examples", "lua", "scripts"] {
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
