//! Schemas, partition specs and sort orders of metadata in the making.

use serde_json::Value;

use super::Draft;
use crate::table::json::{Object, number};
use crate::table::{Invalid, partition, schema};

/// The list of one of the three, the key of an id in it, and the key of the id of the one that is in use.
struct Kind {
    list: &'static str,
    id: &'static str,
    chosen: &'static str,
}

const SCHEMAS: Kind = Kind { list: "schemas", id: "schema-id", chosen: "current-schema-id" };
const SPECS: Kind = Kind { list: "partition-specs", id: "spec-id", chosen: "default-spec-id" };
const ORDERS: Kind = Kind { list: "sort-orders", id: "order-id", chosen: "default-sort-order-id" };

impl Draft {
    pub(super) fn add_schema(&mut self, schema: &Value) -> Result<(), Invalid> {
        let fields = schema::fields(schema)?;
        fields.fit(self.version())?;
        let last = self.number("last-column-id").unwrap_or(0).max(fields.highest());
        self.set("last-column-id", last);
        self.added.schema = Some(self.add(&SCHEMAS, schema, schema::alike, 0)?);
        Ok(())
    }

    pub(super) fn set_current_schema(&mut self, id: i64) -> Result<(), Invalid> {
        self.choose(&SCHEMAS, id, self.added.schema)
    }

    pub(super) fn add_spec(&mut self, spec: &Value) -> Result<(), Invalid> {
        let known = self.list(SPECS.list)?.iter().find(|known| partition::alike(known, spec));
        if let Some(known) = known {
            self.added.spec = number(known, SPECS.id);
            return Ok(());
        }
        let mut spec = spec.clone();
        let last = self.number("last-partition-id").unwrap_or(partition::PARTITION_IDS_FROM);
        let last = last.max(partition::give_ids(&mut spec, last));
        partition::spec(&spec)?;
        partition::fits(&spec, &self.current_fields()?, "partition spec")?;
        self.set("last-partition-id", last);
        self.added.spec = Some(self.add(&SPECS, &spec, partition::alike, 0)?);
        Ok(())
    }

    pub(super) fn set_default_spec(&mut self, id: i64) -> Result<(), Invalid> {
        self.choose(&SPECS, id, self.added.spec)
    }

    pub(super) fn add_sort_order(&mut self, order: &Value) -> Result<(), Invalid> {
        let unsorted = order.get("fields").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let mut order = order.clone();
        if let Some(order) = order.as_object_mut() {
            order.insert("order-id".to_owned(), i64::from(!unsorted).into());
        }
        partition::order(&order)?;
        partition::fits(&order, &self.current_fields()?, "sort order")?;
        let id = self.add(&ORDERS, &order, partition::alike, i64::from(!unsorted))?;
        self.added.order = Some(id);
        Ok(())
    }

    pub(super) fn set_default_sort_order(&mut self, id: i64) -> Result<(), Invalid> {
        self.choose(&ORDERS, id, self.added.order)
    }

    pub(super) fn remove_schemas(&mut self, ids: &[i64]) -> Result<(), Invalid> {
        self.remove_unchosen(&SCHEMAS, ids)
    }

    pub(super) fn remove_specs(&mut self, ids: &[i64]) -> Result<(), Invalid> {
        self.remove_unchosen(&SPECS, ids)
    }

    fn current_fields(&self) -> Result<schema::Fields, Invalid> {
        // DuckDB adds what stands on a new table's schema before it says which schema that is.
        let id = self.number(SCHEMAS.chosen).or(self.added.schema);
        let current = id.and_then(|id| self.member(SCHEMAS.list, SCHEMAS.id, id));
        schema::fields(current.ok_or_else(|| Invalid::new("the table has no current schema"))?)
    }

    /// The id of the member that says the same, or of the one that is added; at least `least`.
    fn add(
        &mut self,
        kind: &Kind,
        one: &Value,
        alike: fn(&Value, &Value) -> bool,
        least: i64,
    ) -> Result<i64, Invalid> {
        let list = self.list(kind.list)?;
        if let Some(known) = list.iter().find(|known| alike(known, one)) {
            return Ok(number(known, kind.id).unwrap_or(0));
        }
        let highest = list.iter().filter_map(|known| number(known, kind.id)).max();
        let id = highest.map_or(0, |highest| highest.saturating_add(1)).max(least);
        let mut one: Object = one.as_object().cloned().unwrap_or_default();
        one.insert(kind.id.to_owned(), id.into());
        list.push(Value::Object(one));
        Ok(id)
    }

    fn choose(&mut self, kind: &Kind, id: i64, added: Option<i64>) -> Result<(), Invalid> {
        let id = match (id, added) {
            (-1, Some(added)) => added,
            (-1, None) => {
                let message = format!("{}: -1 is the last added, and none was", kind.chosen);
                return Err(Invalid::new(message));
            }
            (id, _) => id,
        };
        if self.member(kind.list, kind.id, id).is_none() {
            let message = format!("{}: there is no {id} in '{}'", kind.chosen, kind.list);
            return Err(Invalid::new(message));
        }
        self.set(kind.chosen, id);
        Ok(())
    }

    fn remove_unchosen(&mut self, kind: &Kind, ids: &[i64]) -> Result<(), Invalid> {
        if let Some(chosen) = self.number(kind.chosen).filter(|chosen| ids.contains(chosen)) {
            return Err(Invalid::new(format!("{} {chosen} is in use", kind.id)));
        }
        self.list(kind.list)?
            .retain(|one| number(one, kind.id).is_none_or(|id| !ids.contains(&id)));
        Ok(())
    }
}
