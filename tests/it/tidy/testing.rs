//! How tests are written, and that each of them is run.

use std::fs;
use std::path::Path;

use super::source::{code_lines, without_tests};
use super::{files, report, sources};
use crate::support::root::root;

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
        // The clock of a simulation is not that of the machine; a trial tells how long it took.
        let apart = ["tests/it/support/", "tests/it/simulation/", "tests/trials/"];
        if !apart.iter().any(|folder| path.starts_with(folder)) {
            check(&path, 0, &text);
        }
    }
    for (path, text) in sources() {
        let tested = without_tests(&text);
        check(&path, tested.lines().count(), text.get(tested.len()..).unwrap());
    }
    report("a test uses support::until, and bounds nothing by the clock of the machine", broken);
}

#[test]
fn every_test_file_is_part_of_the_test_binary() {
    let mut broken = Vec::new();
    for (path, _) in files("tests/it", &["rs"]) {
        let path = Path::new(&path);
        let folder = path.parent().unwrap();
        let (name, list) = match path.file_name().unwrap().to_str().unwrap() {
            "main.rs" => continue,
            // A folder is declared where it lies.
            "mod.rs" => (folder.file_name().unwrap(), folder.parent().unwrap()),
            _ => (path.file_stem().unwrap(), folder),
        };
        let name = name.to_str().unwrap();
        let lists = ["main.rs", "mod.rs"].map(|file| root().join(list).join(file));
        let declared: String =
            lists.iter().filter_map(|list| fs::read_to_string(list).ok()).collect();
        if !declared.contains(&format!("mod {name};")) {
            broken.push(format!("{}: not declared in {}", path.display(), list.display()));
        }
    }
    report("a test that is not compiled tests nothing", broken);
}
