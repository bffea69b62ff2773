//! Onward's scripts in a Lua 5.1 interpreter, which is what Redis has, over a [`Keyspace`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mlua::{Function, Lua, Value as LuaValue, Variadic};
use onward::internals::coord::script;
use redis::Value;

use super::command::Reply;
use super::keyspace::{Bytes, Keyspace};

/// What a script is changed to before it is run: itself, unless a test breaks it on purpose.
pub type Change = fn(name: &str, text: &str) -> String;

/// The scripts as they are.
pub fn unchanged(_name: &str, text: &str) -> String {
    text.to_owned()
}

/// An interpreter with every script in it.
pub struct Scripts {
    lua: Lua,
    by_sha: HashMap<String, Function>,
    /// What the running script works on.
    running: Arc<Mutex<Running>>,
}

/// A call of a script under way.
#[derive(Default)]
struct Running {
    keyspace: Keyspace,
    now: u64,
    /// The keys that came with it.
    keys: Vec<Bytes>,
}

impl Running {
    /// Fails where a command touches a key that the script was not given: a cluster has it perhaps on
    /// another server. Those of sealed areas are made from the head's, with its hash tag
    /// (`lua/includes/area_keys.lua`).
    fn may_touch(&self, args: &[Bytes]) -> Result<(), String> {
        let is_area = |key: &Bytes| {
            let head = self.keys.first().and_then(|head| head.strip_suffix(b"head"));
            let rest = head.and_then(|prefix| key.strip_prefix(prefix));
            rest.is_some_and(|rest| {
                rest.starts_with(b"sealed:") || rest.starts_with(b"sealed-paths:")
            })
        };
        match keys_of(args).iter().find(|key| !self.keys.contains(key) && !is_area(key)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "ERR a script touches the key '{}', which is not among its KEYS",
                String::from_utf8_lossy(key)
            )),
        }
    }
}

/// Which arguments of a command are keys: the first, but for those that have several or none.
fn keys_of(args: &[Bytes]) -> &[Bytes] {
    match args {
        [name, rest @ ..] => match name.to_ascii_uppercase().as_slice() {
            b"TIME" => &[],
            b"DEL" | b"UNLINK" | b"EXISTS" | b"RENAME" => rest,
            _ => rest.get(..1).unwrap_or_default(),
        },
        [] => &[],
    }
}

/// What a cluster takes the slot of a key from.
fn hash_tag(key: &[u8]) -> &[u8] {
    let inside = key.split(|byte| *byte == b'{').nth(1).unwrap_or_default();
    inside.split(|byte| *byte == b'}').next().unwrap_or_default()
}

impl Scripts {
    pub fn new(change: Change) -> Self {
        let lua = Lua::new();
        let running: Arc<Mutex<Running>> = Arc::default();
        let shared = Arc::clone(&running);
        let call = lua
            .create_function(move |lua, args: Variadic<LuaValue>| {
                let args: Vec<Bytes> = args.iter().map(argument).collect::<mlua::Result<_>>()?;
                let mut running = shared.lock().unwrap();
                running.may_touch(&args).map_err(mlua::Error::RuntimeError)?;
                let now = running.now;
                match running.keyspace.call(now, &args) {
                    Ok(value) => to_lua(lua, value),
                    Err(message) => Err(mlua::Error::RuntimeError(message)),
                }
            })
            .unwrap();
        let redis = lua.create_table().unwrap();
        redis.set("call", call).unwrap();
        lua.globals().set("redis", redis).unwrap();
        let compile = |script: &&script::Script| {
            let text = change(script.name, script.text);
            let function = lua.load(text).set_name(script.name).into_function().unwrap();
            (script.sha().to_owned(), function)
        };
        let by_sha = script::ALL.iter().map(compile).collect();
        Self { lua, by_sha, running }
    }

    /// Runs the script with hash `sha` on `keyspace`; `None` when there is none. As in Redis, what
    /// a script that fails has written stays written.
    pub fn run(
        &self,
        keyspace: &mut Keyspace,
        now: u64,
        sha: &str,
        keys: &[Bytes],
        args: &[Bytes],
    ) -> Option<Reply> {
        let script = self.by_sha.get(sha)?;
        let globals = self.lua.globals();
        let list = |values: &[Bytes]| {
            let strings = values.iter().map(|value| self.lua.create_string(value).unwrap());
            self.lua.create_sequence_from(strings).unwrap()
        };
        globals.set("KEYS", list(keys)).unwrap();
        globals.set("ARGV", list(args)).unwrap();
        if keys.iter().any(|key| hash_tag(key) != hash_tag(&keys[0])) {
            return Some(Err("CROSSSLOT Keys in request don't hash to the same slot".into()));
        }
        let keys = keys.to_vec();
        *self.running.lock().unwrap() = Running { keyspace: std::mem::take(keyspace), now, keys };
        let result = script.call::<LuaValue>(());
        *keyspace = std::mem::take(&mut self.running.lock().unwrap().keyspace);
        Some(match result {
            Ok(value) => from_lua(value).map_err(|error| format!("ERR {error}")),
            Err(error) => Err(format!("ERR script: {}", error.to_string().replace('\n', " "))),
        })
    }
}

/// An argument of `redis.call`, as Redis writes it out.
fn argument(value: &LuaValue) -> mlua::Result<Bytes> {
    match value {
        LuaValue::String(text) => Ok(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Ok(number.to_string().into_bytes()),
        LuaValue::Number(number) if number.fract() == 0.0 && number.abs() < 1e17 => {
            Ok(format!("{number:.0}").into_bytes())
        }
        other => Err(mlua::Error::RuntimeError(format!(
            "ERR Lua redis lib command arguments must be strings or integers, not {other:?}"
        ))),
    }
}

/// A reply as a script sees it.
fn to_lua(lua: &Lua, value: Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Int(number) => LuaValue::Number(number as f64),
        Value::BulkString(bytes) => LuaValue::String(lua.create_string(&bytes)?),
        Value::Nil => LuaValue::Boolean(false),
        Value::Okay => {
            let status = lua.create_table()?;
            status.set("ok", "OK")?;
            LuaValue::Table(status)
        }
        Value::Array(values) => {
            let table = lua.create_table_with_capacity(values.len(), 0)?;
            for (index, value) in values.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
        other => unreachable!("no command replies {other:?}"),
    })
}

/// What a script returns, as a reply.
fn from_lua(value: LuaValue) -> mlua::Result<Value> {
    Ok(match value {
        LuaValue::Nil | LuaValue::Boolean(false) => Value::Nil,
        LuaValue::Boolean(true) => Value::Int(1),
        LuaValue::Integer(number) => Value::Int(number),
        LuaValue::Number(number) => Value::Int(number as i64),
        LuaValue::String(text) => Value::BulkString(text.as_bytes().to_vec()),
        LuaValue::Table(table) => {
            let mut values = Vec::with_capacity(table.raw_len());
            for index in 1.. {
                match table.raw_get(index)? {
                    LuaValue::Nil => break,
                    value => values.push(from_lua(value)?),
                }
            }
            Value::Array(values)
        }
        other => return Err(mlua::Error::RuntimeError(format!("cannot return {other:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "onward:{lake/1}:head";

    /// What the script that answers by rows comes to when it ends by touching a key.
    fn touching(change: Change) -> Option<Reply> {
        let keys = [HEAD, "onward:{lake/1}:producers"].map(|key| key.as_bytes().to_vec());
        Scripts::new(change).run(&mut Keyspace::default(), 1, script::ROWS.sha(), &keys, &[])
    }

    #[test]
    fn a_script_that_touches_a_key_it_was_not_given_is_found() {
        assert!(touching(unchanged).unwrap().is_ok());
        let refused = touching(|_, text| format!("redis.call('EXISTS', 'elsewhere')\n{text}"));
        assert!(refused.unwrap().unwrap_err().contains("'elsewhere'"));
        let several = |_: &str, text: &str| {
            format!("redis.call('RENAME', KEYS[1], 'onward:{{lake/1}}:other')\n{text}")
        };
        assert!(touching(several).unwrap().unwrap_err().contains(":other'"));
        let area = |_: &str, text: &str| {
            format!("redis.call('EXISTS', 'onward:{{lake/1}}:sealed:x')\n{text}")
        };
        assert!(touching(area).unwrap().is_ok(), "an area of the branch");
        let strange = |_: &str, text: &str| {
            format!("redis.call('EXISTS', 'onward:{{lake/2}}:sealed:x')\n{text}")
        };
        assert!(touching(strange).unwrap().is_err(), "an area of another branch");
    }

    #[test]
    fn keys_of_two_slots_are_refused_as_by_a_cluster() {
        let keys = [HEAD, "onward:{lake/2}:producers"].map(|key| key.as_bytes().to_vec());
        let scripts = Scripts::new(unchanged);
        let refused = scripts.run(&mut Keyspace::default(), 1, script::ROWS.sha(), &keys, &[]);
        assert!(refused.unwrap().unwrap_err().starts_with("CROSSSLOT"));
    }
}
