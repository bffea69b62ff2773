//! What is written about the program: the README, and the decisions with the tests that hold them.

use std::collections::BTreeSet;
use std::fs;

use super::{files, report};
use crate::support::root::root;

/// The sections of a decision, in order.
const SECTIONS: &[&str] = &["Problem", "Rule", "Alternatives", "Caveats", "Testing"];

/// Names of tests are whole sentences; what is shorter and in backticks is something else.
const TEST_NAME_LEN: usize = 20;

fn decisions() -> Vec<(String, String)> {
    files("docs/decisions", &["md"])
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("make demo") && readme.contains("make test"));
}

#[test]
fn decisions_are_numbered_and_have_the_same_sections() {
    let (mut broken, mut numbers) = (Vec::new(), BTreeSet::new());
    for (path, text) in &decisions() {
        // Several are written at the same time, each with a number that was given out for it: one that
        // was not needed leaves a gap.
        let number = path.strip_prefix("docs/decisions/").and_then(|name| name.get(..4));
        let number = number.filter(|number| number.parse::<u16>().is_ok()).unwrap_or_default();
        if !text.starts_with(&format!("# {number}. ")) || !numbers.insert(number.to_owned()) {
            broken.push(format!("{path}: '{number}' is not its number alone"));
        }
        let sections: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        if sections != SECTIONS {
            broken.push(format!("{path}: {sections:?} instead of {SECTIONS:?}"));
        }
    }
    report("a decision has a number, and says what each other one says", broken);
}

#[test]
fn every_test_that_a_decision_names_is_there() {
    let sources = ["tests", "src", "crates"].map(|folder| files(folder, &["rs"])).concat();
    let words = |line: &str| line.split_once("fn ")?.1.split('(').next().map(str::to_owned);
    let tests: BTreeSet<String> =
        sources.iter().flat_map(|(_, text)| text.lines().filter_map(words)).collect();
    let mut broken = Vec::new();
    for (path, text) in decisions() {
        let testing = text.split("## Testing").nth(1).unwrap_or_default();
        let named = testing.split('`').skip(1).step_by(2);
        let mut named =
            named.filter(|name| name.len() >= TEST_NAME_LEN && !name.contains('/')).peekable();
        if named.peek().is_none() {
            broken.push(format!("{path}: names no test"));
        }
        broken.extend(
            named.filter(|name| !tests.contains(*name)).map(|name| format!("{path}: {name}")),
        );
    }
    report("a decision names the tests that hold it", broken);
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut broken = Vec::new();
    let papers = [files("docs", &["md"]), files("", &["md"])].concat();
    for (path, text) in papers {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    report("a link leads to a file", broken);
}

/// Whether a file is where a text says: from the root or the folder of a package or of the tests, or by
/// its name alone.
fn is_there(named: &str, files: &BTreeSet<String>) -> bool {
    let named = format!("/{named}");
    files.iter().any(|file| format!("/{file}").ends_with(&named))
}

#[test]
fn every_file_that_a_text_names_is_there() {
    let all = files("", &[]);
    let there: BTreeSet<String> = all.iter().map(|(path, _)| path.clone()).collect();
    let mut broken = Vec::new();
    for (path, text) in &all {
        let is_paper = path.ends_with(".md");
        if !is_paper && !path.ends_with(".rs") && !path.ends_with(".lua") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let is_comment = ["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark));
            if !is_paper && !is_comment {
                continue;
            }
            for named in line.split('`').skip(1).step_by(2) {
                let is_file = named.ends_with(".rs") || named.ends_with(".lua");
                if is_file && !named.contains([' ', '*']) && !is_there(named, &there) {
                    broken.push(format!("{path}:{}: {named}", number + 1));
                }
            }
        }
    }
    report("a file that is named is there", broken);
}

#[test]
fn the_design_leads_to_every_decision() {
    let design = fs::read_to_string(root().join("docs/design.md")).unwrap();
    let is_named = |path: &str| design.contains(&format!("({})", path.trim_start_matches("docs/")));
    let broken = decisions().into_iter().map(|(path, _)| path).filter(|path| !is_named(path));
    report("docs/design.md has a line for each decision", broken.collect());
}
