//! What every question about a branch can come back with, besides what was asked for.

/// The answer of one Redis to a question about a branch.
///
/// That a Redis does not have a branch says nothing of the branch: the object store decides what
/// there is. So an answer is not given to callers as it comes, but put through
/// [`present`](crate::commit::mend::present).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Answer<T> {
    /// This Redis does not have the branch: it never had it, or has lost it.
    Absent,
    /// This Redis has it as ended, and that is no answer to the question. Where an ended branch has
    /// one, as it has to what became of an op, it is given.
    Ended,
    /// What was asked for.
    Given(T),
}

impl<T> Answer<T> {
    /// What was asked for, where it does not matter why there is none.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Given(given) => Some(given),
            Self::Absent | Self::Ended => None,
        }
    }

    /// What was asked for, or that there is none as the answer to another question.
    pub fn given_or_none<U>(self) -> Result<T, Answer<U>> {
        match self {
            Self::Given(given) => Ok(given),
            Self::Absent => Err(Answer::Absent),
            Self::Ended => Err(Answer::Ended),
        }
    }

    /// The same answer, with something else made of what was asked for.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Absent => Answer::Absent,
            Self::Ended => Answer::Ended,
            Self::Given(given) => Answer::Given(change(given)),
        }
    }
}
