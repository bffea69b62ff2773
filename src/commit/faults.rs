//! Named points of a round, of losses, of uploads, of tables, and of the lives of repositories and branches, at which a
//! test can kill, stop, delay or fail this process.
//!
//! Without the feature `failpoints` a point is nothing. With it, `ONWARD_FAILPOINTS` (or
//! [`Faults::set`]) arms points: `decide=kill`, `published=stop@3` (at the third visit),
//! `prepare=pause:200`, `write=error`.

/// Points of creating and deleting a repository or a branch.
pub const LIFE_POINTS: &[&str] = &[
    "repo-begun",
    "branch-recorded",
    "branch-opened",
    "repo-ending",
    "repo-removing",
    "repo-emptied",
    "branch-ended",
];

/// Points at which it is seen what became of an op before: it was lost and is about to be queued once
/// more; nothing of it is to be queued, and this process does not see it through.
pub const LOSS_POINTS: &[&str] = &["resubmit", "ends-early"];

/// Points of an upload: its object is there, and nothing names it.
pub const UPLOAD_POINTS: &[&str] = &["uploaded"];

/// Points of a commit to an Iceberg table: its metadata is there, and nothing names it; others were faster, and it is
/// offered to them.
pub const TABLE_POINTS: &[&str] = &["iceberg-written", "iceberg-offered"];

/// Points of a collection: all that is named is marked, and nothing of it followed to the files of tables; some files
/// of tables are removed, and others are not.
pub const GC_POINTS: &[&str] = &["gc-marked", "gc-removed"];

/// Points of a sink: what was delivered is not noted yet; it is.
pub const SINK_POINTS: &[&str] = &["sink-delivered", "sink-noted"];

/// Points of getting a batch ready while the one before it is decided: not every round comes by.
pub const AHEAD_POINTS: &[&str] = &["ahead"];

/// Points of a round, in order.
pub const POINTS: &[&str] = &[
    "submit",
    "submitted",
    "view",
    "prepare",
    "write",
    "decide",
    "decided",
    "publish",
    "published",
];

#[cfg(not(feature = "failpoints"))]
mod imp {
    use crate::model::error::Result;

    /// Nothing, in this build.
    #[derive(Debug, Clone, Default)]
    pub struct Faults;

    impl Faults {
        /// No faults: a build without failpoints reads no environment.
        pub fn from_env() -> Result<Self> {
            Ok(Self)
        }

        /// Passes a point.
        #[allow(clippy::unused_async, reason = "the armed form waits")]
        pub async fn pass(&self, _point: &'static str) -> Result<()> {
            Ok(())
        }
    }
}

#[cfg(feature = "failpoints")]
mod imp {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};
    use tokio::sync::Notify;

    use crate::model::error::{Error, Result};

    /// Armed points, of this instance alone.
    #[derive(Debug, Clone, Default)]
    pub struct Faults {
        armed: Arc<Mutex<HashMap<String, Armed>>>,
    }

    #[derive(Debug, Clone)]
    struct Armed {
        action: Action,
        /// Visits until it acts; it acts once.
        visits_left: u32,
    }

    #[derive(Debug, Clone)]
    enum Action {
        Kill,
        Stop,
        Pause(Duration),
        Fail,
        Hold(Gate),
    }

    /// Who comes to a point that is held waits here. Cheap to clone.
    #[derive(Debug, Clone, Default)]
    pub struct Gate(Arc<(Notify, Notify)>);

    impl Gate {
        /// Waits until somebody stands before it.
        pub async fn reached(&self) {
            self.0.0.notified().await;
        }

        /// Lets the one who stands before it go on.
        pub fn open(&self) {
            self.0.1.notify_one();
        }

        async fn pass(&self) {
            self.0.0.notify_one();
            self.0.1.notified().await;
        }
    }

    impl Faults {
        /// The points armed by `ONWARD_FAILPOINTS`, separated by commas.
        pub fn from_env() -> Result<Self> {
            let faults = Self::default();
            for spec in std::env::var("ONWARD_FAILPOINTS").unwrap_or_default().split(',') {
                if !spec.trim().is_empty() {
                    faults.set(spec.trim())?;
                }
            }
            Ok(faults)
        }

        /// Arms one point.
        pub fn set(&self, spec: &str) -> Result<()> {
            let wrong = || {
                Error::invalid(format!(
                    "failpoint '{spec}' is not POINT=kill|stop|error|pause:MS[@VISIT]"
                ))
            };
            let (point, action) = spec.split_once('=').ok_or_else(wrong)?;
            use super::{
                AHEAD_POINTS, GC_POINTS, LIFE_POINTS, LOSS_POINTS, POINTS, SINK_POINTS,
                TABLE_POINTS, UPLOAD_POINTS,
            };
            let all = [
                POINTS,
                AHEAD_POINTS,
                LIFE_POINTS,
                LOSS_POINTS,
                SINK_POINTS,
                TABLE_POINTS,
                UPLOAD_POINTS,
                GC_POINTS,
            ];
            if !all.iter().any(|points| points.contains(&point)) {
                return Err(wrong());
            }
            let (action, visit) = match action.split_once('@') {
                Some((action, visit)) => (action, visit.parse().map_err(|_| wrong())?),
                None => (action, 1),
            };
            let action = match action.split_once(':') {
                Some(("pause", ms)) => {
                    Action::Pause(Duration::from_millis(ms.parse().map_err(|_| wrong())?))
                }
                None if action == "kill" => Action::Kill,
                None if action == "stop" => Action::Stop,
                None if action == "error" => Action::Fail,
                _ => return Err(wrong()),
            };
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            armed.insert(point.to_owned(), Armed { action, visits_left: visit });
            Ok(())
        }

        /// Holds up whoever of this instance comes to `point` next, until the gate is opened.
        pub fn hold(&self, point: &'static str) -> Gate {
            let gate = Gate::default();
            let held = Armed { action: Action::Hold(gate.clone()), visits_left: 1 };
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            armed.insert(point.to_owned(), held);
            gate
        }

        /// Passes a point, or does what it is armed for.
        pub async fn pass(&self, point: &'static str) -> Result<()> {
            match self.due(point) {
                None => {}
                Some(Action::Kill) => {
                    let _ = raise(Signal::SIGKILL);
                }
                Some(Action::Stop) => {
                    let _ = raise(Signal::SIGSTOP);
                }
                Some(Action::Pause(time)) => tokio::time::sleep(time).await,
                Some(Action::Hold(gate)) => gate.pass().await,
                Some(Action::Fail) => {
                    return Err(Error::unavailable(format!("failpoint '{point}'")));
                }
            }
            Ok(())
        }

        fn due(&self, point: &str) -> Option<Action> {
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = armed.get_mut(point)?;
            entry.visits_left = entry.visits_left.saturating_sub(1);
            if entry.visits_left > 0 {
                return None;
            }
            armed.remove(point).map(|armed| armed.action)
        }
    }
}

pub use imp::Faults;
#[cfg(feature = "failpoints")]
pub use imp::Gate;
