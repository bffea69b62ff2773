//! Checksums of objects that were uploaded in parts, worked out from those of the parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::dto::{ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput};
use s3s::{S3Result, s3_error};

use super::checksums::Algorithm;

/// How the checksum of an object is made of those of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// That of all its bytes, which CRCs of parts can be combined to.
    Full,
    /// That of the checksums of its parts.
    Composite,
}

/// How an upload in parts is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summing {
    /// How each part is.
    pub algorithm: Algorithm,
    kind: Kind,
}

impl Summing {
    /// As a client asks for it when an upload begins. Of what is not asked the kind is that of S3.
    pub fn of(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<Option<Self>> {
        let Some(name) = algorithm else {
            return match kind {
                None => Ok(None),
                Some(_) => {
                    Err(s3_error!(InvalidRequest, "x-amz-checksum-type goes with an algorithm"))
                }
            };
        };
        let algorithm = Algorithm::named(name)
            .ok_or_else(|| s3_error!(InvalidRequest, "there is no such checksum algorithm"))?;
        let can_be_full = crc_of(algorithm).is_some();
        let kind = match kind.map(str::to_ascii_uppercase).as_deref() {
            None if algorithm == Algorithm::Crc64Nvme => Kind::Full,
            None | Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64Nvme => {
                Kind::Composite
            }
            Some(ChecksumType::FULL_OBJECT) if can_be_full => Kind::Full,
            _ => {
                return Err(s3_error!(
                    InvalidRequest,
                    "this algorithm does not have this checksum type"
                ));
            }
        };
        Ok(Some(Self { algorithm, kind }))
    }

    /// As it is kept with an upload.
    pub fn written(self) -> String {
        format!("{}:{}", self.algorithm.suffix(), self.kind())
    }

    /// Reads what was kept. What a newer program has written is summed as nothing here.
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, kind) = text.split_once(':')?;
        Self::of(Some(algorithm), Some(kind)).ok().flatten()
    }

    /// The kind, in S3's words.
    pub fn kind(self) -> &'static str {
        match self.kind {
            Kind::Full => ChecksumType::FULL_OBJECT,
            Kind::Composite => ChecksumType::COMPOSITE,
        }
    }

    /// The kind, as an answer has it.
    pub fn kind_shown(self) -> ChecksumType {
        ChecksumType::from_static(self.kind())
    }

    /// The algorithm, as an answer has it.
    pub fn algorithm_shown(self) -> ChecksumAlgorithm {
        ChecksumAlgorithm::from(self.algorithm.name())
    }

    /// The checksum of an object, of those of its parts and their lengths in bytes.
    pub fn of_parts(self, parts: &[(&str, u64)]) -> Option<String> {
        let decoded: Option<Vec<(Vec<u8>, u64)>> =
            parts.iter().map(|(sum, len)| Some((STANDARD.decode(sum).ok()?, *len))).collect();
        let decoded = decoded?;
        match self.kind {
            Kind::Composite => {
                let mut hasher = self.algorithm.hasher();
                decoded.iter().for_each(|(sum, _)| hasher.update(sum));
                let sum = self.algorithm.of(&hasher.finalize())?;
                Some(format!("{sum}-{}", parts.len()))
            }
            Kind::Full => {
                let crc = crc_of(self.algorithm)?;
                let number = |bytes: &[u8]| {
                    bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
                };
                let width = decoded.first()?.0.len();
                let mut parts = decoded.iter();
                let first = number(&parts.next()?.0);
                let all = parts
                    .fold(first, |all, (sum, len)| checksum_combine(crc, all, number(sum), *len));
                let bytes = all.to_be_bytes();
                Some(STANDARD.encode(bytes.get(bytes.len().checked_sub(width)?..)?))
            }
        }
    }
}

/// The CRC that an algorithm is, if it is one.
fn crc_of(algorithm: Algorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        Algorithm::Sha1 | Algorithm::Sha256 => None,
    }
}

/// What a client says of the whole object when it completes an upload.
pub fn given_sum(input: &CompleteMultipartUploadInput) -> Option<(Algorithm, String)> {
    let given = [
        (Algorithm::Crc32, &input.checksum_crc32),
        (Algorithm::Crc32c, &input.checksum_crc32c),
        (Algorithm::Crc64Nvme, &input.checksum_crc64nvme),
        (Algorithm::Sha1, &input.checksum_sha1),
        (Algorithm::Sha256, &input.checksum_sha256),
    ];
    given.into_iter().find_map(|(algorithm, sum)| Some((algorithm, sum.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        algorithm.of(&hasher.finalize()).unwrap()
    }

    #[test]
    fn crcs_of_parts_are_that_of_the_whole() {
        let parts: [&[u8]; 3] = [b"hello", b" ", b"world, of which there is more"];
        let whole = parts.concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let summing = Summing::of(Some(algorithm.suffix()), Some("FULL_OBJECT")).unwrap();
            let sums = parts.map(|part| (sum(algorithm, part), part.len() as u64));
            let sums: Vec<(&str, u64)> =
                sums.iter().map(|(sum, len)| (sum.as_str(), *len)).collect();
            let combined = summing.unwrap().of_parts(&sums).unwrap();
            assert_eq!(combined, sum(algorithm, &whole), "{algorithm:?}");
        }
    }

    #[test]
    fn a_composite_says_how_many_parts_it_is_of() {
        let summing = Summing::of(Some("SHA256"), None).unwrap().unwrap();
        let part = sum(Algorithm::Sha256, b"x");
        let composite = summing.of_parts(&[(&part, 1), (&part, 1)]).unwrap();
        let digest = STANDARD.decode(&part).unwrap();
        let expected = sum(Algorithm::Sha256, &[digest.clone(), digest].concat());
        assert_eq!(composite, format!("{expected}-2"));
    }

    #[test]
    fn kinds_are_those_of_s3_and_read_back() {
        for (name, kind, expected) in [
            ("CRC32", None, Some("COMPOSITE")),
            ("crc64nvme", None, Some("FULL_OBJECT")),
            ("CRC32C", Some("FULL_OBJECT"), Some("FULL_OBJECT")),
            ("SHA1", Some("COMPOSITE"), Some("COMPOSITE")),
            ("SHA1", Some("FULL_OBJECT"), None),
            ("CRC64NVME", Some("COMPOSITE"), None),
            ("MD5", None, None),
        ] {
            let summing = Summing::of(Some(name), kind).ok().flatten();
            assert_eq!(summing.map(Summing::kind), expected, "{name} {kind:?}");
            assert_eq!(summing.and_then(|s| Summing::parse(&s.written())), summing);
        }
        assert_eq!(Summing::of(None, None).unwrap(), None);
        assert!(Summing::of(None, Some("FULL_OBJECT")).is_err());
    }
}
