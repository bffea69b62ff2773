//! A column of a row group in the making: its values, and at which level each is there, as Parquet has them.

use onward::{Error, Result};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result as Encoded};
use parquet::file::writer::SerializedRowGroupWriter;

use crate::cell::Cell;
use crate::column::{Column, Kind};

/// A row group that is written.
type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// The values of a column that were gathered.
pub struct Gathered {
    column: Column,
    numbers: Vec<i64>,
    /// Texts, or the names of pairs.
    texts: Vec<ByteArray>,
    /// What the pairs have behind their names.
    values: Vec<ByteArray>,
    /// How much of each value is there: null, nothing in it, or a value.
    defined: Vec<i16>,
    /// Whether a value goes on with those of the row before it.
    repeated: Vec<i16>,
}

impl Gathered {
    /// Nothing yet, of a column.
    pub fn of(column: &Column) -> Self {
        Self {
            column: *column,
            numbers: Vec::new(),
            texts: Vec::new(),
            values: Vec::new(),
            defined: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Takes the value of the next row.
    pub fn push(&mut self, cell: Cell) -> Result<()> {
        match (self.column.kind, cell) {
            (_, Cell::Null) if self.column.is_optional => self.level(0, 0),
            (Kind::Text, Cell::Text(text)) => {
                self.texts.push(text.into_bytes().into());
                self.level(self.there(), 0);
            }
            (Kind::Number, Cell::Number(number)) | (Kind::Moment, Cell::Moment(number)) => {
                self.numbers.push(number);
                self.level(self.there(), 0);
            }
            (Kind::Texts, Cell::Texts(texts)) => {
                self.levels_of(texts.len());
                self.texts.extend(texts.into_iter().map(|text| ByteArray::from(text.into_bytes())));
            }
            (Kind::Pairs, Cell::Pairs(pairs)) => {
                self.levels_of(pairs.len());
                for (key, value) in pairs {
                    self.texts.push(key.into_bytes().into());
                    self.values.push(value.into_bytes().into());
                }
            }
            (kind, cell) => {
                let name = self.column.name;
                return Err(Error::internal(format!("column {name} of {kind:?} got {cell:?}")));
            }
        }
        Ok(())
    }

    /// The level of what is there.
    fn there(&self) -> i16 {
        i16::from(self.column.is_optional)
    }

    /// The levels of a row with so many values.
    fn levels_of(&mut self, count: usize) {
        let there = self.there();
        if count == 0 {
            self.level(there, 0);
        }
        for index in 0..count {
            self.level(there + 1, i16::from(index > 0));
        }
    }

    fn level(&mut self, defined: i16, repeated: i16) {
        self.defined.push(defined);
        self.repeated.push(repeated);
    }

    /// Writes all of it as the next column of a row group, and is empty then.
    pub fn put_down(&mut self, group: &mut Group<'_>) -> Encoded<()> {
        let is_nested = matches!(self.column.kind, Kind::Texts | Kind::Pairs);
        let levels = Levels {
            defined: (is_nested || self.column.is_optional).then_some(&*self.defined),
            repeated: is_nested.then_some(&*self.repeated),
        };
        match self.column.kind {
            Kind::Text | Kind::Texts => levels.write::<ByteArrayType>(group, &self.texts)?,
            Kind::Number | Kind::Moment => levels.write::<Int64Type>(group, &self.numbers)?,
            Kind::Pairs => {
                levels.write::<ByteArrayType>(group, &self.texts)?;
                levels.write::<ByteArrayType>(group, &self.values)?;
            }
        }
        *self = Self::of(&self.column);
        Ok(())
    }
}

/// The levels of the values of a column, where it has any.
struct Levels<'a> {
    defined: Option<&'a [i16]>,
    repeated: Option<&'a [i16]>,
}

impl Levels<'_> {
    fn write<T: DataType>(&self, group: &mut Group<'_>, values: &[T::T]) -> Encoded<()> {
        let mut column = group.next_column()?.ok_or_else(|| {
            ParquetError::General("there are more columns than the schema has".into())
        })?;
        column.typed::<T>().write_batch(values, self.defined, self.repeated)?;
        column.close()
    }
}
