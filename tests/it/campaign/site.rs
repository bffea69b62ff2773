//! One deployment of the campaign: real Redis servers with relays before them, a disk, and the file
//! that workers obey.

use std::path::{Path, PathBuf};
use std::process::Command;

use onward::internals::objects::Objects;
use onward::{Config, Onward, RefExpr};
use tempfile::TempDir;

use super::fault::Setting;
use super::writer::Orders;
use crate::support::branch::Snapshot;
use crate::support::clock::{ClockLibrary, ShiftedClock};
use crate::support::disk::SmallDisk;
use crate::support::redis::{Listen, RedisServer};
use crate::support::relay::Relay;
use crate::support::until::until;

/// Branches that are written to and merged into.
pub const BRANCHES: [&str; 2] = ["first", "second"];

/// A branch that is merged into the first.
pub const SIDE: &str = "side";

/// Room on the disk, MiB.
const DISK_MIB: usize = 256;

/// The servers, and what lies between them and the workers.
pub struct Site {
    pub setting: Setting,
    pub dir: TempDir,
    /// The one that is the primary, and another: a replica, or a second primary.
    pub redis: RedisServer,
    pub other: Option<RedisServer>,
    /// Before the primary: every other worker uses the second.
    pub relays: [Relay; 2],
    /// Between primary and replica.
    pub link: Option<Relay>,
    pub disk: Option<SmallDisk>,
    pub storage: String,
    pub snapshot: Option<Snapshot>,
    pub clock: Option<ShiftedClock>,
    _clocks: Option<ClockLibrary>,
}

impl Site {
    pub async fn new(setting: Setting) -> Self {
        let dir = tempfile::Builder::new().prefix("onward-campaign-").tempdir().unwrap();
        let disk = SmallDisk::mount(DISK_MIB);
        let lake = disk.as_ref().map_or_else(|| dir.path().to_owned(), |d| d.path().to_owned());
        let storage = format!("file://{}", lake.join("lake").display());
        let clocks = (setting == Setting::Clocks).then(ClockLibrary::build);
        let clock = clocks.as_ref().map(|library| library.clock("redis"));
        let keeping = ["--appendonly", "yes", "--appendfsync", "always"];
        let (redis, mut other) = match setting {
            Setting::Durable => (RedisServer::with(Listen::Socket, &keeping), None),
            Setting::Clocks => {
                let variables = clock.as_ref().unwrap().variables();
                (RedisServer::within(Listen::Socket, &keeping, &variables), None)
            }
            Setting::Forgetful => (RedisServer::forgetful(), Some(RedisServer::forgetful())),
            Setting::Replicated => {
                let args = ["--appendonly", "no", "--repl-diskless-sync-delay", "0"];
                let pair = || RedisServer::with(Listen::Port, &args);
                (pair(), Some(pair()))
            }
        };
        let relays = [Relay::start(&redis.url()).await, Relay::start(&redis.url()).await];
        let mut link = None;
        if let (Setting::Replicated, Some(replica)) = (setting, &mut other) {
            let relay = Relay::raw(&redis.url()).await;
            follow(replica, &relay);
            link = Some(relay);
        }
        let site = Self {
            setting,
            dir,
            redis,
            other,
            relays,
            link,
            disk,
            storage,
            snapshot: None,
            clock,
            _clocks: clocks,
        };
        site.command("");
        let onward = site.connect().await;
        let lake = onward.repo("lake");
        lake.create(&"main".parse().unwrap()).await.unwrap();
        for branch in BRANCHES.into_iter().chain([SIDE]) {
            lake.branch(branch).create(&RefExpr::plain("main")).await.unwrap();
        }
        onward.close().await;
        site
    }

    /// The store, past all faults.
    pub fn objects(&self) -> Objects {
        Objects::open(&self.storage).unwrap()
    }

    /// A client beside the workers, past all relays.
    pub async fn connect(&self) -> Onward {
        let config = Config::new(self.redis.url(), &self.storage).committer("campaign");
        Onward::with_objects(config, self.objects()).await.unwrap()
    }

    /// What the workers are told; see [`FaultyStore::obey`](crate::support::faulty_store).
    pub fn command(&self, words: &str) {
        // In one step: a worker may be reading.
        let new = self.dir.path().join("control.new");
        std::fs::write(&new, words).unwrap();
        std::fs::rename(new, self.control()).unwrap();
    }

    fn control(&self) -> PathBuf {
        self.dir.path().join("control")
    }

    /// What the worker in `slot` is to do.
    pub fn orders(&self, slot: usize, seed: u64, rest_ms: u64) -> Orders {
        Orders {
            redis: self.relays[slot % 2].url(),
            storage: self.storage.clone(),
            journal: PathBuf::new(),
            control: self.control(),
            slot: 0,
            life: 0,
            seed,
            rest_ms,
            ahead_ms: 0,
        }
    }

    /// Copies journals and objects to where reports go.
    pub fn keep(&self) {
        let Some(dir) = std::env::var_os("ONWARD_TEST_REPORT") else { return };
        let kept = Path::new(&dir).join(format!("findings-{}", self.setting.name()));
        let _ = std::fs::create_dir_all(&kept);
        let lake = self.storage.trim_start_matches("file://");
        for from in [Path::new(lake), self.dir.path()] {
            let _ = Command::new("cp").arg("-r").arg(from).arg(&kept).status();
        }
    }

    /// The replica becomes the primary, without asking the one that was. The old one is still there,
    /// as the other.
    pub fn promote(&mut self) {
        std::mem::swap(&mut self.redis, self.other.as_mut().unwrap());
        let _: String = self.redis.command(&["REPLICAOF", "NO", "ONE"]);
    }

    /// The other starts anew as a replica of the primary, and is in step when this returns.
    pub fn start_replica(&mut self) {
        let (link, replica) = (self.link.as_ref().unwrap(), self.other.as_mut().unwrap());
        replica.kill9();
        replica.wipe();
        link.lead_to(&self.redis.url());
        link.flow();
        replica.start();
        follow(replica, link);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Somebody waited in vain: the journals tell for what.
        if std::thread::panicking() {
            self.keep();
        }
    }
}

fn follow(replica: &RedisServer, link: &Relay) {
    let port = link.port().to_string();
    let _: String = replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    until("the replica is in step", || {
        let info: String = replica.command(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
}
