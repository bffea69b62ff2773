//! A sidecar in a process of its own, for as long as it is measured.

use onward::{Error, Result};
use onward_server::{Server, ServerConfig};
use serde::{Deserialize, Serialize};

use super::processes::{Place, Running, Start, Work};
use super::run::Bench;
use super::server::{peak_memory, processor_ms};

/// Serving the deployment: ready with its address, then so often with a [`Look`] at it, until it is told to go on
/// once more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Serving {
    /// How often it is looked at.
    pub looks: u32,
}

/// What a sidecar has used so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Look {
    /// The most memory that it has ever had, in bytes.
    pub memory_peak: u64,
    /// Bytes that it has written to the storage.
    pub bytes_written: u64,
    /// Time on a processor, in ms.
    pub processor_ms: u64,
}

impl Work for Serving {
    const NAME: &'static str = "serve";
    type Found = ();

    async fn run(self, place: Place<'_>, start: Start) -> Result<()> {
        let config = ServerConfig::new("127.0.0.1:0".parse()?);
        let server = Server::bind(place.onward.clone(), config).await?;
        let (url, stopper) = (server.url(), server.stopper());
        let serving = tokio::spawn(server.serve());
        start.given(&url).await?;
        for _ in 0..self.looks {
            let look = Look {
                memory_peak: peak_memory().unwrap_or_default(),
                bytes_written: place.onward.coordinator().objects().counters().bytes_written,
                processor_ms: processor_ms().unwrap_or_default(),
            };
            let untold = |error| Error::internal("a look cannot be told").with_source(error);
            Start::Told.given(&serde_json::to_string(&look).map_err(untold)?).await?;
        }
        stopper.cancel();
        let ended = |error| Error::internal("the sidecar ended early").with_source(error);
        serving.await.map(drop).map_err(ended)
    }
}

/// Sidecars that serve one deployment.
pub struct Sidecars {
    running: Vec<Running>,
    /// Where each is reached.
    pub urls: Vec<String>,
}

impl Sidecars {
    /// Starts so many, each to be looked at so often.
    pub async fn start(bench: &Bench<'_>, repo: &str, many: usize, looks: u32) -> Result<Self> {
        let (mut running, mut urls) = (Vec::new(), Vec::new());
        for _ in 0..many {
            running.push(Running::start(bench, repo, &Serving { looks })?);
        }
        for sidecar in &mut running {
            urls.push(sidecar.is_ready().await?);
        }
        Ok(Self { running, urls })
    }

    /// What all of them have used so far; of their memory, the most that one had.
    #[cfg(feature = "iceberg")]
    pub async fn look(&mut self) -> Result<Look> {
        let mut all = Look::default();
        for sidecar in &mut self.running {
            sidecar.go().await?;
            let untold = |error| Error::internal("a sidecar tells nothing").with_source(error);
            let look: Look = serde_json::from_str(&sidecar.is_ready().await?).map_err(untold)?;
            all.memory_peak = all.memory_peak.max(look.memory_peak);
            all.bytes_written += look.bytes_written;
            all.processor_ms += look.processor_ms;
        }
        Ok(all)
    }

    /// Ends them, when all looks were taken.
    pub async fn end(self) -> Result<()> {
        for mut sidecar in self.running {
            sidecar.go().await?;
            sidecar.found::<()>().await?;
        }
        Ok(())
    }
}
