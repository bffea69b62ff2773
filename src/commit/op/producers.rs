//! The producers of an op as its record has them: one as it was always written; several, which older
//! programs cannot read, as a list of name, epoch and sequence.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::model::producer::Producer;

/// Writes the producers of an op that has any.
pub fn serialize<S: Serializer>(producers: &[Producer], to: S) -> Result<S::Ok, S::Error> {
    match producers {
        [one] => one.serialize(to),
        several => to.collect_seq(
            several.iter().map(|Producer { name, epoch, sequence }| (name, epoch, sequence)),
        ),
    }
}

/// Reads what [`serialize`] writes.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Producer>, D::Error> {
    from.deserialize_any(Producers)
}

struct Producers;

impl<'de> Visitor<'de> for Producers {
    type Value = Vec<Producer>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a producer, or a list of them")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Self::Value, A::Error> {
        Producer::deserialize(MapAccessDeserializer::new(one)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut several: A) -> Result<Self::Value, A::Error> {
        let mut producers = Vec::new();
        while let Some((name, epoch, sequence)) = several.next_element::<(String, u64, u64)>()? {
            producers.push(Producer { name, epoch, sequence });
        }
        Ok(producers)
    }
}
