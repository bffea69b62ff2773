//! What the sidecar says of itself holds: every route is described, what is there to be typed works, and every
//! metric that a dashboard shows is measured and explained.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::MAIN;
use crate::support::root::root;
use crate::support::sidecar::{ADMIN, Sidecar};

fn put(n: usize) -> Value {
    json!({"put": {"path": format!("a/{n}"), "address": "s3://b/x", "checksum": "c", "size": 1}})
}

fn description() -> Value {
    serde_json::to_value(onward_server::api::description()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_description_has_to_type_works_as_it_stands() {
    let sidecar = Sidecar::start().await;
    let (id, secret) = ADMIN;
    let described = description().to_string();
    let samples = onward_server::api::samples_told();
    for (number, sample) in samples.iter().enumerate() {
        let text = serde_json::to_string(sample).unwrap();
        assert!(described.contains(text.trim_matches('"')), "nobody is shown {sample}");
        // The repository of the tests is there already.
        let line = sample.replace("\"lake\"", "\"other\"").replace("local://lake", "local://other");
        let line = if number == 0 { line } else { sample.clone() };
        let line = format!(
            "{} -w '\\n%{{http_code}}'",
            line.replace("http://127.0.0.1:8000", &sidecar.url)
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", line.as_str()]).env("ONWARD_ACCESS_KEY_ID", id);
        shell.env("ONWARD_SECRET_ACCESS_KEY", secret);
        let said = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let status = said.rsplit('\n').next().unwrap().to_owned();
        assert!(status.starts_with('2'), "{sample}: {said}");
    }
    // One for each operation of its own.
    assert_eq!(samples.len(), 22);
}

/// What is behind an opening bracket, up to the one that closes it.
fn within(text: &str) -> &str {
    let mut open = 1;
    let end = text.find(|letter| {
        open += i32::from(letter == '(') - i32::from(letter == ')');
        open == 0
    });
    &text[..end.unwrap()]
}

#[test]
fn every_route_of_the_lakefs_api_is_described() {
    let mut routes = BTreeSet::new();
    for file in fs::read_dir(root().join("crates/onward-server/src/lakefs")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for route in text.split(".route(").skip(1).map(within) {
            let (path, handlers) = route.split_once(',').unwrap();
            for method in ["get", "post", "put", "delete"] {
                let begins = |part: &str| part.trim().starts_with(&format!("{method}("));
                if begins(handlers) || handlers.contains(&format!(".{method}(")) {
                    routes.insert((path.trim().trim_matches('"').to_owned(), method.to_owned()));
                }
            }
        }
    }
    assert!(routes.len() > 60, "{routes:?}");
    let described = description();
    let mut told = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/api/v1") else { continue };
        // What answers GET answers HEAD.
        let methods = methods.as_object().unwrap().keys().filter(|method| *method != "head");
        told.extend(methods.map(|method| (path.to_owned(), method.clone())));
    }
    assert_eq!(told, routes);
    let undecided = &described["paths"]["/onward/v1/repositories/{repo}/branches/{branch}/changes"];
    assert!(undecided["post"]["responses"]["202"]["headers"]["Location"].is_object());
}

/// The metrics that a text names, histograms by their own name.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("onward_"));
    let own = |word: &str| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| word.strip_suffix(end))
            .unwrap_or(word)
            .to_owned()
    };
    words.map(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_a_dashboard_is_measured_and_every_measured_one_is_explained() {
    let sidecar = Sidecar::start().await;
    for number in 0..3 {
        let body = json!({"changes": [put(number)]});
        let (status, _) = sidecar.send("POST", &format!("{MAIN}/changes"), body).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let text = sidecar.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let helped: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .inspect(|(name, help)| assert!(!help.trim().is_empty(), "{name} says nothing"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in typed {
        assert!(helped.contains(name), "{name} has no HELP");
    }
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let measured = metrics(&text);
    let explained = metrics(&read("docs/operations.md"));
    let missing: Vec<_> = measured.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/operations.md does not explain {missing:?}");
    for shown in ["deploy/grafana/onward.json", "deploy/alerts.yml"] {
        let names = metrics(&read(shown));
        assert!(names.len() > 5, "{shown} shows {names:?}");
        let missing: Vec<_> = names.difference(&measured).collect();
        assert!(missing.is_empty(), "{shown} shows what is not measured: {missing:?}");
    }
}
