//! Read the head, build, compare-and-swap, start over.

use std::time::Duration;

use onward::Result;

use super::super::sample::Made;
use super::{Rival, Wanted, back_off, is_one};

/// Moves the head if it stands where the attempt began.
const SWAP: &str = "\
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
redis.call('SET', KEYS[1], ARGV[2]) \
return 1";

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(256);

impl Rival {
    pub(super) async fn optimistic(&self, wanted: Wanted) -> Result<Made> {
        for tries in 1.. {
            let head = self.head().await?;
            let commit = self.build(head, vec![wanted.clone()]).await?;
            let expected = head.map(|id| id.to_string()).unwrap_or_default();
            let mut swap = redis::cmd("EVAL");
            swap.arg(SWAP).arg(1).arg(self.key("head")).arg(expected).arg(commit.to_string());
            if self.note(is_one(&self.eval(&swap).await?)) {
                return Ok(Made { rounds: tries, bound: 0, batch: 1 });
            }
            back_off(tries, FIRST_PAUSE, LONGEST_PAUSE).await;
        }
        Ok(Made::default())
    }
}
