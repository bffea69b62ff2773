//! What a commit of a branch says of the commits to tables that are in it: which tables, which changes, by whom. It is
//! read again when somebody asks what became of one of them. Pure.

use super::asked::{Asked, CREATE};
use super::submit::Said;

/// What a commit of the branch says of those it is made of, in bytes: what is more is cut.
const SAID_MAX: usize = 4000;
/// Bytes of the words for one change that adds a snapshot, at most.
const CHANGE_MAX: usize = 40;
/// The key under which it says that.
pub(super) const CHANGES: &str = "iceberg.changes";
/// The key under which it names its table, or its tables.
pub(super) const TABLE: &str = "iceberg.table";
/// The key under which it says the uuid of its table, where it is of one.
pub(super) const UUID: &str = "iceberg.uuid";
/// What it says of the names of tables, of one change and of who made it, in bytes.
const NAMES_MAX: usize = 1000;
/// The key under which it names all who made it, where they are more than its committer says, and how much, in bytes.
const COMMITTERS: &str = "iceberg.committers";
const COMMITTERS_MAX: usize = 800;

/// What the commit of the branch says of the commits in it.
pub(super) fn say(table: &str, lands: &[&Asked]) -> Said {
    let table = cut(table, NAMES_MAX);
    let mut names: Vec<&str> = lands.iter().map(|asked| asked.said.committer.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let committer = match names.as_slice() {
        [one] => (*one).to_owned(),
        [first, second] => format!("{first}, {second}"),
        [first, .., _] => format!("{first} and {} others", names.len() - 1),
        [] => String::new(),
    };
    let client = lands.first().and_then(|asked| asked.said.client.as_deref());
    let does: Vec<&str> = lands.iter().flat_map(|asked| &asked.does).map(String::as_str).collect();
    let message = match does.as_slice() {
        [] => format!("change table {table}"),
        [one] => format!("{} in table {table}", cut(one, NAMES_MAX / 4)),
        many => format!("{} changes in table {table}", many.len()),
    };
    let does = does.join(", ");
    let said = Said::of(cut(&committer, NAMES_MAX).to_owned(), client)
        .message(message)
        .pair(TABLE, table.to_owned())
        .pair(CHANGES, cut(&does, SAID_MAX).to_owned());
    match names.len() > 2 {
        true => said.pair(COMMITTERS, cut(&names.join(", "), COMMITTERS_MAX).to_owned()),
        false => said,
    }
}

/// Whether the name of a table is that of several, or so long that it may be cut.
pub(super) fn is_of_several(table: &str) -> bool {
    table.contains(", ") || table.len() + 4 > NAMES_MAX
}

/// Whether these are the words of what made a table.
pub(super) fn makes(changes: &str) -> bool {
    changes.split(", ").any(|one| one == CREATE)
}

/// The snapshots that such words name, and whether they may be cut behind those.
pub(super) fn names(changes: &str) -> (impl Iterator<Item = i64>, bool) {
    let named = changes.split(", ").filter_map(|one| one.rsplit_once(' ')?.1.parse::<i64>().ok());
    (named, changes.len() + CHANGE_MAX > SAID_MAX)
}

/// As much of a text as has this many bytes at most.
fn cut(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
    text.get(..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (bytes, left) in [(0, ""), (1, "a"), (2, "a"), (3, "aä"), (4, "aäb"), (9, "aäb")] {
            assert_eq!(cut("aäb", bytes), left);
        }
    }

    #[test]
    fn snapshots_that_a_commit_says_are_found_in_its_words_unless_those_may_be_cut() {
        let found = |words: &str| {
            let (named, is_cut) = names(words);
            (named.collect::<Vec<_>>(), is_cut)
        };
        assert_eq!(found("append 17, set-properties, overwrite 9"), (vec![17, 9], false));
        assert_eq!(found(""), (vec![], false));
        let appends = |many: usize| vec![format!("append {}", i64::MAX); many].join(", ");
        // As many as a round takes, with those that others offer.
        assert_eq!(found(&appends(140)), (vec![i64::MAX; 140], false));
        assert!(found(cut(&appends(150), SAID_MAX)).1);
    }

    #[test]
    fn what_a_commit_says_fits_however_many_tables_it_is_of() {
        let names = vec!["n".repeat(80); 100].join(", ");
        let does = format!("{} 1", "x".repeat(9000));
        let of = |committer: String| Asked::of_snapshot(1, "p", does.clone(), committer);
        for committers in
            [vec!["c".repeat(5000)], ["a", "b", "c"].map(|one| one.repeat(5000)).to_vec()]
        {
            let asked: Vec<Asked> = committers.into_iter().map(of).collect();
            let said = format!("{:?}", say(&names, &asked.iter().collect::<Vec<_>>()));
            assert!(said.len() < 8100, "{}", said.len());
        }
    }
}
