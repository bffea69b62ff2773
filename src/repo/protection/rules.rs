//! The rules that protect branches, as they are applied.

use glob::Pattern;

use crate::model::error::Result;
use crate::model::life::RepoLife;
use crate::objects::layout;
use crate::repo::rules::kind::{Kind, Stored};
use crate::repo::rules::pattern;

use super::check::Check;
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

impl Stored for Rule {
    const NEWEST: u8 = 2;

    /// 2 of one with a check: a program that does not know it must not pass it over.
    fn version(&self) -> u8 {
        if self.check.is_some() { 2 } else { 1 }
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

    /// Every check of commits and merges into a branch, with its rule.
    pub(crate) fn checks<'a>(
        &'a self,
        branch: &'a str,
    ) -> impl Iterator<Item = (&'a Rule, &'a Check)> {
        let matching = self.0.iter().filter(move |(pattern, _)| pattern.matches(branch));
        matching.filter_map(|(_, rule)| Some((rule, rule.check.as_ref()?)))
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
