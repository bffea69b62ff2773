//! Settings: flags over environment (both by the argument parser) over `onward.toml` over
//! defaults.

use std::path::{Path, PathBuf};

use onward::internals::model::error::short;
use onward::{Error, Result};
use serde::Deserialize;

use super::args::Global;

/// The file in the working directory.
const FILE: &str = "onward.toml";

/// Where Onward's state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The local instance of a data directory.
    Local(PathBuf),
    /// A Redis and a storage that run without us.
    Remote {
        /// URL of Redis: one server, Sentinels or a cluster.
        redis: String,
        /// URL of the storage.
        storage: String,
    },
}

/// Everything that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where.
    pub place: Place,
    /// Directory of the local instance, used or not.
    pub data_dir: PathBuf,
    /// The name on commits.
    pub committer: String,
    /// Whether a storage is used on which branches can fork.
    pub accept_unsafe_storage: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    redis: Option<String>,
    storage: Option<String>,
    data_dir: Option<PathBuf>,
    committer: Option<String>,
    #[serde(default)]
    accept_unsafe_storage: bool,
}

impl Settings {
    /// From the flags, the environment and the file in the working directory.
    pub fn read(global: &Global) -> Result<Self> {
        let file = match std::fs::read_to_string(FILE) {
            Ok(text) => parse(Path::new(FILE), &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => {
                return Err(Error::invalid(format!(
                    "{FILE} cannot be read; correct it or work in another directory"
                ))
                .with_source(error));
            }
        };
        Self::combine(global, file, std::env::var("USER").ok())
    }

    fn combine(global: &Global, file: File, user: Option<String>) -> Result<Self> {
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        let redis = set(global.redis.clone()).or(set(file.redis));
        let storage = set(global.storage.clone()).or(set(file.storage));
        let dir = |value: Option<PathBuf>| value.filter(|value| !value.as_os_str().is_empty());
        let data_dir = dir(global.data_dir.clone()).or(dir(file.data_dir));
        let data_dir = data_dir.unwrap_or_else(|| ".onward".into());
        let committer = set(global.committer.clone()).or(set(file.committer)).or(set(user));
        let place = match (redis, storage) {
            (None, None) => Place::Local(data_dir.clone()),
            (Some(redis), Some(storage)) => Place::Remote { redis, storage },
            (Some(_), None) => {
                return Err(one_of_two(
                    "Redis is set but no storage",
                    "--storage URL (ONWARD_STORAGE)",
                ));
            }
            (None, Some(_)) => {
                return Err(one_of_two(
                    "a storage is set but no Redis",
                    "--redis URL (ONWARD_REDIS)",
                ));
            }
        };
        let accept_unsafe_storage = global.accept_unsafe_storage || file.accept_unsafe_storage;
        let committer = committer.unwrap_or_else(|| "onward".into());
        Ok(Self { place, data_dir, committer, accept_unsafe_storage })
    }
}

fn one_of_two(what: &str, missing: &str) -> Error {
    Error::invalid(format!(
        "{what}: give both, adding {missing}, or neither to use the local instance of --data-dir"
    ))
}

fn parse(path: &Path, text: &str) -> Result<File> {
    // The parser's message names the key and the line.
    toml::from_str(text).map_err(|error| {
        Error::invalid(format!(
            "{}: {}; the keys are redis, storage, data_dir, committer and accept_unsafe_storage",
            path.display(),
            short(error.to_string().trim())
        ))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::verbs::Args;
    use super::*;

    fn global(flags: &[&str]) -> Global {
        let words = ["onward"].iter().chain(flags).chain(&["down"]);
        Args::try_parse_from(words).unwrap().global
    }

    #[test]
    fn a_hostile_file_is_refused_and_nothing_worse() {
        let deep = ["redis = ".to_owned() + &"[".repeat(100_000), "a = {b = ".repeat(50_000)];
        let long = [format!("redis = \"{}", "x".repeat(100_000)), "a.".repeat(50_000)];
        for text in deep.iter().chain(&long) {
            let error = parse(Path::new("onward.toml"), text).err().unwrap();
            assert!(error.message().len() < 2_000, "{}", error.message().len());
        }
    }

    fn file(text: &str) -> File {
        parse(Path::new("onward.toml"), text).unwrap()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let from_file = file("data_dir = 'there'\ncommitter = 'file'");
        let flags = global(&["--data-dir", "here"]);
        let settings = Settings::combine(&flags, from_file, Some("user".into())).unwrap();
        assert_eq!(settings.place, Place::Local("here".into()));
        assert_eq!(settings.committer, "file");
        let settings = Settings::combine(&global(&["--committer", "x"]), file(""), None).unwrap();
        assert_eq!((settings.committer.as_str(), settings.data_dir), ("x", ".onward".into()));
    }

    #[test]
    fn redis_and_storage_come_together() {
        let error =
            Settings::combine(&global(&["--redis", "redis://h"]), file(""), None).unwrap_err();
        assert!(error.message().contains("--storage"), "{error}");
        let both = Settings::combine(
            &global(&["--redis", "redis://h"]),
            file("storage = 'file:///s'"),
            None,
        );
        assert!(matches!(both.unwrap().place, Place::Remote { .. }));
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file() {
        let error = parse(Path::new("onward.toml"), "redsi = 'x'").unwrap_err();
        assert!(error.message().contains("onward.toml"), "{error}");
        assert!(error.message().contains("redsi"), "{error}");
    }
}
