//! Statistics and encryption keys of metadata in the making.

use serde_json::Value;

use super::Draft;
use crate::table::Invalid;
use crate::table::json::number;

impl Draft {
    pub(super) fn set_statistics(&mut self, key: &str, files: &Value) -> Result<(), Invalid> {
        let id = number(files, "snapshot-id").unwrap_or(-1);
        if !self.snapshots.contains_key(&id) {
            return Err(Invalid::new(format!("{key}: there is no snapshot {id}")));
        }
        self.remove_statistics(key, id)?;
        self.list(key)?.push(files.clone());
        Ok(())
    }

    pub(super) fn remove_statistics(&mut self, key: &str, id: i64) -> Result<(), Invalid> {
        self.list(key)?.retain(|one| number(one, "snapshot-id") != Some(id));
        Ok(())
    }

    pub(super) fn add_encryption_key(&mut self, key: &Value) -> Result<(), Invalid> {
        if self.version() < 3 {
            return Err(Invalid::new("encryption keys take format version 3"));
        }
        if let Some(id) = key.get("key-id").and_then(Value::as_str) {
            self.remove_encryption_key(id)?;
        }
        self.list("encryption-keys")?.push(key.clone());
        Ok(())
    }

    pub(super) fn remove_encryption_key(&mut self, id: &str) -> Result<(), Invalid> {
        if self.json.contains_key("encryption-keys") {
            let other = |key: &Value| key.get("key-id").and_then(Value::as_str) != Some(id);
            self.list("encryption-keys")?.retain(other);
        }
        Ok(())
    }
}
