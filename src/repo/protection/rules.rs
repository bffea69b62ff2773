//! All rules of a repository: as they are stored, in one object, and as they are applied.

use glob::Pattern;
use serde::{Deserialize, Serialize};

use crate::commit::log::record::{decode, encode};
use crate::model::error::{Error, Result, quoted};
use crate::model::life::RepoLife;
use crate::objects::{Objects, layout};

use super::rule::{Action, Rule};

/// The object: every rule of a repository.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredRules {
    rules: Vec<Rule>,
}

pub(super) async fn read_rules(objects: &Objects, repo: &RepoLife) -> Result<Vec<Rule>> {
    let key = layout::protection(repo);
    match objects.get(&key).await? {
        Some(bytes) => decode_rules(&key, &bytes),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn decode_rules(key: &str, bytes: &[u8]) -> Result<Vec<Rule>> {
    Ok(decode::<StoredRules>(key, bytes)?.rules)
}

pub(crate) fn encode_rules(rules: Vec<Rule>) -> Result<bytes::Bytes> {
    encode(&StoredRules { rules })
}

/// Rules, ready to be applied.
pub(crate) struct Rules(Vec<(Pattern, Rule)>);

impl Rules {
    pub(crate) fn of(rules: Vec<Rule>) -> Result<Self> {
        let ready = rules.into_iter().map(|rule| {
            let pattern = Pattern::new(&rule.pattern).map_err(|error| {
                Error::corrupt(format!(
                    "the rule for '{}' cannot be applied",
                    quoted(&rule.pattern)
                ))
                .with_source(error)
            })?;
            Ok((pattern, rule))
        });
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
