//! Parts of several sidecars in one table, and appends whose files are there.

use std::sync::Arc;

use onward::internals::commit::faults::Faults;
use onward_iceberg::catalog::{
    Asked, Catalog, Loaded, Mode, Namespace, Place, Result, Said, TableIdent,
};
use onward_iceberg::table::Append;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{at, catalog};
use crate::support::sidecar::Sidecar;

/// A sidecar's part in a table, and a client of it.
#[derive(Clone)]
pub struct Part {
    pub catalog: Catalog,
    pub place: Place,
    pub ident: TableIdent,
    pub location: Arc<str>,
}

impl Part {
    /// In `a.t`.
    pub async fn of(sidecar: &Sidecar, faults: Faults, metadata: &Value) -> Self {
        let catalog = Catalog::new(sidecar.deployment.connect_with(faults).await, None);
        Self::within(&catalog, "t", metadata).await
    }

    /// In `a.NAME`.
    pub async fn within(catalog: &Catalog, name: &str, metadata: &Value) -> Self {
        Self::on(catalog, "main", name, metadata).await
    }

    /// In `a.NAME` of a branch.
    pub async fn on(catalog: &Catalog, branch: &str, name: &str, metadata: &Value) -> Self {
        let place = catalog.place(&format!("lake@{branch}")).await.unwrap();
        let namespace = Namespace::new(vec!["a".to_owned()]).unwrap();
        let ident = TableIdent::new(namespace, name.to_owned()).unwrap();
        let location = metadata["location"].as_str().unwrap().into();
        Self { catalog: catalog.clone(), place, ident, location }
    }

    pub async fn commit(&self, body: &Value) -> Result<Arc<Loaded>> {
        self.commit_as(Mode::Usual, body).await
    }

    pub async fn commit_as(&self, mode: Mode, body: &Value) -> Result<Arc<Loaded>> {
        let said = Said::of("writer".to_owned(), None);
        let asked = Asked::read(body, &self.place, mode, "writer", said).unwrap();
        self.catalog.commit(&self.place, &self.ident, asked).await
    }

    /// Appends a row, by somebody who knows the table as it was with snapshot `parent`.
    pub async fn append(&self, sidecar: &Sidecar, id: i64, parent: i64) -> Result<Arc<Loaded>> {
        self.commit(&written(sidecar, &self.location, id, Some(parent)).await).await
    }
}

/// A commit that is on its way.
pub type Sent = JoinHandle<Result<Arc<Loaded>>>;

/// A client of a part sends a commit.
pub fn sends(part: &Part, body: &Value) -> Sent {
    let (part, body) = (part.clone(), body.clone());
    tokio::spawn(async move { part.commit(&body).await })
}

/// An append whose files are written.
pub async fn written(sidecar: &Sidecar, location: &str, id: i64, parent: Option<i64>) -> Value {
    // The rows that there are with it, where it lands as it was asked for: each snapshot has one, and its number.
    let total_rows = Some(parent.map_or(1, |parent| parent + 1));
    let parent = parent.map(|parent| (parent, 1));
    let append =
        Append { location, snapshot_id: id, parent, attempt: 0, rows: 1, total_rows, now_ms: 1 };
    let objects = &sidecar.deployment.objects;
    let manifest = append.manifest().unwrap();
    let list = append.list(manifest.len(), None).unwrap();
    let key = |location: &str| objects.key_of(location).unwrap().to_owned();
    objects.put(&key(&append.manifest_location()), manifest).await.unwrap();
    objects.put(&key(&append.list_location()), list).await.unwrap();
    append.commit("append")
}

/// A sidecar with a table `a.t` whose appends commute, with snapshot 1.
pub async fn table() -> (Sidecar, Value) {
    let sidecar = catalog().await;
    let made = commuting(&sidecar, "t").await;
    (sidecar, made)
}

/// A table whose appends commute, with snapshot 1.
pub async fn commuting(sidecar: &Sidecar, name: &str) -> Value {
    commuting_from(sidecar, name, 1).await
}

/// The same, with another snapshot for its first one.
pub async fn commuting_from(sidecar: &Sidecar, name: &str, first: i64) -> Value {
    let mut wanted = super::new_table(name);
    wanted["properties"] = json!({"onward.appends": "commute"});
    let url = format!("{}/namespaces/a/tables", super::MAIN);
    let (status, told) = sidecar.send("POST", &url, wanted).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let location = told["metadata"]["location"].as_str().unwrap();
    let first = written(sidecar, location, first, None).await;
    let (status, told) = sidecar.send("POST", &at(name), first).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told["metadata"].clone()
}

/// The rows of a table, as its newest snapshot has them.
pub fn rows(metadata: &Value) -> &str {
    let all = metadata["snapshots"].as_array().unwrap();
    all.last().unwrap()["summary"]["total-records"].as_str().unwrap()
}
