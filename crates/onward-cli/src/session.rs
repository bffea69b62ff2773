//! A command's connection: to what is set, or to the local instance, started on demand.

use std::io::IsTerminal;

use onward::internals::local::LocalInstance;
use onward::internals::model::address::Address;
use onward::internals::repo::{Branch, Repository};
use onward::{Config, Error, Onward, RefExpr, RepoName, Result};

use super::args::Global;
use super::exit::{Done, Failure};
use super::out::Out;
use super::settings::{Place, Settings};

/// How to connect as the settings say; starts the local instance if it is wanted.
pub async fn config(global: &Global) -> Result<Config> {
    let settings = Settings::read(global)?;
    let (redis, storage) = match settings.place {
        Place::Remote { redis, storage } => (redis, storage),
        Place::Local(data_dir) => {
            let instance = blocking(move || LocalInstance::ensure(&data_dir)).await?;
            (instance.redis_url, instance.storage_url)
        }
    };
    let config = Config::new(redis, storage).committer(settings.committer);
    Ok(match settings.accept_unsafe_storage {
        true => config.accept_unsafe_storage(),
        false => config,
    })
}

/// Runs `work` over a connection of a short-lived process, and ends it in good order whatever
/// comes of it.
pub async fn with<F: Future<Output = Done>>(
    global: &Global,
    work: impl FnOnce(Onward) -> F,
) -> Done {
    let onward = Onward::connect(config(global).await?.short_lived()).await?;
    let done = work(onward.clone()).await;
    onward.close().await;
    done
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
            ("lake/", "names no ref"),
            ("", "empty"),
        ] {
            assert!(ref_in(&lake, text).unwrap_err().message().contains(why), "{text}");
        }
    }
}
