//! What forms of content do: once, by those who may, and told for what it was.

use onward::admin::{Action, Rule};
use onward_server::auth::Role;
use reqwest::StatusCode;
use serde_json::json;

use super::visit::Visit;
use super::{LAKE, branch, fork, put, upload};
use crate::support::branch::{Ghost, keys};
use crate::support::sidecar::Sidecar;

/// How many commits a branch has.
async fn commits(sidecar: &Sidecar, name: &str) -> u64 {
    let lake = sidecar.onward.repo("lake");
    let head = branch(sidecar, name).show().await.unwrap().commit.unwrap();
    lake.commit(&head).await.unwrap().generation
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_what_is_staged_is_made_once_however_often_its_form_is_sent() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    upload(&main, "a", b"a").await;
    let browser = Visit::of(&sidecar).await;
    let page = browser.page(&format!("{LAKE}/uncommitted?branch=main")).await;
    let (action, before) = (format!("{LAKE}/uncommitted"), commits(&sidecar, "main").await);
    let fields = [("message", "by hand\r\n\r\nwith two lines"), ("metadata", "why=test\r\n")];
    let sent = browser.send(&page, &action, &fields).await;
    let outcome = browser.page(sent.leads_to()).await;
    assert!(outcome.text.contains("<h1>Committed</h1>"), "{}", outcome.text);
    upload(&main, "b", b"b").await;
    assert_eq!(browser.send(&page, &action, &fields).await.leads_to(), sent.leads_to());
    assert_eq!(commits(&sidecar, "main").await, before + 1);
    let made =
        sidecar.onward.repo("lake").show_commit(&"main".parse().unwrap()).await.unwrap().commit;
    assert_eq!(made.message, "by hand\n\nwith two lines");
    assert_eq!(made.metadata["why"], "test");
    // Another request under the same op id is not taken for the first one.
    let other = browser.send(&page, &action, &[("message", "x"), ("metadata", "")]).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    let wrong = browser.send(&page, &action, &[("message", "x"), ("metadata", "no pair")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(commits(&sidecar, "main").await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_in_conflict_is_reported_with_both_sides_and_made_by_a_choice() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    let side = fork(&sidecar, "side", "main").await;
    put(&side, "both/<b>", "theirs").await;
    put(&main, "both/<b>", "ours").await;
    put(&side, "alone", "theirs").await;
    let browser = Visit::of(&sidecar).await;
    let page = browser.page(&format!("{LAKE}/merge?source=side&into=main")).await;
    assert!(page.text.contains(">1 in conflict<"), "{}", page.text);
    let (action, before) = (format!("{LAKE}/merge"), commits(&sidecar, "main").await);
    let fields = |strategy| [("strategy", strategy), ("message", ""), ("metadata", "")];
    let refused = browser.send(&page, &action, &fields("fail")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    for part in
        ["both/&lt;b&gt;", "checksum-the", "checksum-our", "1 path was changed on both sides"]
    {
        assert!(refused.text.contains(part), "{part} in {}", refused.text);
    }
    assert_eq!(commits(&sidecar, "main").await, before);
    // The same form, with a choice: nothing came of it before.
    let merged = browser.send(&page, &action, &fields("source-wins")).await;
    let outcome = browser.page(merged.leads_to()).await;
    assert!(outcome.text.contains("<h1>Committed</h1>"), "{}", outcome.text);
    let there = main.stat(&"both/<b>".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(there.checksum, "checksum-theirs");
    let again = browser.page(&format!("{LAKE}/merge?source=side&into=main")).await;
    let nothing = browser.send(&again, &action, &fields("fail")).await;
    assert!(nothing.text.contains("<h1>No changes</h1>"), "{}", nothing.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_taken_back_by_another_one() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    let bad = put(&main, "bad", "bad").await;
    put(&main, "good", "good").await;
    let browser = Visit::of(&sidecar).await;
    let page = browser.page(&format!("{LAKE}/revert?commit={bad}")).await;
    let fields = [("branch", "main"), ("message", ""), ("metadata", "")];
    let sent = browser.send(&page, &format!("{LAKE}/revert"), &fields).await;
    browser.page(sent.leads_to()).await;
    assert!(main.stat(&"bad".parse().unwrap()).await.unwrap().is_none());
    assert!(main.stat(&"good".parse().unwrap()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_tags_and_rules_come_and_go() {
    let sidecar = Sidecar::start().await;
    let commit = put(&branch(&sidecar, "main"), "a", "a").await;
    let (browser, lake) = (Visit::of(&sidecar).await, sidecar.onward.repo("lake"));
    for kind in ["branch", "tag"] {
        let action = format!("{LAKE}/{kind}/new");
        let page = browser.page(&format!("{action}?from={commit}")).await;
        let fields = [("name", "v1-x"), ("from", "main")];
        // A branch and a tag cannot have one name.
        let fields = if kind == "tag" { [("name", "v1.x"), ("from", "main")] } else { fields };
        browser.page(browser.send(&page, &action, &fields).await.leads_to()).await;
        let twice = browser.send(&page, &action, &fields).await;
        assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.text);
    }
    for (kind, name) in [("branch", "v1-x"), ("tag", "v1.x")] {
        let action = format!("{LAKE}/{kind}/delete");
        let page = browser.page(&format!("{action}?name={name}")).await;
        browser.page(browser.send(&page, &action, &[]).await.leads_to()).await;
    }
    assert_eq!((lake.branches().await.unwrap().len(), lake.tags().await.unwrap().len()), (1, 0));
    let page = browser.page(&format!("{LAKE}/branch/delete?name=main")).await;
    let kept = browser.send(&page, &format!("{LAKE}/branch/delete"), &[]).await;
    assert_eq!(kept.status, StatusCode::FORBIDDEN);
    let (rules, gone) = (format!("{LAKE}/rules"), format!("{LAKE}/rule/delete"));
    let page = browser.page(&rules).await;
    let fields = [("pattern", "main"), ("blocks", "stage"), ("blocks", "commit")];
    browser.page(browser.send(&page, &rules, &fields).await.leads_to()).await;
    let expected = Rule::new("main").only([Action::Stage, Action::Commit]);
    assert_eq!(lake.protection().await.unwrap(), [expected]);
    // A rule with a check is shown with it, and keeps it when another set of actions is blocked.
    let check = json!({"check": {"url": "https://checks.example.com/?token=secret"}});
    let rule = "/onward/v1/repositories/lake/protection/main";
    assert_eq!(sidecar.send("PUT", rule, check).await.0, StatusCode::OK);
    let fields = [("pattern", "main"), ("blocks", "delete")];
    let shown = browser.page(browser.send(&page, &rules, &fields).await.leads_to()).await;
    assert!(shown.text.contains("https://checks.example.com/…"), "{}", shown.text);
    assert!(!shown.text.contains("token=secret"), "{}", shown.text);
    let kept = lake.protection().await.unwrap().remove(0);
    assert!(kept.check.is_some() && kept.blocks == [Action::Delete].into(), "{kept:?}");
    let page = browser.page(&format!("{gone}?name=main")).await;
    browser.page(browser.send(&page, &gone, &[]).await.leads_to()).await;
    assert!(lake.protection().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_is_taken_back_when_that_was_confirmed() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    upload(&main, "a", b"a").await;
    let (browser, action) = (Visit::of(&sidecar).await, format!("{LAKE}/uncommitted/discard"));
    let page = browser.page(&format!("{action}?branch=main")).await;
    assert_eq!(main.status("", None, 10).await.unwrap().len(), 1);
    browser.page(browser.send(&page, &action, &[]).await.leads_to()).await;
    assert!(main.status("", None, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_is_not_committed_to_by_a_form() {
    let sidecar = Sidecar::start().await;
    upload(&branch(&sidecar, "main"), "a", b"a").await;
    let browser = Visit::of(&sidecar).await;
    let page = browser.page(&format!("{LAKE}/uncommitted?branch=main")).await;
    let before = commits(&sidecar, "main").await;
    sidecar.onward.repo("lake").protect(Rule::new("main")).await.unwrap();
    let action = format!("{LAKE}/uncommitted");
    let refused = browser.send(&page, &action, &[("message", "x"), ("metadata", "")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    assert_eq!(commits(&sidecar, "main").await, before);
    let page = browser.page(&format!("{LAKE}/uncommitted?branch=main")).await;
    assert!(page.text.contains("is protected"), "{}", page.text);
    assert!(!page.text.contains("Commit all that is staged"), "{}", page.text);
}

/// Every form, with the fields of one that would do something.
const FORMS: [(&str, &[(&str, &str)]); 10] = [
    ("uncommitted", &[("branch", "main"), ("op", OP), ("message", "x"), ("metadata", "")]),
    ("uncommitted/discard", &[("branch", "main"), ("seen", "x")]),
    (
        "merge",
        &[
            ("source", "side"),
            ("into", "main"),
            ("op", OP),
            ("strategy", "fail"),
            ("message", ""),
            ("metadata", ""),
        ],
    ),
    (
        "revert",
        &[("commit", "main~1"), ("branch", "main"), ("op", OP), ("message", ""), ("metadata", "")],
    ),
    ("branch/new", &[("name", "new"), ("from", "main")]),
    ("branch/delete", &[("name", "side"), ("seen", "x")]),
    ("tag/new", &[("name", "new.1"), ("from", "main")]),
    ("tag/delete", &[("name", "v1"), ("seen", "x")]),
    ("rules", &[("pattern", "side"), ("blocks", "stage")]),
    ("rule/delete", &[("name", "main")]),
];

const OP: &str = "00000000-0000-4000-8000-000000000001";

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// All that a form could change.
async fn state(sidecar: &Sidecar) -> String {
    let lake = sidecar.onward.repo("lake");
    let staged = branch(sidecar, "main").status("", None, 10).await.unwrap();
    format!(
        "{:?} {:?} {:?} {staged:?}",
        lake.branches().await.unwrap(),
        lake.tags().await.unwrap(),
        lake.protection().await.unwrap()
    )
}

async fn with_something_to_change() -> Sidecar {
    let sidecar = Sidecar::start().await;
    put(&fork(&sidecar, "side", "main").await, "side", "side").await;
    upload(&branch(&sidecar, "main"), "staged", b"x").await;
    let lake = sidecar.onward.repo("lake");
    lake.create_tag(&"v1".parse().unwrap(), &"main".parse().unwrap()).await.unwrap();
    lake.protect(Rule::new("main").only([Action::Reset])).await.unwrap();
    sidecar
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_is_offered_no_form_and_changes_nothing_by_sending_one() {
    let sidecar = with_something_to_change().await;
    let (reader, before) = (Visit::with_role(&sidecar, Role::Read).await, state(&sidecar).await);
    let pages = ["", "/tags", "/rules", "/uncommitted?branch=main", "/merge?source=side&into=main"];
    let mut token = Vec::new();
    for page in pages {
        let page = reader.page(&format!("{LAKE}{page}")).await;
        let others = page.text.replace("action=\"/ui/logout\"", "");
        assert!(!others.contains(&format!("method=\"post\" action=\"{LAKE}")), "{others}");
        token = page.hidden("/ui/logout");
    }
    let token = pairs(&token);
    for (form, fields) in FORMS {
        let sent = reader.post(&format!("{LAKE}/{form}"), &[&token[..], fields].concat()).await;
        assert_eq!(sent.status, StatusCode::FORBIDDEN, "{form}: {}", sent.text);
    }
    assert_eq!(state(&sidecar).await, before);
    // Rules are for administrators.
    let writer = Visit::with_role(&sidecar, Role::Write).await;
    let page = writer.page(&format!("{LAKE}/rules")).await;
    let token = page.hidden("/ui/logout");
    let token = pairs(&token);
    for (form, fields) in &FORMS[8..] {
        let sent = writer.post(&format!("{LAKE}/{form}"), &[&token[..], fields].concat()).await;
        assert_eq!(sent.status, StatusCode::FORBIDDEN, "{form}: {}", sent.text);
    }
    assert_eq!(state(&sidecar).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let sidecar = with_something_to_change().await;
    let (browser, before) = (Visit::of(&sidecar).await, state(&sidecar).await);
    for (form, fields) in FORMS {
        let sent = browser.post(&format!("{LAKE}/{form}"), fields).await;
        assert_eq!(sent.status, StatusCode::FORBIDDEN, "{form}: {}", sent.text);
    }
    assert_eq!(state(&sidecar).await, before);
    // With it, each of them changes something: none was refused for another reason.
    let page = browser.page(LAKE).await;
    let token = page.hidden("/ui/logout");
    let token = pairs(&token);
    for (n, (form, fields)) in FORMS.iter().enumerate() {
        let (op, action) = (format!("00000000-0000-4000-8000-{n:012}"), format!("{LAKE}/{form}"));
        let (name, of) = fields[0];
        let sent = match fields.contains(&("seen", "x")) {
            // What was seen is told by the page that asks.
            true => {
                let page = browser.page(&format!("{action}?{name}={of}")).await;
                browser.send(&page, &action, &[]).await
            }
            false => {
                let own = |value: &'static str| if value == OP { op.as_str() } else { value };
                let fields: Vec<(&str, &str)> =
                    fields.iter().map(|(name, value)| (*name, own(value))).collect();
                browser.post(&action, &[&token[..], &fields].concat()).await
            }
        };
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{form}: {}", sent.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_its_question_was_asked_is_neither_deleted_nor_taken_back() {
    let sidecar = with_something_to_change().await;
    let (browser, lake) = (Visit::of(&sidecar).await, sidecar.onward.repo("lake"));
    let (side, main) = (branch(&sidecar, "side"), branch(&sidecar, "main"));
    let asked = [
        ("branch/delete", "name=side"),
        ("tag/delete", "name=v1"),
        ("uncommitted/discard", "branch=main"),
    ];
    let mut pages = Vec::new();
    for (form, query) in asked {
        pages.push(browser.page(&format!("{LAKE}/{form}?{query}")).await);
    }
    put(&side, "late", "late").await;
    let tag = "v1".parse().unwrap();
    lake.delete_tag(&tag).await.unwrap();
    lake.create_tag(&tag, &"side".parse().unwrap()).await.unwrap();
    upload(&main, "late", b"late").await;
    let before = state(&sidecar).await;
    for ((form, _), page) in asked.iter().zip(&pages) {
        let sent = browser.send(page, &format!("{LAKE}/{form}"), &[]).await;
        assert_eq!(sent.status, StatusCode::CONFLICT, "{form}: {}", sent.text);
        assert!(sent.text.contains("nothing was done"), "{form}: {}", sent.text);
    }
    assert_eq!(state(&sidecar).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_waits_is_told_as_such_with_the_way_to_its_queue() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    let ghost =
        Ghost::haunt(&sidecar.deployment.redis, &keys(&sidecar.deployment.objects, "main").await);
    let change = main.change().put("a", onward::Entry::new("mem://a", 1, "a"));
    let handle = change.submit().await.unwrap();
    let browser = Visit::of(&sidecar).await;
    let link = format!("{LAKE}/outcome?branch=main&op={}", handle.op_id());
    let page = browser.page(&link).await;
    assert!(page.text.contains("<h1>Still queued</h1>"), "{}", page.text);
    assert!(page.links().contains(&format!("{LAKE}/branches/main/queue")), "{}", page.text);
    drop(ghost);
    let mut handle = handle;
    handle.wait(crate::support::until::PATIENCE).await.unwrap();
    let page = browser.page(&link).await;
    assert!(page.text.contains("<h1>Committed</h1>"), "{}", page.text);
}
