//! A command's connection: to what is set, or to the local instance, started on demand.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onward::internals::local::{self, LocalInstance};
use onward::internals::model::address::Address;
use onward::internals::repo::{Branch, Repository};
use onward::{Config, Error, ErrorKind, Onward, RefExpr, RepoName, Result};

use onward_server::sinks::{Checks, Reach};

use super::args::Global;
use super::exit::{Done, Failure};
use super::out::Out;
use super::settings::{Place, Settings};

/// How to connect as the settings say; starts the local instance if it is wanted. There must be one: in a
/// new one nothing would be found, and whoever works in the wrong folder would be told nothing.
pub async fn config(global: &Global) -> Result<Config> {
    connection(global, false).await
}

/// As [`config`], and begins a local instance where there is none.
pub async fn config_or_new(global: &Global) -> Result<Config> {
    connection(global, true).await
}

async fn connection(global: &Global, begins: bool) -> Result<Config> {
    let settings = Settings::read(global)?;
    let (redis, storage) = match settings.place {
        Place::Remote { redis, storage } => (redis, storage),
        Place::Local(dir) => {
            let place = shown(&dir);
            let (is_new, instance) = blocking(move || {
                let is_new = !local::exists(&dir)?;
                if is_new && !begins {
                    return Err(Error::not_found(format!(
                        "there is no local instance in '{}', and neither Redis nor storage are set: work in the folder that has it or name it with --data-dir; `onward repo create NAME` begins one here",
                        shown(&dir)
                    )));
                }
                Ok((is_new, LocalInstance::ensure(&dir)?))
            })
            .await?;
            if is_new {
                Out::new(global).note(&format!("began a local instance in {place}"));
            }
            (instance.redis_url, instance.storage_url)
        }
    };
    let config = Config::new(redis, storage).committer(settings.committer);
    Ok(match settings.accept_unsafe_storage {
        true => config.accept_unsafe_storage(),
        false => config,
    })
}

/// A directory as it is told, wherever the command runs.
fn shown(dir: &Path) -> String {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string()
}

/// Whether a local instance is meant, and there is none.
pub async fn is_absent(global: &Global) -> Result<bool> {
    match Settings::read(global)?.place {
        Place::Remote { .. } => Ok(false),
        Place::Local(dir) => Ok(!blocking(move || local::exists(&dir)).await?),
    }
}

/// Runs `work` over a connection of a short-lived process, and ends it in good order whatever
/// comes of it.
pub async fn with<F: Future<Output = Done>>(
    global: &Global,
    work: impl FnOnce(Onward) -> F,
) -> Done {
    connected(global, false, work).await
}

/// As [`with`]; the first that `begins` something makes the local instance.
pub async fn connected<F: Future<Output = Done>>(
    global: &Global,
    begins: bool,
    work: impl FnOnce(Onward) -> F,
) -> Done {
    let out = Out::new(global);
    let connect = async {
        let config = connection(global, begins).await?;
        let onward = Onward::connect(config.short_lived()).await?;
        ask_checks(&onward)?;
        Ok::<_, Error>(onward)
    };
    let silent =
        || "still waiting for Redis: it does not answer yet; `onward doctor` tells more".to_owned();
    let onward = said_while(&out, silent, connect).await?;
    let done = work(onward.clone()).await;
    onward.close().await;
    if let Err(Failure::Error(error)) = &done
        && error.kind() == ErrorKind::NotFound
        && let Place::Local(dir) = Settings::read(global)?.place
    {
        out.note(&format!("looked in the local instance of {}", shown(&dir)));
    }
    done
}

/// Lets commits of this command be checked where a rule of a branch wants that: by where its environment lets
/// them, as a sidecar's.
pub fn ask_checks(onward: &Onward) -> Result<()> {
    let set = std::env::var("ONWARD_ALLOW_SINK").unwrap_or_default();
    let mut words: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        words.push("public".to_owned());
    }
    onward.ask_by(Arc::new(Checks::new(onward, Reach::new(&words)?)));
    Ok(())
}

/// How long is waited in silence.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits, and says for what where it takes long.
pub async fn said_while<T>(
    out: &Out,
    what: impl FnOnce() -> String,
    wait: impl Future<Output = T>,
) -> T {
    let mut wait = std::pin::pin!(wait);
    tokio::select! {
        done = &mut wait => return done,
        () = tokio::time::sleep(SILENCE) => {}
    }
    out.note(&what());
    wait.await
}

/// Waits for an outcome for as long as `timeout`, and says so where it takes long.
pub async fn decided<T>(out: &Out, timeout: Duration, wait: impl Future<Output = T>) -> T {
    let what = || {
        let most = humantime::format_duration(timeout);
        format!(
            "not decided yet: waiting for Redis, the storage or those in front, {most} at most (--timeout); `onward doctor` tells whether both answer"
        )
    };
    said_while(out, what, wait).await
}

/// Calls what blocks on a thread that may be blocked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("a blocking call was cut short").with_source(error))?
}

/// The repository of an address.
pub fn repo_of(onward: &Onward, repo: &RepoName) -> Repository {
    onward.repo(repo.as_str())
}

/// The branch that an address names, without a path.
pub fn branch_of(onward: &Onward, address: &Address) -> Result<Branch> {
    let branch = address.require_branch()?;
    Ok(repo_of(onward, &address.repo).branch(branch.as_str()))
}

/// The branch of an address that has a path or prefix behind it.
pub fn branch_above(onward: &Onward, address: &Address) -> Result<Branch> {
    let branch = address.require_ref()?.as_branch()?;
    Ok(repo_of(onward, &address.repo).branch(branch.as_str()))
}

/// The prefix of all that lies in the folder behind an address.
pub fn prefix_of(address: &Address) -> String {
    match address.path.as_deref() {
        None | Some("") => String::new(),
        Some(folder) => format!("{}/", folder.trim_end_matches('/')),
    }
}

/// A ref of repository `repo`, typed as REF or as REPO/REF.
pub fn ref_in(repo: &RepoName, text: &str) -> Result<RefExpr> {
    if !text.contains('/') {
        return text.parse();
    }
    let address: Address = text.parse()?;
    if address.repo != *repo {
        return Err(Error::invalid(format!(
            "'{text}' is in repository '{}', not in '{repo}': give a REF of '{repo}' or {repo}/REF",
            address.repo
        )));
    }
    if let Some(path) = address.path.as_ref().filter(|path| !path.is_empty()) {
        return Err(Error::invalid(format!(
            "'{text}' has a path ('{path}') where only REF or {repo}/REF is expected"
        )));
    }
    address.require_ref().cloned()
}

/// The ref that was typed, or the repository's default branch.
pub async fn ref_or_default(
    onward: &Onward,
    repo: &RepoName,
    text: Option<&str>,
) -> Result<RefExpr> {
    match text {
        Some(text) => ref_in(repo, text),
        None => {
            let default_branch = repo_of(onward, repo).show().await?.default_branch;
            Ok(RefExpr::plain(default_branch.to_string()))
        }
    }
}

/// Asks before something is deleted: `--yes`, or a yes at the terminal.
pub async fn confirm(global: &Global, out: &Out, what: String) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !out.is_json();
    if !asks {
        return Err(Error::invalid(format!("{what}: add --yes to confirm")).into());
    }
    let answer = blocking(move || {
        eprint!("{what}. Go on? [y/N] ");
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Error::invalid("no answer came: add --yes").with_source(error))?;
        Ok(answer)
    })
    .await?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Error::invalid("not confirmed: nothing was done").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_typed_alone_or_behind_its_repository() {
        let lake = RepoName::new("lake").unwrap();
        for text in ["main~1", "lake/main~1", "lake/main~1/", "lakefs://lake/main~1"] {
            assert_eq!(ref_in(&lake, text).unwrap(), "main~1".parse().unwrap(), "{text}");
        }
        for (text, why) in [
            ("other/main", "repository 'other'"),
            ("lake/main/path", "path"),
            ("lake/", "no ref"),
            ("", "empty"),
        ] {
            assert!(ref_in(&lake, text).unwrap_err().message().contains(why), "{text}");
        }
    }
}
