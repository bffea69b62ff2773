//! The rules that protect branches, as they are applied.

use glob::Pattern;

use crate::model::error::Result;
use crate::model::life::RepoLife;
use crate::objects::layout;
use crate::repo::rules::kind::Kind;
use crate::repo::rules::pattern;

use super::rule::{Action, Rule};

/// The kind of rules that protect branches.
pub(in crate::repo) enum Protection {}

impl Kind for Protection {
    type Rule = Rule;
    type Ready = Rules;
    const WHAT: &'static str = "the rules of protected branches";

    fn key(life: &RepoLife) -> String {
        layout::protection(life)
    }

    fn check(rule: &Rule) -> Result<()> {
        rule.check()
    }

    fn ready(rules: Vec<Rule>) -> Result<Rules> {
        Rules::of(rules)
    }
}

/// Rules, ready to be applied.
pub(crate) struct Rules(Vec<(Pattern, Rule)>);

impl Rules {
    pub(crate) fn of(rules: Vec<Rule>) -> Result<Self> {
        let ready = rules.into_iter().map(|rule| Ok((pattern::ready(&rule.pattern)?, rule)));
        Ok(Self(ready.collect::<Result<_>>()?))
    }

    pub(crate) fn blocking(&self, branch: &str, action: Action) -> Option<&Rule> {
        let blocks = |(pattern, rule): &&(Pattern, Rule)| {
            rule.blocks.contains(&action) && pattern.matches(branch)
        };
        self.0.iter().find(blocks).map(|(_, rule)| rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_of_branches_as_a_whole() {
        let rules = Rules::of(vec![
            Rule::new("main"),
            Rule::new("release-*").only([Action::Delete]),
            Rule::new("v[0-9]?").only([Action::Commit]),
        ])
        .unwrap();
        let blocks = |branch: &str, action| rules.blocking(branch, action).is_some();
        for action in Action::ALL {
            assert!(blocks("main", action));
            assert!(!blocks("main2", action) && !blocks("xmain", action));
            assert_eq!(blocks("release-1", action), action == Action::Delete);
            assert!(!blocks("release", action));
            assert_eq!(blocks("v1x", action), action == Action::Commit);
            assert!(!blocks("vx1", action));
        }
    }
}
