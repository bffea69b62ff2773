//! The house rules, written down so that nobody has to remember them: one file for each subject.
//!
//! An exception is a row in a list, and a list can only shrink: a row that nothing needs any more
//! fails the test too.

mod circles;
mod dependencies;
mod docs;
mod files;
mod graph;
mod papers;
mod requests;
mod rooms;
mod scripts;
mod source;
mod testing;

use std::collections::BTreeSet;
use std::fs;

use walkdir::WalkDir;

use crate::support::root::root;

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

/// The folders of the packages, the root's first (""), each with a `Cargo.toml` and `src`.
fn packages() -> Vec<String> {
    let mut packages = vec![String::new()];
    if let Ok(entries) = fs::read_dir(root().join("crates")) {
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(|name| format!("crates/{name}/")).collect();
        names.sort();
        packages.extend(names);
    }
    packages
}

/// The Rust files of what is shipped: `src` of every package.
fn sources() -> Vec<(String, String)> {
    packages().iter().flat_map(|package| files(&format!("{package}src"), &["rs"])).collect()
}

/// Whether a file is about what it stands beside, and not part of it.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("tests/")
}

fn report(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// What breaks a rule against the exceptions from it: neither may have what the other lacks.
fn report_except(rule: &str, found: &BTreeSet<String>, allowed: &BTreeSet<String>) {
    let mut broken: Vec<String> = found.difference(allowed).cloned().collect();
    broken.extend(allowed.difference(found).map(|row| format!("{row}: holds now, drop its row")));
    report(rule, broken);
}
