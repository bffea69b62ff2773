//! What the page shows of Parquet files, and what becomes of the sidecar where that fails.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::visit::Visit;
use super::{LAKE, branch, put, upload};
use crate::support::sidecar::Sidecar;
use crate::support::until::{until, until_async};

const COMMAND: &str = env!("CARGO_BIN_EXE_onward");

/// The one variable that a process is started with.
const VARIABLE: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// All that is said of a file that cannot be shown.
const NOT_SHOWN: &str = "The first rows cannot be shown: ";

/// What is said where a process gave no answer.
const NO_ANSWER: &str =
    "The first rows cannot be shown: what reads Parquet did not get through this one.";

/// A listing of three paths, as a table: a Parquet file that is at hand.
async fn listing(sidecar: &Sidecar) -> Vec<u8> {
    let main = branch(sidecar, "main");
    for n in 0..3 {
        put(&main, &format!("orders/{n}.csv"), "<b>").await;
    }
    let export = "/onward/v1/repositories/lake/refs/main/objects?format=parquet";
    let answer = sidecar.request("GET", export).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.bytes().await.unwrap().to_vec()
}

/// What the page of an object says.
async fn shown(browser: &Visit, path: &str) -> String {
    browser.page(&format!("{LAKE}/object?ref=main&path={path}")).await.text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parquet_file_is_shown_with_its_schema_and_its_first_rows() {
    let sidecar = Sidecar::with(|config| config.command = Some(COMMAND.into())).await;
    let file = listing(&sidecar).await;
    upload(&branch(&sidecar, "main"), "listing.parquet", &file).await;
    let text = shown(&Visit::of(&sidecar).await, "listing.parquet").await;
    for part in [
        ">A Parquet file: 3 rows",
        "<th scope=\"col\">path</th>",
        "<td>orders/2.csv</td>",
        "checksum-&lt;b&gt;",
        "BYTE_ARRAY",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_parquet_file_is_told_of_in_a_sentence() {
    let sidecar = Sidecar::with(|config| config.command = Some(COMMAND.into())).await;
    let file = listing(&sidecar).await;
    let main = branch(&sidecar, "main");
    let footer = file.len() - 8;
    let metadata_len = u32::from_le_bytes(file[footer..footer + 4].try_into().unwrap()) as usize;
    // The first byte of the first page, of the metadata, and of the magic at the end.
    let turned = [("page", 4), ("metadata", footer - metadata_len), ("magic", footer + 4)];
    let browser = Visit::of(&sidecar).await;
    for (path, at) in turned {
        let mut file = file.clone();
        file[at] ^= 0xff;
        upload(&main, path, &file).await;
        let text = shown(&browser, path).await;
        assert!(text.contains(NOT_SHOWN) && !text.contains("orders/2.csv"), "{path}: {text}");
        assert!(text.contains(">Download<"), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_command_a_parquet_file_is_not_read() {
    let sidecar = Sidecar::start().await;
    let file = listing(&sidecar).await;
    upload(&branch(&sidecar, "main"), "listing.parquet", &file).await;
    let text = shown(&Visit::of(&sidecar).await, "listing.parquet").await;
    assert!(text.contains("a preview of Parquet needs the command"), "{text}");
}

/// Puts a script at `program` that leaves `program`.ran behind when it runs.
fn stand_in(program: &Path, what: &str) {
    let new = program.with_extension("new");
    std::fs::write(&new, format!("#!/bin/sh\n: > '{}'\n{what}\n", ran(program).display())).unwrap();
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o700)).unwrap();
    let _ = std::fs::remove_file(ran(program));
    std::fs::rename(new, program).unwrap();
}

fn ran(program: &Path) -> std::path::PathBuf {
    program.with_extension("ran")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_what_reads_parquet_the_sidecar_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    let sidecar = Sidecar::with(|config| config.command = Some(program.clone())).await;
    let file = listing(&sidecar).await;
    upload(&branch(&sidecar, "main"), "listing.parquet", &file).await;
    let browser = Visit::of(&sidecar).await;
    let variables = dir.path().join("variables");
    for what in [
        &format!("env > '{}'; exit 1", variables.display()),
        "kill -9 $$",
        // It is killed; that takes the three seconds that it has.
        "exec sleep 1000",
        "exec yes",
        "cat > /dev/null; echo nothing",
        "echo '{\"Refused\":\"by who failed\"}'; exit 1",
        // The answer to another question, and parts that would be far too much to fetch.
        "echo '{\"Shown\":{}}'",
        "echo '{\"Parts\":[{\"start\":0,\"end\":18446744073709551615}]}'",
    ] {
        stand_in(&program, what);
        // A file that somebody writes cannot be run, and what another test starts writes for a moment more.
        until_async("the stand-in has run", || async {
            let text = shown(&browser, "listing.parquet").await;
            assert!(text.contains(NO_ANSWER), "{what}: {text}");
            ran(&program).exists()
        })
        .await;
    }
    // A shell has some of its own.
    let variables = std::fs::read_to_string(variables).unwrap();
    let names = variables.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let told: Vec<&str> =
        names.filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(told, [VARIABLE.0], "{variables}");
    // No place is lost.
    std::fs::remove_file(&program).unwrap();
    symlink(COMMAND, &program).unwrap();
    let text = shown(&browser, "listing.parquet").await;
    assert!(text.contains("<td>orders/2.csv</td>"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_reads_parquet_limits_itself_before_it_reads() {
    let mut reader = Command::new(COMMAND)
        .arg("look-at-parquet")
        .env_clear()
        .env(VARIABLE.0, VARIABLE.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let of_it =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", reader.id())).unwrap();
    until("it has limited itself", || {
        let limits = of_it("limits");
        let has = |name: &str, most: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).all(|limit| limit == most)
        };
        has("Max cpu time", "2")
            && has("Max data size", "536870912")
            && has("Max open files", "0")
            && has("Max core file size", "0")
    });
    assert_eq!(of_it("oom_score_adj").trim(), "1000");
    // What it has already is far from the limit: its allocator has taken nothing for later.
    let status = of_it("status");
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    let kib: u64 = data.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 64 << 10, "{data}");
    // It was asked nothing.
    drop(reader.stdin.take());
    let answered = reader.wait_with_output().unwrap();
    assert!(!answered.status.success() && answered.stdout.is_empty(), "{answered:?}");
}
