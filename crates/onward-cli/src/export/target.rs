//! Where a table is written to: stdout as it comes, or a file that has its name when it is whole.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use onward::{Error, ErrorKind, Result};
use onward_export::Format;
use tempfile::NamedTempFile;

use crate::exit::Failure;
use crate::out::Out;
use crate::session::blocking;

/// Where it goes.
pub enum Target {
    Stdout,
    /// A file beside the one that it becomes, gone with this unless it is kept.
    File {
        begun: Arc<NamedTempFile>,
        name: PathBuf,
    },
}

impl Target {
    /// Begins it. Nothing is done to a file that has the name already.
    pub fn open(file: Option<&Path>, format: Format) -> Result<Self> {
        let Some(file) = file.filter(|file| *file != Path::new("-")) else {
            if format == Format::Parquet && io::stdout().is_terminal() {
                return Err(Error::invalid(
                    "Parquet is not for a terminal: give -o FILE, or a pipe, or --format csv",
                ));
            }
            return Ok(Self::Stdout);
        };
        let name = match file.canonicalize() {
            Ok(there) if there.is_file() => there,
            Ok(_) => {
                return Err(Error::invalid(format!(
                    "'{}' is there and no file: give another name, or leave out -o and write stdout to it",
                    file.display()
                )));
            }
            Err(_) => std::path::absolute(file).map_err(|error| unwritable(file, error))?,
        };
        let folder = name.parent().unwrap_or(Path::new("/"));
        let there = name.metadata().ok();
        let begin = || {
            let mut new = tempfile::Builder::new();
            new.prefix(".onward-export-");
            if there.is_none() {
                // As of any new file, what the umask leaves of it.
                new.permissions(Permissions::from_mode(0o666));
            }
            let begun = new.tempfile_in(folder)?;
            there.as_ref().map_or(Ok(()), |there| take_after(begun.as_file(), there))?;
            Ok(begun)
        };
        let begun = begin().map_err(|error| unwritable(file, error))?;
        Ok(Self::File { begun: Arc::new(begun), name })
    }

    /// Writes the next bytes.
    pub async fn write(&mut self, out: &Out, bytes: Bytes) -> Result<(), Failure> {
        match self {
            Self::Stdout => out.bytes(&bytes)?,
            Self::File { begun, name } => {
                let (begun, name) = (Arc::clone(begun), name.clone());
                let write = move || {
                    let written = begun.as_file().write_all(&bytes);
                    written.map_err(|error| unwritable(&name, error))
                };
                blocking(write).await?;
            }
        }
        Ok(())
    }

    /// Gives the file its name, after which it is there whatever happens. The name, if it is no stdout.
    pub async fn keep(self) -> Result<Option<PathBuf>> {
        let Self::File { begun, name } = self else { return Ok(None) };
        let begun = Arc::into_inner(begun)
            .ok_or_else(|| Error::internal("a file is named while it is written"))?;
        blocking(move || {
            let folder = name.parent().unwrap_or(Path::new("/"));
            begun
                .as_file()
                .sync_all()
                .and_then(|()| begun.persist(&name).map_err(|error| error.error))
                .and_then(|_| std::fs::File::open(folder)?.sync_all())
                .map_err(|error| unwritable(&name, error))?;
            Ok(Some(name))
        })
        .await
    }
}

/// Gives a new file the owner, group and mode of the one that it is to replace. Where the group cannot be given, those of
/// another one get nothing.
fn take_after(new: &File, there: &Metadata) -> io::Result<()> {
    let mut mode = there.permissions().mode();
    if fchown(new, Some(there.uid()), Some(there.gid())).is_err()
        && fchown(new, None, Some(there.gid())).is_err()
    {
        mode &= !0o070;
    }
    new.set_permissions(Permissions::from_mode(mode))
}

fn unwritable(file: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, format!("'{}' cannot be written", file.display())).with_source(error)
}
