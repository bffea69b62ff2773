//! `put`, `link`, `rm`, `stat`, `cat`: single objects.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use onward::internals::clock;
use onward::internals::model::address::Address;
use onward::internals::objects::{Checksum, Hasher, file_of, open_file};
use onward::internals::repo::Branch;
use onward::internals::tree::ListRequest;
use onward::{Change, Condition, Entry, Error, ErrorKind, ObjectPath, Onward, PathChange, Result};
use tokio::io::AsyncReadExt;

use super::args::{Global, pair};
use super::exit::{Done, Exit, Failure};
use super::out::{Out, human_bytes, local_time, printable};
use super::session::{blocking, branch_above, confirm, repo_of, with};
use super::shape;

/// What must hold of a path for a write.
#[derive(Debug, Clone, clap::Args)]
pub struct Conditional {
    /// Only if the path names nothing
    #[arg(long)]
    pub if_absent: bool,
    /// Only if the path names an object with this checksum
    #[arg(long, value_name = "C", conflicts_with = "if_absent")]
    pub if_checksum: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct PutArgs {
    /// The file; - for stdin
    pub file: PathBuf,
    /// REPO/BRANCH/PATH; behind a trailing slash the file keeps its name
    pub address: Address,
    #[command(flatten)]
    pub condition: Conditional,
    /// Media type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A pair of your own; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub struct LinkArgs {
    /// REPO/BRANCH/PATH
    pub path: Address,
    /// Where the bytes are
    #[arg(long, value_name = "URL")]
    pub address: String,
    /// Checksum or ETag of the bytes
    #[arg(long, value_name = "C")]
    pub checksum: String,
    /// Length in bytes
    #[arg(long, value_name = "N")]
    pub size: u64,
    /// Modification time, seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub mtime: Option<i64>,
    #[command(flatten)]
    pub condition: Conditional,
    /// Media type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A pair of your own; may be repeated
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub meta: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// REPO/BRANCH/PATH
    pub address: Address,
    /// The object of this path and everything below PATH/
    #[arg(short, long, conflicts_with_all = ["if_absent", "if_checksum"])]
    pub recursive: bool,
    /// Everything whose path begins so, neighbours too: logs.json and logs/a for logs
    #[arg(long, conflicts_with_all = ["if_absent", "if_checksum", "recursive"])]
    pub prefix: bool,
    #[command(flatten)]
    pub condition: Conditional,
}

/// Bytes read from a linked file at once.
const READ_LEN: usize = 256 * 1024;

impl From<Conditional> for Option<Condition> {
    fn from(wanted: Conditional) -> Self {
        match wanted.if_checksum {
            Some(checksum) => Some(Condition::Checksum(checksum)),
            None => wanted.if_absent.then_some(Condition::Absent),
        }
    }
}

/// Uploads a file and stages it.
pub async fn put(global: &Global, out: &Out, args: PutArgs) -> Done {
    let path = target(&args.address, &args.file)?;
    if args.file.is_dir() {
        let file = args.file.display();
        return Err(Error::invalid(format!(
            "'{file}' is a directory, and `onward put` takes one file: `onward ingest {file} {}` commits a tree",
            args.address
        ))
        .into());
    }
    with(global, async |onward| {
        let branch = branch_above(&onward, &args.address)?;
        branch.show().await?;
        let mut entry = match args.file.as_os_str() == "-" {
            true => branch.upload(stdin()?).await?,
            false => {
                let file = tokio::fs::File::open(&args.file).await;
                branch.upload(file.map_err(|error| unreadable(&args.file, error))?).await?
            }
        };
        entry.content_type = args.content_type;
        entry.metadata.extend(args.meta);
        branch.stage_put(path.clone(), entry.clone(), args.condition.into()).await?;
        staged(out, &args.address, &path, &entry)
    })
    .await
}

/// The path of an upload: behind a slash, or without a path, the file keeps its name.
fn target(address: &Address, file: &Path) -> Result<ObjectPath> {
    match address.path.as_deref() {
        Some(path) if !path.is_empty() && !path.ends_with('/') => ObjectPath::new(path),
        prefix => {
            let name = file.file_name().and_then(|name| name.to_str()).filter(|name| *name != "-");
            let name = name.ok_or_else(|| {
                Error::invalid(format!(
                    "'{address}' names no object, and there is no file name to use: give {}/BRANCH/PATH",
                    address.repo
                ))
            })?;
            ObjectPath::new(format!("{}{name}", prefix.unwrap_or_default()))
        }
    }
}

/// Stdin as a file of its own, read without a buffer that would outlive the command.
fn stdin() -> Result<tokio::fs::File> {
    let owned = std::io::stdin().as_fd().try_clone_to_owned();
    let owned = owned.map_err(|error| unreadable(Path::new("-"), error))?;
    Ok(tokio::fs::File::from_std(owned.into()))
}

fn unreadable(file: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, format!("file '{}' cannot be read: nothing was staged", file.display()))
        .with_source(error)
}

/// Stages an object that lies elsewhere.
pub async fn link(global: &Global, out: &Out, args: LinkArgs) -> Done {
    let path = args.path.require_path()?;
    for (flag, value) in [("--address", &args.address), ("--checksum", &args.checksum)] {
        if value.trim().is_empty() {
            return Err(Error::invalid(format!(
                "{flag} is empty: what a path names is told apart by it"
            ))
            .into());
        }
    }
    with(global, async |onward| {
        let branch = branch_above(&onward, &args.path)?;
        let mut entry = Entry::new(args.address, args.size, args.checksum);
        entry.mtime = args.mtime.unwrap_or_else(|| clock::now_ms() / 1000);
        entry.content_type = args.content_type;
        entry.metadata.extend(args.meta);
        branch.stage_put(path.clone(), entry.clone(), args.condition.into()).await?;
        staged(out, &args.path, &path, &entry)
    })
    .await
}

fn staged(out: &Out, address: &Address, path: &ObjectPath, entry: &Entry) -> Done {
    if out.is_json() {
        out.data(|| shape::object(path.as_str(), entry), String::new)?;
    }
    let branch = address.reference.as_ref().map(ToString::to_string).unwrap_or_default();
    let size = human_bytes(entry.size);
    out.note(&format!(
        "staged {} ({size}); `onward commit {}/{branch} -m MESSAGE` commits it",
        printable(path.as_str()),
        address.repo
    ));
    Ok(Exit::Done)
}

/// Stages the removal of an object, of a folder, or of all that begins in a way.
pub async fn rm(global: &Global, out: &Out, args: RmArgs) -> Done {
    let reference = args.address.require_ref()?.clone();
    with(global, async |onward| {
        let branch = branch_above(&onward, &args.address)?;
        let removed = if args.recursive || args.prefix {
            if args.address.path.as_deref().unwrap_or_default().is_empty() {
                let what = format!("this stages the removal of everything on '{}'", args.address);
                confirm(global, out, what).await?;
            }
            rm_many(&onward, &args, &branch).await?
        } else {
            let path = args.address.require_path()?;
            let condition: Option<Condition> = args.condition.into();
            if condition.is_none() {
                repo_of(&onward, &args.address.repo).stat(&reference, &path).await?;
            }
            branch.stage_delete(path, condition).await?;
            1
        };
        if out.is_json() {
            let address = args.address.to_string();
            out.data(|| serde_json::json!({"address": address, "removed": removed}), String::new)?;
        }
        out.note(&format!("staged the removal of {removed} objects"));
        Ok(Exit::Done)
    })
    .await
}

/// Removes a folder, and the object of the same name: with `logs` goes `logs/a`, and `logs.json` stays.
async fn rm_many(onward: &Onward, args: &RmArgs, branch: &Branch) -> Result<u64> {
    let address = &args.address;
    let (repository, reference) = (repo_of(onward, &address.repo), address.require_ref()?);
    let text = address.path.clone().unwrap_or_default();
    let is_whole = args.prefix || text.is_empty() || text.ends_with('/');
    let mut removed = 0;
    let prefix = if is_whole { text } else { format!("{text}/") };
    if !is_whole {
        let path = address.require_path()?;
        match repository.stat(reference, &path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(_) => {
                branch.stage_delete(path, None).await?;
                removed = 1;
            }
        }
    }
    let mut request = ListRequest { prefix, ..ListRequest::default() };
    loop {
        let page = repository.list(reference, &request).await?;
        let changes = page
            .items
            .iter()
            .map(|item| {
                let path = ObjectPath::new(item.name())?;
                Ok(PathChange { path, change: Change::Delete, condition: None })
            })
            .collect::<Result<Vec<_>>>()?;
        branch.stage(&changes).await?;
        removed += changes.len() as u64;
        match page.next {
            Some(next) => request.after = Some(next),
            None if removed == 0 => {
                return Err(Error::not_found(format!("there is nothing at or below '{address}'")));
            }
            None => return Ok(removed),
        }
    }
}

/// Shows what a path names.
pub async fn stat(global: &Global, out: &Out, address: &Address) -> Done {
    let (reference, path) = (address.require_ref()?, address.require_path()?);
    with(global, async |onward| {
        let entry = repo_of(&onward, &address.repo).stat(reference, &path).await?;
        out.data(
            || shape::object(path.as_str(), &entry),
            || {
                let mut text = format!(
                    "path      {path}\nsize      {} ({})\nchecksum  {}\nmodified  {}\naddress   {}",
                    entry.size,
                    human_bytes(entry.size),
                    entry.checksum,
                    local_time(entry.mtime.saturating_mul(1000)),
                    entry.address
                );
                if let Some(content_type) = &entry.content_type {
                    text += &format!("\ntype      {content_type}");
                }
                for (key, value) in &entry.metadata {
                    text += &format!("\nmeta      {key}={value}");
                }
                text
            },
        )?;
        Ok(Exit::Done)
    })
    .await
}

/// Writes the bytes of an object to stdout.
pub async fn cat(global: &Global, out: &Out, address: &Address) -> Done {
    let (reference, path) = (address.require_ref()?, address.require_path()?);
    with(global, async |onward| {
        let repository = repo_of(&onward, &address.repo);
        let entry = repository.stat(reference, &path).await?;
        let ours = onward.coordinator().objects().key_of(&entry.address);
        let linked = match ours {
            Some(_) => None,
            None if entry.address.starts_with("file:") => Some(file_of(&entry.address)?),
            None => None,
        };
        match linked {
            Some(file) => cat_linked(out, &file, &entry).await?,
            None => {
                let mut streamed = repository.open(&entry).await?;
                while let Some(chunk) = streamed.chunks.try_next().await? {
                    out.bytes(&chunk)?;
                }
            }
        }
        Ok(Exit::Done)
    })
    .await
}

/// A linked file lies where others can change it: what was written is held against the entry.
async fn cat_linked(out: &Out, path: &Path, entry: &Entry) -> Result<(), Failure> {
    let gone = |error: std::io::Error| {
        Error::not_found(format!("the linked file '{}' cannot be read", path.display()))
            .with_source(error)
    };
    let opened = path.to_owned();
    let opened = blocking(move || Ok(open_file(&opened))).await?;
    let mut file = tokio::fs::File::from_std(opened.map_err(gone)?);
    let mut buffer = vec![0; READ_LEN];
    let (mut md5, mut size) = (Hasher::new(Checksum::Md5), 0_u64);
    loop {
        let read = file.read(&mut buffer).await.map_err(gone)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        md5.update(chunk);
        size += read as u64;
        out.bytes(chunk)?;
    }
    let checksum = md5.finish();
    let is_md5 = entry.checksum.len() == 32 && !entry.checksum.contains('-');
    if size != entry.size || (is_md5 && checksum != entry.checksum) {
        return Err(Error::corrupt(format!(
            "the linked file '{}' has changed since it was committed ({size} bytes, MD5 {checksum}; the entry says {} bytes, {}): what was written is the file as it is now",
            path.display(), entry.size, entry.checksum
        ))
        .into());
    }
    Ok(())
}
