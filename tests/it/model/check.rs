//! Runs a scope and tells what came of it.

use std::fmt;
use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use super::actions::Action;
use super::state::{Scope, State};

/// What a run has seen.
#[derive(Debug)]
pub struct Report {
    pub scope: Scope,
    /// States that differ.
    pub states: usize,
    /// Steps that were taken.
    pub steps: usize,
    /// The longest way that was gone, in steps.
    pub depth: usize,
    /// Properties that do not hold, each with a way there.
    pub broken: Vec<(&'static str, Path<State, Action>)>,
    /// What should have come to be seen.
    pub unseen: Vec<&'static str>,
}

/// Looks at every reachable state, unless that takes longer than `limit`, or something is broken.
pub fn check(scope: &Scope, threads: usize, limit: Option<Duration>) -> Report {
    run(scope, threads, limit, None)
}

fn run(scope: &Scope, threads: usize, limit: Option<Duration>, depth: Option<usize>) -> Report {
    // Several threads go ahead of each other: what lies within a depth is exact with one only.
    let threads = if scope.depth.is_some() { 1 } else { threads };
    let mut builder =
        scope.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(limit) = limit {
        builder = builder.timeout(limit);
    }
    // A state is looked at when fewer steps than this, less one, lead to it.
    if let Some(depth) = depth.or(scope.depth.map(|steps| steps + 2)) {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    let discoveries = checker.discoveries();
    let (mut broken, mut unseen) = (Vec::new(), Vec::new());
    for property in scope.properties() {
        match (property.expectation, discoveries.get(property.name)) {
            (Expectation::Sometimes, None) => unseen.push(property.name),
            (Expectation::Always, Some(path)) => broken.push((property.name, path.clone())),
            _ => {}
        }
    }
    Report {
        scope: scope.clone(),
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: scope.depth.unwrap_or(checker.max_depth() - 1),
        broken,
        unseen,
    }
}

/// The shortest way to a state in which something does not hold; `None` where all does.
pub fn shortest(scope: &Scope) -> Option<(Vec<&'static str>, Path<State, Action>)> {
    let mut found = None;
    let mut depth = None;
    loop {
        let report = run(scope, 1, None, depth);
        let Some((_, path)) = report.broken.iter().min_by_key(|(_, path)| steps(path)) else {
            return found;
        };
        let length = steps(path);
        let also = |(name, path): &(&'static str, Path<State, Action>)| {
            (steps(path) == length).then_some(*name)
        };
        found = Some((report.broken.iter().filter_map(also).collect(), path.clone()));
        // One step less.
        depth = Some(length + 1);
    }
}

/// Steps of a way.
pub fn steps(path: &Path<State, Action>) -> usize {
    path.clone().into_actions().len()
}

/// A way, step by step, with what each makes of the world.
pub fn told(scope: &Scope, path: &Path<State, Action>) -> String {
    let mut text = String::new();
    let mut state = scope.start();
    for (number, action) in path.clone().into_actions().into_iter().enumerate() {
        scope.step(&mut state, &action);
        text += &format!("{:>2}. {action}\n    {state}\n", number + 1);
    }
    text
}

impl Report {
    /// Whether all that must hold does, and all that must come to be seen was.
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.unseen.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, states, steps, depth, .. } = self;
        write!(f, "{:<52}{states:>10} states{steps:>12} steps, depth {depth:>3}", scope.name)?;
        if scope.depth.is_some() {
            write!(f, ", and no deeper")?;
        }
        for (name, path) in &self.broken {
            write!(f, "\n  {name} does not hold after\n{}", told(&self.scope, path))?;
        }
        for name in &self.unseen {
            write!(f, "\n  never seen: {name}")?;
        }
        Ok(())
    }
}
