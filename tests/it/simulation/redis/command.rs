//! The commands that Onward and its scripts use, in the forms in which they use them. Anything else
//! is an error that names it, so that a script that learns a new word fails here first.

use redis::Value;

use super::keyspace::{Bytes, Keyspace};

pub type Reply = Result<Value, String>;

fn bulk(bytes: &[u8]) -> Value {
    Value::BulkString(bytes.to_vec())
}

fn bulks<'a>(values: impl IntoIterator<Item = &'a Bytes>) -> Value {
    Value::Array(values.into_iter().map(|value| bulk(value)).collect())
}

fn int(number: usize) -> Value {
    Value::Int(number as i64)
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Result<T, String> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "ERR value is not an integer or out of range".to_owned())
}

/// The elements of a list from `start` to `stop`, both of which may count from the end.
fn span(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at + len } else { at };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

fn id(text: &[u8], missing: u64) -> Result<(u64, u64), String> {
    match text {
        b"-" => Ok((0, 0)),
        b"+" => Ok((u64::MAX, u64::MAX)),
        text => {
            let mut parts = text.splitn(2, |byte| *byte == b'-');
            let ms = parse(parts.next().unwrap_or_default())?;
            Ok((ms, parts.next().map(parse).transpose()?.unwrap_or(missing)))
        }
    }
}

fn entry((ms, seq): &(u64, u64), fields: &[Bytes]) -> Value {
    Value::Array(vec![bulk(format!("{ms}-{seq}").as_bytes()), bulks(fields)])
}

type Bound = std::ops::Bound<Bytes>;

fn lex(text: &[u8]) -> Result<Bound, String> {
    match text {
        b"-" | b"+" => Ok(Bound::Unbounded),
        [b'[', rest @ ..] => Ok(Bound::Included(rest.to_vec())),
        [b'(', rest @ ..] => Ok(Bound::Excluded(rest.to_vec())),
        _ => Err("ERR min or max not valid string range item".into()),
    }
}

impl Keyspace {
    /// Carries out one command at `now` (milliseconds).
    pub fn call(&mut self, now: u64, args: &[Bytes]) -> Reply {
        let name = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
        let rest: Vec<&[u8]> = args[1..].iter().map(Vec::as_slice).collect();
        match (name.as_str(), rest.as_slice()) {
            ("TIME", []) => {
                let seconds = (now / 1000).to_string();
                let micros = (now % 1000 * 1000).to_string();
                Ok(Value::Array(vec![bulk(seconds.as_bytes()), bulk(micros.as_bytes())]))
            }
            ("EXISTS", [key]) => Ok(int(self.exists(key, now).into())),
            ("DEL" | "UNLINK", keys) => {
                Ok(int(keys.iter().filter(|key| self.remove(key, now)).count()))
            }
            ("RENAME", [from, to]) => match self.rename(from, to, now) {
                true => Ok(Value::Okay),
                false => Err("ERR no such key".into()),
            },
            ("PEXPIRE", [key, ms]) => {
                let at = now + parse::<u64>(ms)?;
                Ok(int(self.set_expiry(key, now, Some(at)).into()))
            }
            ("PERSIST", [key]) => Ok(int(self.set_expiry(key, now, None).into())),
            ("PTTL", [key]) => Ok(Value::Int(match self.expires(key, now) {
                None => -2,
                Some(None) => -1,
                Some(Some(at)) => (at - now) as i64,
            })),
            ("SET", [key, value, px, ms]) if px.eq_ignore_ascii_case(b"PX") => {
                self.set(key, value.to_vec(), Some(now + parse::<u64>(ms)?));
                Ok(Value::Okay)
            }
            (
                "HGET" | "HMGET" | "HSET" | "HSETNX" | "HDEL" | "HLEN" | "HGETALL" | "HEXISTS"
                | "HSCAN",
                [key, rest @ ..],
            ) => self.hash_call(&name, now, key, rest),
            (
                "LRANGE" | "LTRIM" | "LLEN" | "LINDEX" | "LSET" | "LREM" | "RPUSH",
                [key, rest @ ..],
            ) => self.list_call(&name, now, key, rest),
            ("ZADD" | "ZREM" | "ZRANGE" | "ZRANGEBYLEX", [key, rest @ ..]) => {
                self.sorted_call(&name, now, key, rest)
            }
            ("XADD" | "XLEN" | "XRANGE" | "XREVRANGE" | "XTRIM", [key, rest @ ..]) => {
                self.stream_call(&name, now, key, rest)
            }
            _ => Err(format!("ERR unknown command '{name}' with {} arguments", rest.len())),
        }
    }

    fn hash_call(&mut self, name: &str, now: u64, key: &[u8], rest: &[&[u8]]) -> Reply {
        let hash = self.hash(key, now)?;
        let get = |field: &&[u8]| match hash.and_then(|hash| hash.get(*field)) {
            Some(value) => bulk(value),
            None => Value::Nil,
        };
        match (name, rest) {
            ("HGET", [field]) => Ok(get(field)),
            ("HMGET", fields) if !fields.is_empty() => {
                Ok(Value::Array(fields.iter().map(get).collect()))
            }
            ("HEXISTS", [field]) => {
                Ok(int(hash.is_some_and(|hash| hash.contains_key(*field)).into()))
            }
            ("HLEN", []) => Ok(int(hash.map_or(0, |hash| hash.len()))),
            ("HGETALL", []) => Ok(bulks(hash.into_iter().flatten().flat_map(|(k, v)| [k, v]))),
            ("HSET", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => self
                .with_hash(key, now, |hash| {
                    let new = pairs
                        .chunks(2)
                        .filter(|pair| hash.insert(pair[0].to_vec(), pair[1].to_vec()).is_none());
                    int(new.count())
                }),
            ("HSETNX", [field, value]) => self.with_hash(key, now, |hash| {
                let is_new = !hash.contains_key(*field);
                hash.entry(field.to_vec()).or_insert_with(|| value.to_vec());
                int(is_new.into())
            }),
            // All of it in one page.
            ("HSCAN", [_, ..]) => {
                let all = bulks(hash.into_iter().flatten().flat_map(|(k, v)| [k, v]));
                Ok(Value::Array(vec![bulk(b"0"), all]))
            }
            ("HDEL", fields) if !fields.is_empty() => self.with_hash(key, now, |hash| {
                int(fields.iter().filter(|field| hash.remove(**field).is_some()).count())
            }),
            _ => Err(format!("ERR wrong number of arguments for '{name}'")),
        }
    }

    fn list_call(&mut self, name: &str, now: u64, key: &[u8], rest: &[&[u8]]) -> Reply {
        let list = self.list(key, now)?;
        let len = list.map_or(0, |list| list.len());
        match (name, rest) {
            ("LLEN", []) => Ok(int(len)),
            ("LRANGE", [start, stop]) => {
                let range = span(parse(start)?, parse(stop)?, len);
                Ok(bulks(list.into_iter().flat_map(|list| list.range(range.clone()))))
            }
            ("LINDEX", [index]) => {
                let index: i64 = parse(index)?;
                let index = if index < 0 { index + len as i64 } else { index };
                let found = usize::try_from(index).ok().and_then(|at| list?.get(at));
                Ok(found.map_or(Value::Nil, |value| bulk(value)))
            }
            ("LTRIM", [start, stop]) => {
                let range = span(parse(start)?, parse(stop)?, len);
                self.with_list(key, now, |list| {
                    *list = list.range(range).cloned().collect();
                    Value::Okay
                })
            }
            ("LSET", [index, value]) => {
                let index: usize = parse(index)?;
                if len == 0 {
                    return Err("ERR no such key".into());
                }
                if index >= len {
                    return Err("ERR index out of range".into());
                }
                self.with_list(key, now, |list| {
                    list[index] = value.to_vec();
                    Value::Okay
                })
            }
            ("LREM", [count, value]) => {
                let count: i64 = parse(count)?;
                self.with_list(key, now, |list| {
                    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
                    let equal = list.iter().enumerate().filter(|(_, each)| *each == value);
                    let mut gone: Vec<usize> = equal.map(|(index, _)| index).collect();
                    match count < 0 {
                        true => drop(gone.drain(..gone.len().saturating_sub(most))),
                        false => gone.truncate(most),
                    }
                    for index in gone.iter().rev() {
                        list.remove(*index);
                    }
                    int(gone.len())
                })
            }
            ("RPUSH", values) if !values.is_empty() => self.with_list(key, now, |list| {
                list.extend(values.iter().map(|value| value.to_vec()));
                int(list.len())
            }),
            _ => Err(format!("ERR wrong number of arguments for '{name}'")),
        }
    }

    fn sorted_call(&mut self, name: &str, now: u64, key: &[u8], rest: &[&[u8]]) -> Reply {
        let set = self.sorted(key, now)?;
        match (name, rest) {
            ("ZRANGE", [start, stop]) => {
                let range = span(parse(start)?, parse(stop)?, set.map_or(0, |set| set.len()));
                Ok(bulks(set.into_iter().flatten().skip(range.start).take(range.len())))
            }
            ("ZRANGEBYLEX", [min, max, limit, offset, count])
                if limit.eq_ignore_ascii_case(b"LIMIT") =>
            {
                let (low, high) = (lex(min)?, lex(max)?);
                let (offset, count): (usize, i64) = (parse(offset)?, parse(count)?);
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let inside = |member: &&Bytes| {
                    std::ops::RangeBounds::contains(&(low.clone(), high.clone()), *member)
                };
                let within = set.into_iter().flatten().filter(inside);
                Ok(bulks(within.skip(offset).take(count)))
            }
            ("ZADD", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
                if pairs.chunks(2).any(|pair| pair[0] != b"0") {
                    return Err("ERR only scores of zero are simulated".into());
                }
                self.with_sorted(key, now, |set| {
                    int(pairs.chunks(2).filter(|pair| set.insert(pair[1].to_vec())).count())
                })
            }
            ("ZREM", members) if !members.is_empty() => self.with_sorted(key, now, |set| {
                int(members.iter().filter(|member| set.remove(**member)).count())
            }),
            _ => Err(format!("ERR wrong arguments for '{name}'")),
        }
    }

    fn stream_call(&mut self, name: &str, now: u64, key: &[u8], rest: &[&[u8]]) -> Reply {
        let stream = self.stream(key, now)?;
        match (name, rest) {
            ("XLEN", []) => Ok(int(stream.map_or(0, |stream| stream.entries.len()))),
            ("XRANGE", [start, end, limit @ ..]) => {
                let range = id(start, 0)?..=id(end, u64::MAX)?;
                let found = stream.filter(|_| range.start() <= range.end());
                let found =
                    found.into_iter().flat_map(|stream| stream.entries.range(range.clone()));
                let found = found.take(self::limit(limit)?).map(|(id, fields)| entry(id, fields));
                Ok(Value::Array(found.collect()))
            }
            ("XREVRANGE", [end, start, limit @ ..]) => {
                let range = id(start, 0)?..=id(end, u64::MAX)?;
                let found = stream.filter(|_| range.start() <= range.end());
                let found =
                    found.into_iter().flat_map(|stream| stream.entries.range(range.clone()));
                let found = found.rev().take(self::limit(limit)?);
                Ok(Value::Array(found.map(|(id, fields)| entry(id, fields)).collect()))
            }
            ("XADD", [new, fields @ ..])
                if !fields.is_empty() && fields.len().is_multiple_of(2) =>
            {
                let new_id = id(new, 0)?;
                if new_id == (0, 0) {
                    return Err("ERR The ID specified in XADD must be greater than 0-0".into());
                }
                if stream.is_some_and(|stream| new_id <= stream.last) {
                    return Err("ERR The ID specified in XADD is equal or smaller than the target stream top item".into());
                }
                self.with_stream(key, now, |stream| {
                    let fields = fields.iter().map(|field| field.to_vec()).collect();
                    stream.entries.insert(new_id, fields);
                    stream.last = new_id;
                    bulk(format!("{}-{}", new_id.0, new_id.1).as_bytes())
                })
            }
            ("XTRIM", [maxlen, len]) if maxlen.eq_ignore_ascii_case(b"MAXLEN") => {
                let len: usize = parse(len)?;
                if stream.is_none() {
                    return Ok(int(0));
                }
                self.with_stream(key, now, |stream| {
                    let surplus = stream.entries.len().saturating_sub(len);
                    for _ in 0..surplus {
                        stream.entries.pop_first();
                    }
                    int(surplus)
                })
            }
            _ => Err(format!("ERR wrong arguments for '{name}'")),
        }
    }
}

/// The `COUNT n` at the end of a range call.
fn limit(rest: &[&[u8]]) -> Result<usize, String> {
    match rest {
        [] => Ok(usize::MAX),
        [count, n] if count.eq_ignore_ascii_case(b"COUNT") => parse(n),
        _ => Err("ERR syntax error".into()),
    }
}
