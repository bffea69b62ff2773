//! Events out: webhooks and streams that are told what happens to branches, at least once each and in the order of
//! each branch.
//!
//! ```text
//! service    sinks as people ask for them: made, shown, tried, removed, revived        shapes
//! deliver    which sinks there are, and a worker for each of them
//! worker     one sink: who delivers it (a lease), how far it has come, and saving that
//! turn       one go over its branches; retry says when what failed is tried again
//! ask        checks before acceptance, which are webhooks whose answer counts; rules has them made
//! sender     what an event (envelope) is handed to: webhook (signature, reach), stream
//! ```
//!
//! The logs of the branches are the truth, and a place in each that is kept in the object store
//! (`onward::internals::repo::sinks`): what Redis says is a hint to look, and who holds the lease is advice.

mod ask;
mod deliver;
mod envelope;
mod reach;
mod retry;
mod rules;
mod sender;
mod service;
pub mod shapes;
mod signature;
mod turn;
mod webhook;
mod worker;

pub use ask::{CHECK_TIMEOUT, Checks};
pub use deliver::deliver;
pub use reach::{Reach, shown};
pub use rules::{NewCheck, NewRule};
pub use sender::Sent;
pub(crate) use service::State;
pub use service::{GIVE_UP_AFTER, Made, NewSink, NewTarget, STREAM_LENGTH, Sinks, TIMEOUT};
