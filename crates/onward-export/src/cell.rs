//! The values of a row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use onward::internals::clock::rfc3339;
use serde::{Serialize, Serializer};

/// What a value takes in memory beside its text, in bytes, roughly.
const CELL_LEN: usize = 48;

/// What every reader has a date for, the years 1 to 9999 without their last day, in milliseconds since the Unix epoch.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_207_199_999;

/// A value. Which of them a column takes is said by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Text(String),
    Number(i64),
    /// In milliseconds since the Unix epoch.
    Moment(i64),
    Texts(Vec<String>),
    Pairs(BTreeMap<String, String>),
}

/// One value for each column.
pub type Row = Vec<Cell>;

impl Cell {
    /// Text where there is any.
    pub fn text(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }

    /// A number that cannot be more than this holds: lengths and counts.
    pub fn number(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A moment; null outside of the years 1 to 9999, for which most readers have no date.
    pub fn moment(ms: i64) -> Self {
        if MOMENTS.contains(&ms) { Self::Moment(ms) } else { Self::Null }
    }

    /// What it takes in memory, in bytes, roughly.
    pub fn memory(&self) -> usize {
        CELL_LEN
            + match self {
                Self::Null | Self::Number(_) | Self::Moment(_) => 0,
                Self::Text(text) => text.len(),
                Self::Texts(texts) => texts.iter().map(|text| CELL_LEN + text.len()).sum(),
                Self::Pairs(pairs) => {
                    pairs.iter().map(|(key, value)| 2 * CELL_LEN + key.len() + value.len()).sum()
                }
            }
    }

    /// As the text of a field: nothing for null, JSON for what has parts.
    pub fn as_field(&self) -> Result<Cow<'_, str>, serde_json::Error> {
        Ok(match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Moment(ms) => Cow::Owned(rfc3339(*ms)),
            Self::Texts(_) | Self::Pairs(_) => Cow::Owned(serde_json::to_string(self)?),
        })
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Moment(ms) => serializer.serialize_str(&rfc3339(*ms)),
            Self::Texts(texts) => serializer.collect_seq(texts),
            Self::Pairs(pairs) => serializer.collect_map(pairs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_readers_have_no_date_for_are_null() {
        for (ms, text) in [
            (*MOMENTS.start(), "0001-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (0, "1970-01-01T00:00:00Z"),
            (*MOMENTS.end(), "9999-12-30T21:59:59.999Z"),
        ] {
            assert_eq!(Cell::moment(ms).as_field().unwrap(), text);
        }
        for ms in [i64::MIN, *MOMENTS.start() - 1, *MOMENTS.end() + 1, i64::MAX] {
            assert_eq!(Cell::moment(ms), Cell::Null);
        }
    }
}
