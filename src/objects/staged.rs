//! Names of files that are being written, which are to become objects of local storage. No listing shows
//! them. The crate underneath names its own the same way.

use std::path::{Path, PathBuf};

/// What stands in the name of a file between the object's and a number while it is written.
const MARK: char = '#';

/// The name of the object that a file was to become, if the file is not finished.
pub fn becoming(name: &str) -> Option<&str> {
    let (object, number) = name.rsplit_once(MARK)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(object)
}

/// The file that is to become the one at `path`: the `number`th of those who write it at once.
pub(super) fn becoming_at(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("{MARK}{number}"));
    name.into()
}
