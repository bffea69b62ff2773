//! Dependencies: each is named by the sources of the package that asks for it.

use std::collections::BTreeSet;
use std::fs;

use super::source::{code, tokens};
use super::{files, packages, report, report_except};
use crate::support::root::root;

/// Dependencies that no source names, and what they are there for.
const UNNAMED: &[(&str, &str)] =
    &[("Cargo.toml, dependencies: reqwest", "chooses how the client of object stores encrypts")];

/// Packages whose crate has another name.
const OTHER_NAMES: &[(&str, &str)] = &[("md-5", "md5")];

/// Sections of a `Cargo.toml`, and the folders whose sources may name what they list.
const SECTIONS: &[(&str, &[&str])] = &[
    ("dependencies", &["src"]),
    ("build-dependencies", &["build"]),
    ("dev-dependencies", &["src", "benches", "examples"]),
];

/// The names in sections of this kind of a `Cargo.toml`; those for one platform too.
fn listed(manifest: &str, kind: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section == kind || (section.starts_with("target.") && section.ends_with(kind));
            // `[dependencies.name]`
            names.extend(section.strip_prefix(&format!("{kind}.")).map(str::to_owned));
        } else if inside && line.starts_with(|c: char| c.is_alphanumeric()) {
            let end = line.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').unwrap();
            names.push(line[..end].to_owned());
        }
    }
    names
}

/// The folders of the tests and examples that a package has elsewhere, or "tests" where they are in
/// their usual place.
fn folders_of_targets(manifest: &str) -> Vec<String> {
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"../"));
    let mut folders: Vec<String> =
        paths.map(|path| format!("../{}", path.rsplit_once('/').unwrap().0)).collect();
    if !manifest.contains("autotests = false") {
        folders.push("tests".to_owned());
    }
    folders
}

/// The files that a source takes from elsewhere, by `#[path = "…"]`: their words are its package's too.
fn taken_from_elsewhere(path: &str, text: &str) -> Vec<String> {
    let folder = root().join(path).parent().unwrap().to_owned();
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \""));
    let paths = paths.filter_map(|path| path.strip_suffix("\"]"));
    paths.map(|path| fs::read_to_string(folder.join(path)).unwrap()).collect()
}

/// The words in front of `::` and behind `use` in these folders of a package.
fn named(package: &str, folders: &[String]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for folder in folders {
        let own = files(&format!("{package}{folder}"), &["rs"]);
        let elsewhere = own.iter().flat_map(|(path, text)| taken_from_elsewhere(path, text));
        for text in own.iter().map(|(_, text)| text.clone()).chain(elsewhere) {
            let code = code(&text);
            for pair in tokens(&code).windows(2) {
                if pair[1].1 == "::" {
                    named.insert(pair[0].1.to_owned());
                } else if pair[0].1 == "use" || pair[0].1 == "crate" {
                    named.insert(pair[1].1.to_owned());
                }
            }
        }
    }
    named
}

fn manifest(package: &str) -> String {
    fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap()
}

#[test]
fn every_dependency_is_named_by_a_source() {
    let mut found = BTreeSet::new();
    for package in packages() {
        let manifest = manifest(&package);
        for (section, folders) in SECTIONS {
            let mut folders: Vec<String> = folders.iter().map(|name| (*name).to_owned()).collect();
            if *section == "dev-dependencies" {
                folders.extend(folders_of_targets(&manifest));
            }
            let named = named(&package, &folders);
            for name in listed(&manifest, section) {
                let other = OTHER_NAMES.iter().find(|(package, _)| *package == name);
                let crate_name = other.map_or(name.replace('-', "_"), |(_, other)| (*other).into());
                if !named.contains(&crate_name) {
                    found.insert(format!("{package}Cargo.toml, {section}: {name}"));
                }
            }
        }
    }
    let allowed = UNNAMED.iter().map(|(row, _)| (*row).to_owned()).collect();
    report_except("what no source names is not compiled either", &found, &allowed);
}

#[test]
fn every_shared_version_is_used() {
    let members: Vec<String> = packages()
        .iter()
        .flat_map(|package| {
            let manifest = manifest(package);
            SECTIONS
                .iter()
                .flat_map(move |(section, _)| listed(&manifest, section))
                .collect::<Vec<_>>()
        })
        .collect();
    let shared = listed(&manifest(""), "workspace.dependencies");
    let unused = shared.into_iter().filter(|name| !members.contains(name)).collect();
    report("a version that the workspace fixes is used by a package", unused);
}
