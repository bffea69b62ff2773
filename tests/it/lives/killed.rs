//! The command, killed at every point of a deletion and of a beginning.

use std::os::unix::process::ExitStatusExt;

use crate::cli::Desk;

#[test]
fn a_deletion_that_was_killed_is_finished_by_the_next_one() {
    for point in ["repo-ending", "branch-ended", "repo-removing", "repo-emptied"] {
        let desk = Desk::lake();
        desk.file("a", "of the old life");
        desk.done("put a lake/main/a");
        desk.done("commit lake/main -m old");
        let mut killed = desk.command(&["--yes", "repo", "delete", "lake"]);
        let status = killed.env("ONWARD_FAILPOINTS", format!("{point}=kill")).status().unwrap();
        assert_eq!(status.signal(), Some(9), "{point}");
        let said = desk.fails(3, "repo create lake");
        assert!(said.stderr.contains("`onward repo delete lake` finishes it"), "{}", said.stderr);
        for line in ["gc lake", "verify lake", "recover lake", "log lake/main"] {
            let said = desk.fails(4, line);
            assert!(said.stderr.contains("`onward repo delete lake`"), "{line}: {}", said.stderr);
        }
        desk.done("recover");
        desk.done("--yes repo delete lake");
        desk.fails(4, "--yes repo delete lake");
        desk.done("repo create lake");
        assert_eq!(desk.done("ls -r lake/main").stdout, "");
        for line in ["gc lake", "verify lake", "recover lake"] {
            desk.done(line);
        }
    }
}

#[test]
fn a_beginning_that_was_killed_is_finished_by_the_next_one() {
    for point in ["repo-begun", "branch-recorded", "branch-opened", "decide"] {
        let desk = Desk::new();
        let mut killed = desk.command(&["repo", "create", "lake"]);
        let status = killed.env("ONWARD_FAILPOINTS", format!("{point}=kill")).status().unwrap();
        assert_eq!(status.signal(), Some(9), "{point}");
        desk.done("repo create lake");
        assert_eq!(desk.done("log lake/main --json").lines().len(), 1, "{point}");
        desk.fails(3, "repo create lake");
        desk.done("verify lake");
    }
}
