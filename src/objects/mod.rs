//! The object-store port: the few operations Onward needs of a store of immutable objects, with
//! one meaning on every backend.
//!
//! * A key is a path of plain segments under one root ([`layout`] makes them all).
//! * [`Objects::create`] is the one race there is: of any number of writers of a key, exactly one
//!   writes it, and everybody else is told what it wrote. It sees through the two ways in which a
//!   store can misreport this (an own success whose reply was lost, and a conflict reported though
//!   nothing was written).
//! * Absent is a value, not an error. Errors are [`Unavailable`](crate::ErrorKind::Unavailable),
//!   and [`refusal`] tells the ones that waiting does not cure.
//! * Every call has a deadline and a limit on its size.
//!
//! This room knows nothing of commits, branches or Redis beyond the names of keys, and is the only
//! one that names the crate underneath ([`backend`]).
//!
//! ```
//! use bytes::Bytes;
//! use onward::internals::objects::{Created, Objects};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> onward::Result<()> {
//! let objects = Objects::open("memory://")?;
//! let first = objects.create("log/1", Bytes::from_static(b"mine")).await?;
//! let second = objects.create("log/1", Bytes::from_static(b"yours")).await?;
//! assert_eq!(first, Created::Written);
//! assert_eq!(second, Created::Found(Bytes::from_static(b"mine")));
//! # Ok(())
//! # }
//! ```

mod age;
mod at_hand;
pub mod backend;
mod bucket;
mod counters;
mod failure;
mod folder;
mod folders;
mod foreign;
mod hedge;
mod join;
mod key;
pub mod layout;
mod list;
mod local;
mod open;
mod probe;
mod read;
mod root;
mod secret;
mod sign;
mod source;
mod spelling;
mod staged;
mod store;
mod survey;
mod unfinished;
mod upload;
mod write;

pub use bucket::{Bucket, Login};
pub use counters::ObjectCounters;
pub use failure::{Refusal, refusal};
pub use folder::{file_of, open_file, url_of};
pub use foreign::{Foreign, Found, LeftOut, LeftOutKind};
pub(crate) use join::lost_part;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use key::check as check_key;
pub use key::{KEY_LEN_MAX, LAST_SEGMENT_LEN_MAX, SEGMENT_LEN_MAX};
pub use list::{LIST_SORTED_MAX, Listed};
pub use probe::{Probed, Replaces};
pub use read::{Span, Streamed};
pub use secret::{SECRET_LEN, Secret};
pub use source::Source;
pub use staged::becoming;
pub use store::{DEADLINE, OBJECT_LEN_MAX, Objects};
pub use survey::Surveyed;
pub use unfinished::UNFINISHED_MAX;
pub use upload::{Checksum, Hasher, UPLOAD_LEN_MAX, Uploaded};
pub use write::Created;
