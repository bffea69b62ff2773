//! Who may come in, by which door, and what he is told who may not.

use onward_server::auth::Role;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use super::{MAIN, at, catalog, create, new_table, refused, set};
use crate::support::sidecar::{ADMIN, Sidecar, told};

const TOKENS: &str = "/iceberg/v1/oauth/tokens";

fn form_of(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_key_is_a_login_by_form_by_basic_and_by_exchange() {
    let sidecar = catalog().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", ADMIN.0),
        ("client_secret", ADMIN.1),
        ("scope", "catalog"),
    ];
    let by_form = told(form_of(sidecar.plain("POST", TOKENS), &form)).await;
    let by_basic = told(form_of(sidecar.request("POST", TOKENS), &form[..1])).await;
    let token = by_form.1["access_token"].as_str().unwrap().to_owned();
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &token),
    ];
    let by_exchange =
        told(form_of(sidecar.plain("POST", TOKENS).bearer_auth(&token), &exchange)).await;
    for (status, given) in [by_form, by_basic, by_exchange] {
        assert_eq!(status, StatusCode::OK, "{given}");
        assert_eq!(given["token_type"], "bearer");
        assert!(given["expires_in"].as_i64().unwrap() > 60);
        let token = given["access_token"].as_str().unwrap();
        let url = format!("{MAIN}/namespaces");
        let (status, _) = told(sidecar.plain("GET", &url).bearer_auth(token)).await;
        assert_eq!(status, StatusCode::OK);
    }
    for (form, status, error) in [
        (
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", ADMIN.0),
                ("client_secret", "wrong"),
            ],
            401,
            "invalid_client",
        ),
        (vec![("grant_type", "client_credentials")], 401, "invalid_client"),
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![], 400, "unsupported_grant_type"),
        (vec![exchange[0], ("subject_token", "x")], 401, "invalid_client"),
    ] {
        let (at, said) = told(form_of(sidecar.plain("POST", TOKENS), &form)).await;
        assert_eq!((at.as_u16(), said["error"].as_str().unwrap()), (status, error), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_the_role_is_told_so_in_the_words_of_the_specification() {
    let sidecar = catalog().await;
    create(&sidecar, "t").await;
    let (id, secret) = sidecar.key(Role::Read).await;
    let ask = |method: &str, url: &str, body| {
        let request = sidecar.plain(method, url).basic_auth(&id, Some(&secret));
        told(request.json(&body))
    };
    assert_eq!(ask("GET", &at("t"), json!({})).await.0, StatusCode::OK);
    let report =
        ask("POST", &format!("{}/metrics", at("t")), json!({"report-type": "scan-report"}));
    assert_eq!(report.await.0, StatusCode::NO_CONTENT, "a report is no change");
    let spaces = format!("{MAIN}/namespaces");
    for (method, url, body) in [
        ("POST", spaces.clone(), json!({"namespace": ["b"]})),
        ("DELETE", format!("{spaces}/a"), json!({})),
        ("POST", format!("{spaces}/a/properties"), json!({})),
        ("POST", format!("{spaces}/a/tables"), new_table("u")),
        ("POST", at("t"), set("k", "v")),
        ("DELETE", at("t"), json!({})),
        ("POST", format!("{spaces}/a/register"), json!({})),
        ("POST", format!("{MAIN}/tables/rename"), json!({})),
        ("POST", format!("{MAIN}/transactions/commit"), json!({})),
    ] {
        refused(&ask(method, &url, body).await, 403, "ForbiddenException");
    }
    let nobody = told(sidecar.plain("GET", &at("t"))).await;
    refused(&nobody, 401, "NotAuthorizedException");
    let wrong = told(sidecar.plain("GET", &at("t")).bearer_auth("x")).await;
    refused(&wrong, 401, "NotAuthorizedException");
    assert_eq!(super::load(&sidecar, "t").await["properties"]["k"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_where_the_catalog_of_a_warehouse_is() {
    let sidecar = Sidecar::start().await;
    for (warehouse, prefix) in
        [("lake", "lake@main"), ("lake@main", "lake@main"), ("lake@main~1", "lake@main~")]
    {
        let url = format!("/iceberg/v1/config?warehouse={warehouse}");
        let (status, told) = sidecar.get(&url).await;
        if warehouse.ends_with("~1") {
            refused(&(status, told), 404, "NoSuchWarehouseException");
            continue;
        }
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(told["overrides"]["prefix"], prefix);
        assert_eq!(told["idempotency-key-lifetime"], "PT30M");
        // What is listed is there: none of them is answered as a path that nobody knows.
        for endpoint in told["endpoints"].as_array().unwrap() {
            let (method, path) = endpoint.as_str().unwrap().split_once(' ').unwrap();
            let path = path.replace("{prefix}", "lake@main").replace(['{', '}'], "");
            let (status, told) = told_of(&sidecar, method, &format!("/iceberg{path}")).await;
            let name = told["error"]["type"].as_str().unwrap_or_default().to_owned();
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{endpoint}");
            assert_ne!(name, "NotFoundException", "{endpoint}: {status} {told}");
        }
    }
    for (warehouse, status, name) in [
        ("", 400, "BadRequestException"),
        ("?warehouse=", 400, "BadRequestException"),
        ("?warehouse=pond", 404, "NoSuchWarehouseException"),
        ("?warehouse=lake@none", 404, "NoSuchWarehouseException"),
        ("?warehouse=lake@main@", 400, "BadRequestException"),
        ("?warehouse=LAKE", 400, "BadRequestException"),
    ] {
        let told = sidecar.get(&format!("/iceberg/v1/config{warehouse}")).await;
        refused(&told, status, name);
    }
    refused(&sidecar.get("/iceberg/v1/nothing/here").await, 404, "NotFoundException");
    let wrong = sidecar.send("DELETE", "/iceberg/v1/config", json!({})).await;
    refused(&wrong, 405, "UnsupportedOperationException");
}

async fn told_of(sidecar: &Sidecar, method: &str, path: &str) -> super::Told {
    sidecar.send(method, path, json!({})).await
}
