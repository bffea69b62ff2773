//! Reads the flat arrays that scripts return, field by field.

use bytes::Bytes;
use redis::Value;

use crate::model::error::{Error, Result};
use crate::model::ids::CommitId;

use super::head::{BranchState, HeadView};

/// A cursor over one array reply.
pub(super) struct Reply {
    script: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn new(script: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Array(values) => Ok(Self { script, values: values.into_iter() }),
            other => Err(unexpected(script, "an array", &other)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    fn next(&mut self) -> Result<Value> {
        self.values.next().ok_or_else(|| {
            Error::internal(format!("the reply of script '{}' ends too early", self.script))
        })
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        let value = self.next()?;
        int(self.script, &value)
    }

    pub(super) fn count(&mut self) -> Result<u64> {
        let value = self.int()?;
        u64::try_from(value).map_err(|_| {
            Error::internal(format!("script '{}' returned the negative count {value}", self.script))
        })
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
            Value::SimpleString(text) => Ok(Bytes::from(text)),
            other => Err(unexpected(self.script, "a string", &other)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| {
            Error::internal(format!("script '{}' returned text that is not UTF-8", self.script))
        })
    }

    pub(super) fn list(&mut self) -> Result<Vec<Bytes>> {
        let mut inner = Reply::new(self.script, self.next()?)?;
        let mut out = Vec::with_capacity(inner.values.len());
        while !inner.is_empty() {
            out.push(inner.bytes()?);
        }
        Ok(out)
    }

    /// The branch state and the fields every look at a branch begins with; `None` when the branch
    /// is not in this Redis.
    pub(super) fn head(&mut self) -> Result<Option<HeadView>> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let done = self.count()?;
        let commit = match self.text()? {
            text if text.is_empty() => None,
            text => Some(text.parse::<CommitId>().map_err(|error| {
                Error::corrupt(format!("the head in Redis is not a commit id: {}", error.message()))
            })?),
        };
        let position = self.count()?;
        Ok(Some(HeadView { state, done, commit, position }))
    }

    pub(super) fn state(&mut self) -> Result<Option<BranchState>> {
        match self.int()? {
            0 => Ok(None),
            1 => Ok(Some(BranchState::Open)),
            2 => Ok(Some(BranchState::Deleted)),
            other => Err(unknown_code(self.script, other)),
        }
    }
}

pub(super) fn int(script: &'static str, value: &Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(unexpected(script, "an integer", other)),
    }
}

pub(super) fn unknown_code(script: &'static str, code: i64) -> Error {
    Error::internal(format!("script '{script}' returned the unknown code {code}"))
}

fn unexpected(script: &'static str, wanted: &str, got: &Value) -> Error {
    let kind = match got {
        Value::Nil => "nil",
        Value::Int(_) => "an integer",
        Value::BulkString(_) | Value::SimpleString(_) => "a string",
        Value::Array(_) => "an array",
        _ => "something else",
    };
    Error::internal(format!("script '{script}' returned {kind} where {wanted} belongs"))
}
