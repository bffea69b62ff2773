//! The S3 gateway of the sidecar, over real connections.

mod access;
mod call;
mod checked;
mod checksums;
#[cfg(feature = "aws")]
mod client;
mod conditions;
mod listing;
mod logs;
mod multipart;
mod objects;
mod paths;

use onward::{ObjectPath, RefExpr};
use onward_server::{S3Listen, Server, ServerConfig};

use crate::support::sidecar::{ADMIN, Sidecar};
use call::{Answer, Call};

fn listen() -> S3Listen {
    S3Listen { listen: "127.0.0.1:0".parse().unwrap(), domains: vec!["s3.test".to_owned()] }
}

/// A sidecar with a gateway, and a key to sign with.
pub struct Gateway {
    pub sidecar: Sidecar,
    pub key: (String, String),
    pub url: String,
}

impl Gateway {
    /// Over a deployment with a repository `lake` and its branch `main`.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with settings of its own.
    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let set = |config: &mut ServerConfig| {
            config.s3 = Some(listen());
            change(config);
        };
        let sidecar = Sidecar::with(set).await;
        let url = sidecar.s3_url.clone().unwrap();
        Self { sidecar, key: (ADMIN.0.to_owned(), ADMIN.1.to_owned()), url }
    }

    /// Stops the sidecar, and goes on with another one over the same deployment.
    pub async fn go_on_elsewhere(&mut self) {
        self.sidecar.stopper.cancel();
        let onward = self.sidecar.deployment.connect().await;
        let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap());
        config.admin = Some(self.key.clone());
        config.s3 = Some(listen());
        let server = Server::bind(onward, config).await.unwrap();
        self.url = server.s3_url().unwrap();
        tokio::spawn(server.serve());
    }

    /// A request of the key's.
    pub fn call(&self, method: &str, path: &str) -> Call {
        Call::new(&self.url, method, path, &self.key)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.call("PUT", path).body(body).send().await
    }

    /// What a path names at a ref, by the library.
    pub async fn stat(&self, reference: &str, path: &str) -> Option<onward::Entry> {
        let (reference, path): (RefExpr, ObjectPath) =
            (reference.parse().unwrap(), path.parse().unwrap());
        self.sidecar.onward.repo("lake").stat(&reference, &path).await.ok()
    }

    /// How many objects lie in a folder of the deployment's storage.
    pub async fn stored(&self, folder: &str) -> usize {
        let objects = &self.sidecar.deployment.objects;
        objects.list_sorted(folder, None, 1000).await.unwrap().len()
    }
}
