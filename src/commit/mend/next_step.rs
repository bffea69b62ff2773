//! What to do next about a branch that somebody asks for: a function of what is known, without
//! effects. [`present`](super::present) takes the steps.
//!
//! Three sources know of a branch, and each can lag behind the next: what this process remembers of
//! its name, what Redis says, what the object store says (the log, and the records of incarnations).

/// How a branch was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// By its name: when one incarnation has ended, the next one is meant.
    Name,
    /// By its incarnation: no other will do.
    Incarnation,
}

/// What Redis said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing that holds now.
    Nothing,
    /// That it does not have the branch.
    Absent,
    /// That the branch has ended, where an ended branch is no answer.
    Ended,
    /// An answer by which the branch has no commit yet. A Redis that fell back to its beginning on a
    /// living connection would say so of any branch.
    NoCommit,
    /// An answer that can be given.
    Answer,
}

/// What the object store says of the incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It was not asked.
    Unread,
    /// The incarnation is the newest of its name.
    Newest,
    /// The incarnation carries the mark of its end, or there is a newer one.
    Over,
    /// There is no such incarnation: its repository was deleted.
    Missing,
}

/// All that the next step depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// How the branch was asked for.
    pub(super) asked_by: AskedBy,
    /// Whether an answer has to wait for a comparison with the log: Redis was not compared since
    /// this process lost a connection to it, or the branch was just put back.
    pub(super) doubtful: bool,
    /// What Redis said last.
    pub(super) said: Said,
    /// What the object store said.
    pub(super) life: Life,
    /// How often an answer may yet turn out to be none.
    pub(super) mends_left: usize,
}

/// One step towards an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Look where Redis stands, and publish what the log has behind that.
    Compare,
    /// Ask the question.
    Ask,
    /// Publish what the log has behind the head that the answer shows.
    Follow,
    /// Read what the object store says of the incarnation.
    Read,
    /// Put the branch into Redis, as the log has it.
    Restore,
    /// Finish the end of the incarnation, and see what the name stands for now.
    Bury,
    /// Forget what the name was thought to stand for, and see what it stands for now.
    Forget,
    /// Give the answer to whoever asked.
    Tell,
    /// Give up, and say why.
    GiveUp(Why),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There is no such branch.
    Nowhere,
    /// Redis loses the branch again and again.
    Lost,
    /// Connections to Redis are lost again and again.
    Unsteady,
}

/// How often an answer may turn out to be none, or not to be believed, before that is given up on.
pub(super) const MENDS_MAX: usize = 3;

/// The next step.
pub(super) fn next_step(known: &Known) -> Step {
    match known.said {
        Said::Nothing if known.doubtful => Step::Compare,
        Said::Nothing => Step::Ask,
        Said::Answer if !known.doubtful => Step::Tell,
        Said::Answer | Said::NoCommit if known.mends_left == 0 => Step::GiveUp(Why::Unsteady),
        Said::Answer => Step::Compare,
        Said::NoCommit if known.doubtful => Step::Compare,
        Said::NoCommit => Step::Follow,
        Said::Absent | Said::Ended => mend(known),
    }
}

/// The next step where Redis has no answer. That a branch has ended is never taken back, so it can
/// be believed of any Redis.
fn mend(known: &Known) -> Step {
    let has_ended = known.said == Said::Ended;
    let step = match (known.life, known.asked_by) {
        (Life::Unread, _) => return Step::Read,
        (Life::Missing, AskedBy::Incarnation) => return Step::GiveUp(Why::Nowhere),
        (Life::Missing, AskedBy::Name) => Step::Forget,
        (_, AskedBy::Incarnation) if has_ended => return Step::GiveUp(Why::Nowhere),
        // What is asked of an incarnation may be asked of an ended one.
        (_, AskedBy::Incarnation) => Step::Restore,
        (Life::Newest, AskedBy::Name) if !has_ended => Step::Restore,
        (Life::Newest | Life::Over, AskedBy::Name) => Step::Bury,
    };
    match (known.mends_left, step) {
        (0, Step::Restore) => Step::GiveUp(Why::Lost),
        (0, _) => Step::GiveUp(Why::Nowhere),
        _ => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AskedBy::{Incarnation, Name};
    use Life::{Missing, Newest, Over, Unread};
    use Said::{Absent, Answer, Ended, NoCommit, Nothing};

    /// Everything that can be known.
    fn all() -> impl Iterator<Item = Known> {
        let mut all = Vec::new();
        for asked_by in [Name, Incarnation] {
            for said in [Nothing, Absent, Ended, NoCommit, Answer] {
                for life in [Unread, Newest, Over, Missing] {
                    for mends_left in [0, 1] {
                        for doubtful in [false, true] {
                            all.push(Known { asked_by, doubtful, said, life, mends_left });
                        }
                    }
                }
            }
        }
        all.into_iter()
    }

    #[test]
    fn redis_is_compared_with_the_log_before_its_answer_is_believed() {
        for known in all().filter(|known| !matches!(known.said, Absent | Ended)) {
            let expected = match (known.said, known.doubtful, known.mends_left) {
                // A first contact, or the first since a connection was lost.
                (Nothing, true, _) => Step::Compare,
                (Nothing, false, _) => Step::Ask,
                (Answer, false, _) => Step::Tell,
                (_, _, 0) => Step::GiveUp(Why::Unsteady),
                // A connection was lost while it was asked.
                (_, true, _) => Step::Compare,
                (_, false, _) => Step::Follow,
            };
            assert_eq!(next_step(&known), expected, "{known:?}");
        }
    }

    #[test]
    fn an_absent_or_ended_branch_is_put_back_or_looked_for_anew() {
        let table = [
            (Absent, Name, Newest, Step::Restore),
            (Absent, Name, Over, Step::Bury),
            (Absent, Name, Missing, Step::Forget),
            (Ended, Name, Newest, Step::Bury),
            (Ended, Name, Over, Step::Bury),
            (Ended, Name, Missing, Step::Forget),
            (Absent, Incarnation, Newest, Step::Restore),
            (Absent, Incarnation, Over, Step::Restore),
            (Absent, Incarnation, Missing, Step::GiveUp(Why::Nowhere)),
            (Ended, Incarnation, Newest, Step::GiveUp(Why::Nowhere)),
            (Ended, Incarnation, Over, Step::GiveUp(Why::Nowhere)),
            (Ended, Incarnation, Missing, Step::GiveUp(Why::Nowhere)),
        ];
        for known in all().filter(|known| matches!(known.said, Absent | Ended)) {
            let row = table.iter().find(|(said, by, life, _)| {
                (*said, *by, *life) == (known.said, known.asked_by, known.life)
            });
            let expected = match row {
                None => Step::Read,
                Some((.., Step::Restore)) if known.mends_left == 0 => Step::GiveUp(Why::Lost),
                Some((.., step)) if known.mends_left == 0 => match step {
                    Step::GiveUp(why) => Step::GiveUp(*why),
                    _ => Step::GiveUp(Why::Nowhere),
                },
                Some((.., step)) => *step,
            };
            assert_eq!(next_step(&known), expected, "{known:?}");
            assert_eq!(row.is_none(), known.life == Unread, "{known:?}");
        }
    }

    #[test]
    fn an_incarnation_is_never_exchanged_for_another() {
        for known in all().filter(|known| known.asked_by == Incarnation) {
            assert!(!matches!(next_step(&known), Step::Bury | Step::Forget), "{known:?}");
        }
    }
}
