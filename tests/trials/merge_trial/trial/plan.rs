//! What is changed where: decided by a seed alone, before anything is done.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use onward::{Entry, Error, ObjectPath, Result, Strategy};
use walkdir::WalkDir;

use super::Options;

/// Files that a trial needs, at least.
const FILES_MIN: usize = 200;

/// One in so many branches is large.
const LARGE_EVERY: usize = 8;

/// One in so many plain commits is large, too.
const LARGE_PLAIN_EVERY: usize = 6;

/// Chance that can be repeated: SplitMix64.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The chance of one part of a trial.
    pub fn new(seed: u64, part: &str) -> Self {
        Self(stamp(&format!("{seed}/{part}")))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A number of a range.
    pub fn within(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to.saturating_sub(from).max(1))
    }
}

/// What stands for some content: 64 bits of a hash.
pub fn stamp(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A file of the trees.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path in the repository.
    pub path: String,
    /// Where it is.
    pub address: String,
    /// Its length.
    pub size: u64,
    /// Its content, as far as it matters here: path, size and time of change.
    pub stamp: u64,
}

/// The entry that says that a path has the content `stamp`.
pub fn entry(address: &str, size: u64, stamp: u64) -> Entry {
    Entry::new(address, size, format!("{stamp:016x}"))
}

/// All regular files below some directories, by path. Links are not followed.
pub fn inventory(dirs: &[PathBuf], max: usize) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for dir in dirs {
        let dir = dir.canonicalize().map_err(|error| {
            Error::invalid(format!("'{}' cannot be read", dir.display())).with_source(error)
        })?;
        let share = max / dirs.len().max(1);
        let found = WalkDir::new(&dir).sort_by_file_name().into_iter().filter_map(|entry| {
            let entry = entry.ok().filter(|entry| entry.file_type().is_file())?;
            file(entry.path(), &entry.metadata().ok()?)
        });
        files.extend(found.take(share));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    if files.len() < FILES_MIN {
        return Err(Error::invalid(format!(
            "there are {} files in these trees, a trial needs {FILES_MIN}: name larger ones",
            files.len()
        )));
    }
    Ok(files)
}

/// A file, if its name can be a path of a repository.
fn file(at: &Path, metadata: &std::fs::Metadata) -> Option<File> {
    let path = at.to_str()?.trim_start_matches('/').to_owned();
    ObjectPath::new(path.as_str()).ok()?;
    let size = metadata.len();
    let changed = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let stamp = stamp(&format!("{path}/{size}/{}", changed.as_nanos()));
    Some(File { address: format!("file:///{path}"), path, size, stamp })
}

/// A change of one path: new content, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path.
    pub path: String,
    /// The content; `None` deletes the path.
    pub stamp: Option<u64>,
}

/// A branch, what is committed on it, and how it is merged.
#[derive(Debug, Clone)]
pub struct BranchPlan {
    /// Its name.
    pub name: String,
    /// The branch it starts from, by number; `None` is the main branch.
    pub from: Option<usize>,
    /// Its commits.
    pub commits: Vec<Vec<Change>>,
    /// What happens to conflicts when it is merged.
    pub strategy: Strategy,
    /// Whether the merge leaves it out of the commit's parents.
    pub squash: bool,
}

impl BranchPlan {
    /// How many changes it has.
    pub fn changes(&self) -> usize {
        self.commits.iter().map(Vec::len).sum()
    }
}

/// A whole trial.
#[derive(Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The files.
    pub files: Vec<File>,
    /// The branches.
    pub branches: Vec<BranchPlan>,
}

impl Plan {
    /// The trial of a seed.
    pub fn new(options: &Options, files: Vec<File>) -> Result<Self> {
        if options.branches == 0 {
            return Err(Error::invalid("a trial needs a branch: --branches 1 or more"));
        }
        let mut plan = Self { seed: options.seed, files, branches: Vec::new() };
        for number in 0..options.branches {
            let branch = plan.branch(number, options);
            plan.branches.push(branch);
        }
        Ok(plan)
    }

    /// The first files are split among the branches; the others are for all.
    fn shared_from(&self) -> usize {
        self.files.len() * 2 / 5
    }

    fn branch(&self, number: usize, options: &Options) -> BranchPlan {
        let mut chance = Chance::new(self.seed, &format!("branch {number}"));
        let strategy = match number % 3 {
            0 => Strategy::Fail,
            1 => Strategy::SourceWins,
            _ => Strategy::DestWins,
        };
        let overlaps = strategy != Strategy::Fail || number % 2 == 1;
        let is_large = number % LARGE_EVERY == LARGE_EVERY / 2;
        let commits = chance.within(1, 4);
        let each = |all: usize| all.div_ceil(commits);
        let commits = (0..commits)
            .map(|commit| {
                let tag = format!("{number}.{commit}");
                let mut changes = self.own(number, options.branches, &tag, &mut chance);
                if is_large {
                    changes.extend(self.stretch(each(options.large), &tag, &mut chance));
                } else if overlaps {
                    let len = chance.within(5, 60);
                    changes.extend(self.stretch(len, &tag, &mut chance));
                }
                once_each(changes)
            })
            .collect();
        let from = (number % 5 == 4).then(|| number - 1);
        let squash = number % 7 == 6;
        BranchPlan { name: format!("b{number:03}"), from, commits, strategy, squash }
    }

    /// Changes in the branch's own part of the files.
    fn own(&self, number: usize, of: usize, tag: &str, chance: &mut Chance) -> Vec<Change> {
        let len = self.shared_from() / of;
        let wanted = chance.within(10, 200).min(len);
        let mine = self.files.iter().skip(len * number).take(len);
        let mut changes = Vec::new();
        for file in mine.take(wanted) {
            self.touch(file, tag, chance, &mut changes);
        }
        changes
    }

    /// Changes of `len` files in a row, somewhere in the part that is for all.
    fn stretch(&self, len: usize, tag: &str, chance: &mut Chance) -> Vec<Change> {
        let shared = self.files.len() - self.shared_from();
        let len = len.min(shared);
        let start = self.shared_from() + chance.below(shared - len + 1);
        let mut changes = Vec::new();
        for file in self.files.iter().skip(start).take(len) {
            self.touch(file, tag, chance, &mut changes);
        }
        changes
    }

    /// Changes a file, deletes it, or adds one beside it.
    fn touch(&self, file: &File, tag: &str, chance: &mut Chance, changes: &mut Vec<Change>) {
        let path = file.path.clone();
        let changed = |by: &str| Some(stamp(&format!("{path} by {by}")));
        match chance.below(20) {
            // Several branches may come to the same content.
            0..2 => changes.push(Change { stamp: changed("all"), path }),
            2..5 => changes.push(Change { path, stamp: None }),
            5..8 => {
                let path = format!("{path}.new-{}", chance.below(2));
                let stamp = Some(stamp(&format!("{path} by {tag}")));
                changes.push(Change { path, stamp });
            }
            _ => changes.push(Change { stamp: changed(tag), path }),
        }
    }

    /// The n-th plain commit of a writer on the main branch.
    pub fn plain(&self, writer: usize, n: usize) -> Vec<Change> {
        let mut chance = Chance::new(self.seed, &format!("writer {writer} commit {n}"));
        let len = match n % LARGE_PLAIN_EVERY {
            2 => self.files.len() / 20,
            _ => chance.within(1, 6),
        };
        let mut changes = self.stretch(len, &format!("writer {writer}.{n}"), &mut chance);
        let path = format!("written/{writer}/{:02}", n % 20);
        changes.push(Change { stamp: Some(stamp(&format!("{path}/{n}"))), path });
        once_each(changes)
    }
}

/// The last change of each path, by path.
fn once_each(changes: Vec<Change>) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<Change> =
        changes.into_iter().rev().filter(|change| seen.insert(change.path.clone())).collect();
    last.sort_by(|a, b| a.path.cmp(&b.path));
    last
}
