//! Lines of a difference in path order, with those behind a delimiter together: which of them are read.
//!
//! What is made of a line, and how many are enough, is its reader's; here is how one gets past the rest of a
//! folder without reading it.

use futures::TryStreamExt;
use futures::stream::BoxStream;

use onward::Result;
use onward::history::ScanStart;
use onward::internals::repo::text_behind_prefix;
use onward::read::ListRequest;

/// What has a place in path order.
pub trait Line {
    /// The path by which it is ordered.
    fn path(&self) -> &str;
}

/// What a reader has made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The next one, please.
    Next,
    /// Enough of this folder: the next one behind it.
    BehindFolder,
    /// No more of them.
    Enough,
}

/// Reads lines for as long as `take` wants them, each with the folder that it is in, if any. `open` gives
/// those from some path on; it is asked once more for each folder that is got past. Of the request its
/// amount does not count.
pub async fn read<L: Line, F>(
    request: &ListRequest,
    open: impl Fn(ScanStart) -> F,
    mut take: impl FnMut(Option<&str>, L) -> Taken,
) -> Result<()>
where
    F: Future<Output = Result<BoxStream<'static, Result<L>>>>,
{
    let start = ScanStart::prefix(request.prefix.as_str());
    let behind = |folder: &str| text_behind_prefix(folder).map(|at| start.clone().at(at));
    let first = match request.after.as_deref() {
        None => Some(start.clone()),
        Some(after) if request.is_common_prefix(after) => behind(after),
        Some(after) => Some(start.clone().after(after)),
    };
    let Some(first) = first else { return Ok(()) };
    let mut lines = open(first).await?;
    while let Some(line) = lines.try_next().await? {
        let folder = request.common_prefix(line.path()).map(str::to_owned);
        match take(folder.as_deref(), line) {
            Taken::Next => {}
            Taken::Enough => break,
            Taken::BehindFolder => {
                let Some(start) = folder.as_deref().and_then(behind) else { break };
                lines = open(start).await?;
            }
        }
    }
    Ok(())
}
