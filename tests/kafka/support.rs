//! A folder to work in with its own local instance, and topics to read.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use serde_json::Value;
use tempfile::TempDir;

/// How long a step may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a member of a group of the mock cluster is set to. The group of that begins anew only a session timeout after
/// its last member has left it, less a second; one of real brokers does at once.
const OF_MOCK: [&str; 4] =
    ["--set", "session.timeout.ms=3000", "--set", "heartbeat.interval.ms=500"];

/// Brokers with topics, and a local instance with the repository `lake`.
pub struct Desk {
    dir: TempDir,
    pub brokers: String,
    /// The consumer group of its sinks, which no other desk has.
    pub group: String,
    producer: BaseProducer,
    /// None where the brokers are real.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON objects on stdout that tell this event.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let all = self.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|event| event["event"] == name).collect()
    }

    /// The message of the error object on stderr.
    pub fn error(&self) -> String {
        let last = self.stderr.lines().last().unwrap_or_default();
        let told = serde_json::from_str::<Value>(last).unwrap_or_default();
        told["error"]["message"].as_str().unwrap_or(&self.stderr).to_owned()
    }
}

impl Desk {
    pub fn new() -> Self {
        let real = std::env::var("KAFKA_BROKERS").ok();
        let mock = real.is_none().then(|| MockCluster::new(1).unwrap());
        let brokers = match (&mock, real) {
            (Some(mock), _) => mock.bootstrap_servers(),
            (None, brokers) => brokers.unwrap(),
        };
        let producer = client(&brokers).create().unwrap();
        let dir = tempfile::Builder::new().prefix("onward-kafka-").tempdir().unwrap();
        let group = unique("g");
        let desk = Self { dir, brokers, group, producer, mock };
        desk.done(&["repo", "create", "lake"]);
        desk
    }

    /// A topic that no other test has.
    pub fn topic(&self, partitions: i32) -> String {
        let topic = unique("t");
        match &self.mock {
            Some(mock) => mock.create_topic(&topic, partitions, 1).unwrap(),
            None => {
                let admin: AdminClient<DefaultClientContext> =
                    client(&self.brokers).create().unwrap();
                let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let made = runtime.block_on(admin.create_topics([&new], &AdminOptions::new()));
                assert!(made.unwrap().iter().all(Result::is_ok));
            }
        }
        topic
    }

    /// Sends values, one behind the other.
    pub fn send(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = String>) {
        for value in values {
            let headers = OwnedHeaders::new()
                .insert(Header { key: "h", value: Some("1") })
                .insert(Header { key: "h", value: Some("2") });
            let record = BaseRecord::to(topic).partition(partition).payload(&value).key("k");
            self.producer.send(record.headers(headers)).map_err(|(error, _)| error).unwrap();
            self.producer.poll(Duration::ZERO);
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Sends a tombstone.
    pub fn send_tombstone(&self, topic: &str, partition: i32) {
        let record = BaseRecord::<str, [u8]>::to(topic).partition(partition).key("gone");
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onward"));
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["REDIS", "STORAGE", "DATA_DIR", "COMMITTER"] {
            command.env_remove(format!("ONWARD_{name}"));
        }
        command
    }

    pub fn run(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    pub fn done(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {}{}", said.stdout, said.stderr);
        said
    }

    /// The words of a sink of a topic into `lake/main/raw`.
    pub fn sink<'a>(&'a self, topic: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&self.reads(topic)[..], more, &["lake/main/raw"]].concat()
    }

    /// The words of a sink of a topic, without where it writes to.
    pub fn reads<'a>(&'a self, topic: &'a str) -> Vec<&'a str> {
        let of_group = ["--topic", topic, "--group", &self.group];
        let own: &[&str] = if self.mock.is_some() { &OF_MOCK } else { &[] };
        [&["kafka", "--json", "--brokers", &self.brokers], &of_group[..], own].concat()
    }

    /// How many members its group has, by real brokers: those of the mock cluster cannot tell.
    pub fn members(&self) -> Option<usize> {
        if self.mock.is_some() {
            return None;
        }
        let groups =
            self.producer.client().fetch_group_list(Some(self.group.as_str()), PATIENCE).unwrap();
        Some(groups.groups().iter().map(|group| group.members().len()).sum())
    }

    /// Runs a sink to the end of what there is.
    pub fn to_the_end(&self, topic: &str, more: &[&str]) -> Said {
        let more = [more, &["--exit-at-end"]].concat();
        self.done(&self.sink(topic, &more))
    }

    /// Paths on the branch below a prefix.
    pub fn paths(&self, prefix: &str) -> Vec<String> {
        let said = self.done(&["ls", "-r", "--json", &format!("lake/main/{prefix}")]);
        let lines = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["path"].as_str().unwrap().to_owned()).collect()
    }

    /// The bytes of an object.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        let output = self.command(&["cat", &format!("lake/main/{path}")]).output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    /// All lines of the files below a prefix.
    pub fn lines(&self, prefix: &str) -> Vec<Value> {
        let files = self.paths(prefix).into_iter().map(|path| self.bytes(&path));
        let text = String::from_utf8(files.collect::<Vec<_>>().concat()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = onward::internals::local::stop(self.dir.path().join(".onward"));
    }
}

/// A name that nothing else has.
fn unique(kind: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{kind}{}-{number}", std::process::id())
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "1");
    config
}

/// A sink that runs, and ends with the test.
pub struct Running {
    child: Child,
    told: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Self { child, told }
    }

    /// Reads events up to the first that is wanted.
    pub fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut line = String::new();
        while self.told.read_line(&mut line).unwrap() > 0 {
            let event = serde_json::from_str(&line).unwrap();
            if is_wanted(&event) {
                return event;
            }
            line.clear();
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        panic!("it ended before: {stderr}");
    }

    /// Asks it to end, and tells what it said until then.
    pub fn terminate(mut self) -> Said {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.told.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Said { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The values of a member of all of these, each once.
pub fn each_once(lines: &[Value], member: &str) -> BTreeSet<i64> {
    let all: Vec<i64> = lines.iter().map(|line| line[member].as_i64().unwrap()).collect();
    let once: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(once.len(), all.len(), "some came twice");
    once
}
