//! Where in the folders of a ref a page is, and its links to other folders and pages.

use maud::{Markup, html};

use super::words::name;
use crate::page::links::Link;
use crate::page::paging;

/// Folders that are shown of a path: the outermost, and those around the end.
const FIRST: usize = 2;
const LAST: usize = 6;

/// A page of something that is shown folder by folder.
pub struct Folder<'a> {
    /// The first page at the top.
    pub top: Link,
    /// What the paths of this folder begin with.
    pub prefix: &'a str,
    /// The name that the page is behind; empty for the first one.
    pub after: &'a str,
}

impl Folder<'_> {
    /// The name that the page is behind, if any.
    pub fn behind(&self) -> Option<&str> {
        Some(self.after).filter(|after| !after.is_empty())
    }

    /// Whether it is the first page at the top.
    pub fn is_top(&self) -> bool {
        self.prefix.is_empty() && self.after.is_empty()
    }

    /// The first page of a folder.
    pub fn at(&self, prefix: &str) -> Link {
        match prefix {
            "" => self.top.clone(),
            prefix => self.top.clone().with("prefix", prefix),
        }
    }

    /// A path of this folder without what all of its paths begin with.
    pub fn shown(&self, path: &str) -> Markup {
        name(path.strip_prefix(self.prefix).filter(|rest| !rest.is_empty()).unwrap_or(path))
    }

    /// The links to the first page of the folder and to the next one, behind this name.
    pub fn further(&self, next: Option<&str>) -> Markup {
        let first = self.at(self.prefix);
        let next = next.map(|last| first.clone().with("after", last));
        paging::further(&first, !self.after.is_empty(), next)
    }

    /// The folders above and at this one, each a link; nothing at the top.
    pub fn trail(&self) -> Markup {
        if self.prefix.is_empty() {
            return html! {};
        }
        let ends = self.prefix.match_indices('/').map(|(at, _)| at + 1);
        // What is behind the last slash begins names, and is no folder.
        let mut ends: Vec<usize> = ends.chain([self.prefix.len()]).collect();
        ends.dedup();
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let folders: Vec<(&str, &str)> = begins
            .zip(&ends)
            .filter_map(|(begin, end)| {
                Some((self.prefix.get(..*end)?, self.prefix.get(begin..*end)?))
            })
            .collect();
        let count = folders.len();
        html! {
            nav.folders aria-label="Folder" {
                ol {
                    li { a href=(self.top) { "top" } }
                    @for (number, (path, folder)) in folders.into_iter().enumerate() {
                        @if number + 1 == count { li aria-current="page" { (name(folder)) } }
                        @else if number < FIRST || number + LAST >= count { li { a href=(self.at(path)) { (name(folder)) } } }
                        @else if number == FIRST { li { "…" } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(prefix: &str) -> Folder<'_> {
        Folder { top: Link::to(&["x"]), prefix, after: "" }
    }

    #[test]
    fn each_folder_leads_to_what_is_below_it() {
        let shown = folder("a/b c//d/").trail().into_string();
        for part in [
            "/x\"",
            "prefix=a%2F\"",
            "prefix=a%2Fb%20c%2F\"",
            "page\"><bdi class=\"name\">d/</bdi>",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(folder("").trail().into_string().is_empty());
    }

    #[test]
    fn a_path_of_many_folders_does_not_fill_a_page() {
        let shown = folder(&"a/".repeat(512)).trail().into_string();
        assert_eq!(shown.matches("<a ").count(), 1 + FIRST + LAST - 1);
        assert!(shown.len() < 24 << 10, "{}", shown.len());
    }
}
