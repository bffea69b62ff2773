//! What became of requests that had a key, and whose turn it is among those that are sent twice at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use http::StatusCode;

use onward::OpId;
use onward_iceberg::catalog::{Place, Recent, TableIdent};

/// Outcomes that are remembered.
const REMEMBERED_MAX: usize = 50_000;

/// An answer that shows a table.
#[derive(Clone)]
pub struct Shown(pub Place, pub TableIdent);

/// What is remembered of an answer.
#[derive(Clone)]
pub enum Outcome {
    /// It shows a table: that is told again as it is by then.
    Table(Box<Shown>),
    /// It is told again as it was.
    Answer(StatusCode, Bytes),
}

/// What became of requests, and those that are under way.
pub struct Once {
    /// What became of them.
    pub outcomes: Recent<OpId, Outcome>,
    under_way: Mutex<HashMap<OpId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Default for Once {
    fn default() -> Self {
        Self { outcomes: Recent::new(REMEMBERED_MAX), under_way: Mutex::default() }
    }
}

impl Once {
    /// Whose turn it is among requests with the same key.
    pub fn turn(&self, id: OpId) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(under_way.entry(id).or_default())
    }

    /// A request with this key is answered.
    pub fn is_over(&self, id: OpId) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // The one here and that in the map: nobody else waits.
        if under_way.get(&id).is_some_and(|turn| Arc::strong_count(turn) <= 2) {
            under_way.remove(&id);
        }
    }
}
