//! Being told to stop: Ctrl-C or SIGTERM once to end in good order, twice to end at once.

use onward::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Failure;
use super::out::Out;

/// Listens from its creation on, so that no signal is lost between two looks.
pub struct Signals {
    told: watch::Receiver<bool>,
}

impl Signals {
    /// Starts to listen. From the second signal on the process ends by itself, wherever it is.
    pub fn listen(out: Out) -> Result<Self> {
        let catch = |kind| {
            signal(kind)
                .map_err(|error| Error::internal("signals cannot be caught").with_source(error))
        };
        let mut interrupt = catch(SignalKind::interrupt())?;
        let mut terminate = catch(SignalKind::terminate())?;
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            tell.send_replace(true);
            either(&mut interrupt, &mut terminate).await;
            std::process::exit(Failure::Interrupted.tell(&out) as i32);
        });
        Ok(Self { told })
    }

    /// Waits for the first signal; returns at once when it came.
    pub async fn caught(&mut self) {
        // The sender ends with the process.
        let _ = self.told.wait_for(|told| *told).await;
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
