//! Names of namespaces and tables, and the paths of a branch that stand for them. Pure.
//!
//! ```text
//! iceberg/<level>/<level>/.namespace       a namespace's properties
//! iceberg/<level>/<level>/<name>.table     a table
//! ```
//!
//! Levels and names are written as they are, but for `%`, `/` and control characters, which are escaped: every name
//! has one path, and no two names have the same. A namespace is there while its marker is, or anything below it: so
//! a table that one branch makes in a namespace that another has dropped is never without one, and no order of
//! commits leaves a table that nobody can name.

use std::fmt;

use onward::ObjectPath;
use onward::internals::model::error::quoted;

use super::error::{CatalogError, Kind, Result};

/// Everything that a catalog has on a branch lies below this.
pub const ROOT: &str = "iceberg/";
/// What the levels of a namespace are joined by in URLs, and so are in no level.
pub const SEPARATOR: char = '\u{1f}';

const MARKER: &str = ".namespace";
const TABLE: &str = ".table";

/// A namespace: one level or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Vec<String>);

impl Namespace {
    /// A namespace of these levels.
    pub fn new(levels: Vec<String>) -> Result<Self> {
        if levels.is_empty() {
            return Err(CatalogError::invalid("a namespace has at least one level: give its name"));
        }
        levels.iter().try_for_each(|level| check(level, "a level of a namespace"))?;
        let namespace = Self(levels);
        path(namespace.folder() + MARKER)?;
        Ok(namespace)
    }

    /// A namespace as a URL has it, decoded.
    pub fn of_url(text: &str) -> Result<Self> {
        Self::new(text.split(SEPARATOR).map(str::to_owned).collect())
    }

    /// Its levels, the outermost first.
    pub fn levels(&self) -> &[String] {
        &self.0
    }

    /// What its paths begin with.
    pub(super) fn folder(&self) -> String {
        let levels = self.0.iter().map(|level| escape(level) + "/");
        ROOT.to_owned() + &levels.collect::<String>()
    }

    /// The path of its marker.
    pub(super) fn marker(&self) -> Result<ObjectPath> {
        path(self.folder() + MARKER)
    }

    /// The error that it is not there.
    pub(super) fn absent(&self) -> CatalogError {
        CatalogError::new(Kind::NoSuchNamespace, format!("Namespace does not exist: {self}"))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0.join(".")))
    }
}

/// The name of a table, with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableIdent {
    /// Where it is.
    pub namespace: Namespace,
    /// Its name there.
    pub name: String,
}

impl TableIdent {
    /// A table of this name.
    pub fn new(namespace: Namespace, name: impl Into<String>) -> Result<Self> {
        let ident = Self { namespace, name: name.into() };
        check(&ident.name, "the name of a table")?;
        ident.path()?;
        Ok(ident)
    }

    /// The path that stands for it.
    pub(super) fn path(&self) -> Result<ObjectPath> {
        path(self.namespace.folder() + &escape(&self.name) + TABLE)
    }

    /// The table that a path stands for, if it is one's.
    pub(super) fn of_path(path: &ObjectPath) -> Option<Self> {
        let (folder, last) = path.as_str().strip_prefix(ROOT)?.rsplit_once('/')?;
        let levels = folder.split('/').map(level_of).collect::<Option<_>>()?;
        Self::new(Namespace::new(levels).ok()?, table_of(last)?).ok()
    }

    /// The error that it is not there.
    pub(super) fn absent(&self) -> CatalogError {
        CatalogError::new(Kind::NoSuchTable, format!("Table does not exist: {self}"))
    }

    /// The error that it is there.
    pub(super) fn present(&self) -> CatalogError {
        CatalogError::new(Kind::AlreadyExists, format!("Table already exists: {self}"))
    }

    /// The error that a table is there which a commit would make, in the words that Iceberg's tests of catalogs expect.
    pub(super) fn present_already(&self) -> CatalogError {
        let message = format!("Requirement failed: table already exists: {self}");
        CatalogError::new(Kind::AlreadyExists, message)
    }
}

impl fmt::Display for TableIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, quoted(&self.name))
    }
}

/// The table that the last part of a path names, if it is one.
pub(super) fn table_of(last: &str) -> Option<String> {
    unescape(last.strip_suffix(TABLE)?)
}

/// The level that a folder's name, without its slash, stands for.
pub(super) fn level_of(folder: &str) -> Option<String> {
    unescape(folder)
}

fn check(name: &str, what: &str) -> Result<()> {
    if name.is_empty() {
        return Err(CatalogError::invalid(format!("{what} is empty: give it a name")));
    }
    if name.contains([SEPARATOR, '\0']) {
        return Err(CatalogError::invalid(format!(
            "{what}, '{}', has a character 0 or 0x1F in it, which names do not have",
            quoted(name)
        )));
    }
    Ok(())
}

fn path(text: String) -> Result<ObjectPath> {
    ObjectPath::new(text).map_err(|error| {
        CatalogError::invalid(format!("the names are too long together: {}", error.message()))
    })
}

fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '%' | '/' => escaped.push_str(&format!("%{:02X}", u32::from(character))),
            control if control.is_ascii_control() => {
                escaped.push_str(&format!("%{:02X}", u32::from(control)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Reads what [`escape`] wrote, and nothing else: a path that somebody else put there is no name.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        name.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        name.push_str(rest);
    }
    (!name.is_empty() && escape(&name) == text).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn table(levels: &[&str], name: &str) -> Result<TableIdent> {
        let levels = levels.iter().map(|level| (*level).to_owned()).collect();
        TableIdent::new(Namespace::new(levels)?, name)
    }

    #[test]
    fn odd_names_have_paths_of_their_own() {
        let odd = ["a", "a.b", "a/b", "a b", "ä", ".namespace", "x.table", "%2F", "a%", "..", "\n"];
        let mut paths = HashSet::new();
        for level in odd {
            for name in odd {
                let ident = table(&[level], name).unwrap();
                assert!(paths.insert(ident.path().unwrap()), "{ident}");
                let path = ident.path().unwrap();
                let parts: Vec<&str> = path.as_str().split('/').collect();
                assert_eq!(parts.len(), 3, "{path}");
                assert_eq!(level_of(parts[1]).as_deref(), Some(level));
                assert_eq!(table_of(parts[2]).as_deref(), Some(name));
                assert_eq!(TableIdent::of_path(&path), Some(ident));
            }
            let deeper = Namespace::new(vec![level.to_owned()]).unwrap().marker().unwrap();
            assert_eq!(TableIdent::of_path(&deeper), None);
            assert!(paths.insert(deeper));
        }
        assert_eq!(table_of(MARKER), None);
        for strange in ["%zz.table", "%2f.table", "%41.table", ".table", "a"] {
            assert_eq!(table_of(strange), None, "{strange}");
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert!(Namespace::new(vec![]).is_err());
        assert!(Namespace::of_url("").is_err());
        assert!(Namespace::of_url("a\u{1f}").is_err());
        assert!(table(&["a\u{1f}b"], "t").is_err());
        assert!(table(&["a"], "").is_err());
        assert!(table(&["a"], "t\0").is_err());
        assert!(table(&["a"], &"t".repeat(1024)).is_err());
        assert!(table(&["a"], &"t".repeat(1000)).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_as_it_was(name in "\\PC{0,12}|[%/a-f0-9\n]{0,12}") {
            prop_assert_eq!(unescape(&escape(&name)), (!name.is_empty()).then_some(name));
        }
    }
}
