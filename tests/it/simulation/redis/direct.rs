//! A simulated server without a network, for tests that hold it against a real one.

use redis::{ConnectionLike, RedisResult, Value};
use tokio::io::BufReader;

use super::command::Reply;
use super::keyspace::{Bytes, Keyspace};
use super::lua::{Scripts, unchanged};
use super::wire;

/// The clock of the server: it stands still.
const NOW_MS: u64 = 1_767_225_600_000;

pub struct Direct {
    keyspace: Keyspace,
    scripts: Scripts,
}

impl Direct {
    pub fn new() -> Self {
        Self { keyspace: Keyspace::default(), scripts: Scripts::new(unchanged) }
    }

    fn execute(&mut self, args: &[Bytes]) -> Reply {
        if args[0] != b"EVAL" {
            return self.keyspace.call(NOW_MS, args);
        }
        let sha = super::server::sha_of(&args[1]);
        let count: usize = String::from_utf8_lossy(&args[2]).parse().unwrap();
        let (keys, argv) = args[3..].split_at(count);
        self.scripts.run(&mut self.keyspace, NOW_MS, &sha, keys, argv).unwrap()
    }
}

impl ConnectionLike for Direct {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        Ok(self.req_packed_commands(cmd, 0, 1)?.remove(0))
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let mut from = BufReader::new(cmd);
        let mut replies = Vec::new();
        while let Some(args) = futures::executor::block_on(wire::request(&mut from)) {
            let mut bytes = Vec::new();
            wire::reply(&mut bytes, &self.execute(&args));
            replies.push(redis::parse_redis_value(&bytes)?.extract_error()?);
        }
        Ok(replies.into_iter().skip(offset).take(count).collect())
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}
