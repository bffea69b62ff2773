//! A table on its way into a file.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use onward::internals::clock::Stopwatch;
use onward::{Error, Result};

use super::cell::Row;
use super::column::Schema;
use super::encode::{Encoder, begin};
use super::format::Format;

/// How long rows are gathered for a piece that is not full: who waits for bytes gives up at some time.
const PIECE_WITHIN: Duration = Duration::from_secs(10);

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

    /// The file that it makes, piece by piece: its beginning when the first row is read; then 64 KiB and a row more at a
    /// time, of Parquet a row group of up to 65,536 rows or 16 MiB in memory; less where rows take longer than 10 s.
    /// Nothing is read before it is asked for, no piece is empty, and a file is whole when this has ended without an error.
    /// Bytes are made of rows on a thread that may be blocked.
    ///
    /// # Errors
    ///
    /// What reading the rows says; none of what was given out before is a file then.
    pub fn encoded(self, format: Format) -> Result<BoxStream<'static, Result<Piece>>> {
        let encoder = Some(begin(format, self.schema, &self.about)?);
        let making = Making { rows: self.rows, encoder, is_begun: false, gathered: 0 };
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
    /// Whether its beginning was given out.
    is_begun: bool,
    /// Rows that are gathered for the next piece.
    gathered: u64,
}

impl Making {
    async fn next(&mut self) -> Result<Option<Piece>> {
        let begun = Stopwatch::start();
        while let Some(encoder) = &mut self.encoder {
            let Some(row) = self.rows.try_next().await? else { return self.end().await };
            // Who waits for the first row waits for no more than that.
            let beginning = match std::mem::replace(&mut self.is_begun, true) {
                true => Vec::new(),
                false => encoder.take()?,
            };
            encoder.push(row)?;
            self.gathered += 1;
            if !beginning.is_empty() {
                return Ok(Some(Piece { bytes: beginning.into(), rows: 0 }));
            }
            if encoder.is_full() || begun.elapsed() > PIECE_WITHIN {
                return self.put_down().await.map(Some);
            }
        }
        Ok(None)
    }

    /// The bytes of what was gathered.
    async fn put_down(&mut self) -> Result<Piece> {
        let missing = || Error::internal("a file is written behind its end");
        let mut encoder = self.encoder.take().ok_or_else(missing)?;
        let (encoder, bytes) = apart(move || {
            let bytes = encoder.take()?;
            Ok((encoder, bytes))
        })
        .await?;
        self.encoder = Some(encoder);
        Ok(Piece { bytes: bytes.into(), rows: std::mem::take(&mut self.gathered) })
    }

    /// The last bytes, where there are any.
    async fn end(&mut self) -> Result<Option<Piece>> {
        let Some(encoder) = self.encoder.take() else { return Ok(None) };
        let bytes = apart(move || encoder.end()).await?;
        let rows = std::mem::take(&mut self.gathered);
        Ok((!bytes.is_empty()).then(|| Piece { bytes: bytes.into(), rows }))
    }
}

/// Does what keeps a processor busy where nobody waits for anything else.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("rows could not be encoded").with_source(error))?
}
