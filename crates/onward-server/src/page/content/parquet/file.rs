//! What a Parquet file says of itself, and its first rows, at a cost that is bounded whatever the file says.
//!
//! The end of the file is read, and the beginning of each column that is shown. A page that says that it
//! becomes large is not opened.

use std::ops::Range;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::printer::print_schema;
use parquet::schema::types::Type;

use super::frame::{COLUMNS_MAX, READ_LEN_MAX, Shown};
use crate::page::content::words::cut;

/// The largest page that is opened, by what it becomes, in bytes: writers make them of 1 MiB.
const PAGE_LEN_MAX: u64 = 5 << 18;

/// Rows that are shown, characters of a cell and of the schema.
const ROWS_MAX: usize = 20;
const CELL_MAX: usize = 100;
const SCHEMA_MAX: usize = 8 * 1024;

/// A file as far as its metadata was read.
pub struct Opened {
    metadata: ParquetMetaData,
    tail: Segment,
    size: u64,
    projection: Type,
    /// Where the columns that are shown begin.
    pub parts: Vec<Range<u64>>,
    has_more_columns: bool,
}

impl Opened {
    /// A file of `size` bytes that ends with these, of which its metadata is the end.
    pub fn new(size: u64, tail: Bytes) -> Result<Self> {
        let begin = size.saturating_sub(tail.len() as u64);
        let tail = Segment { begin, bytes: tail, has_pages: false };
        let source = Segments { size, segments: vec![tail.clone()] };
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&source)?;
        let schema = metadata.file_metadata().schema();
        let mut leaves = 0;
        let fields: Vec<_> = schema
            .get_fields()
            .iter()
            .take_while(|field| {
                leaves += leaves_of(field, 0).max(1);
                leaves <= COLUMNS_MAX
            })
            .cloned()
            .collect();
        let has_more_columns = fields.len() < schema.get_fields().len();
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
        let parts = parts(&metadata, &names, begin);
        Ok(Self { metadata, tail, size, projection, parts, has_more_columns })
    }

    /// What is shown of it, with the bytes of its [`Opened::parts`].
    pub fn show(self, parts: Vec<Bytes>) -> Shown {
        let file = self.metadata.file_metadata();
        let mut schema = Vec::new();
        print_schema(&mut schema, file.schema());
        let columns = self.projection.get_fields().iter().map(|field| cut(field.name(), CELL_MAX));
        let mut shown = Shown {
            rows_total: file.num_rows(),
            groups: self.metadata.num_row_groups(),
            written_by: cut(file.created_by().unwrap_or("not said"), CELL_MAX),
            schema: cut(&String::from_utf8(schema).unwrap_or_default(), SCHEMA_MAX),
            columns: columns.collect(),
            has_more_columns: self.has_more_columns,
            ..Shown::default()
        };
        match self.rows(parts) {
            Ok(rows) => shown.rows = rows,
            Err(why) => shown.no_rows = Some(format!("The first rows cannot be shown: {why}.")),
        }
        shown
    }

    fn rows(self, parts: Vec<Bytes>) -> Result<Vec<Vec<String>>> {
        if self.metadata.num_row_groups() == 0 {
            return Ok(Vec::new());
        }
        let begun = self.parts.iter().zip(parts);
        let segments =
            begun.map(|(part, bytes)| Segment { begin: part.start, bytes, has_pages: true });
        let segments = segments.chain([self.tail]).collect();
        let file = SerializedFileReader::new(Segments { size: self.size, segments })?;
        let group = file.get_row_group(0)?;
        let rows =
            RowIter::from_row_group(Some(self.projection), &*group)?.with_batch_size(ROWS_MAX);
        rows.take(ROWS_MAX).map(|row| Ok(cells(row?))).collect()
    }
}

/// Columns of a field, as far as they are nested in a way that anybody writes.
fn leaves_of(field: &Type, depth: usize) -> usize {
    match field.is_group() && depth < 16 {
        true => field.get_fields().iter().map(|field| leaves_of(field, depth + 1)).sum(),
        false => 1,
    }
}

/// Where the columns of these fields begin in the first group of rows, each as far as it is read.
fn parts(metadata: &ParquetMetaData, names: &[String], end: u64) -> Vec<Range<u64>> {
    if metadata.num_row_groups() == 0 {
        return Vec::new();
    }
    let wanted = metadata.row_group(0).columns().iter().filter(|column| {
        column.column_path().parts().first().is_some_and(|first| names.contains(first))
    });
    let chunks: Vec<(u64, u64)> = wanted
        .take(COLUMNS_MAX)
        .filter_map(|column| {
            let begin = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            Some((u64::try_from(begin).ok()?, u64::try_from(column.compressed_size()).ok()?))
        })
        .collect();
    let each = READ_LEN_MAX / chunks.len().max(1) as u64;
    let part =
        |(begin, len): (u64, u64)| begin.min(end)..begin.saturating_add(len.min(each)).min(end);
    chunks.into_iter().map(part).collect()
}

fn cells(row: Row) -> Vec<String> {
    let cell = |field: Field| match field {
        Field::Str(text) => cut(&text, CELL_MAX),
        Field::Bytes(bytes) => format!("{} bytes", bytes.len()),
        other => cut(&other.to_string(), CELL_MAX),
    };
    row.into_columns().into_iter().map(|(_, field)| cell(field)).collect()
}

/// Bytes of a file from some place on.
#[derive(Clone)]
struct Segment {
    begin: u64,
    bytes: Bytes,
    has_pages: bool,
}

/// A file of which some bytes are at hand.
struct Segments {
    size: u64,
    segments: Vec<Segment>,
}

impl Segments {
    /// The bytes at hand from `start` on.
    fn at_hand(&self, start: u64) -> Result<(Bytes, bool)> {
        let found = self.segments.iter().find_map(|segment| {
            let at = usize::try_from(start.checked_sub(segment.begin)?).ok()?;
            (at < segment.bytes.len()).then(|| (segment.bytes.slice(at..), segment.has_pages))
        });
        found.ok_or_else(too_far)
    }
}

fn too_far() -> ParquetError {
    ParquetError::General("its pages are larger than what is read of them".to_owned())
}

impl Length for Segments {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Segments {
    type T = bytes::buf::Reader<Bytes>;

    /// The beginnings of pages are asked for in this way, so here they are looked at.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let (bytes, has_pages) = self.at_hand(start)?;
        match has_pages && page_len(&bytes).is_none_or(|len| len > PAGE_LEN_MAX) {
            true => Err(too_far()),
            false => Ok(bytes.reader()),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let (bytes, _) = self.at_hand(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(too_far()),
        }
    }
}

/// What a page becomes, in bytes, by its header: Thrift's compact protocol, whose first fields are two
/// numbers, the kind of the page and this.
fn page_len(header: &[u8]) -> Option<u64> {
    /// The next field, a number of 32 bits.
    const NUMBER: u8 = 0x15;
    let mut bytes = header.iter().copied();
    let mut number = || {
        (bytes.next()? == NUMBER).then_some(())?;
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = bytes.next()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // Negative ones are odd, and no length.
                return (value & 1 == 0).then_some(value >> 1);
            }
        }
        None
    };
    number()?;
    number()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::{FOOTER_LEN, METADATA_LEN_MAX, metadata_len};
    use super::*;

    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    /// A file of rows with a number and a text of this many bytes.
    fn file(rows: i64, text: usize, compression: Compression) -> Bytes {
        let schema = "message orders { required int64 id; required binary note (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        let mut group = file.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ids: Vec<i64> = (0..rows).collect();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let note = |n: i64| ByteArray::from(format!("{n} {}", "x".repeat(text)).into_bytes());
        let notes: Vec<ByteArray> = (0..rows).map(note).collect();
        column.typed::<ByteArrayType>().write_batch(&notes, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.into_inner().unwrap().into()
    }

    /// What is shown of a file, as the page reads it, and how many bytes that took.
    fn shown(file: &Bytes) -> (Shown, u64) {
        let size = file.len() as u64;
        let metadata = metadata_len(file).unwrap();
        let tail = file.slice(file.len() - (metadata + FOOTER_LEN) as usize..);
        let opened = Opened::new(size, tail).unwrap();
        let parts: Vec<Bytes> = opened
            .parts
            .iter()
            .map(|part| file.slice(part.start as usize..part.end as usize))
            .collect();
        let read = parts.iter().map(|part| part.len() as u64).sum::<u64>() + metadata;
        (opened.show(parts), read)
    }

    #[test]
    fn the_schema_and_the_first_rows_are_shown() {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::try_new(3).unwrap()),
        ] {
            let (shown, _) = shown(&file(1000, 3, compression));
            assert_eq!((shown.rows_total, shown.groups), (1000, 1));
            assert!(shown.schema.contains("REQUIRED INT64 id"), "{}", shown.schema);
            assert_eq!(shown.columns, ["id", "note"]);
            assert_eq!(shown.no_rows, None);
            assert_eq!(shown.rows.len(), ROWS_MAX);
            assert_eq!(shown.rows[7], ["7", "7 xxx"]);
        }
        let (empty, _) = shown(&file(0, 0, Compression::UNCOMPRESSED));
        assert_eq!((empty.rows_total, empty.rows.len()), (0, 0));
    }

    #[test]
    fn of_a_large_file_only_the_beginning_is_read() {
        let file = file(400_000, 100, Compression::UNCOMPRESSED);
        assert!(file.len() as u64 > 4 * READ_LEN_MAX, "{}", file.len());
        let (shown, read) = shown(&file);
        assert_eq!(shown.rows.len(), ROWS_MAX, "{:?}", shown.no_rows);
        assert!(read <= READ_LEN_MAX + METADATA_LEN_MAX, "{read}");
    }

    #[test]
    fn a_page_that_says_it_becomes_large_is_not_opened() {
        for (header, len) in [
            (&[0x15, 0x00, 0x15, 0x80, 0x01][..], Some(64)),
            (&[0x15, 0x04, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f], Some((1 << 31) - 1)),
            (&[0x15, 0x00, 0x15, 0x01], None),
            (&[0x15, 0x00, 0x16, 0x02], None),
            (&[0x15, 0x00, 0x15, 0x80], None),
            (&[], None),
        ] {
            assert_eq!(page_len(header), len, "{header:?}");
        }
        let (shown, _) = shown(&file(3, 2 << 20, Compression::SNAPPY));
        assert!(shown.rows.is_empty());
        assert!(shown.no_rows.unwrap().contains("larger"));
        assert_eq!(shown.rows_total, 3);
    }

    #[test]
    fn bytes_that_are_no_such_file_are_refused() {
        assert_eq!(metadata_len(b"PAR1"), None);
        assert_eq!(metadata_len(b"\x01\0\0\0PARX"), None);
        assert!(Opened::new(100, Bytes::from_static(b"xxxxxx\x04\0\0\0PAR1")).is_err());
        let mut damaged = file(10, 3, Compression::UNCOMPRESSED).to_vec();
        let end = damaged.len() - 40;
        damaged[end] ^= 0xff;
        let tail = Bytes::from(damaged);
        let len = metadata_len(&tail).unwrap() + FOOTER_LEN;
        let tail = tail.slice(tail.len() - len as usize..);
        // Whatever comes of it, it is no panic.
        let _ = Opened::new(len + 1000, tail).map(|opened| opened.parts);
    }
}
