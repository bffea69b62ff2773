//! What the rows are, and that they are of one moment.

use futures::TryStreamExt;
use onward::history::LogRequest;
use onward::{ErrorKind, ObjectPath, RefExpr, Strategy};
use onward_export::{
    CHANGES, COMMITS, CommitsRequest, Format, Kind, OBJECTS, Table, changes, commits, objects,
};
use serde_json::{Value, json};

use super::{lines, put};
use crate::support::lake::{Deployment, entry};
use crate::support::root::root;

async fn rows(table: Table) -> Vec<Value> {
    let pieces: Vec<_> = table.encoded(Format::JsonLines).unwrap().try_collect().await.unwrap();
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
    let rows = lines(&bytes);
    assert_eq!(pieces.iter().map(|piece| piece.rows).sum::<u64>(), rows.len() as u64);
    rows
}

fn column<'a>(rows: &'a [Value], name: &str) -> Vec<&'a Value> {
    rows.iter().map(|row| &row[name]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_has_what_a_commit_or_a_branch_shows() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    put(&onward, "main", &["a", "b/1", "b/2"], 7).await;
    let mut linked = entry(9);
    linked.metadata.insert("k".into(), "v".into());
    (linked.mtime, linked.content_type) = (1_795_000_000, Some("text/csv".into()));
    lake.branch("main").stage_put("b/3".parse().unwrap(), linked, None).await.unwrap();
    let listed = async |reference: &str, prefix: &str| {
        rows(objects(&lake, &reference.parse().unwrap(), prefix).await.unwrap()).await
    };
    assert_eq!(column(&listed("main", "").await, "path"), ["a", "b/1", "b/2", "b/3"]);
    assert_eq!(column(&listed("main@", "").await, "path"), ["a", "b/1", "b/2"]);
    assert_eq!(column(&listed("main~1", "").await, "path"), [] as [&str; 0]);
    let below = listed("main", "b/").await;
    assert_eq!(column(&below, "path"), ["b/1", "b/2", "b/3"]);
    assert_eq!(
        below[2],
        json!({
            "path": "b/3", "size": 9, "checksum": "checksum-9", "mtime": "2026-11-18T11:06:40Z",
            "content_type": "text/csv", "address": "mem://data/9", "metadata": {"k": "v"},
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_of_one_moment_however_the_branch_goes_on() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let paths: Vec<String> = (0..3000).map(|n| format!("p{n:04}")).collect();
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    put(&onward, "main", &names, 1).await;
    for reference in ["main", "main@"] {
        let table = objects(&lake, &reference.parse().unwrap(), "").await.unwrap();
        let mut pieces = table.encoded(Format::JsonLines).unwrap();
        let mut bytes = pieces.try_next().await.unwrap().unwrap().bytes.to_vec();
        assert!(lines(&bytes).len() < 1000, "it has read a page and not all of them");
        let mut change = lake.branch("main").change().put("zz", entry(2));
        for path in paths.iter().skip(1) {
            change = change.delete(path.as_str());
        }
        change.commit().await.unwrap();
        while let Some(piece) = pieces.try_next().await.unwrap() {
            bytes.extend_from_slice(&piece.bytes);
        }
        assert_eq!(column(&lines(&bytes), "path"), names, "{reference}");
        put(&onward, "main", &names, 1).await;
        lake.branch("main").change().delete("zz").commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_not_of_two_branches_of_one_name() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    let paths: Vec<String> = (0..3000).map(|n| format!("p{n:04}")).collect();
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    put(&onward, "main", &names, 1).await;
    let (dev, staged) = (lake.branch("dev"), "staged".parse::<ObjectPath>().unwrap());
    for again in [false, true] {
        dev.create(&RefExpr::plain("main")).await.unwrap();
        dev.stage_put(staged.clone(), entry(2), None).await.unwrap();
        let table = objects(&lake, &RefExpr::plain("dev"), "").await.unwrap();
        let mut pieces = table.encoded(Format::JsonLines).unwrap();
        pieces.try_next().await.unwrap().unwrap();
        dev.delete().await.unwrap();
        if again {
            dev.create(&RefExpr::plain("main")).await.unwrap();
            dev.stage_put(staged.clone(), entry(3), None).await.unwrap();
        }
        let rest: Result<Vec<_>, _> = pieces.try_collect().await;
        let kind = if again { ErrorKind::Conflict } else { ErrorKind::NotFound };
        assert_eq!(rest.unwrap_err().kind(), kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_has_every_commit_and_counts_what_it_changed_where_that_is_asked_for() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    put(&onward, "main", &["a", "b"], 1).await;
    put(&onward, "main", &["b", "c"], 2).await;
    lake.branch("main").change().delete("a").meta("k", "v").commit().await.unwrap();
    let main = RefExpr::plain("main");
    let told = async |counts: bool, limit: Option<usize>| {
        let request = CommitsRequest { log: LogRequest::default(), counts };
        rows(commits(&lake, &main, &request).await.unwrap().limited(limit)).await
    };
    let counted = told(true, None).await;
    let counts: Vec<Value> =
        counted.iter().map(|row| json!([row["added"], row["removed"], row["changed"]])).collect();
    assert_eq!(counts, [json!([0, 1, 0]), json!([1, 0, 1]), json!([2, 0, 0]), json!([0, 0, 0])]);
    assert_eq!(counted[0]["metadata"], json!({"k": "v"}));
    assert_eq!(counted[0]["parents"], json!([counted[1]["commit"]]));
    assert_eq!(counted[3]["parents"], json!([]));
    let info = lake.show_commit(&main).await.unwrap();
    assert_eq!(counted[0]["commit"], info.id.to_string());
    assert_eq!(counted[0]["ticket"], info.ticket().0);
    assert_eq!(counted[0]["op_id"], info.commit.op_id.to_string());
    let first_two = told(false, Some(2)).await;
    assert_eq!(column(&first_two, "added"), [&Value::Null, &Value::Null]);
    assert_eq!(column(&first_two, "message"), column(&counted[..2], "message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_has_both_sides_and_what_would_be_in_conflict() {
    let (_deployment, onward) = Deployment::lake().await;
    let lake = onward.repo("lake");
    put(&onward, "main", &["both", "gone", "left", "same"], 1).await;
    let (main, dev) = (RefExpr::plain("main"), RefExpr::plain("dev"));
    lake.branch("dev").create(&main).await.unwrap();
    put(&onward, "main", &["both", "left"], 2).await;
    put(&onward, "dev", &["both", "new"], 3).await;
    lake.branch("dev").change().delete("gone").commit().await.unwrap();
    // What is staged is no part of a difference.
    lake.branch("dev").stage_put("staged".parse().unwrap(), entry(4), None).await.unwrap();
    let told = async |two_dot: bool| {
        let all = rows(changes(&lake, (&main, &dev), "", two_dot).await.unwrap()).await;
        let told = |row: &Value| {
            let sides = ["left", "right", "base"].map(|side| row[format!("{side}_size")].clone());
            json!([row["path"], row["type"], sides])
        };
        all.iter().map(told).collect::<Vec<_>>()
    };
    let merge = [
        json!(["both", "conflict", [2, 3, 1]]),
        json!(["gone", "removed", [1, null, 1]]),
        json!(["new", "added", [null, 3, null]]),
    ];
    assert_eq!(told(false).await, merge);
    let as_they_are = [
        json!(["both", "changed", [2, 3, null]]),
        json!(["gone", "removed", [1, null, null]]),
        json!(["left", "changed", [2, 1, null]]),
        json!(["new", "added", [null, 3, null]]),
    ];
    assert_eq!(told(true).await, as_they_are);
    let merged = lake.branch("main").merge(dev.clone()).strategy(Strategy::SourceWins).commit();
    merged.await.unwrap();
    assert_eq!(told(false).await, [] as [Value; 0]);
}

/// The columns that the page shows below a heading: names and types.
fn documented(page: &str, heading: &str) -> Vec<(String, String)> {
    let part = page.split(&format!("\n### {heading}\n")).nth(1).unwrap();
    let part = part.split("\n#").next().unwrap();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_end_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    })
    .collect()
}

#[test]
fn the_page_has_the_columns_that_there_are() {
    let page = std::fs::read_to_string(root().join("docs/export.md")).unwrap();
    for schema in [OBJECTS, COMMITS, CHANGES] {
        let columns = schema.columns.iter().map(|column| {
            let kind = match column.kind {
                Kind::Text => "text",
                Kind::Number => "integer",
                Kind::Moment => "timestamp",
                Kind::Texts => "list of text",
                Kind::Pairs => "map of text",
            };
            let is_optional = if column.is_optional { ", or null" } else { "" };
            (column.name.to_owned(), format!("{kind}{is_optional}"))
        });
        let heading = format!("{}, version {}", schema.name, schema.version);
        assert_eq!(documented(&page, &heading), columns.collect::<Vec<_>>(), "{heading}");
    }
}
