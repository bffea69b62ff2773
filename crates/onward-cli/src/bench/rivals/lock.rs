//! A lock on the branch, which expires.

use std::time::Duration;

use onward::Result;
use onward::internals::clock;
use redis::Value;

use super::super::sample::Made;
use super::{Rival, Wanted, back_off, is_one};

/// Moves the head if the lock is still ours, and gives the lock back.
const RELEASE: &str = "\
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end \
redis.call('SET', KEYS[1], ARGV[2]) \
redis.call('DEL', KEYS[2]) \
return 1";

/// After so long the lock of a dead process is free again, in milliseconds.
const EXPIRY_MS: u64 = 5_000;

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

impl Rival {
    pub(super) async fn lock(&self, wanted: Wanted) -> Result<Made> {
        let token = format!("{:016x}", clock::random_u64());
        let mut take = redis::cmd("SET");
        take.arg(self.key("lock")).arg(&token).arg("NX").arg("PX").arg(EXPIRY_MS);
        for tries in 1.. {
            if matches!(self.lanes.call("set", &take).await?, Value::Nil) {
                back_off(tries, FIRST_PAUSE, LONGEST_PAUSE).await;
                continue;
            }
            let commit = self.build(self.head().await?, vec![wanted.clone()]).await?;
            let mut release = redis::cmd("EVAL");
            release.arg(RELEASE).arg(2).arg(self.key("head")).arg(self.key("lock"));
            release.arg(&token).arg(commit.to_string());
            if self.note(is_one(&self.eval(&release).await?)) {
                return Ok(Made { rounds: tries, bound: 0, batch: 1 });
            }
        }
        Ok(Made::default())
    }
}
