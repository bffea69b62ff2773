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
    undisturbed(file, |opened| read_through(opened, Hasher::new(checksum)))
}

/// Reads a file until nobody wrote to it meanwhile, [`READS_MAX`] times at most; `read` tells how many
/// bytes it has seen.
fn undisturbed<T>(
    file: &Path,
    mut read: impl FnMut(&mut File) -> io::Result<(u64, T)>,
) -> io::Result<(Metadata, T)> {
    for _ in 0..READS_MAX {
        let mut opened = open_file(file)?;
        let before = opened.metadata()?;
        let (size, seen) = read(&mut opened)?;
        let after = opened.metadata()?;
        if size == after.size() && Stamp::of(&before) == Stamp::of(&after) {
            return Ok((after, seen));
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_is_written_to_meanwhile_is_read_again_and_then_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for disturbed in 0..=READS_MAX {
            std::fs::write(&path, "begun").unwrap();
            let mut reads = 0;
            let read = undisturbed(&path, |file| {
                let sum = read_through(file, Hasher::new(objects::Checksum::Md5))?;
                if reads < disturbed {
                    let mut writer = std::fs::OpenOptions::new().append(true).open(&path)?;
                    writer.write_all(b" and more")?;
                }
                reads += 1;
                Ok(sum)
            });
            match read {
                Ok((metadata, sum)) => {
                    assert!(disturbed < READS_MAX);
                    assert_eq!((reads, metadata.size()), (disturbed + 1, 5 + 9 * disturbed as u64));
                    assert_eq!(sum, link(&path, Checksum::Md5).unwrap().checksum);
                }
                Err(error) => {
                    assert_eq!((disturbed, reads), (READS_MAX, READS_MAX));
                    assert!(error.to_string().contains("written to"), "{error}");
                }
            }
        }
    }
}
