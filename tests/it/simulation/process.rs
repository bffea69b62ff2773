//! Processes: each a part of Onward with connections and a way to the store of its own, that can be
//! paused, and killed.
//!
//! A killed process goes on existing in the memory of the test, where nothing that it does has any
//! effect: its requests never leave, no reply reaches it. To the world that is the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use onward::internals::commit::faults::Faults;
use onward::internals::coord::LaneOptions;
use onward::internals::coord::Lanes;
use onward::internals::coord::connect::{Connector, Link};
use onward::internals::coord::submit::SubmitLimits;
use onward::internals::objects::Objects;
use onward::internals::objects::backend::ObjectStore;
use onward::{Config, Error, Onward};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};

use super::redis::{Server, serve};
use super::storage::Storage;
use super::watched::Watched;
use super::world::World;

/// Bytes under way in one direction of a connection, at most.
const WINDOW: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running,
    Paused,
    Dead,
}

/// One process. Clones are the same one.
#[derive(Clone)]
pub struct Process {
    name: Arc<str>,
    world: World,
    state: Watched<State>,
}

impl Process {
    pub fn new(world: &World, name: String) -> Self {
        Self { name: name.into(), world: world.clone(), state: Watched::new(State::Running) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Passes while the process runs, waits while it is paused, and never passes once it is dead.
    pub async fn gate(&self) {
        self.state.wait_for(|state| state == State::Running).await;
    }

    pub fn pause(&self) {
        self.change(State::Running, State::Paused);
    }

    pub fn go_on(&self) {
        self.change(State::Paused, State::Running);
    }

    pub fn kill(&self) {
        self.state.change(|state| *state = State::Dead);
    }

    pub fn is_dead(&self) -> bool {
        self.state.get() == State::Dead
    }

    fn change(&self, from: State, to: State) {
        self.state.change(|state| {
            if *state == from {
                *state = to;
            }
        });
    }

    /// Starts the process's part of Onward on `server` and `store`. Waits for the server to come up.
    pub async fn connect(&self, server: &Server, store: &Arc<dyn ObjectStore>) -> Onward {
        let connector = Arc::new(Simulated { process: self.clone(), server: server.clone() });
        let mut config = Config::new(connector.url(), "memory://").committer(self.name());
        config.timeout = Duration::from_secs(30);
        if server.is_sound() && self.world.one_in(3) {
            // Limits that others are far from, so that queues are full and areas have to make room.
            let (queue, sealed) = (2 + self.world.pick(4) as u64, 3 + self.world.pick(2) as u64);
            config.coordinator.queue.limits = SubmitLimits { queue, sealed };
        }
        let lanes = loop {
            match Lanes::with_connector(connector.clone(), config.lanes.clone()).await {
                Ok(lanes) => break lanes,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let store = Arc::new(Storage::new(Arc::clone(store), self.clone()));
        let objects = Objects::from_store(store, "memory://").hedged();
        Onward::assemble(config, lanes, objects, Faults::default())
    }
}

/// Connections in memory, to a simulated server.
struct Simulated {
    process: Process,
    server: Server,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulated({})", self.process.name())
    }
}

impl Simulated {
    async fn open(&self, patience: Duration) -> Result<Link, Error> {
        let (near, far) = tokio::io::duplex(WINDOW);
        tokio::spawn(serve(self.server.clone(), self.process.clone(), far));
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(patience))
            .set_connection_timeout(Some(LaneOptions::default().connect_timeout));
        let info = RedisConnectionInfo::default();
        let opening = MultiplexedConnection::new_with_config(&info, near, config);
        let opened = tokio::time::timeout(LaneOptions::default().connect_timeout, opening).await;
        match opened {
            Ok(Ok((connection, driver))) => {
                tokio::spawn(driver);
                Ok(connection.into())
            }
            Ok(Err(error)) => Err(Error::unavailable(format!("cannot connect: {error}"))),
            Err(_) => Err(Error::unavailable("cannot connect in time")),
        }
    }
}

impl Connector for Simulated {
    fn url(&self) -> String {
        "simulated://redis".into()
    }

    fn shared(&self) -> BoxFuture<'_, Result<Link, Error>> {
        self.open(LaneOptions::default().response_timeout).boxed()
    }

    fn blocking<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Link, Error>> {
        let patience =
            onward::internals::coord::options::BLOCK_MAX + LaneOptions::default().response_timeout;
        self.open(patience).boxed()
    }
}
