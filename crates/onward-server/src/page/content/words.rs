//! How small things are written on the pages of content: names of users, ids, sizes.

use maud::{Markup, html};

use onward::CommitId;

use crate::page::words::count;

/// Digits of a commit's id that are shown; a ref takes them for a recent commit.
const ID_SHOWN: usize = 12;

/// Characters of a message's first line in lists.
const LINE_SHOWN: usize = 160;

/// A text of a user inside of others, set apart: one that is written from right to left, or says so, moves
/// nothing beside it, and one of blanks alone is in quotes.
pub fn name(text: &str) -> Markup {
    html! { bdi.name { @if text.trim().is_empty() { "'" (text) "'" } @else { (text) } } }
}

/// The first digits of a commit's id.
pub fn short(id: &CommitId) -> String {
    id.to_string().chars().take(ID_SHOWN).collect()
}

/// A ref as people say it: of a commit's id the first digits.
pub fn spoken(reference: &str) -> String {
    reference.parse().map_or_else(|_| reference.to_owned(), |id| short(&id))
}

/// The first line of a message that has something in it, as far as a list has room.
pub fn first_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    cut(lines.find(|line| !line.is_empty()).unwrap_or("(no message)"), LINE_SHOWN)
}

/// The first characters of a text, with a mark where it goes on.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// A number of bytes.
pub fn size(bytes: u64) -> String {
    let (mut left, mut unit) = (bytes as f64, None);
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if left < 1024.0 {
            break;
        }
        (left, unit) = (left / 1024.0, Some(next));
    }
    match unit {
        None => crate::page::words::counted(bytes, "byte", "bytes"),
        Some(unit) => format!("{left:.1} {unit}"),
    }
}

/// A number of things, of which there may be more.
pub fn at_least(number: u64, has_more: bool) -> String {
    match has_more {
        true => format!("more than {}", count(number)),
        false => count(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, text) in
            [(1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(at_least(1000, true), "more than 1,000");
    }

    #[test]
    fn a_line_of_a_message_is_short_and_never_empty() {
        assert_eq!(first_line("\n  load\nmore"), "load");
        assert_eq!(first_line(" \n"), "(no message)");
        assert_eq!(first_line(&"é".repeat(500)).chars().count(), LINE_SHOWN + 1);
    }

    #[test]
    fn a_ref_is_said_as_it_is_and_a_commit_by_its_first_digits() {
        assert_eq!(spoken("main~2"), "main~2");
        assert_eq!(spoken(&"0123456789abcdef".repeat(4)), "0123456789ab");
    }

    #[test]
    fn what_users_write_is_never_markup() {
        assert_eq!(name("<b>&\"").into_string(), "<bdi class=\"name\">&lt;b&gt;&amp;&quot;</bdi>");
    }
}
