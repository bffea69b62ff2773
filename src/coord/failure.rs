//! What a failed call means: whether to make it again, and whether its connection can be kept.
//!
//! Servers word the same refusal in several ways: Redis 6.2 wraps what it raises inside a script in
//! an error of its own, Redis 7 puts the script's hash behind it, Valkey 9 its place alone. [`code`]
//! is the one place that sees through them.

use redis::RedisError;

use crate::model::error::{Error, ErrorKind};

/// A call that failed.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) error: Error,
    /// The same call may succeed on this or another connection soon.
    pub(super) retry: bool,
    pub(super) lane: LaneFate,
}

impl Clone for CallError {
    fn clone(&self) -> Self {
        Self { error: self.error.again(), retry: self.retry, lane: self.lane }
    }
}

/// What becomes of the connection that a call failed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneFate {
    /// It is as good as before.
    Kept,
    /// It is broken or leads to the wrong server.
    Dropped,
}

/// The code of a server's error, wherever in its text that stands: `NOPERM` and `NOCOMMAND` also
/// where a server only says it in words. `None` for an error that is not a server's.
pub(super) fn code(error: &RedisError) -> Option<&str> {
    match error.code() {
        Some("ERR") => Some(error.detail().map_or("ERR", code_in)),
        code => code,
    }
}

/// The code that the text of an error without one of its own holds.
fn code_in(text: &str) -> &str {
    let told = match text.strip_prefix("Error running script") {
        None => text,
        Some(wrapped) => unwrapped(wrapped),
    };
    const WORDS: &[(&str, &str)] = &[
        ("The user executing the script can't", "NOPERM"),
        ("ACL failure in script", "NOPERM"),
        ("Unknown Redis command", "NOCOMMAND"),
        ("Unknown command called from", "NOCOMMAND"),
        ("unknown command", "NOCOMMAND"),
    ];
    if let Some((_, code)) = WORDS.iter().find(|(words, _)| told.starts_with(words)) {
        return code;
    }
    let word = told.trim_start_matches('-').split(' ').next().unwrap_or_default();
    let is_code = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { word } else { "ERR" }
}

/// What Redis 6.2 has wrapped: ` (call to f_HASH): @user_script:1: @user_script: 1: -OOM command …`.
fn unwrapped(wrapped: &str) -> &str {
    let mut told = wrapped.split_once("): ").map_or(wrapped, |(_, told)| told);
    while let Some((_, rest)) = told
        .strip_prefix("@user_script:")
        .and_then(|place| place.split_once(": "))
        .filter(|(line, _)| line.trim().bytes().all(|byte| byte.is_ascii_digit()))
    {
        told = rest;
    }
    told
}

/// Whether a server says that it does not know the script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    code(error) == Some("NOSCRIPT")
}

pub(super) fn classify(name: &str, url: &str, error: RedisError) -> CallError {
    use LaneFate::{Dropped, Kept};
    let code = code(&error);
    let (retry, lane, advice) = match code {
        Some("READONLY" | "MASTERDOWN") => {
            (true, Dropped, "this server is a replica; name the primary with --redis")
        }
        // The map of slots knows better by now; or this is one server of a cluster, named alone.
        Some("MOVED" | "ASK") => {
            (true, Kept, "its slot is moving; a cluster is named with redis-cluster://HOST:PORT,…")
        }
        Some("LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN") => {
            (true, Kept, "the server is not ready yet; try again")
        }
        Some("NOREPLICAS") => (
            true,
            Kept,
            "fewer replicas than 'min-replicas-to-write' follow the primary: start or reconnect them",
        ),
        Some("OOM") => (false, Kept, "Redis is out of memory: raise maxmemory or free some"),
        Some("MISCONF") => (
            false,
            Kept,
            "Redis cannot persist its data: free disk space or mend its save settings",
        ),
        Some("NOAUTH" | "WRONGPASS") => {
            (false, Kept, "check the user and password in the Redis URL")
        }
        Some("NOPERM") => (
            false,
            Kept,
            "the user in the Redis URL may not do that: '~onward:* +@all -@admin' is enough, and `onward doctor` tries every command",
        ),
        Some("NOCOMMAND") => (
            false,
            Kept,
            "the server does not have that command (or has it under another name): use Redis 6.2 or newer, or Valkey, without 'rename-command'",
        ),
        Some(_) if !error.is_io_error() => {
            let message = format!("Redis at {url} refused '{name}': {error}");
            let error = Error::new(ErrorKind::Internal, message);
            return CallError { error, retry: false, lane: Kept };
        }
        _ => (
            true,
            Dropped,
            "it may have been carried out all the same; check that the server runs and can be reached",
        ),
    };
    let message = format!("Redis at {url} did not carry out '{name}': {error}; {advice}");
    let mut told = Error::unavailable(message);
    // A URL that names the wrong server is not mended by waiting for long.
    if retry && !matches!(code, Some("READONLY" | "MASTERDOWN" | "MOVED" | "ASK")) {
        told = told.outage();
    }
    // Redis asks what these say before the first write of a script, and not again. A right may be
    // missing for a later command than the first.
    if code.is_some_and(|code| code != "NOPERM" && code != "NOCOMMAND") {
        told = told.refused();
    }
    if matches!(code, Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "NOCOMMAND")) {
        told = told.lasting();
    }
    CallError { error: told, retry, lane }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client makes of an error line.
    fn error(line: &str) -> RedisError {
        let reply = format!("-{line}\r\n");
        redis::parse_redis_value(reply.as_bytes()).unwrap().extract_error().unwrap_err()
    }

    /// A refusal of a command in a script, as Redis 6.2.14, Redis 7.0.15 and Valkey 9.1.2 word it.
    fn in_script(refusal: &str) -> [String; 3] {
        let hash = "1afe70363ac8e7caf17ba8a54ab807d922c2efd6";
        [
            format!(
                "ERR Error running script (call to f_{hash}): @user_script:1: @user_script: 1: -{refusal}"
            ),
            format!("{refusal} script: {hash}, on @user_script:1."),
            format!("{refusal} script: on @user_script:1."),
        ]
    }

    #[test]
    fn what_a_script_is_refused_means_the_same_however_a_server_words_it() {
        let cases = [
            ("NOREPLICAS Not enough good replicas to write.", true, LaneFate::Kept, true),
            (
                "READONLY You can't write against a read only replica.",
                true,
                LaneFate::Dropped,
                false,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                false,
                LaneFate::Kept,
                false,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but",
                false,
                LaneFate::Kept,
                false,
            ),
        ];
        for (refusal, retry, lane, outage) in cases {
            for line in in_script(refusal).into_iter().chain([refusal.to_owned()]) {
                let verdict = classify("submit", "redis://h", error(&line));
                assert_eq!((verdict.retry, verdict.lane), (retry, lane), "{line}");
                assert_eq!(verdict.error.is_outage(), outage, "{line}");
                assert!(verdict.error.is_refused(), "nothing was written: {line}");
                assert_eq!(verdict.error.kind(), ErrorKind::Unavailable, "{line}");
            }
        }
    }

    #[test]
    fn a_missing_right_or_command_is_told_as_such_in_scripts_too() {
        let f = "Error running script (call to f_1afe7036): @user_script:1: @user_script: 1: ";
        let cases = [
            (format!("ERR {f}The user executing the script can't run this command"), "NOPERM"),
            (
                "ERR The user executing the script can't run this command script: 1afe".into(),
                "NOPERM",
            ),
            ("ERR ACL failure in script: User u has no permissions to run".into(), "NOPERM"),
            ("NOPERM this user has no permissions to run the 'info' command".into(), "NOPERM"),
            (format!("ERR {f}Unknown Redis command called from Lua script"), "NOCOMMAND"),
            (
                "ERR Unknown command called from script script: on @user_script:1.".into(),
                "NOCOMMAND",
            ),
            ("ERR unknown command 'INFO', with args beginning with: ".into(), "NOCOMMAND"),
        ];
        for (line, meaning) in cases {
            let error = error(&line);
            assert_eq!(code(&error), Some(meaning), "{line}");
            let verdict = classify("publish", "redis://h", error);
            assert_eq!(verdict.error.kind(), ErrorKind::Unavailable, "{line}");
            assert!(!verdict.retry && verdict.error.lasts(), "{line}");
            assert!(!verdict.error.is_refused(), "half of it may be done: {line}");
        }
    }

    #[test]
    fn an_error_without_a_code_stays_one() {
        let wrong =
            ["ERR syntax error", "ERR Error running script (call to f_1): @user_script:7: x"];
        for line in wrong {
            assert_eq!(code(&error(line)), Some("ERR"), "{line}");
            let verdict = classify("submit", "redis://h", error(line));
            assert_eq!(verdict.error.kind(), ErrorKind::Internal, "{line}");
        }
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(code(&broken), None);
        let verdict = classify("submit", "redis://h", broken);
        assert!(verdict.retry && !verdict.error.is_refused(), "it may have been carried out");
    }
}
