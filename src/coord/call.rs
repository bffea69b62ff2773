//! One call of a script: KEYS and ARGV in the order that the script's header gives.
//!
//! Keys come first, as Redis wants to know how many there are; arguments are written one by one,
//! straight into the command that goes over the wire. A call of a full batch has thousands.

use std::fmt;
use std::time::Duration;

use redis::{Arg, Cmd, RedisWrite};

use super::script::Script;

/// A call of a script, as it is put together.
#[derive(Clone)]
pub struct ScriptCall {
    script: &'static Script,
    command: Cmd,
}

impl fmt::Debug for ScriptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptCall").field("script", &self.script.name).finish_non_exhaustive()
    }
}

impl ScriptCall {
    /// A call of `script` on `keys`, without arguments so far.
    pub fn on<K: AsRef<str>>(script: &'static Script, keys: &[K]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.sha()).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        Self { script, command }
    }

    /// An argument as it is.
    pub fn bytes(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        self.command.write_arg(argument.as_ref());
        self
    }

    /// An argument by how it is written: an id, or nothing where there is none.
    pub fn text(&mut self, argument: impl fmt::Display) -> &mut Self {
        self.command.write_arg_fmt(argument);
        self
    }

    /// An id, or the empty argument.
    pub fn text_or_none(&mut self, argument: Option<impl fmt::Display>) -> &mut Self {
        match argument {
            Some(argument) => self.text(argument),
            None => self.bytes(b""),
        }
    }

    /// A number, in decimal digits.
    pub fn number(&mut self, argument: u64) -> &mut Self {
        self.text(argument)
    }

    /// How many of something there are.
    pub fn count(&mut self, argument: usize) -> &mut Self {
        self.text(argument)
    }

    /// How long something is, in milliseconds.
    pub fn millis(&mut self, argument: Duration) -> &mut Self {
        self.text(argument.as_millis())
    }

    /// '1' or '0'.
    pub fn flag(&mut self, argument: bool) -> &mut Self {
        self.bytes(if argument { b"1" } else { b"0" })
    }

    /// The script's name.
    pub(super) fn name(&self) -> &'static str {
        self.script.name
    }

    /// The command for a server that knows the script.
    pub(super) fn command(&self) -> &Cmd {
        &self.command
    }

    /// The same call with the script's text, which the server keeps from then on. It goes where the
    /// call's keys are, so the server that lacked the script is the one that learns it.
    pub fn teaching(&self) -> Cmd {
        let mut teaching = redis::cmd("EVAL");
        teaching.arg(self.script.text);
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                teaching.arg(bytes);
            }
        }
        teaching
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coord::script::UNNAME;

    fn words(command: &Cmd) -> Vec<String> {
        let word = |arg| match arg {
            Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_owned(),
        };
        command.args_iter().map(word).collect()
    }

    #[test]
    fn a_call_is_its_keys_and_then_its_arguments() {
        let mut call = ScriptCall::on(&UNNAME, &["k1", "k2"]);
        call.bytes("raw")
            .number(7)
            .flag(true)
            .text_or_none(None::<u8>)
            .count(3)
            .millis(Duration::from_secs(2));
        let rest = ["2", "k1", "k2", "raw", "7", "1", "", "3", "2000"];
        assert_eq!(words(call.command())[..2], ["EVALSHA", UNNAME.sha()]);
        assert_eq!(words(call.command())[2..], rest);
        assert_eq!(words(&call.teaching())[..2], ["EVAL", UNNAME.text]);
        assert_eq!(words(&call.teaching())[2..], rest);
    }
}
