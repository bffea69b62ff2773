//! The pages that a newcomer reads: what they tell to type works, in this order, in an empty folder.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::support::root::root;

/// The address that a page's sidecar listens at; each run takes a free one.
const SIDECAR: &str = "127.0.0.1:8000";

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// All snippets of a page in this language, one after the other.
fn snippets(page: &str, language: &str) -> String {
    let opening = format!("\n```{language}\n");
    let found = page.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap());
    found.collect()
}

fn run(name: &str) {
    let script = snippets(&page(name), "sh");
    assert!(script.contains("onward "), "{name} has no snippets");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = script.replace(SIDECAR, &free.to_string());
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_onward")).parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = Command::new("timeout");
    // Against one that hangs; none takes a minute.
    shell.args(["--kill-after=10", "300", "bash"]);
    // Whatever fails ends it, and takes along what it has started.
    shell.args([
        "-euo",
        "pipefail",
        "-c",
        &format!("trap 'kill $(jobs -p) || true' ERR\n{script}"),
    ]);
    shell.current_dir(folder.path()).env("PATH", path.unwrap()).env("USER", "tester");
    for setting in ["REDIS", "STORAGE", "DATA_DIR", "COMMITTER", "ACCESS_KEY_ID"] {
        shell.env_remove(format!("ONWARD_{setting}"));
    }
    let said = shell.output().unwrap();
    let _ = onward::internals::local::stop(folder.path().join(".onward"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{name}: {}{}", text(&said.stdout), text(&said.stderr));
}

#[test]
fn the_first_session_runs() {
    run("docs/first-session.md");
}

#[test]
fn the_page_of_the_command_runs() {
    run("docs/command.md");
}

#[test]
fn the_page_of_the_sidecar_runs() {
    run("docs/sidecar.md");
}

#[test]
fn the_page_of_tables_runs() {
    run("docs/export.md");
}

#[test]
fn what_the_readme_tells_to_type_runs() {
    run("README.md");
}

#[test]
fn the_program_of_the_library_s_page_is_the_example_that_runs() {
    let example = fs::read_to_string(root().join("examples/loader.rs")).unwrap();
    let (_, program) = example.split_once("\n\n").unwrap();
    assert_eq!(snippets(&page("docs/library.md"), "rust"), program);
}
