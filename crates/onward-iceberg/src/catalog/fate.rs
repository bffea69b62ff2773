//! What became of a commit, by what the log of a branch says, newest first: whether it landed, in which table, or that
//! it never did. Pure.

use std::collections::HashSet;

use super::asked::Asked;

/// What is asked of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The table that the commit is about, or makes; none where it says no more than a name.
    pub(super) uuid: Option<String>,
    /// Whether it makes the table.
    makes: bool,
    /// What it adds.
    pub(super) snapshots: Vec<i64>,
    /// What it is made on.
    bases: Vec<i64>,
}

/// A commit that is looked for in the log.
pub(super) struct Sought {
    pub(super) question: Question,
    /// What it adds, as far as it was not found yet.
    pub(super) missing: HashSet<i64>,
    pub(super) answer: Answer,
    /// Whether it may be in what was looked at without being told.
    is_doubtful: bool,
    /// Whether nothing older would say more.
    pub(super) is_over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// In the table of this uuid.
    Landed(Option<String>),
    /// And what it is made on landed in the table of this uuid.
    NotLanded(Option<String>),
    NotSaid,
}

/// What a commit of the branch says of a table.
#[derive(Default)]
pub(super) struct Words {
    /// Snapshots that came to the table with it.
    pub(super) snapshots: HashSet<i64>,
    /// Whether the table had the name that is asked for.
    pub(super) has_name: bool,
    pub(super) uuid: Option<String>,
    /// Whether it made the table.
    pub(super) makes: bool,
    /// Whether it may say more than was understood.
    pub(super) is_doubtful: bool,
}

impl Question {
    pub(super) fn of(asked: &Asked) -> Self {
        let uuid = if asked.creates() { asked.makes() } else { asked.of_table() };
        Self {
            uuid: uuid.map(str::to_ascii_lowercase),
            makes: asked.creates(),
            snapshots: asked.who.snapshots.clone(),
            bases: asked.commit.bases().collect(),
        }
    }
}

impl Sought {
    pub(super) fn of(question: Question) -> Self {
        Self {
            missing: question.snapshots.iter().copied().collect(),
            question,
            answer: Answer::NotSaid,
            is_doubtful: false,
            is_over: false,
        }
    }

    /// Whether nothing was heard of it so far.
    pub(super) fn is_fresh(&self) -> bool {
        !self.is_over && !self.is_doubtful && self.missing.len() == self.question.snapshots.len()
    }

    /// What was answered before, of all that is older.
    pub(super) fn takes(&mut self, answer: Answer) {
        (self.answer, self.is_over) = (answer, true);
    }

    /// Whether snapshots are among those that it asks for.
    pub(super) fn wants(&self, snapshots: &HashSet<i64>) -> bool {
        let mut wanted = self.missing.iter().chain(&self.question.bases);
        !self.is_over && wanted.any(|id| snapshots.contains(id))
    }

    /// Whether what is said of a table is said of its own.
    pub(super) fn is_of(&self, has_name: bool, of: Option<&str>) -> bool {
        match &self.question.uuid {
            Some(uuid) => of == Some(uuid),
            None => has_name,
        }
    }

    /// Takes in what the next older commit says.
    pub(super) fn hears(&mut self, words: &Words) {
        if self.is_over {
            return;
        }
        self.is_doubtful |= words.is_doubtful;
        if !self.is_of(words.has_name, words.uuid.as_deref()) {
            return;
        }
        if words.has_name {
            self.missing.retain(|id| !words.snapshots.contains(id));
            let has_landed =
                if self.question.makes { words.makes } else { self.missing.is_empty() };
            if has_landed {
                self.takes(Answer::Landed(words.uuid.clone()));
                return;
            }
        }
        // What it is made on was not there before, so neither was it; and nothing of a table is before that was made.
        let has_base = self.question.bases.iter().any(|id| words.snapshots.contains(id));
        if has_base || (words.makes && self.question.uuid.is_some()) {
            self.ends(words.uuid.clone());
        }
    }

    /// Nothing older can have it.
    pub(super) fn ends(&mut self, uuid: Option<String>) {
        if !self.is_over && !self.is_doubtful {
            self.answer = Answer::NotLanded(uuid);
        }
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(uuid: Option<&str>, makes: bool) -> Sought {
        let uuid = uuid.map(str::to_owned);
        Sought::of(Question { uuid, makes, snapshots: vec![7, 8], bases: vec![5] })
    }

    /// Of a table that has the name.
    fn words(uuid: &str, snapshots: &[i64]) -> Words {
        Words {
            snapshots: snapshots.iter().copied().collect(),
            has_name: true,
            uuid: Some(uuid.to_owned()),
            ..Words::default()
        }
    }

    fn elsewhere(uuid: &str, snapshots: &[i64]) -> Words {
        Words { has_name: false, ..words(uuid, snapshots) }
    }

    fn doubtful(uuid: &str, snapshots: &[i64]) -> Words {
        Words { is_doubtful: true, ..words(uuid, snapshots) }
    }

    fn made(uuid: &str) -> Words {
        Words { makes: true, ..words(uuid, &[]) }
    }

    #[test]
    fn the_log_is_believed_as_far_as_it_tells() {
        let landed = |uuid: &str| Answer::Landed(Some(uuid.to_owned()));
        let not_landed = |uuid: &str| Answer::NotLanded(Some(uuid.to_owned()));
        let open = || Answer::NotSaid;
        // Of one that says its uuid, and of one that does not.
        let cases: [(&[Words], Answer, Answer); 12] = [
            (&[words("u", &[9]), words("u", &[7, 8])], landed("u"), landed("u")),
            (&[words("u", &[7]), words("u", &[8, 5])], landed("u"), landed("u")),
            // Back to what it is made on.
            (&[words("u", &[9]), words("u", &[5])], not_landed("u"), not_landed("u")),
            (&[elsewhere("v", &[5])], open(), open()),
            (&[words("u", &[9])], open(), open()),
            // In a table that had the name before or since.
            (&[words("v", &[7, 8])], open(), landed("v")),
            (&[words("v", &[5])], open(), not_landed("v")),
            // What it is made on came to the table under another name.
            (&[elsewhere("u", &[5])], not_landed("u"), open()),
            (&[elsewhere("u", &[7, 8])], open(), open()),
            // More was said than is there.
            (&[doubtful("u", &[9]), words("u", &[5])], open(), open()),
            (&[doubtful("u", &[9]), words("u", &[7, 8])], landed("u"), landed("u")),
            // Nothing is before the table was made; but one of the same name may have been.
            (&[made("u")], not_landed("u"), open()),
        ];
        for (at, (log, with, without)) in cases.iter().enumerate() {
            for (uuid, answer) in [(Some("u"), with), (None, without)] {
                let mut sought = sought(uuid, false);
                log.iter().for_each(|words| sought.hears(words));
                assert_eq!(sought.answer, *answer, "case {at}, {uuid:?}");
            }
        }
        let mut at_its_end = sought(None, false);
        at_its_end.ends(None);
        assert_eq!(at_its_end.answer, Answer::NotLanded(None));
    }

    #[test]
    fn a_table_that_was_made_is_known_by_its_uuid() {
        for (log, answer) in [
            (made("u"), Answer::Landed(Some("u".to_owned()))),
            (made("v"), Answer::NotSaid),
            (words("u", &[7, 8]), Answer::NotSaid),
        ] {
            let mut sought = sought(Some("u"), true);
            sought.hears(&log);
            assert_eq!(sought.answer, answer);
        }
    }
}
