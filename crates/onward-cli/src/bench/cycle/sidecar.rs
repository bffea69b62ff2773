//! A sidecar in a process of its own, for as long as it is measured.

use onward::{Error, Result};
use onward_server::{Server, ServerConfig};
use serde::{Deserialize, Serialize};

use super::super::processes::{Place, Start, Work};

/// Serving the deployment: ready with its address, until it is told to go on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Serving {}

impl Work for Serving {
    const NAME: &'static str = "serve";
    type Found = ();

    async fn run(self, place: Place<'_>, start: Start) -> Result<()> {
        let config = ServerConfig::new("127.0.0.1:0".parse()?);
        let server = Server::bind(place.onward.clone(), config).await?;
        let (url, stopper) = (server.url(), server.stopper());
        let serving = tokio::spawn(server.serve());
        start.given(&url).await?;
        stopper.cancel();
        let ended = |error| Error::internal("the sidecar ended early").with_source(error);
        serving.await.map(drop).map_err(ended)
    }
}
