//! A table on its way into a file.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use onward::{Error, Result};

use super::cell::Row;
use super::column::Schema;
use super::encode::{Encoder, begin};
use super::format::Format;

/// Columns, and rows that are read while they are written.
#[must_use = "a table is read while it is encoded"]
pub struct Table {
    pub(crate) schema: Schema,
    /// What it is of, by name.
    pub(crate) about: Vec<(&'static str, String)>,
    pub(crate) rows: BoxStream<'static, Result<Row>>,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// Its bytes, which follow those of the piece before.
    pub bytes: Bytes,
    /// Rows that it ends.
    pub rows: u64,
}

impl Table {
    /// The columns that it has.
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// At most so many rows.
    pub fn limited(mut self, rows: Option<usize>) -> Self {
        if let Some(rows) = rows {
            self.rows = self.rows.take(rows).boxed();
        }
        self
    }

    /// The file that it makes, piece by piece: of 64 KiB and a row more, of Parquet a row group of up to 65,536 rows or
    /// 16 MiB in memory. Nothing is read before it is asked for, and a file is whole when this has ended without an
    /// error. Bytes are made of rows on a thread that may be blocked.
    ///
    /// # Errors
    ///
    /// What reading the rows says; none of what was given out before is a file then.
    pub fn encoded(self, format: Format) -> Result<BoxStream<'static, Result<Piece>>> {
        let making =
            Making { rows: self.rows, encoder: Some(begin(format, self.schema, &self.about)?) };
        let pieces = stream::try_unfold(making, |mut making| async move {
            Ok(making.next().await?.map(|piece| (piece, making)))
        });
        Ok(pieces.boxed())
    }
}

/// A file in the making.
struct Making {
    rows: BoxStream<'static, Result<Row>>,
    /// None behind the end, and behind an error.
    encoder: Option<Box<dyn Encoder>>,
}

impl Making {
    async fn next(&mut self) -> Result<Option<Piece>> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(None) };
        let mut rows = 0;
        while let Some(row) = self.rows.try_next().await? {
            encoder.push(row)?;
            rows += 1;
            if encoder.is_full() {
                let (encoder, bytes) = apart(move || {
                    let bytes = encoder.take()?;
                    Ok((encoder, bytes))
                })
                .await?;
                self.encoder = Some(encoder);
                return Ok(Some(Piece { bytes: bytes.into(), rows }));
            }
        }
        let bytes = apart(move || encoder.end()).await?;
        Ok(Some(Piece { bytes: bytes.into(), rows }))
    }
}

/// Does what keeps a processor busy where nobody waits for anything else.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("rows could not be encoded").with_source(error))?
}
