//! Raw bytes: the values of a file one behind the other, for readers that know what is in them.

use bytes::Bytes;
use onward::Result;

use super::packing::{Packed, Packing};
use crate::file::{Content, FileWriter, Format, Refused};
use crate::record::Record;

/// How a reader finds where a value ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// By what stands behind each, as a line break. A value that has it within is refused, because a reader
    /// would take it for two. Empty: values are put together as they are, and whatever is in them must say
    /// where they end.
    Separator(Bytes),
    /// By its length in front, as four bytes, the most significant first.
    Length,
}

impl Framing {
    /// A line break behind each value.
    pub fn lines() -> Self {
        Self::Separator(Bytes::from_static(b"\n"))
    }
}

/// The values as they are, without keys, headers and times. A tombstone is refused: nothing in the file could
/// tell it from an empty value.
#[derive(Debug, Clone)]
pub struct Raw {
    framing: Framing,
    packing: Packing,
    extension: String,
}

impl Raw {
    /// Values in this framing.
    pub fn new(framing: Framing, packing: Packing) -> Self {
        Self { framing, packing, extension: format!("bin{}", packing.ending()) }
    }
}

impl Format for Raw {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn content_type(&self) -> &str {
        self.packing.content_type().unwrap_or("application/octet-stream")
    }

    fn begin(&self) -> Result<Box<dyn FileWriter>> {
        let packed = Packed::begin(self.packing)?;
        Ok(Box::new(Values { packed, framing: self.framing.clone(), records: 0 }))
    }
}

/// A file of values.
struct Values {
    packed: Packed,
    framing: Framing,
    records: u64,
}

impl FileWriter for Values {
    fn push(&mut self, record: &Record) -> Result<(), Refused> {
        let Some(value) = &record.value else {
            return Err(Refused::Unparsable(
                "it is a tombstone (a null value), which a file of raw values cannot tell from an empty one"
                    .into(),
            ));
        };
        match &self.framing {
            Framing::Separator(separator) if holds(value, separator) => {
                return Err(Refused::Unparsable(
                    "its value has the separator within: a reader would take it for two".into(),
                ));
            }
            Framing::Separator(separator) => {
                self.packed.add(value)?;
                self.packed.add(separator)?;
            }
            Framing::Length => {
                let length = u32::try_from(value.len())
                    .map_err(|_| Refused::Unparsable("its value has 4 GiB or more".into()))?;
                self.packed.add(&length.to_be_bytes())?;
                self.packed.add(value)?;
            }
        }
        self.records += 1;
        Ok(())
    }

    fn size(&self) -> u64 {
        self.packed.len()
    }

    fn memory(&self) -> u64 {
        self.packed.memory()
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn finish(self: Box<Self>) -> Result<Content> {
        self.packed.finish()
    }
}

/// Whether a reader who looks for the separator finds it before the value ends: within it, or begun by the
/// value's last bytes.
fn holds(value: &[u8], separator: &[u8]) -> bool {
    match separator {
        [] => false,
        [byte] => value.contains(byte),
        [before @ .., _] => {
            let both = [value, before].concat();
            both.windows(separator.len()).any(|window| window == separator)
        }
    }
}
