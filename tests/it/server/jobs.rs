//! What a job over HTTP relies on: an op that is not decided yet is named in a field and by an address, one
//! name for waiting, and what a machine is told of the sidecar.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{LAKE, MAIN};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::Deployment;
use crate::support::sidecar::{Sidecar, told};
use crate::support::until::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn an_op_that_is_not_decided_yet_is_found_by_its_field_and_by_its_address() {
    let (deployment, _) = Deployment::lake().await;
    let impatient = |config: &mut onward::Config| config.timeout = Duration::from_millis(300);
    let onward = deployment.connect_as(impatient).await;
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    let branch = keys(&sidecar.deployment.objects, "main").await;
    let ghost = Ghost::haunt(&sidecar.deployment.redis, &branch);
    let (changes, commits) = (format!("{MAIN}/changes"), format!("{LAKE}/branches/main/commits"));
    let mut tickets = Vec::new();
    for (url, status) in [
        (format!("{changes}?wait=false"), StatusCode::ACCEPTED),
        (format!("{changes}?timeout_ms=1"), StatusCode::ACCEPTED),
        (commits, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let body = json!({"message": "m", "allow_empty": true});
        let answer = sidecar.request("POST", &url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{url}");
        let location = answer.headers()["location"].to_str().unwrap();
        let ticket = answer.url().join(location).unwrap().path().to_owned();
        let said: Value = answer.json().await.unwrap();
        assert_eq!(ticket, format!("{MAIN}/tickets/{}", said["op_id"].as_str().unwrap()), "{url}");
        tickets.push(ticket);
    }
    drop(ghost);
    for (ticket, name) in tickets.iter().zip(["timeout_ms", "wait_ms", "timeout_ms"]) {
        let (status, decided) = sidecar.get(&format!("{ticket}?{name}=60000")).await;
        assert_eq!(
            (status, &decided["outcome"]),
            (StatusCode::OK, &json!("committed")),
            "{decided}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_the_sidecar_shows_people_and_programs_where_each_thing_is() {
    let sidecar = Sidecar::start().await;
    let (status, front) = told(sidecar.plain("GET", "/")).await;
    assert_eq!((status, &front["name"]), (StatusCode::OK, &json!("onward")), "{front}");
    for there in ["description", "docs", "ready", "metrics"] {
        let answer = sidecar.plain("GET", front[there].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{there}");
    }
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = sidecar.plain("GET", "/").header("Accept", browser).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.text().await.unwrap();
    for text in [front["version"].as_str().unwrap(), "href=\"/docs\"", "/api/v1", "Log in"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_which_program_runs_how_the_process_is_and_whether_it_can_serve() {
    let sidecar = Sidecar::start().await;
    let value = async |name: &str| {
        let text = sidecar.plain("GET", "/metrics").send().await.unwrap().text().await.unwrap();
        let line = text
            .lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        (line.to_owned(), line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
    };
    let (build, one) = value("onward_build_info").await;
    let version = sidecar.get("/").await.1["version"].as_str().unwrap().to_owned();
    assert!(build.contains(&format!("version=\"{version}\"")) && one == 1.0, "{build}");
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
    ] {
        assert!(value(name).await.1 > 0.0, "{name}");
    }
    assert!(value("process_cpu_seconds_total").await.1 >= 0.0);
    for name in ["onward_ready", "onward_redis_up", "onward_storage_up"] {
        assert_eq!(value(name).await.1, 1.0, "{name}");
    }
    sidecar.deployment.redis.pause();
    until_async("Redis is missed", async || value("onward_redis_up").await.1 == 0.0).await;
    assert_eq!((value("onward_ready").await.1, value("onward_storage_up").await.1), (0.0, 1.0));
    sidecar.deployment.redis.resume();
}
