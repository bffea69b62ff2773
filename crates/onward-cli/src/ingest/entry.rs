//! The entry of a file that is linked: where it lies, how large it is, what it is recognised by. And
//! whether a file is the same as before, and as what the branch has already.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use onward::Entry;
use onward::internals::objects::{self, Hasher, open_file};
use url::Url;

/// What a file is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The MD5 of its content.
    Md5,
    /// Its size and modification time.
    SizeAndTime,
}

/// How often a file is read that is written to meanwhile.
pub const READS_MAX: usize = 3;

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now.
    pub fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { inode: metadata.ino(), size: metadata.size(), modified }
    }
}

/// The error of a file that is written to whenever it is read.
pub fn changing() -> io::Error {
    let why = format!(
        "it was written to while it was read, {READS_MAX} times; ingest it when it is done"
    );
    io::Error::other(why)
}

/// The entry of the file at the absolute path `file`. Blocks.
pub fn link(file: &Path, checksum: Checksum) -> io::Result<Entry> {
    let address = Url::from_file_path(file)
        .map_err(|()| io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"))?;
    let (metadata, sum) = match checksum {
        Checksum::SizeAndTime => {
            let metadata = open_file(file)?.metadata()?;
            let sum = format!("{}-{}", metadata.size(), metadata.mtime());
            (metadata, sum)
        }
        Checksum::Md5 => sum_of(file, objects::Checksum::Md5)?,
    };
    let mut entry = Entry::new(address, metadata.size(), sum);
    entry.mtime = metadata.mtime();
    Ok(entry)
}

/// What a file is recognised by, and what it was when it was read: not written to meanwhile, and so
/// of one moment. Blocks.
pub fn sum_of(file: &Path, checksum: objects::Checksum) -> io::Result<(Metadata, String)> {
    for _ in 0..READS_MAX {
        let mut opened = open_file(file)?;
        let before = opened.metadata()?;
        let (size, sum) = read_through(&mut opened, Hasher::new(checksum))?;
        let after = opened.metadata()?;
        if size == after.size() && Stamp::of(&before) == Stamp::of(&after) {
            return Ok((after, sum));
        }
    }
    Err(changing())
}

/// Whether an upload has the bytes of the file. Blocks.
pub fn is_the_upload(file: &Path, upload: &Entry) -> io::Result<bool> {
    let checksum = match upload.checksum.starts_with("blake3:") {
        true => objects::Checksum::Blake3,
        false => objects::Checksum::Md5,
    };
    if open_file(file)?.metadata()?.size() != upload.size {
        return Ok(false);
    }
    Ok(sum_of(file, checksum)?.1 == upload.checksum)
}

fn read_through(file: &mut File, mut hasher: Hasher) -> io::Result<(u64, String)> {
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
    Ok((size, hasher.finish()))
}
