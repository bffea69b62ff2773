//! Metadata as its files have it: plain, or compressed with gzip where the table's property
//! `write.metadata.compression-codec` says so. A name that ends in `.gz.metadata.json` tells readers, by the
//! specification of the format.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::error::{CatalogError, Kind, Result};
use crate::table::{METADATA_BYTES_MAX, Metadata};

/// The property that names how metadata is compressed: `gzip`, or `none`, as which everything else counts.
const CODEC: &str = "write.metadata.compression-codec";
/// That it is compressed.
const GZIP: &str = "gzip";
/// How the names of files end, with and without it.
const ENDS: (&str, &str) = (".gz.metadata.json", ".metadata.json");
/// What a file of gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Metadata repeats itself so much that more than the fastest saves little.
const LEVEL: Compression = Compression::fast();

/// How the name of a file with this metadata ends.
pub(super) fn ends(metadata: &Metadata) -> &'static str {
    let is_packed = metadata.property(CODEC).is_some_and(|codec| codec.eq_ignore_ascii_case(GZIP));
    if is_packed { ENDS.0 } else { ENDS.1 }
}

/// Whether a name says that its file is compressed.
pub(super) fn is_packed(location: &str) -> bool {
    location.ends_with(ENDS.0)
}

/// Whether a file of this name may be compressed, as programs name them.
pub(super) fn may_be_packed(location: &str) -> bool {
    location.contains(".gz")
}

/// What is written to a file of this name.
pub(super) fn pack(location: &str, plain: &Bytes) -> Bytes {
    if !is_packed(location) {
        return plain.clone();
    }
    let mut out = GzEncoder::new(Vec::with_capacity(plain.len() / 8), LEVEL);
    // Memory takes whatever is written.
    let _ = out.write_all(plain);
    out.finish().map(Bytes::from).unwrap_or_default()
}

/// What a file says, whatever its name: programs differ in how they name a compressed one.
pub(super) fn unpack(bytes: &Bytes) -> Result<Bytes> {
    if !bytes.starts_with(&MAGIC) {
        return Ok(bytes.clone());
    }
    let mut plain = Vec::new();
    let most = METADATA_BYTES_MAX as u64 + 1;
    let read = MultiGzDecoder::new(bytes.as_ref()).take(most).read_to_end(&mut plain);
    read.map_err(|error: io::Error| {
        CatalogError::invalid(format!("metadata that is compressed with gzip is damaged: {error}"))
    })?;
    if plain.len() > METADATA_BYTES_MAX {
        return Err(CatalogError::new(
            Kind::TooLarge,
            format!(
                "metadata has more than {METADATA_BYTES_MAX} bytes, the limit, when it is unpacked"
            ),
        ));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_no_more_than_may_be() {
        let plain = Bytes::from(r#"{"snapshots": []}"#.repeat(1000));
        let name = |end: &str| format!("file:///w/t/metadata/00001-x{end}");
        assert_eq!(pack(&name(ENDS.1), &plain), plain);
        let packed = pack(&name(ENDS.0), &plain);
        assert!(packed.len() < plain.len() / 20, "{}", packed.len());
        assert_eq!(unpack(&packed).unwrap(), plain);
        assert_eq!(unpack(&plain).unwrap(), plain);
        // In two pieces, as it may be by the format.
        let twice = Bytes::from([packed.as_ref(), packed.as_ref()].concat());
        assert_eq!(unpack(&twice).unwrap().len(), 2 * plain.len());
        let cut = packed.slice(..packed.len() / 2);
        assert!(unpack(&cut).unwrap_err().message.contains("gzip"));
        // Few bytes that become very many.
        let zeros = Bytes::from(vec![0; METADATA_BYTES_MAX * 2]);
        let much = pack(&name(ENDS.0), &zeros);
        assert_eq!(unpack(&much).unwrap_err().kind, Kind::TooLarge);
    }
}
