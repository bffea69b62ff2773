//! The three-way rule of merges and reverts, for one path. Absence is a value like any other.

use crate::model::entry::Entry;

/// What becomes of one path of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The destination stays as it is.
    KeepDest,
    /// The destination takes over what the source has, which may be nothing.
    TakeSource,
    /// Both changed the path, and not in the same way.
    Conflict,
}

/// Decides one path from what `base`, `source` and `dest` have there. Entries are compared by
/// [`Entry::same_identity`].
pub fn decide(base: Option<&Entry>, source: Option<&Entry>, dest: Option<&Entry>) -> Decision {
    if same(source, base) || same(source, dest) {
        Decision::KeepDest
    } else if same(dest, base) {
        Decision::TakeSource
    } else {
        Decision::Conflict
    }
}

/// Whether both name the same content, or both nothing.
pub fn same(a: Option<&Entry>, b: Option<&Entry>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.same_identity(b),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_the_documented_table() {
        let values = [None, Some(Entry::new("x", 1, "1")), Some(Entry::new("y", 2, "2"))];
        let third = Some(Entry::new("z", 3, "3"));
        for base in &values {
            for other in &values {
                let (base, other) = (base.as_ref(), other.as_ref());
                assert_eq!(decide(base, base, other), Decision::KeepDest);
                assert_eq!(decide(base, other, other), Decision::KeepDest);
                if base != other {
                    assert_eq!(decide(base, other, base), Decision::TakeSource);
                    assert_eq!(decide(base, other, third.as_ref()), Decision::Conflict);
                }
            }
        }
    }

    #[test]
    fn the_same_bytes_at_another_address_are_no_change() {
        let a = Entry::new("s3://a", 1, "c");
        let b = Entry::new("s3://b", 1, "c");
        assert_eq!(decide(Some(&a), Some(&b), None), Decision::KeepDest);
    }
}
