//! The Redis port: connections, keys, and one typed face for each script in `lua/`.
//!
//! It knows how a branch lies in Redis and nothing of what its records mean: queue elements,
//! outcome records and staged values are bytes here. It decides nothing.
//!
//! [`RedisBranch`] is the branch: a method for each script, whose call [`call`] puts together and
//! [`lanes`] carries, over what [`connect`] has opened. [`RedisNames`] is what a repository's names
//! of branches stand for.

pub mod answer;
pub mod append;
pub mod areas;
mod attempts;
pub mod board;
pub mod branch;
pub mod call;
pub mod connect;
mod failure;
mod forget;
mod head;
pub mod inbox;
pub mod keys;
pub mod lanes;
pub mod lease;
pub mod names;
pub mod options;
pub mod outcomes;
pub mod publish;
pub mod queue;
mod reply;
pub mod restore;
pub mod retention;
pub mod rows;
pub mod script;
pub mod staging;
pub mod status;
pub mod submit;
pub mod turn;
pub mod view;
mod waits;

pub use answer::Answer;
pub use branch::RedisBranch;
pub use call::ScriptCall;
pub use connect::{Connector, Link};
pub use head::{BranchState, HeadView};
pub use keys::BranchKeys;
pub use lanes::Lanes;
pub use names::RedisNames;
pub use options::LaneOptions;
pub use retention::Retention;
pub use turn::Turn;
