//! Addresses that the storage signs, so that bytes travel past the sidecar.

use onward::internals::objects::Objects;
use reqwest::StatusCode;
use serde_json::json;

use super::LAKE;
use crate::support::lake::Deployment;
use crate::support::redis::RedisServer;
use crate::support::s3::S3Server;
use crate::support::sidecar::{Sidecar, told};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_to_the_storage_and_come_from_it_by_signed_addresses() {
    let s3 = S3Server::start().await;
    let objects = Objects::open_with(&s3.url(), &s3.options()).unwrap();
    let deployment = Deployment { redis: RedisServer::new(), objects };
    let onward = deployment.connect().await;
    onward.repo("lake").create(&"main".parse().unwrap()).await.unwrap();
    let sidecar = Sidecar::over(deployment, onward, |_| {}).await;
    let (_, config) = sidecar.get("/api/v1/config").await;
    assert_eq!(config["storage_config"]["pre_sign_support"], true);
    assert_eq!(config["storage_config"]["blockstore_type"], "s3");
    let backing = format!("{LAKE}/branches/main/staging/backing?path=a&presign=True");
    let (status, place) = sidecar.get(&backing).await;
    assert_eq!(status, StatusCode::OK, "{place}");
    let address = place["physical_address"].as_str().unwrap();
    assert!(address.starts_with(&format!("{}/lake/data/", s3.url())), "{address}");
    // Nobody but who has the address: no login goes with it.
    let elsewhere = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let elsewhere = elsewhere.build().unwrap();
    let url = place["presigned_url"].as_str().unwrap();
    assert_eq!(told(elsewhere.put(url).body("hello")).await.0, StatusCode::OK);
    let link = |size: u64| json!({"staging": place, "checksum": "\"etag\"", "size_bytes": size});
    // What was uploaded is five bytes long.
    assert_eq!(sidecar.send("PUT", &backing, link(6)).await.0, StatusCode::BAD_REQUEST);
    let (status, linked) = sidecar.send("PUT", &backing, link(5)).await;
    assert_eq!((status, &linked["checksum"]), (StatusCode::OK, &json!("etag")), "{linked}");
    let read = format!("{LAKE}/refs/main/objects");
    assert_eq!(sidecar.get(&format!("{read}?path=a")).await.1, "hello");
    let (_, stat) = sidecar.get(&format!("{read}/stat?path=a&presign=true")).await;
    assert!(stat["physical_address_expiry"].as_i64().unwrap() > 1_795_000_000);
    let signed = stat["physical_address"].as_str().unwrap();
    assert_eq!(told(elsewhere.get(signed)).await, (StatusCode::OK, json!("hello")));
    let url = format!("{}{read}?path=a&presign=true", sidecar.url);
    let login = crate::support::sidecar::ADMIN;
    let told = elsewhere.get(url).basic_auth(login.0, Some(login.1)).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::FOUND);
    assert!(told.headers()["location"].to_str().unwrap().starts_with("http://127.0.0.1:"));
}
