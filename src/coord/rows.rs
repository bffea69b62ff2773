//! `rows.lua`: what was decided of producers.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::error::Result;

use super::answer::Answer;
use super::branch::RedisBranch;
use super::call::ScriptCall;
use super::reply::{Reply, unknown_code};
use super::script::ROWS;

/// Rows of producers, and up to which ticket they are decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProducerRows {
    /// Tickets decided when the rows were read.
    pub done: u64,
    /// The rows of those that have one.
    pub rows: BTreeMap<String, Bytes>,
}

/// Rows in one call, at most.
pub const ROWS_MAX: usize = 1024;

impl RedisBranch {
    /// The decided rows of `producers`, at most [`ROWS_MAX`].
    pub async fn rows(&self, producers: &[String]) -> Result<Answer<ProducerRows>> {
        let keys = self.keys();
        let mut call = ScriptCall::on(&ROWS, &[&keys.head, &keys.producers]);
        for producer in producers {
            call.bytes(producer);
        }
        let mut reply = Reply::new(ROWS.name, self.run(&call).await?)?;
        match reply.int()? {
            0 => return Ok(Answer::Absent),
            1 => {}
            other => return Err(unknown_code(ROWS.name, other)),
        }
        let mut found = ProducerRows { done: reply.count()?, ..ProducerRows::default() };
        for producer in producers {
            let row = reply.bytes()?;
            if !row.is_empty() {
                found.rows.insert(producer.clone(), row);
            }
        }
        Ok(Answer::Given(found))
    }
}
