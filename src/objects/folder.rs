//! Local folders as sources: files are found and opened by the names that the file system gives them.
//! The keys of stores have rules that these names do not follow: one that ends in `#` and digits is a
//! temporary file to the store of local files, and control characters are none of its keys.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use url::Url;
use walkdir::{DirEntry, WalkDir};

use super::foreign::{Foreign, Found, LeftOut, LeftOutKind};
use super::root::LocalRoot;
use crate::model::error::{Error, Result, quoted};

/// The file that a `file://` URL names. A `#` or `?` in it would begin a part that names no file, and
/// so another file would be meant than the one that is spelled: it is refused.
pub fn file_of(url: &str) -> Result<PathBuf> {
    let wrong = |why: &str| Error::invalid(format!("'{}' names no file: {why}", quoted(url)));
    let parsed = Url::parse(url).map_err(|_| wrong("it is not a URL; example: file:///srv/raw"))?;
    if parsed.fragment().is_some() || parsed.query().is_some() {
        return Err(wrong("write '#' in it as %23 and '?' as %3F"));
    }
    let path = match parsed.scheme() {
        "file" => parsed.to_file_path().ok(),
        _ => None,
    };
    path.ok_or_else(|| wrong("a file URL has an absolute path behind three slashes: file:///srv"))
}

/// The `file://` URL of an absolute path, which [`file_of`] takes for the same path: what has a meaning in a URL
/// is escaped.
pub fn url_of(path: &Path) -> String {
    match Url::from_file_path(path) {
        Ok(url) => url.into(),
        Err(()) => format!("file://{}", path.display()),
    }
}

/// Where the file `name` below `dir` is, which never leads out of it. (What a symbolic link in it
/// leads to may lie anywhere.)
pub(super) fn below(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_plain || name.contains('\0') {
        let name = quoted(name);
        return Err(Error::invalid(format!("'{name}' is no name of a file in a folder")));
    }
    Ok(dir.join(path))
}

/// What there is to know of a regular file. Fails with [`io::ErrorKind::NotFound`] for what is none,
/// and for what lies in `own`, the storage of the deployment. Blocks.
pub(super) fn metadata_of(path: &Path, own: Option<&LocalRoot>) -> io::Result<Metadata> {
    let metadata = regular(fs::metadata(path)?)?;
    match own {
        Some(own) if own.holds(path)? => Err(io::Error::new(io::ErrorKind::NotFound, OWN)),
        _ => Ok(metadata),
    }
}

/// Opens a file for reading, and only a regular one: opening a pipe would wait for somebody to write
/// into it, and opening a device may do anything. Fails with [`io::ErrorKind::NotFound`] where there
/// is none. Blocks.
pub fn open_file(path: &Path) -> io::Result<File> {
    metadata_of(path, None)?;
    // What it names may be another by now.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    regular(file.metadata()?)?;
    Ok(file)
}

fn regular(metadata: Metadata) -> io::Result<Metadata> {
    match metadata.is_file() {
        true => Ok(metadata),
        false => Err(io::Error::new(io::ErrorKind::NotFound, "it is not a regular file")),
    }
}

/// Whether an error says that a path names no file, for whatever reason.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    ) || is_circle(error)
}

fn is_circle(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// What a listing tells of a file.
pub(super) fn foreign(key: String, path: &Path, metadata: &Metadata) -> Foreign {
    Foreign {
        key,
        address: url_of(path),
        size: metadata.len(),
        modified_ms: metadata.mtime().saturating_mul(1000) + metadata.mtime_nsec() / 1_000_000,
        e_tag: Some(e_tag(metadata)),
    }
}

/// The same as the store of local files gives: what was imported through it is the same content.
pub(super) fn e_tag(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok());
    let micros = since.unwrap_or_default().as_micros();
    format!("{:x}-{micros:x}-{:x}", metadata.ino(), metadata.len())
}

/// Tells `take` of every file below `dir`, in no order, and of what is none, until it says no.
/// Symbolic links are followed, but not into `own`, the storage of the deployment. Blocks.
pub(super) fn walk(
    dir: &Path,
    own: Option<&LocalRoot>,
    mut take: impl FnMut(Result<Found>) -> bool,
) {
    let mut items = WalkDir::new(dir).follow_links(true).into_iter();
    while let Some(item) = items.next() {
        let found = match item {
            Ok(item) if item.file_type().is_dir() => {
                if !own.is_some_and(|own| item.metadata().is_ok_and(|found| own.is(&found))) {
                    continue;
                }
                items.skip_current_dir();
                Ok(Some(left_out(dir, item.path(), LeftOutKind::Special, OWN)))
            }
            Ok(item) => look(dir, own, &item),
            Err(error) => missed(dir, error),
        };
        let Some(found) = found.transpose() else { continue };
        if !take(found) {
            return;
        }
    }
}

/// Why what lies in the storage of the deployment is left out: the garbage collection deletes there,
/// and secrets lie there.
const OWN: &str = "it lies in this deployment's own storage";

/// What the walk has come to, which is no folder; `None` where it has gone meanwhile.
fn look(dir: &Path, own: Option<&LocalRoot>, item: &DirEntry) -> Result<Option<Found>> {
    let left_out = |kind, what: &str| Ok(Some(left_out(dir, item.path(), kind, what)));
    let metadata = match item.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return missed(dir, error),
    };
    if !metadata.is_file() {
        return left_out(LeftOutKind::Special, "a pipe, a socket or a device");
    }
    // A file that is no link lies in its folder, which was looked at.
    let own = own.filter(|_| item.path_is_symlink());
    if own.is_some_and(|own| own.holds(item.path()).unwrap_or_default()) {
        return left_out(LeftOutKind::Special, OWN);
    }
    match key_of(dir, item.path()).to_str() {
        Some(key) => Ok(Some(Found::Object(foreign(key.to_owned(), item.path(), &metadata)))),
        None => left_out(LeftOutKind::Name, "its name is not UTF-8"),
    }
}

/// What an error of the walk means; `None` where what it is about has gone meanwhile.
fn missed(dir: &Path, error: walkdir::Error) -> Result<Option<Found>> {
    let path = error.path().unwrap_or(dir).to_owned();
    if error.depth() == 0 {
        let message = format!("'{}' cannot be listed: check that it can be read", dir.display());
        return Err(Error::invalid(message).with_source(error));
    }
    let leads_nowhere = error.loop_ancestor().is_some() || error.io_error().is_some_and(is_absent);
    let is_link = fs::symlink_metadata(&path).map(|metadata| metadata.is_symlink());
    let (kind, what) = match (is_link, leads_nowhere) {
        (Ok(true), true) => {
            (LeftOutKind::Special, "a symbolic link that leads nowhere or in a circle".to_owned())
        }
        (_, true) => return Ok(None),
        (_, false) => {
            let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
            (LeftOutKind::Unreadable, why)
        }
    };
    Ok(Some(left_out(dir, &path, kind, &what)))
}

fn left_out(dir: &Path, path: &Path, kind: LeftOutKind, what: &str) -> Found {
    let key = key_of(dir, path).to_string_lossy().into_owned();
    Found::LeftOut(LeftOut { kind, reason: format!("{}: {what}", path.display()), key })
}

/// A path below a folder, as seen from there.
fn key_of<'a>(dir: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(dir).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::backend::{self, LocalFileSystem, ObjectStoreExt};
    use super::*;

    fn found(dir: &Path) -> Vec<Found> {
        let mut all = Vec::new();
        walk(dir, None, |found| {
            all.push(found.unwrap());
            true
        });
        all.sort_by_key(|found| match found {
            Found::Object(object) => object.key.clone(),
            Found::LeftOut(left_out) => left_out.key.clone(),
        });
        all
    }

    #[tokio::test]
    async fn a_file_is_recognised_by_what_the_store_of_local_files_recognised_it_by() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "content").unwrap();
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let meta = store.head(&backend::Path::from("a")).await.unwrap();
        let [Found::Object(object)] = &found(dir.path())[..] else { panic!() };
        assert_eq!(object.e_tag, meta.e_tag.map(|tag| tag.trim_matches('"').to_owned()));
        assert_eq!(object.modified_ms, meta.last_modified.timestamp_millis());
        assert_eq!(object.size, meta.size);
    }

    #[test]
    fn whatever_is_no_file_is_told_of_and_links_are_followed() {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("d")).unwrap();
        for name in ["#7", "a#12", "d/tab\there", "new\nline", "100%", "é"] {
            fs::write(at(name), name).unwrap();
        }
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink(".", at("d/itself")).unwrap();
        symlink("../a#12", at("d/link")).unwrap();
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
        let (mut objects, mut others) = (Vec::new(), Vec::new());
        for found in found(dir.path()) {
            match found {
                Found::Object(object) => {
                    let content = fs::read_to_string(file_of(&object.address).unwrap()).unwrap();
                    let name = if object.key == "d/link" { "a#12" } else { &object.key };
                    assert_eq!(content, name);
                    objects.push(object.key);
                }
                Found::LeftOut(left_out) => others.push((left_out.key, left_out.kind)),
            }
        }
        assert_eq!(objects, ["#7", "100%", "a#12", "d/link", "d/tab\there", "new\nline", "é"]);
        use LeftOutKind::{Name, Special};
        let special = ["circle", "d/itself", "dangling", "pipe", "socket"];
        let mut expected = special.map(|name| (name.to_owned(), Special)).to_vec();
        expected.insert(0, ("bad\u{fffd}".to_owned(), Name));
        assert_eq!(others, expected);
    }

    #[test]
    fn only_regular_files_are_opened_and_no_name_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a#1"), "x").unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        open_file(&below(dir.path(), "a#1").unwrap()).unwrap();
        let long = "x".repeat(300);
        for none in ["pipe", "b", "a#1/b", &long] {
            assert!(
                is_absent(&open_file(&below(dir.path(), none).unwrap()).unwrap_err()),
                "{none}"
            );
        }
        assert!(is_absent(&open_file(dir.path()).unwrap_err()));
        for bad in ["", "/", "/etc/passwd", "..", "../a", "a/../../b", "./a", "a\0b"] {
            assert!(below(dir.path(), bad).is_err(), "{bad:?}");
        }
        for bad in ["file:///a#1", "file:///a?b", "s3://b/a", "/a", "file://host/a", "file:///a%00"]
        {
            let _ = file_of(bad).map(|path| assert!(open_file(&path).is_err(), "{bad}"));
        }
        assert!(file_of("file:///a#1").unwrap_err().message().contains("%23"));
    }
}
