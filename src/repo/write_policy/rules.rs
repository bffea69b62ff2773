//! The rules of writing, as they are applied.

use glob::Pattern;

use crate::model::error::Result;
use crate::model::life::RepoLife;
use crate::objects::layout;
use crate::repo::rules::kind::{Kind, Stored};
use crate::repo::rules::pattern;

use super::rule::{WriteRule, Written};

/// The kind of rules that say how objects are written.
pub(in crate::repo) enum WritePolicy {}

impl Kind for WritePolicy {
    type Rule = WriteRule;
    type Ready = WriteRules;
    const WHAT: &'static str = "the rules of writing";

    fn key(life: &RepoLife) -> String {
        layout::write_policy(life)
    }

    fn check(rule: &WriteRule) -> Result<()> {
        rule.check()
    }

    fn ready(rules: Vec<WriteRule>) -> Result<WriteRules> {
        WriteRules::of(rules)
    }
}

impl Stored for WriteRule {}

/// Rules, ready to be applied.
pub(crate) struct WriteRules(Vec<(Pattern, WriteRule)>);

impl WriteRules {
    pub(crate) fn of(rules: Vec<WriteRule>) -> Result<Self> {
        let ready = rules.into_iter().map(|rule| Ok((pattern::ready(&rule.pattern)?, rule)));
        Ok(Self(ready.collect::<Result<_>>()?))
    }

    /// How an object is written: by the rule with the longest prefix; of several by the one that names the
    /// branch without a sign, then by the one that was made first.
    pub(crate) fn of_path(&self, branch: &str, path: &str) -> Written {
        let applies = |(pattern, rule): &&(Pattern, WriteRule)| {
            path.starts_with(&rule.prefix) && pattern.matches(branch)
        };
        let rank = |rule: &WriteRule| (rule.prefix.len(), rule.pattern == branch);
        // The first of equals is the last, seen from behind.
        let matching = self.0.iter().rev().filter(applies).map(|(_, rule)| rule);
        matching.max_by_key(|rule| rank(rule)).map_or_else(Written::default, |rule| rule.write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Written::{Committed, Staged};

    fn of(rules: &[WriteRule], branch: &str, path: &str) -> Written {
        WriteRules::of(rules.to_vec()).unwrap().of_path(branch, path)
    }

    #[test]
    fn the_longest_prefix_decides_and_then_the_name() {
        let rules = [
            WriteRule::new("*", Committed).below("tables/"),
            WriteRule::new("*", Staged).below("tables/scratch/"),
            WriteRule::new("try-*", Committed),
            WriteRule::new("try-?", Staged),
            WriteRule::new("try-2", Staged),
        ];
        for (branch, path, written) in [
            ("main", "a", Staged),
            ("main", "tables", Staged),
            ("main", "tables/a", Committed),
            ("main", "tables/scratch/a", Staged),
            ("try-1", "a", Committed),
            ("try-2", "a", Staged),
            ("try-2", "tables/a", Committed),
        ] {
            assert_eq!(of(&rules, branch, path), written, "{branch} {path}");
        }
        assert_eq!(of(&[], "main", "a"), Staged);
    }
}
