//! Walking over records without taking them apart: what is asked for is found by the ids of its fields, all else is
//! passed over by its length. By the schema alone, whatever its types stand for, and in the memory of the file.

use std::collections::HashMap;

use serde_json::Value;

use super::Unreadable;
use super::encode::{take, take_bytes, take_long};

/// Types in a schema, at most.
const KINDS_MAX: usize = 10_000;
/// How deep types, and values, stand in one another.
const DEPTH_MAX: usize = 64;
/// Values that one byte is part of, at most: a member, its union, the record that it is alone in.
const STEPS_OF_BYTE: usize = 8;
/// Values of no bytes that are passed over besides, at most.
const STEPS: usize = 10_000;

/// How values of a type lie in a file.
#[derive(Debug, Clone)]
enum Kind {
    Nothing,
    Number,
    Bytes,
    Fixed(usize),
    Union(Vec<usize>),
    List { of: usize, is_map: bool },
    Record(Vec<Member>),
}

#[derive(Debug, Clone)]
struct Member {
    id: i64,
    kind: usize,
}

/// A value without members of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table) enum Scalar<'a> {
    Null,
    Number(i64),
    Bytes(&'a [u8]),
}

/// The schema of a file of records.
#[derive(Debug)]
pub(in crate::table) struct Shape {
    kinds: Vec<Kind>,
    /// Records that are passed over as a whole, by the ids of their fields.
    closed: &'static [i64],
}

impl Shape {
    /// Reads a schema. Fields of `closed` are passed over with all that is in them.
    pub(in crate::table) fn of(text: &str, closed: &'static [i64]) -> Result<Self, Unreadable> {
        let value = serde_json::from_str(text)
            .map_err(|error| Unreadable::new(format!("a schema that is no JSON: {error}")))?;
        let mut made = Making { kinds: Vec::new(), names: HashMap::new() };
        // The outermost type is the first.
        made.kind(&value, 0)?;
        let shape = Self { kinds: made.kinds, closed };
        match shape.kinds.first() {
            Some(Kind::Record(_)) => Ok(shape),
            _ => Err(Unreadable::new("not a schema of records")),
        }
    }

    /// The ids of the fields of a record: of the outermost, or of the one that its field `within` holds.
    pub(in crate::table) fn ids(&self, within: Option<i64>) -> Result<Vec<i64>, Unreadable> {
        let members = |at: usize| match self.kinds.get(at) {
            Some(Kind::Record(members)) => Ok(members),
            _ => Err(Unreadable::new("a field that is no record")),
        };
        let outer = members(0)?;
        let found = match within {
            None => outer,
            Some(id) => {
                let field = outer.iter().find(|member| member.id == id);
                let field =
                    field.ok_or_else(|| Unreadable::new(format!("there is no field {id}")))?;
                members(field.kind)?
            }
        };
        Ok(found.iter().map(|member| member.id).collect())
    }

    /// Takes one record from the front, within what is left of `steps`. Each scalar of it, and of records in it, is told
    /// with the id of its field.
    pub(in crate::table) fn record<'b>(
        &self,
        from: &mut &'b [u8],
        steps: &mut Steps,
        told: &mut dyn FnMut(i64, Scalar<'b>),
    ) -> Result<(), Unreadable> {
        self.take(0, from, (steps, 0), &mut |id, scalar| {
            if let Some(id) = id {
                told(id, scalar);
            }
        })
        .map(drop)
    }

    fn take<'b>(
        &self,
        at: usize,
        from: &mut &'b [u8],
        (steps, depth): (&mut Steps, usize),
        told: &mut dyn FnMut(Option<i64>, Scalar<'b>),
    ) -> Result<Option<Scalar<'b>>, Unreadable> {
        steps.step()?;
        let kind = self.kinds.get(at).filter(|_| depth <= DEPTH_MAX);
        let kind =
            kind.ok_or_else(|| Unreadable::new("values that stand too deep in one another"))?;
        Ok(match kind {
            Kind::Nothing => Some(Scalar::Null),
            Kind::Number => Some(Scalar::Number(take_long(from)?)),
            Kind::Bytes => Some(Scalar::Bytes(take_bytes(from)?)),
            Kind::Fixed(many) => Some(Scalar::Bytes(take(from, *many)?)),
            Kind::Union(variants) => {
                let chosen = usize::try_from(take_long(from)?).ok();
                let chosen = chosen.and_then(|chosen| variants.get(chosen));
                let chosen = chosen.ok_or_else(|| Unreadable::new("a type that is none"))?;
                self.take(*chosen, from, (steps, depth + 1), told)?
            }
            Kind::List { of, is_map } => {
                self.pass(*of, *is_map, from, (steps, depth))?;
                None
            }
            Kind::Record(members) => {
                for member in members {
                    let within = (&mut *steps, depth + 1);
                    if self.closed.contains(&member.id) {
                        self.take(member.kind, from, within, &mut |_, _| {})?;
                    } else if let Some(scalar) = self.take(member.kind, from, within, told)? {
                        told(Some(member.id), scalar);
                    }
                }
                None
            }
        })
    }

    /// Passes over a list or a map.
    fn pass(
        &self,
        of: usize,
        is_map: bool,
        from: &mut &[u8],
        (steps, depth): (&mut Steps, usize),
    ) -> Result<(), Unreadable> {
        loop {
            let count = take_long(from)?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // Such a block says how many bytes it has.
                take_bytes(from)?;
                continue;
            }
            for _ in 0..count {
                if is_map {
                    take_bytes(from)?;
                }
                self.take(of, from, (&mut *steps, depth + 1), &mut |_, _| {})?;
            }
        }
    }
}

/// How many values may still be passed over: records of nothing but records of nothing could be any number.
#[derive(Debug)]
pub(in crate::table) struct Steps(usize);

impl Default for Steps {
    fn default() -> Self {
        Self(STEPS)
    }
}

impl Steps {
    /// So many bytes more are there.
    pub(in crate::table) fn more(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes.saturating_mul(STEPS_OF_BYTE));
    }

    fn step(&mut self) -> Result<(), Unreadable> {
        let left = self.0.checked_sub(1);
        self.0 = left.ok_or_else(|| Unreadable::new("more values than bytes"))?;
        Ok(())
    }
}

/// A schema that is being read.
struct Making {
    kinds: Vec<Kind>,
    names: HashMap<String, usize>,
}

impl Making {
    fn kind(&mut self, schema: &Value, depth: usize) -> Result<usize, Unreadable> {
        if depth > DEPTH_MAX || self.kinds.len() >= KINDS_MAX {
            return Err(Unreadable::new("a schema of too many types"));
        }
        match schema {
            Value::String(name) => match primitive(name) {
                Some(kind) => Ok(self.push(kind)),
                None => self.names.get(name).copied().ok_or_else(|| unknown(name)),
            },
            Value::Array(variants) => {
                let at = self.push(Kind::Nothing);
                let variants = variants.iter().map(|variant| self.kind(variant, depth + 1));
                let variants = variants.collect::<Result<_, _>>()?;
                self.fill(at, Kind::Union(variants))
            }
            Value::Object(_) => self.complex(schema, depth),
            _ => Err(Unreadable::new("a type that is none")),
        }
    }

    fn complex(&mut self, schema: &Value, depth: usize) -> Result<usize, Unreadable> {
        let none = Value::Null;
        let part = |key: &str| schema.get(key).unwrap_or(&none);
        let Some(kind) = part("type").as_str() else { return self.kind(part("type"), depth + 1) };
        if !matches!(kind, "record" | "enum" | "fixed" | "array" | "map") {
            return self.kind(part("type"), depth + 1);
        }
        let at = self.push(Kind::Nothing);
        if let Some(name) = part("name").as_str() {
            self.names.insert(name.to_owned(), at);
            if let Some(space) = part("namespace").as_str() {
                self.names.insert(format!("{space}.{name}"), at);
            }
        }
        let made = match kind {
            "enum" => Kind::Number,
            "fixed" => {
                let size = part("size").as_u64().and_then(|size| usize::try_from(size).ok());
                Kind::Fixed(size.ok_or_else(|| Unreadable::new("a size that is none"))?)
            }
            "record" => {
                let fields = part("fields").as_array().map(Vec::as_slice).unwrap_or_default();
                let members = fields.iter().map(|field| self.member(field, depth));
                Kind::Record(members.collect::<Result<_, _>>()?)
            }
            _ => {
                let is_map = kind == "map";
                let of = self.kind(part(if is_map { "values" } else { "items" }), depth + 1)?;
                if !is_map && !self.has_bytes(of) {
                    return Err(Unreadable::new("a list of nothing, any number of times"));
                }
                Kind::List { of, is_map }
            }
        };
        self.fill(at, made)
    }

    fn member(&mut self, field: &Value, depth: usize) -> Result<Member, Unreadable> {
        let id = field.get("field-id").and_then(Value::as_i64);
        let id = id.ok_or_else(|| Unreadable::new("a field without an id"))?;
        let kind = self.kind(field.get("type").unwrap_or(&Value::Null), depth + 1)?;
        Ok(Member { id, kind })
    }

    /// Whether every value has a byte at least. A record within itself is taken for none.
    fn has_bytes(&self, at: usize) -> bool {
        match self.kinds.get(at) {
            Some(Kind::Nothing) | None => false,
            Some(Kind::Fixed(many)) => *many > 0,
            Some(Kind::Record(members)) => {
                members.iter().any(|member| member.kind > at && self.has_bytes(member.kind))
            }
            _ => true,
        }
    }

    fn push(&mut self, kind: Kind) -> usize {
        self.kinds.push(kind);
        self.kinds.len() - 1
    }

    fn fill(&mut self, at: usize, kind: Kind) -> Result<usize, Unreadable> {
        match self.kinds.get_mut(at) {
            Some(place) => *place = kind,
            None => return Err(Unreadable::new("a schema of too many types")),
        }
        Ok(at)
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Nothing,
        "boolean" => Kind::Fixed(1),
        "int" | "long" => Kind::Number,
        "float" => Kind::Fixed(4),
        "double" => Kind::Fixed(8),
        "bytes" | "string" => Kind::Bytes,
        _ => return None,
    })
}

fn unknown(name: &str) -> Unreadable {
    Unreadable::new(format!("a type '{name}' that is unknown"))
}

#[cfg(test)]
mod tests {
    use super::super::encode::{bytes, long};
    use super::*;

    fn steps(bytes: usize) -> Steps {
        let mut steps = Steps::default();
        steps.more(bytes);
        steps
    }

    const TEXT: &str = r#"{"type":"record","name":"outer","fields":[
        {"name":"status","type":"int","field-id":0},
        {"name":"file","field-id":2,"type":{"type":"record","name":"inner","fields":[
            {"name":"path","type":"string","field-id":100},
            {"name":"partition","field-id":102,"type":{"type":"record","name":"p","fields":[
                {"name":"u","field-id":100,"type":{"type":"fixed","size":2,"name":"u","logicalType":"x"}}]}},
            {"name":"sizes","field-id":108,"type":["null",{"type":"array","items":{"type":"record","name":"kv",
                "fields":[{"name":"k","type":"int","field-id":117},{"name":"v","type":"long","field-id":118}]}}]},
            {"name":"many","field-id":109,"type":{"type":"map","values":"double"}},
            {"name":"again","field-id":110,"type":["null","u"]}]}}]}"#;

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        long(&mut out, 1);
        bytes(&mut out, b"s3://b/f");
        out.extend(*b"uu");
        // A list in two blocks, of which the second says its bytes.
        long(&mut out, 1);
        long(&mut out, 1);
        [7, 8].iter().for_each(|number| long(&mut out, *number));
        long(&mut out, -1);
        long(&mut out, 2);
        [9, 10].iter().for_each(|number| long(&mut out, *number));
        long(&mut out, 0);
        long(&mut out, 1);
        bytes(&mut out, b"key");
        out.extend([0; 8]);
        long(&mut out, 0);
        long(&mut out, 1);
        out.extend(*b"vv");
        out
    }

    #[test]
    fn what_is_asked_for_is_told_and_all_else_passed_over() {
        let shape = Shape::of(TEXT, &[102]).unwrap();
        let sample = sample();
        let mut told = Vec::new();
        let mut rest: &[u8] = &sample;
        let mut steps = steps(sample.len());
        shape.record(&mut rest, &mut steps, &mut |id, scalar| told.push((id, scalar))).unwrap();
        let expected = [
            (0, Scalar::Number(1)),
            (100, Scalar::Bytes(b"s3://b/f")),
            (110, Scalar::Bytes(b"vv")),
        ];
        assert_eq!(told, expected);
        assert!(rest.is_empty());
        assert_eq!(shape.ids(None).unwrap(), [0, 2]);
        assert_eq!(shape.ids(Some(2)).unwrap(), [100, 102, 108, 109, 110]);
    }

    #[test]
    fn what_is_cut_short_is_no_record() {
        let shape = Shape::of(TEXT, &[]).unwrap();
        let sample = sample();
        for end in 0..sample.len() {
            let cut = &mut &sample[..end];
            assert!(shape.record(cut, &mut steps(end), &mut |_, _| {}).is_err(), "{end}");
        }
    }

    #[test]
    fn schemas_that_could_take_for_ever_are_refused() {
        let of_nothing = r#"{"type":"array","items":"null"}"#;
        let record = |kind: &str| {
            format!(
                r#"{{"type":"record","name":"r","fields":[{{"name":"a","field-id":1,"type":{kind}}}]}}"#
            )
        };
        for text in ["", "1", "\"string\"", "{}", &record(of_nothing), &record("\"r2\"")] {
            assert!(Shape::of(text, &[]).is_err(), "{text}");
        }
        // A record within itself has no end, and no value.
        let within = Shape::of(&record("\"r\""), &[]).unwrap();
        assert!(within.record(&mut &[0u8; 8][..], &mut steps(8), &mut |_, _| {}).is_err());
        let deep = format!("{}\"int\"{}", "[".repeat(100), "]".repeat(100));
        assert!(Shape::of(&record(&deep), &[]).is_err());
    }

    #[test]
    fn records_of_records_of_nothing_end() {
        // Each consists of two of the one before: a million values, and no byte.
        let field =
            |name: &str, kind: &str| format!(r#"{{"name":"{name}","field-id":1,"type":{kind}}}"#);
        let mut kind = r#""null""#.to_owned();
        for n in 0..20 {
            let again = if n == 0 { kind.clone() } else { format!(r#""r{}""#, n - 1) };
            let fields = [field("a", &kind), field("b", &again)].join(",");
            kind = format!(r#"{{"type":"record","name":"r{n}","fields":[{fields}]}}"#);
        }
        let shape = Shape::of(&kind, &[]).unwrap();
        let error = shape.record(&mut &[0u8; 8][..], &mut steps(8), &mut |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("more values than bytes"), "{error}");
    }
}
