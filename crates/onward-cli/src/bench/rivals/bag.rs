//! A pending set that everybody helps to empty.

use onward::internals::commit::op::queued::Body;
use onward::internals::commit::op::queued::QueuedOp;
use onward::internals::commit::op::request::{Changes, Request};
use onward::internals::tree::InlineRun;
use onward::{Error, Result};
use redis::Value;

use super::super::sample::Made;
use super::{Rival, Wanted, head_of, is_one, op};

/// Commits that one attempt takes, at most.
const TAKEN_MAX: usize = 512;

/// Whether our commit is in; if not, the head and any of what is pending.
const LOOK: &str = "\
if redis.call('HDEL', KEYS[3], ARGV[1]) == 1 then return 1 end \
local out = redis.call('HRANDFIELD', KEYS[2], ARGV[2], 'WITHVALUES') \
table.insert(out, 1, redis.call('GET', KEYS[1]) or '') \
return out";

/// Moves the head if it stands where the attempt began, and takes what is in out of the set.
const SWAP: &str = "\
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
redis.call('SET', KEYS[1], ARGV[2]) \
for i = 3, #ARGV do \
  if redis.call('HDEL', KEYS[2], ARGV[i]) == 1 then redis.call('HSET', KEYS[3], ARGV[i], '') end \
end \
return 1";

impl Rival {
    pub(super) async fn bag(&self, wanted: Wanted) -> Result<Made> {
        let own = wanted.op_id.to_string();
        let element = op(&wanted)?.encode(wanted.op_id)?;
        let mut put = redis::cmd("HSET");
        put.arg(self.key("pending")).arg(&own).arg(element.as_ref());
        self.lanes.call("hset", &put).await?;
        let keys = [self.key("head"), self.key("pending"), self.key("done")];
        let mut look = redis::cmd("EVAL");
        look.arg(LOOK).arg(3).arg(&keys).arg(&own).arg(TAKEN_MAX);
        for rounds in 0.. {
            let (head, pending) = match self.eval(&look).await? {
                Value::Array(parts) => split(parts)?,
                // Somebody, we ourselves perhaps, has put it in.
                _ => return Ok(Made { rounds, bound: 0, batch: 1 }),
            };
            let ids: Vec<String> = pending.iter().map(|wanted| wanted.op_id.to_string()).collect();
            if ids.is_empty() {
                continue;
            }
            let commit = self.build(head_of(&head)?, pending).await?;
            let expected = head_of(&head)?.map(|id| id.to_string()).unwrap_or_default();
            let mut swap = redis::cmd("EVAL");
            swap.arg(SWAP).arg(3).arg(&keys).arg(expected).arg(commit.to_string()).arg(ids);
            self.note(is_one(&self.eval(&swap).await?));
        }
        Ok(Made::default())
    }
}

/// The head, and the changes of what is pending.
fn split(parts: Vec<Value>) -> Result<(Value, Vec<Wanted>)> {
    let mut parts = parts.into_iter();
    let head = parts.next().unwrap_or(Value::Nil);
    let mut pending = Vec::new();
    // Field and value take turns; the field is in the value as well.
    for element in parts.skip(1).step_by(2) {
        let Value::BulkString(element) = element else { continue };
        let queued = QueuedOp::decode(&element)?;
        let Body::Op(op) = queued.body else { continue };
        let Request::Commit(commit) = op.request else { continue };
        let Changes::Inline(run) = commit.changes else { continue };
        let records = InlineRun::decode(&run)?.records().to_vec();
        let record =
            records.into_iter().next().ok_or_else(|| Error::internal("a pending op is empty"))?;
        pending.push(Wanted { op_id: queued.id, record });
    }
    Ok((head, pending))
}
