//! What columns are: names and types, which readers rely on.

/// What a column holds, and as what it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text. Parquet: `STRING`.
    Text,
    /// A whole number. Parquet: `INT64`.
    Number,
    /// A moment. Parquet: `TIMESTAMP(MILLIS, UTC)`; otherwise RFC 3339 in UTC.
    Moment,
    /// Several texts in their order. Parquet: `LIST` of `STRING`; JSON, which in CSV is the text of the field.
    Texts,
    /// Texts by names. Parquet: `MAP` of `STRING` to `STRING`; a JSON object, which in CSV is the text of the field.
    Pairs,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name, in every format.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it can be null: in CSV an empty field.
    pub is_optional: bool,
}

/// Columns that have a name and a version.
///
/// A version only grows by columns at the end. What is changed or taken away makes the next version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// What a row is, in the plural.
    pub name: &'static str,
    /// The version of its columns.
    pub version: u32,
    /// The columns in their order.
    pub columns: &'static [Column],
}

/// A column that is never null.
pub(crate) const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: false }
}

/// A column that can be null.
pub(crate) const fn perhaps(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: true }
}
