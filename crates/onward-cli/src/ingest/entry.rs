//! The entry of a file that is linked: where it lies, how large it is, what it is recognised by.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use onward::Entry;
use onward::internals::objects::{self, Hasher};
use url::Url;

/// What a file is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The MD5 of its content.
    Md5,
    /// Its size and modification time.
    SizeAndTime,
}

/// The entry of the file at the absolute path `file`. Blocks.
pub fn link(file: &Path, checksum: Checksum) -> io::Result<Entry> {
    let address = Url::from_file_path(file)
        .map_err(|()| io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"))?;
    let (size, sum, mtime) = match checksum {
        Checksum::SizeAndTime => {
            let metadata = file.metadata()?;
            let sum = format!("{}-{}", metadata.size(), metadata.mtime());
            (metadata.size(), sum, metadata.mtime())
        }
        Checksum::Md5 => {
            let mut opened = File::open(file)?;
            // The time from before the bytes are read: if they change, it changes later.
            let mtime = opened.metadata()?.mtime();
            let (size, sum) = md5_of(&mut opened)?;
            (size, sum, mtime)
        }
    };
    let mut entry = Entry::new(address, size, sum);
    entry.mtime = mtime;
    Ok(entry)
}

fn md5_of(reader: &mut impl Read) -> io::Result<(u64, String)> {
    let mut md5 = Hasher::new(objects::Checksum::Md5);
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        md5.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
    Ok((size, md5.finish()))
}
