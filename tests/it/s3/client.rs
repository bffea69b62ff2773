//! A client that others wrote: the one of the object stores that Onward itself stands on.

use onward::internals::objects::{Checksum, Created, Objects};

use super::Gateway;

#[tokio::test]
async fn another_programs_client_writes_lists_and_reads() {
    onward::internals::encryption::ready();
    let s3 = Gateway::start().await;
    let settings = [
        ("aws_endpoint", s3.url.clone()),
        ("aws_access_key_id", s3.key.0.clone()),
        ("aws_secret_access_key", s3.key.1.clone()),
        ("aws_region", "eu-central-1".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let store = Objects::open_with("s3://lake/main/store", &settings).unwrap();
    store.put("a/1", "one".into()).await.unwrap();
    assert_eq!(store.create("a/2", "two".into()).await.unwrap(), Created::Written);
    let Created::Found(there) = store.create("a/2", "other".into()).await.unwrap() else {
        panic!("it was created twice");
    };
    assert_eq!(there, "two");
    assert_eq!(store.get("a/1").await.unwrap().unwrap(), "one");
    assert_eq!(store.get("a/none").await.unwrap(), None);
    let listed = store.list_sorted("a", None, 10).await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|found| found.key.as_str()).collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    assert_eq!(store.list_dirs("").await.unwrap(), ["a"]);
    // In parts of 16 MiB.
    let large = vec![7; 33 << 20];
    let uploaded = store.upload("large", large.as_slice(), Checksum::Md5).await.unwrap();
    assert_eq!(uploaded.size, 33 << 20);
    let span = store.stream_range("large", 20 << 20..(20 << 20) + 5).await.unwrap().unwrap();
    assert_eq!(span.size, 33 << 20);
    store.delete_many(&["a/1".to_owned(), "large".to_owned()]).await.unwrap();
    assert_eq!(store.get("a/1").await.unwrap(), None);
    assert!(s3.stat("main", "store/a/2").await.is_some());
}
