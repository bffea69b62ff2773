//! Merges, reverts, cherry-picks and resets, as they are typed.

use onward::internals::objects::Objects;
use serde_json::{Value, json};
use walkdir::WalkDir;

use super::{Desk, Said};
use crate::support::branch::{Ghost, keys};
use crate::support::redis::RedisServer;

/// Lines of a change file: path and checksum; without a checksum the path goes.
fn lines<'a>(changes: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let line = |(path, checksum): (&str, &str)| match checksum {
        "" => json!({"delete": {"path": path}}).to_string() + "\n",
        _ => {
            let put = json!({"path": path, "address": "s3://b/x", "checksum": checksum, "size": 1});
            json!({"put": put}).to_string() + "\n"
        }
    };
    changes.into_iter().map(line).collect()
}

/// Commits changes and returns the commit.
fn commit(desk: &Desk, branch: &str, changes: &[(&str, &str)]) -> String {
    let line = format!("commit lake/{branch} -m {branch} --changes - --json");
    let said = desk.fed(&line, lines(changes.iter().copied()).as_bytes());
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    text(&said.json()["commit"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A lake whose branches `main` and `dev` have both moved on from a common commit.
fn parted() -> Desk {
    let desk = Desk::lake();
    commit(&desk, "main", &[("both", "base"), ("gone", "base"), ("kept", "base")]);
    desk.done("branch create lake/dev --from main");
    commit(&desk, "dev", &[("both", "dev"), ("gone", ""), ("new", "dev")]);
    desk
}

fn checksum(desk: &Desk, address: &str) -> Value {
    desk.done(&format!("stat {address} --json")).json()["checksum"].clone()
}

fn parents(desk: &Desk, address: &str) -> Vec<Value> {
    desk.done(&format!("show {address} --json")).json()["parents"].as_array().unwrap().clone()
}

#[test]
fn a_branch_is_looked_at_tried_and_merged() {
    let desk = parted();
    let theirs = commit(&desk, "main", &[("late", "main")]);
    assert_eq!(desk.done("diff lake/main dev").stdout, "~ both\n- gone\n+ new\n");
    let as_they_are = desk.done("diff lake/main lake/dev --two-dot").stdout;
    assert_eq!(as_they_are, "~ both\n- gone\n- late\n+ new\n");
    let change = desk.done("diff lake/main/new dev --json").json();
    assert_eq!(change["type"], "added");
    assert_eq!((&change["base"], &change["dest"]), (&Value::Null, &Value::Null));
    assert_eq!(change["source"]["checksum"], "dev");
    let dev = text(&desk.done("show lake/dev --json").json()["commit"]);
    let base = text(&parents(&desk, "lake/dev")[0]);
    assert_eq!(desk.done("merge-base lake/main dev").stdout.trim(), base);
    assert_eq!(desk.done("merge-base lake/dev lake/main --json").json()["merge_base"], json!(base));

    let tried = desk.done("merge lake/dev main --dry-run --json").json();
    let expected = json!({
        "base": base, "source": dev, "dest": theirs, "changes": 3, "surviving": 3,
        "conflicts": [], "conflicts_total": 0, "resolved": 0, "dry_run": true,
    });
    assert_eq!(tried, expected);
    let tried = desk.done("merge lake/dev lake/main --dry-run").stdout;
    assert!(tried.starts_with("3 changes") && tried.contains("\n  - gone\n"), "{tried}");
    assert_eq!(parents(&desk, "lake/main")[0], base.as_str(), "nothing was done");

    let merged = desk.done("merge lake/dev lake/main -m bring --meta why=test --json").json();
    assert_eq!(merged["outcome"], "committed");
    let plain =
        desk.fed("commit lake/main -m x --changes - --json", lines([("x", "x")]).as_bytes());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&merged), keys(&plain.json()), "one shape");
    let shown = desk.done("show lake/main~1 --json").json();
    assert_eq!(shown["commit"], merged["commit"]);
    assert_eq!((&shown["message"], &shown["metadata"]["why"]), (&json!("bring"), &json!("test")));
    assert_eq!(shown["parents"], json!([theirs, dev]));
    assert_eq!(checksum(&desk, "lake/main/both"), "dev");
    desk.fails(4, "stat lake/main/gone");

    let again = desk.fails(9, "merge lake/dev main");
    assert!(again.stderr.contains("nothing to merge"), "{}", again.stderr);
    desk.fails(9, "merge lake/dev main --dry-run");
    desk.done("merge lake/dev main --dry-run --allow-empty");
    desk.done("merge lake/dev main --allow-empty");
    assert_eq!(desk.done("diff lake/main dev").stdout, "", "main has moved on, dev has not");
}

#[test]
fn a_squashed_merge_leaves_its_source_out_of_the_parents() {
    let desk = parted();
    commit(&desk, "dev", &[("more", "dev")]);
    let id = "0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d";
    let line = format!("merge lake/dev~1 main --squash --op-id {id} --json");
    let merged = desk.done(&line).json();
    assert_eq!(parents(&desk, "lake/main").len(), 1);
    desk.fails(4, "stat lake/main/more");
    assert_eq!(desk.done(&line).json()["commit"], merged["commit"], "the same op");
    assert_eq!(merged["op_id"], id);
    assert_eq!(desk.done("diff lake/main dev").stdout, "+ more\n");
}

#[test]
fn a_conflict_shows_its_sides_and_how_to_decide() {
    let desk = parted();
    commit(&desk, "main", &[("both", "main-has-a-long-checksum"), ("kept", "main")]);
    let said = desk.fails(3, "merge lake/dev main");
    assert_eq!(said.stdout, "");
    let sides = "  both  base base (1 B)  source dev (1 B)  dest main-has (1 B)\n";
    assert!(said.stderr.contains("1 path changed on both sides"), "{}", said.stderr);
    assert!(said.stderr.contains(sides) && said.stderr.contains("--strategy"), "{}", said.stderr);
    let told = desk.fails(3, "merge lake/dev main --json").json();
    assert_eq!((&told["outcome"], &told["conflicts_total"]), (&json!("conflict"), &json!(1)));
    let side = &told["conflicts"][0];
    assert_eq!((&side["path"], &side["base"]["checksum"]), (&json!("both"), &json!("base")));
    let tried = desk.fails(3, "merge lake/dev main --dry-run --json").json();
    assert_eq!((&tried["conflicts"], &tried["surviving"]), (&told["conflicts"], &json!(2)));
    assert!(desk.fails(3, "merge lake/dev main --dry-run").stdout.contains(sides));
    let both = desk.done("diff lake/main dev --conflicts --json").json();
    assert_eq!((&both["type"], &both["dest"]), (&json!("conflict"), &side["dest"]));
    assert!(desk.done("diff lake/main dev").stdout.starts_with("! both  base base"));

    desk.done("branch create lake/keeps --from main");
    desk.done("merge lake/dev lake/keeps --strategy dest-wins");
    assert_eq!(checksum(&desk, "lake/keeps/both"), "main-has-a-long-checksum");
    desk.fails(4, "stat lake/keeps/gone");
    assert_eq!(desk.done("merge lake/dev main --strategy source-wins").stdout.trim().len(), 64);
    assert_eq!(checksum(&desk, "lake/main/both"), "dev");
}

#[test]
fn many_conflicts_are_shown_in_part_and_paged_in_full() {
    let desk = Desk::lake();
    let names: Vec<String> = (0..12).map(|n| format!("t/{n:02}")).collect();
    let all = |checksum| names.iter().map(|name| (name.as_str(), checksum)).collect::<Vec<_>>();
    desk.done("branch create lake/dev --from main");
    commit(&desk, "dev", &all("dev"));
    commit(&desk, "main", &all("main"));
    let said = desk.fails(3, "merge lake/dev main").stderr;
    assert_eq!(said.matches("  base absent  source dev").count(), 10, "{said}");
    assert!(said.contains("and 2 more; `onward diff lake/main lake/dev --conflicts`"), "{said}");
    let (mut after, mut seen) = (String::new(), Vec::new());
    while seen.len() < 12 {
        let line = format!("diff lake/main lake/dev --conflicts --limit 5 --json{after}");
        let page = desk.done(&line).lines();
        assert!((1..=5).contains(&page.len()), "{line}");
        seen.extend(page.iter().map(|conflict| text(&conflict["path"])));
        after = format!(" --after {}", seen.last().unwrap());
    }
    assert_eq!(seen, names);
    assert_eq!(desk.done(&format!("diff lake/main dev --conflicts{after}")).stdout, "");
    let said = desk.done("diff lake/main dev --two-dot --limit 1 --after t/04");
    assert_eq!(said.stdout, "~ t/05\n");
    assert!(said.stderr.contains("--after 't/05'"), "{}", said.stderr);
    assert_eq!(desk.done("diff lake/main dev -n 12").stderr, "", "that is all");
}

#[test]
fn commits_are_taken_back_and_repeated() {
    let desk = parted();
    commit(&desk, "main", &[("kept", "main")]);
    desk.done("branch create lake/other --from main");
    desk.done("merge lake/dev main");
    for verb in ["revert lake/main main", "cherry-pick lake/other lake/main"] {
        let said = desk.fails(2, verb);
        assert!(said.stderr.contains("--parent"), "{}", said.stderr);
        assert!(desk.fails(2, &format!("{verb} --parent 3")).stderr.contains("no number 3"));
    }
    let picked = desk.done("cherry-pick lake/other lake/main --parent 1 --meta from=main --json");
    assert_eq!(picked.json()["outcome"], "committed");
    assert_eq!(checksum(&desk, "lake/other/new"), "dev");
    assert_eq!(parents(&desk, "lake/other").len(), 1);
    let shown = desk.done("show lake/other --json").json();
    assert_eq!(shown["metadata"]["from"], "main");
    assert!(text(&shown["message"]).starts_with("Merge"), "{shown}");
    desk.fails(9, "cherry-pick lake/other main --parent 1");

    assert_eq!(
        desk.done("revert lake/main main --parent 1 --dry-run --json").json()["surviving"],
        3
    );
    desk.done("revert lake/main main --parent 1 -m back");
    assert_eq!(checksum(&desk, "lake/main/gone"), "base");
    assert_eq!(checksum(&desk, "lake/main/kept"), "main");
    let said = desk.fails(9, "revert lake/main main~1 --parent 1");
    assert!(said.stderr.contains("nothing to revert"), "{}", said.stderr);
    commit(&desk, "main", &[("kept", "later")]);
    assert!(desk.fails(3, "revert lake/main lake/main~3").stderr.contains("kept  base main"));
    desk.done("revert lake/main main~3 --strategy source-wins");
    // lakeFS's words: the ref as it was asked for.
    assert_eq!(desk.done("log lake/main -n 1 --json").json()["message"], "Revert main~3");
    assert_eq!(checksum(&desk, "lake/main/kept"), "base");
}

#[test]
fn the_head_of_a_branch_is_set() {
    let desk = parted();
    let dev = text(&desk.done("show lake/dev --json").json()["commit"]);
    assert!(desk.fails(2, "branch reset lake/dev --to main").stderr.contains("--yes"));
    desk.done("link lake/dev/staged --address s3://b/s --checksum s --size 1");
    desk.fails(3, "branch reset lake/dev --to main --yes");
    desk.done("branch reset lake/dev --yes");
    let reset = desk.done("branch reset lake/dev --to main --yes --json").json();
    assert_eq!(reset["commit"], desk.done("show lake/main --json").json()["commit"]);
    assert_eq!(desk.done("diff lake/main dev --two-dot").stdout, "");
    desk.done(&format!("branch reset lake/dev --to {dev} --yes"));
    assert_eq!(checksum(&desk, "lake/dev/new"), "dev");
}

#[test]
fn what_cannot_be_merged_is_refused_with_the_reason() {
    let desk = parted();
    desk.done("repo create other");
    for (code, line, why) in [
        (2, "merge lake/dev other/main", "is in repository 'other'"),
        (2, "merge lake/dev/path main", "path"),
        (2, "merge lake/dev main~1", "not a branch"),
        (2, "merge lake/dev lake/main/path", "path"),
        (2, "merge lake main", "lake/main"),
        (2, "merge lake/dev main --strategy mine", "source-wins"),
        (2, "merge lake/dev main --dry-run --no-wait", "--no-wait"),
        (2, "merge lake/dev main --hint v1.nonsense", "hint is refused"),
        (2, "merge-base lake/main other/main", "is in repository 'other'"),
        (2, "revert lake/main other/main", "is in repository 'other'"),
        (2, "revert lake/main~1 main", "not a branch"),
        (2, "cherry-pick lake/main dev --parent 2", "no number 2"),
        (2, "branch reset lake/main/path --to dev --yes", "path"),
        (2, "diff lake/main dev --two-dot --conflicts", "--two-dot"),
        (4, "merge lake/nope main", "nope"),
        (4, "merge lake/dev nope", "nope"),
        (4, "merge-base lake/main nope", "nope"),
        (4, "revert lake/main nope", "nope"),
        (4, "cherry-pick lake/main dev~9", "beyond"),
        (4, "branch reset lake/main --to nope --yes", "nope"),
        (4, "diff lake/main nope", "nope"),
    ] {
        let said = desk.fails(code, line);
        assert!(said.stderr.contains(why), "{line}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{line}");
        let kind = if code == 2 { "invalid_input" } else { "not_found" };
        assert_eq!(desk.fails(code, &format!("{line} --json")).error()["kind"], kind, "{line}");
    }
    assert_eq!(desk.done("log lake/main").stdout.lines().count(), 2, "nothing was done");
}

/// A desk over a Redis that the test can reach.
struct Held {
    desk: Desk,
    redis: RedisServer,
    storage: String,
}

impl Held {
    fn new() -> Self {
        let desk = Desk::new();
        std::fs::create_dir(desk.path().join("store")).unwrap();
        let storage = format!("file://{}", desk.path().join("store").display());
        Self { desk, redis: RedisServer::new(), storage }
    }

    fn fed(&self, line: &str, input: &str) -> Said {
        let (redis, storage) = (self.redis.url(), &self.storage);
        self.desk.fed(&format!("{line} --redis {redis} --storage {storage}"), input.as_bytes())
    }

    fn done(&self, line: &str, input: &str) -> Said {
        let said = self.fed(line, input);
        assert_eq!(said.code, 0, "{line}: {}{}", said.stdout, said.stderr);
        said
    }

    /// Files that hold ranges.
    fn ranges(&self) -> usize {
        let below = WalkDir::new(self.desk.path().join("store/lake/ranges")).into_iter();
        below.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_lost_a_race_goes_on_from_its_hint() {
    let held = Held::new();
    held.done("repo create lake", "");
    for name in ["dev", "side"] {
        held.done(&format!("branch create lake/{name} --from main"), "");
    }
    let names: Vec<String> = (0..900).map(|n| format!("t/{n:03}")).collect();
    let many = lines(names.iter().map(|name| (name.as_str(), "dev")));
    held.done("commit lake/dev -m many --changes -", &many);
    let objects = Objects::open(&held.storage).unwrap();
    let keys = keys(&objects, "main").await;
    let ghost = Ghost::haunt(&held.redis, &keys);
    let theirs = lines([("t/300", "main")]);
    held.done("commit lake/main -m theirs --changes - --no-wait", &theirs);
    let id = "0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d";
    let merge = "merge lake/dev main --strategy source-wins --retry client";
    held.done(&format!("{merge} --no-wait --op-id {id}"), "");
    drop(ghost);

    let lost = held.fed(&format!("ticket wait lake/main {id} --json"), "");
    assert_eq!(lost.code, 3, "{}{}", lost.stdout, lost.stderr);
    assert_eq!(lost.json()["outcome"], "lost_race");
    let hint = text(&lost.json()["hint"]);
    let printed = held.fed(&format!("ticket wait lake/main {id}"), "").stdout;
    assert!(printed.starts_with("v1."), "{printed}");

    let refused = |line: &str, hint: &str, why: &str| {
        let said = held.fed(line, hint);
        assert_eq!(said.code, 2, "{line}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(why), "{line}: {}", said.stderr);
    };
    let forged = format!("{}AAAA", &hint[..hint.len() - 4]);
    refused(&format!("{merge} --hint -"), &forged, "did not sign");
    refused(&format!("{merge} --hint -"), &"x".repeat(100_000), "longer than any hint");
    refused("merge lake/dev side --strategy source-wins --hint -", &hint, "another branch");
    refused("merge lake/dev main --hint -", &hint, "another merge");

    let ranges = held.ranges();
    let merged = held.done(&format!("{merge} --hint - --json"), &hint).json();
    assert_eq!(merged["outcome"], "committed");
    assert_eq!(held.ranges(), ranges, "what the first try wrote is used");
    let found = held.done("stat lake/main/t/300 --json", "").json();
    assert_eq!(found["checksum"], "dev", "the source wins");
    assert_eq!(held.done("diff lake/main dev", "").stdout, "");
}
