//! Redis as it is run where it must not fail: a primary and its replica under the eyes of
//! Sentinels, and a cluster of shards with replicas. Real processes on free ports, gone with their
//! values; what they logged is printed when a test fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::redis::{Listen, RedisServer, free_port, server_program};
use super::until::until;

/// The name under which Sentinels watch the primary.
pub const NAME: &str = "lake";

/// Lines of each log that are printed when a test fails.
const LOG_LINES: usize = 60;

fn print_logs<'a>(servers: impl Iterator<Item = (String, String)> + 'a) {
    if !std::thread::panicking() {
        return;
    }
    for (name, log) in servers {
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("--- log of {name}\n{}", tail.join("\n"));
    }
}

/// One line `name:value` of a server's INFO; empty when the server is down.
pub fn info(server: &RedisServer, name: &str) -> String {
    let text: String = server.try_command(&["INFO"]).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().to_owned()
}

/// Whether a server is a replica that has all that its primary had when it asked.
pub fn follows(server: &RedisServer) -> bool {
    info(server, "role") == "slave" && info(server, "master_link_status") == "up"
}

struct Sentinel {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Sentinel {
    fn start(primary: u16, quorum: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("onward-sentinel-").tempdir().unwrap();
        for _ in 0..10 {
            let port = free_port();
            // Sentinels log in as `watch` everywhere, so that a server can be hidden from them.
            let config = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor {NAME} 127.0.0.1 {primary} {quorum}\n\
                 sentinel auth-user {NAME} watch\nsentinel auth-pass {NAME} watch\n\
                 sentinel down-after-milliseconds {NAME} 1000\n\
                 sentinel failover-timeout {NAME} 3000\n",
                dir.path().display()
            );
            let path = dir.path().join("sentinel.conf");
            std::fs::write(&path, config).unwrap();
            let log = File::create(dir.path().join("sentinel.log")).unwrap();
            let mut child = Command::new(server_program())
                .arg(&path)
                .arg("--sentinel")
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut ended = false;
            until("a Sentinel answers", || {
                ended = child.try_wait().unwrap().is_some();
                ended || ask::<String>(port, &["PING"]).is_ok()
            });
            if !ended {
                return Self { dir, port, child };
            }
        }
        panic!("the Sentinel does not start");
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask<T: redis::FromRedisValue>(port: u16, words: &[&str]) -> redis::RedisResult<T> {
    let mut connection =
        redis::Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query(&mut connection)
}

/// A primary, its replica, and Sentinels.
pub struct Watched {
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

impl Watched {
    /// Two servers; each can become the primary.
    pub fn new(sentinels: usize) -> Self {
        // Replicas log in as `follow`, Sentinels as `watch`: a server can be cut off from either
        // while it goes on serving others. On a server, ports and roles are all that differ.
        let common = [
            ["--user", "watch", "on", "nopass", "~*", "&*", "+@all"].as_slice(),
            &["--user", "follow", "on", "nopass", "~*", "&*", "+@all"],
            &["--masteruser", "follow", "--masterauth", "any"],
            &["--repl-diskless-sync-delay", "0"],
        ];
        let primary = RedisServer::with(Listen::Port, &common.concat());
        let port = primary.port().to_string();
        let replica_of = ["--replicaof", "127.0.0.1", &port];
        let replica =
            RedisServer::with(Listen::Port, &[&common.concat()[..], &replica_of].concat());
        until("the replica follows", || follows(&replica));
        let sentinels: Vec<Sentinel> =
            (0..sentinels).map(|_| Sentinel::start(primary.port(), sentinels / 2 + 1)).collect();
        let watched = Self { servers: vec![primary, replica], sentinels };
        watched.settled();
        watched
    }

    pub fn url(&self) -> String {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis-sentinel://{}/{NAME}", sentinels.join(","))
    }

    /// Which server every Sentinel takes for the primary; `None` while they differ.
    pub fn primary(&self) -> Option<usize> {
        let mut named = self.sentinels.iter().map(|sentinel| {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            ask::<(String, u16)>(sentinel.port, &words).ok().map(|(_, port)| port)
        });
        let port = named.next()??;
        let agreed = named.all(|other| other == Some(port));
        self.servers.iter().position(|server| agreed && server.port() == port)
    }

    /// Asks the first Sentinel.
    pub fn ask_sentinel<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        ask(self.sentinels[0].port, words).unwrap()
    }

    /// Waits until another server than `old` is the primary, and says so itself.
    pub fn fails_over(&self, old: usize) -> usize {
        let mut new = old;
        until("another server is the primary", || {
            new = self.primary().unwrap_or(old);
            new != old && info(&self.servers[new], "role") == "master"
        });
        new
    }

    /// Waits until every server and Sentinel knows every other: one more failover can come.
    pub fn settled(&self) {
        until("all Sentinels know each other and a replica that follows", || {
            let Some(primary) = self.primary() else { return false };
            follows(&self.servers[1 - primary])
                && self.sentinels.iter().all(|sentinel| {
                    let words = ["SENTINEL", "MASTER", NAME];
                    let known: BTreeMap<String, String> =
                        ask(sentinel.port, &words).unwrap_or_default();
                    let replicas: Vec<BTreeMap<String, String>> =
                        ask(sentinel.port, &["SENTINEL", "REPLICAS", NAME]).unwrap_or_default();
                    let others = (self.sentinels.len() - 1).to_string();
                    known.get("num-other-sentinels") == Some(&others)
                        && known.get("flags").map(String::as_str) == Some("master")
                        && replicas.iter().any(|replica| {
                            replica.get("flags").map(String::as_str) == Some("slave")
                                && replica.get("master-link-status").map(String::as_str)
                                    == Some("ok")
                        })
                })
        });
    }

    /// Starts a server that had been killed, as the replica that it has become.
    pub fn comes_back(&mut self, server: usize, primary: usize) {
        self.servers[server].start();
        let port = self.servers[primary].port().to_string();
        let _: () = self.servers[server].command(&["REPLICAOF", "127.0.0.1", &port]);
        self.settled();
    }

    /// Cuts the replica off: it stays as it is, and is still fit to be promoted for some seconds.
    pub fn stop_replication(&self, primary: usize) {
        let _: () = self.servers[primary].command(&["ACL", "SETUSER", "follow", "off"]);
        let _: i64 = self.servers[primary].command(&["CLIENT", "KILL", "TYPE", "replica"]);
        let replica = &self.servers[1 - primary];
        until("the replica has lost its primary", || info(replica, "master_link_status") == "down");
    }

    /// Hides a server from Sentinels and replicas: for its clients all is as before.
    pub fn cut_off(&self, server: usize) {
        let server = &self.servers[server];
        let _: () = server.command(&["ACL", "SETUSER", "watch", "off"]);
        let _: () = server.command(&["ACL", "SETUSER", "follow", "off"]);
        // Who cannot log in is the default user, like the clients, who need none of these.
        let mut words = vec!["ACL", "SETUSER", "default"];
        words.extend(["-ping", "-replicaof", "-slaveof", "-multi", "-config"]);
        let _: () = server.command(&words);
        let _: i64 = server.command(&["CLIENT", "KILL", "USER", "watch"]);
        let _: i64 = server.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Ends [`cut_off`](Self::cut_off): the server is found, and made a replica.
    pub fn joined_again(&self, server: usize) {
        let server = &self.servers[server];
        let _: () = server.command(&["ACL", "SETUSER", "watch", "on"]);
        let _: () = server.command(&["ACL", "SETUSER", "follow", "on"]);
        let _: () = server.command(&["ACL", "SETUSER", "default", "+@all"]);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let servers = self.servers.iter().map(|server| (server.url(), server.log()));
        let sentinels = self.sentinels.iter().map(|sentinel| {
            let log = std::fs::read_to_string(sentinel.dir.path().join("sentinel.log"));
            (format!("Sentinel {}", sentinel.port), log.unwrap_or_default())
        });
        print_logs(servers.chain(sentinels));
    }
}

/// Shards with one replica each.
pub struct TestCluster {
    pub nodes: Vec<RedisServer>,
    ids: Vec<String>,
}

/// Slots of a cluster.
const SLOTS: usize = 16_384;

impl TestCluster {
    /// The first `shards` nodes begin as primaries, node `i + shards` as the replica of node `i`.
    pub fn new(shards: usize) -> Self {
        let args = [
            ["--cluster-node-timeout", "1000"],
            ["--cluster-replica-validity-factor", "0"],
            ["--repl-diskless-sync-delay", "0"],
        ];
        let nodes: Vec<RedisServer> =
            (0..shards * 2).map(|_| RedisServer::with(Listen::Cluster, &args.concat())).collect();
        let ids = nodes.iter().map(|node| node.command(&["CLUSTER", "MYID"])).collect();
        let cluster = Self { nodes, ids };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            let _: () = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            let (port, bus) = (node.port().to_string(), node.bus_port().to_string());
            let _: () = cluster.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for (shard, node) in cluster.nodes[..shards].iter().enumerate() {
            let first = (shard * SLOTS / shards).to_string();
            let last = ((shard + 1) * SLOTS / shards - 1).to_string();
            let _: () = node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for (shard, replica) in cluster.nodes[shards..].iter().enumerate() {
            until("a replica knows its primary", || {
                let words = ["CLUSTER", "REPLICATE", &cluster.ids[shard]];
                replica.try_command::<()>(&words).is_ok()
            });
        }
        cluster.settled();
        cluster
    }

    /// The name by which nodes know a node.
    pub fn id(&self, node: usize) -> String {
        self.ids[node].clone()
    }

    /// Two nodes are enough to find the others.
    pub fn url(&self) -> String {
        let ports = [self.nodes[0].port(), self.nodes[self.nodes.len() - 1].port()];
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", ports[0], ports[1])
    }

    /// Waits until every node that runs sees the cluster as whole, and every replica follows.
    pub fn settled(&self) {
        until("the cluster is whole", || {
            self.nodes.iter().all(|node| {
                let state: String = node.try_command(&["CLUSTER", "INFO"]).unwrap_or_default();
                let nodes = self.nodes_of(node);
                state.contains("cluster_state:ok")
                    && nodes.len() == self.nodes.len()
                    && nodes.iter().all(|line| !line.contains("fail"))
                    && (info(node, "role") == "master" || follows(node))
            })
        });
    }

    fn nodes_of(&self, node: &RedisServer) -> Vec<String> {
        let nodes: String = node.try_command(&["CLUSTER", "NODES"]).unwrap_or_default();
        nodes.lines().map(str::to_owned).collect()
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes[0].command(&["CLUSTER", "KEYSLOT", key])
    }

    /// The node that has a slot, as node `seen_by` sees it.
    pub fn owner(&self, slot: u16, seen_by: usize) -> Option<usize> {
        let lines = self.nodes_of(&self.nodes[seen_by]);
        let line = lines.iter().find(|line| {
            line.contains("master") && line.split(' ').skip(8).any(|range| has(range, slot))
        })?;
        let id = line.split(' ').next()?;
        self.ids.iter().position(|each| each == id)
    }

    /// Waits until another node than `old` has the slot.
    pub fn fails_over(&self, slot: u16, old: usize) -> usize {
        let seen_by = (old + 1) % self.nodes.len();
        let mut new = old;
        until("the replica has taken over", || {
            new = self.owner(slot, seen_by).unwrap_or(old);
            new != old
        });
        new
    }

    /// Moves a slot as the specification has it, its keys one by one, with `between` after each.
    pub fn migrate(&self, slot: u16, from: usize, to: usize, mut between: impl FnMut()) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (at, port) = (slot.to_string(), target.port().to_string());
        let _: () = target.command(&["CLUSTER", "SETSLOT", &at, "IMPORTING", &self.ids[from]]);
        let _: () = source.command(&["CLUSTER", "SETSLOT", &at, "MIGRATING", &self.ids[to]]);
        loop {
            let keys: Vec<String> = source.command(&["CLUSTER", "GETKEYSINSLOT", &at, "1"]);
            let Some(key) = keys.first() else { break };
            let _: String = source.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
            between();
        }
        // First the new owner, so that the slot is nobody's at no moment.
        let told =
            [to, from].into_iter().chain((0..self.nodes.len()).filter(|&i| i != to && i != from));
        for node in told {
            // Replicas hear of it from their primaries.
            let words = ["CLUSTER", "SETSLOT", &at, "NODE", &self.ids[to]];
            let _ = self.nodes[node].try_command::<()>(&words);
        }
    }

    /// Redirections and refusals that the nodes have answered with, by name.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut errors = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            let text: String = node.try_command(&["INFO", "errorstats"]).unwrap_or_default();
            for line in text.lines() {
                let found = line
                    .strip_prefix("errorstat_")
                    .and_then(|rest| rest.split_once(":count="))
                    .and_then(|(name, count)| Some((name, count.trim().parse::<u64>().ok()?)));
                if let Some((name, count)) = found {
                    *errors.entry(name.to_owned()).or_default() += count;
                }
            }
        }
        errors
    }
}

fn has(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&slot),
        _ => false,
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        print_logs(self.nodes.iter().map(|node| (node.url(), node.log())));
    }
}
