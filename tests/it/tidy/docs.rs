//! Doc comments: whoever reads one in rustdoc sees neither the item above nor the code.

use super::source::without_tests;
use super::{is_test, report, sources};

/// Words of a doc comment, at the least. Two say no more than the name of the item.
const WORDS_MIN: usize = 3;

/// What follows "The same" where only the item above says what is meant.
const BESIDE: &[&str] =
    &[",", ";", ".", " for ", " of ", " with ", " from ", " in ", " behind ", " unless "];

/// The doc comments of a text: number of the first line, and all of it.
fn doc_comments(text: &str) -> Vec<(usize, String)> {
    let mut docs: Vec<(usize, String)> = Vec::new();
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        let said = line.trim_start().strip_prefix("///");
        match (said, docs.last_mut()) {
            (Some(said), Some((_, doc))) if is_inside => *doc = format!("{doc} {}", said.trim()),
            (Some(said), _) => docs.push((index + 1, said.trim().to_owned())),
            (None, _) => {}
        }
        is_inside = said.is_some();
    }
    docs
}

#[test]
fn doc_comments_say_more_than_the_name() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        // What the command says of its arguments is read in its help, where names stand beside it.
        if is_test(&path) || path.starts_with("crates/onward-cli/") {
            continue;
        }
        for (line, doc) in doc_comments(without_tests(&text)) {
            if doc.split_whitespace().count() < WORDS_MIN {
                broken.push(format!("{path}:{line}: '{doc}' is too short to help"));
            }
            let rest = doc.strip_prefix("The same").unwrap_or_default();
            if BESIDE.iter().any(|beside| rest.starts_with(beside)) {
                broken.push(format!("{path}:{line}: '{doc}' needs the item above"));
            }
        }
    }
    report("a doc comment says by itself what the item is for", broken);
}

#[test]
fn doc_comments_are_read_whole() {
    let text = "/// One\n/// two.\nfn a() {}\n    /// Three\n    b: u8,";
    assert_eq!(doc_comments(text), [(1, "One two.".to_owned()), (4, "Three".to_owned())]);
}
