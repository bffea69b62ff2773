//! Namespaces: of every odd name, with properties, in pages.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{MAIN, at, catalog, create, new_table, refused};
use crate::support::sidecar::Sidecar;

const SPACES: &str = "/iceberg/v1/lake@main/namespaces";

/// A name as Python's clients put it into a URL.
fn quoted(name: &str) -> String {
    let bytes = name.bytes();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

async fn make(sidecar: &Sidecar, levels: &[&str]) {
    let (status, told) = sidecar.send("POST", SPACES, json!({"namespace": levels})).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_name_is_a_name_of_its_own() {
    let sidecar = Sidecar::start().await;
    let odd = ["a.b", "a b", "a/b", "ä", "a+b", "a%b", "...", ".namespace", "x.table", "A", "a"];
    for level in odd {
        make(&sidecar, &[level]).await;
        make(&sidecar, &[level, "b", level]).await;
    }
    let (_, listed) = sidecar.get(SPACES).await;
    let mut levels: Vec<&str> =
        listed["namespaces"].as_array().unwrap().iter().map(|n| n[0].as_str().unwrap()).collect();
    levels.sort_unstable();
    let mut expected = odd;
    expected.sort_unstable();
    assert_eq!(levels, expected);
    for level in odd {
        let three = format!("{}%1F{}%1F{}", quoted(level), quoted("b"), quoted(level));
        let (status, told) = sidecar.get(&format!("{SPACES}/{three}")).await;
        assert_eq!((status, &told["namespace"]), (StatusCode::OK, &json!([level, "b", level])));
        // As Iceberg's clients write a parameter: its levels are escaped, and then all of it.
        let parent = quoted(&format!("{}%1Fb", quoted(level)));
        let (_, inner) = sidecar.get(&format!("{SPACES}?parent={parent}")).await;
        assert_eq!(inner["namespaces"], json!([[level, "b", level]]));
        for table in odd {
            let tables = format!("{SPACES}/{}/tables", quoted(level));
            let (status, told) = sidecar.send("POST", &tables, new_table(table)).await;
            assert_eq!(status, StatusCode::OK, "{told}");
            let url = format!("{tables}/{}", quoted(table));
            let (status, told) = sidecar.get(&url).await;
            assert_eq!(status, StatusCode::OK, "{told}");
            // As Java's clients write a blank.
            let java = url.replace("%20", "+");
            let (_, again) = sidecar.get(&java).await;
            assert_eq!(again["metadata"]["table-uuid"], told["metadata"]["table-uuid"]);
        }
        let (_, listed) = sidecar.get(&format!("{SPACES}/{}/tables", quoted(level))).await;
        assert_eq!(listed["identifiers"].as_array().unwrap().len(), odd.len());
        assert!(
            listed["identifiers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|t| t["namespace"] == json!([level]))
        );
    }
    let bad = [
        json!([]),
        json!([""]),
        json!(["a", ""]),
        json!(["a\u{1f}b"]),
        json!(["x".repeat(1100)]),
        json!("a"),
        json!([1]),
    ];
    for levels in bad {
        let told = sidecar.send("POST", SPACES, json!({"namespace": levels})).await;
        refused(&told, 400, "BadRequestException");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_are_set_taken_away_and_told() {
    let sidecar = Sidecar::start().await;
    let new = json!({"namespace": ["a"], "properties": {"owner": "x", "iceberg": "mine"}});
    let (status, made) = sidecar.send("POST", SPACES, new.clone()).await;
    assert_eq!((status, &made), (StatusCode::OK, &new));
    refused(&sidecar.send("POST", SPACES, new).await, 409, "AlreadyExistsException");
    let url = format!("{SPACES}/a/properties");
    let change = json!({"removals": ["owner", "none"], "updates": {"k": "v"}});
    let (status, told) = sidecar.send("POST", &url, change).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told, json!({"updated": ["k"], "removed": ["owner"], "missing": ["none"]}));
    let (_, told) = sidecar.get(&format!("{SPACES}/a")).await;
    assert_eq!(told["properties"], json!({"k": "v", "iceberg": "mine"}));
    let both = json!({"removals": ["k"], "updates": {"k": "w"}});
    refused(&sidecar.send("POST", &url, both).await, 422, "UnprocessableEntityException");
    let large = json!({"updates": {"k": "v".repeat(7000)}});
    refused(&sidecar.send("POST", &url, large).await, 400, "BadRequestException");
    // Nobody's change is lost among many.
    let set = |n: usize| {
        let sidecar = &sidecar;
        let url = &url;
        async move {
            let (status, told) =
                sidecar.send("POST", url, json!({"updates": {format!("n{n}"): "x"}})).await;
            assert_eq!(status, StatusCode::OK, "{told}");
        }
    };
    futures::future::join_all((0..8).map(set)).await;
    let (_, told) = sidecar.get(&format!("{SPACES}/a")).await;
    assert_eq!(told["properties"].as_object().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_there_until_it_is_empty_and_dropped() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    make(&sidecar, &["a", "inner"]).await;
    let a = format!("{SPACES}/a");
    let head = |url: String| {
        let request = sidecar.request("HEAD", &url);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(head(a.clone()).await, 204);
    for below in ["inner", "t"] {
        refused(&sidecar.send("DELETE", &a, json!({})).await, 409, "NamespaceNotEmptyException");
        let (status, _) = match below {
            "t" => sidecar.send("DELETE", &at("t"), json!({})).await,
            inner => sidecar.send("DELETE", &format!("{SPACES}/a%1F{inner}"), json!({})).await,
        };
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    assert_eq!(sidecar.send("DELETE", &a, json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(head(a.clone()).await, 404);
    for told in [
        sidecar.get(&a).await,
        sidecar.send("DELETE", &a, json!({})).await,
        sidecar.get(&format!("{a}/tables")).await,
        sidecar.get(&format!("{a}/views")).await,
        sidecar.get(&format!("{SPACES}?parent=a")).await,
        sidecar.send("POST", &format!("{a}/tables"), new_table("t")).await,
        sidecar.send("POST", &format!("{a}/properties"), json!({})).await,
    ] {
        refused(&told, 404, "NoSuchNamespaceException");
    }
    refused(&sidecar.get(&at("t")).await, 404, "NoSuchTableException");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_in_pages_that_have_each_of_them_once() {
    let sidecar = catalog().await;
    for n in 0..5 {
        create(&sidecar, &format!("t{n}")).await;
        make(&sidecar, &["a", &format!("n{n}")]).await;
    }
    for (url, key, all) in [
        (format!("{SPACES}/a/tables?"), "identifiers", 5),
        (format!("{SPACES}?parent=a&"), "namespaces", 5),
    ] {
        let (mut token, mut seen) = (Some(String::new()), Vec::new());
        while let Some(page) = token {
            let (status, told) = sidecar.get(&format!("{url}pageSize=2&pageToken={page}")).await;
            assert_eq!(status, StatusCode::OK, "{told}");
            let items = told[key].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(Value::to_string));
            token = told["next-page-token"].as_str().map(str::to_owned);
            assert!(seen.len() <= all);
        }
        assert_eq!(seen.len(), all);
        let (_, told) = sidecar.get(&format!("{url}pageSize=2")).await;
        assert_eq!(told[key].as_array().unwrap().len(), all, "without a token: all");
        for bad in ["pageToken=%25", "pageToken=&pageSize=0", "pageSize=x"] {
            refused(&sidecar.get(&format!("{url}{bad}")).await, 400, "BadRequestException");
        }
    }
    let (status, views) = sidecar.get(&format!("{MAIN}/namespaces/a/views")).await;
    assert_eq!((status, views), (StatusCode::OK, json!({"identifiers": []})));
    let view = format!("{MAIN}/namespaces/a/views/v");
    refused(&sidecar.get(&view).await, 404, "NoSuchViewException");
    let refusal = sidecar.send("POST", &format!("{MAIN}/namespaces/a/views"), json!({})).await;
    refused(&refusal, 406, "UnsupportedOperationException");
}
