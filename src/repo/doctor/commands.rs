//! Every command that Onward gives to Redis, tried where it counts: inside a script, on keys of the
//! doctor's own. A user may be allowed to call a script and not what the script calls, and then a
//! script is broken off half-way.

use redis::cmd;

use crate::clock;
use crate::coord::Lanes;
use crate::model::error::Error;

use super::check::Check;

/// Commands as they are tried, in this order. A word of one small letter in `KEYS` is that key.
/// A test holds that no script and no call of `src/coord` has another.
pub const COMMANDS: &[&str] = &[
    "SET s 1",
    "EXISTS s",
    "GET s",
    "GETEX s PX 10000",
    "PEXPIRE s 10000",
    "PERSIST s",
    "RENAME s t",
    "DEL t",
    "HSET h f v",
    "HSETNX h f v",
    "HSCAN h 0",
    "HGET h f",
    "HMGET h f g",
    "HEXISTS h f",
    "HLEN h",
    "HDEL h f",
    "RPUSH l a b c",
    "LINDEX l 0",
    "LLEN l",
    "LRANGE l 0 -1",
    "LSET l 0 d",
    "LREM l 1 d",
    "LTRIM l 0 0",
    "BLPOP l 0.01",
    "ZADD z 0 a",
    "ZRANGE z 0 -1",
    "ZRANGEBYLEX z - +",
    "ZREM z a",
    "XADD x 1-0 o a",
    "XLEN x",
    "XRANGE x - +",
    "XREVRANGE x + -",
    "XREAD STREAMS x 0-0",
    "XTRIM x MAXLEN 0",
    "TIME",
    "PING",
    "UNLINK s t h l z x",
];

/// The doctor's keys: two strings, a hash, a list, a sorted set, a stream.
const KEYS: &str = "sthlzx";

/// Runs what its arguments say.
const TRY: &str = "return redis.call(unpack(ARGV))";

/// Fields from which on a hash has to be a hash table. Redis keeps shorter ones as lists, by
/// `hash-max-listpack-entries`: 512 unless it is changed.
const FIELDS: usize = 1024;

/// Where the doctor tries things.
struct Scratch<'a> {
    lanes: &'a Lanes,
    prefix: String,
}

impl Scratch<'_> {
    fn key(&self, letter: char) -> String {
        format!("{}:{letter}", self.prefix)
    }

    async fn run(&self, words: &[String]) -> Result<redis::Value, Error> {
        // It is called on its own, as a server may refuse to wait inside a script.
        if let [name, key, wait] = words
            && name == "BLPOP"
        {
            return self.lanes.call("doctor", cmd(name).arg(key).arg(wait)).await;
        }
        let mut call = cmd("EVAL");
        call.arg(TRY).arg(KEYS.len());
        for letter in KEYS.chars() {
            call.arg(self.key(letter));
        }
        call.arg(words);
        self.lanes.call("doctor", &call).await
    }

    /// Removes what is left, by the one or the other command that does.
    async fn remove(&self) {
        let all: Vec<String> = KEYS.chars().map(|letter| self.key(letter)).collect();
        for removal in ["DEL", "UNLINK"] {
            let _ = self.run(&[&[removal.to_owned()], all.as_slice()].concat()).await;
        }
    }

    fn word(&self, word: &str) -> String {
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if KEYS.contains(letter) => self.key(letter),
            _ => word.to_owned(),
        }
    }
}

fn scratch(lanes: &Lanes) -> Scratch<'_> {
    Scratch { lanes, prefix: format!("onward:{{doctor}}:{:016x}", clock::random_u64()) }
}

/// Tries every command, each in a script of its own.
pub(super) async fn tried(lanes: &Lanes) -> Check {
    const CHECK: &str = "redis_commands";
    let scratch = scratch(lanes);
    let mut refused = Vec::new();
    let mut reason = None;
    for command in COMMANDS {
        let words: Vec<String> = command.split(' ').map(|word| scratch.word(word)).collect();
        match scratch.run(&words).await {
            Err(error) if error.lasts() => {
                refused.push(command.split(' ').next().unwrap_or_default());
                reason.get_or_insert(error);
            }
            // What fails for want of what another makes is not refused.
            Err(_) if !refused.is_empty() => {}
            Err(error) => return Check::bad(CHECK, error.to_string(), "nothing works without it"),
            Ok(_) => {}
        }
    }
    match reason {
        None => Check::good(CHECK, format!("all {} that scripts use are allowed", COMMANDS.len())),
        Some(error) => {
            scratch.remove().await;
            Check::bad(
                CHECK,
                format!("{} cannot be called from a script: {error}", refused.join(", ")),
                "let the user of the URL call them ('~onward:* +@all -@admin' is enough), and take back \
                 'rename-command': without them a script breaks off half-way, and commits stand",
            )
        }
    }
}

/// Whether hashes become hash tables before they are long. `None` where that cannot be asked.
pub(super) async fn hashes(lanes: &Lanes) -> Option<Check> {
    const CHECK: &str = "redis_hashes";
    let scratch = scratch(lanes);
    let key = scratch.key('h');
    let fields = (0..FIELDS).flat_map(|field| [field.to_string(), "1".to_owned()]);
    let words = ["HSET".to_owned(), key.clone()].into_iter().chain(fields);
    scratch.run(&words.collect::<Vec<_>>()).await.ok()?;
    let encoding = scratch.run(&["OBJECT".into(), "ENCODING".into(), key]).await;
    scratch.remove().await;
    let encoding: String = redis::from_redis_value(encoding.ok()?).ok()?;
    Some(match encoding.as_str() {
        "hashtable" => Check::good(CHECK, "long ones are hash tables"),
        other => Check::warning(
            CHECK,
            format!("one of {FIELDS} fields is a {other}, which is searched from end to end"),
            "set 'hash-max-listpack-entries' (before Redis 7: 'hash-max-ziplist-entries') back to 512 or \
             less: with 1,000,000 commits were 3 times slower after ten seconds",
        ),
    })
}
