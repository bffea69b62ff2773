//! Completions that know what there is: repositories, branches and tags, as the deployment has them at that
//! moment. The shell asks this program with each press of the key, so it answers soon or not at all, and
//! starts nothing.

use std::ffi::OsStr;
use std::io::Write;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, Parser};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCompleter, CompletionCandidate, Shell};
use onward::internals::local::{self, ServerState};
use onward::internals::repo::NamesRequest;
use onward::{Error, Onward, Result};

use super::session::{blocking, config, repo_of};
use super::settings::{Place, Settings};
use super::verbs::Args;

/// The variable by which the shell asks.
const VARIABLE: &str = "ONWARD_COMPLETE";

/// How long the deployment is asked for names.
const PATIENCE: Duration = Duration::from_secs(1);

/// Names offered at once.
const NAMES_MAX: usize = 200;

/// Arguments that begin with REPO/REF, by the names that verbs give them.
const ADDRESSES: [&str; 7] = ["address", "branch", "source", "dest", "left", "right", "path"];

/// Answers the shell where it asks, and ends the process then.
pub fn answer() {
    CompleteEnv::with_factory(|| knowing(Args::command())).var(VARIABLE).complete();
}

/// What a shell reads to ask this program.
pub fn script(shell: Shell) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let unknown = || Error::invalid(format!("there are no completions for {shell}"));
    let completer = shells.completer(&shell.to_string()).ok_or_else(unknown)?;
    let unwritten = |error| Error::internal("completions cannot be written").with_source(error);
    completer
        .write_registration(VARIABLE, "onward", "onward", "onward", &mut script)
        .and_then(|()| script.flush())
        .map_err(unwritten)?;
    Ok(script)
}

/// The command, with what its arguments can name.
fn knowing(command: Command) -> Command {
    let known = |arg: Arg| match arg.get_id().as_str() {
        "repo" => arg.add(ArgValueCompleter::new(repositories)),
        id if arg.is_positional() && ADDRESSES.contains(&id) => {
            arg.add(ArgValueCompleter::new(addresses))
        }
        _ => arg,
    };
    command.mut_args(known).mut_subcommands(knowing)
}

fn repositories(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    candidates(async |onward| repositories_of(&onward, &typed).await)
}

/// Repositories up to the slash, then branches and tags.
fn addresses(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    candidates(async |onward| {
        let Some((repo, prefix)) = typed.split_once('/') else {
            let names = repositories_of(&onward, &typed).await?;
            return Ok(names.into_iter().map(|name| format!("{name}/")).collect());
        };
        let repository = repo_of(&onward, &repo.parse()?);
        let request = names(prefix);
        let branches = repository.branches_page(&request, false).await?.items;
        let tags = repository.tags_page(&request).await?.items;
        let branches = branches.into_iter().map(|branch| branch.name.to_string());
        let all = branches.chain(tags.into_iter().map(|tag| tag.name.to_string()));
        Ok(all.map(|name| format!("{repo}/{name}")).collect())
    })
}

async fn repositories_of(onward: &Onward, typed: &str) -> Result<Vec<String>> {
    let repos = onward.repos_page(&names(typed), "").await?.items;
    Ok(repos.into_iter().map(|info| info.name.to_string()).collect())
}

fn names(prefix: &str) -> NamesRequest {
    NamesRequest { prefix: prefix.to_owned(), after: String::new(), amount: NAMES_MAX }
}

/// Names that the deployment of the environment and the working directory has; none where it cannot be
/// asked now.
fn candidates(ask: impl AsyncFnOnce(Onward) -> Result<Vec<String>>) -> Vec<CompletionCandidate> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked(ask)).await });
    runtime.shutdown_background();
    let names = asked.ok().and_then(Result::ok).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

async fn asked(ask: impl AsyncFnOnce(Onward) -> Result<Vec<String>>) -> Result<Vec<String>> {
    let unset = |error| Error::invalid("no settings").with_source(error);
    let global = Args::try_parse_from(["onward", "status"]).map_err(unset)?.global;
    if let Place::Local(dir) = Settings::read(&global)?.place {
        let status = blocking(move || local::status(&dir)).await?;
        let runs =
            |status: &local::LocalStatus| matches!(status.server, ServerState::Running { .. });
        if !status.as_ref().is_some_and(runs) {
            return Ok(Vec::new());
        }
    }
    let onward = Onward::connect(config(&global).await?.short_lived()).await?;
    let names = ask(onward.clone()).await;
    onward.close().await;
    names
}
