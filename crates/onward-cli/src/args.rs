//! Flags that several verbs share.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use onward::Strategy;

/// Flags of every verb.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// redis://, redis-sentinel://H,H/NAME, redis-cluster://H,H; goes with --storage; without both:
    /// the local instance [env: ONWARD_REDIS]
    #[arg(long, global = true, value_name = "URL", env = "ONWARD_REDIS", hide_env = true)]
    pub redis: Option<String>,
    /// Object store: file://, s3://, … [env: ONWARD_STORAGE]
    #[arg(long, global = true, value_name = "URL", env = "ONWARD_STORAGE", hide_env = true)]
    pub storage: Option<String>,
    /// Where the local instance lives [default: .onward] [env: ONWARD_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR", env = "ONWARD_DATA_DIR", hide_env = true)]
    pub data_dir: Option<PathBuf>,
    /// The name on commits [default: $USER] [env: ONWARD_COMMITTER]
    #[arg(long, global = true, value_name = "NAME", env = "ONWARD_COMMITTER", hide_env = true)]
    pub committer: Option<String>,
    /// Use a storage on which branches can fork: see `onward doctor`
    #[arg(
        long,
        global = true,
        env = "ONWARD_ACCEPT_UNSAFE_STORAGE",
        hide_env = true,
        hide_short_help = true
    )]
    pub accept_unsafe_storage: bool,
    /// One JSON object per line on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// No remarks on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What happens inside, on stderr; -vv for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Do not ask before something is deleted
    #[arg(long, global = true)]
    pub yes: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// How paths that were changed on both sides are decided.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnConflict {
    Fail,
    SourceWins,
    DestWins,
}

impl From<OnConflict> for Strategy {
    fn from(strategy: OnConflict) -> Self {
        match strategy {
            OnConflict::Fail => Self::Fail,
            OnConflict::SourceWins => Self::SourceWins,
            OnConflict::DestWins => Self::DestWins,
        }
    }
}

/// A length of time as users type it.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| match text.parse::<f64>() {
        Ok(_) => format!("{text} of what? Give a unit: {text}s for seconds, {text}m for minutes"),
        Err(_) => format!("{error}: write 30s, 5m or 1h"),
    })
}

/// A pair as users type it.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a pair is KEY=VALUE, for example topic=orders".to_owned()),
    }
}
