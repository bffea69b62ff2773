//! The runs: how many clients want what, and what goes wrong meanwhile.

use super::bugs::Bug;
use super::state::What::{self, Commit, Fold, Seal, Stage};
use super::state::{Call, Scope};

/// Clients that each make these calls, nothing going wrong but that rounds end anywhere: a round
/// can always be ended, and with it what its process knew.
fn scope(name: &'static str, clients: &[&[What]]) -> Scope {
    let numbered = clients.iter().zip(0..);
    let calls = numbered
        .flat_map(|(wants, client)| wants.iter().map(move |what| Call { client, what: *what }));
    Scope {
        name,
        calls: calls.collect(),
        batch_max: 2,
        helpers: 2,
        losses: 0,
        split: false,
        cancels: 0,
        lost_replies: false,
        forgetful: false,
        real_time: false,
        counted: false,
        ahead: false,
        merged: false,
        depth: None,
        bug: None,
    }
}

/// Steps in the scopes that have more states than memory holds.
const DEPTH_MAX: usize = 22;

/// What runs with every test: under a minute, unoptimised.
pub fn small() -> Vec<Scope> {
    vec![
        Scope {
            lost_replies: true,
            real_time: true,
            cancels: 1,
            ..scope("two clients", &[&[Commit], &[Commit]])
        },
        Scope {
            losses: 1,
            real_time: true,
            ..scope("two clients, a loss", &[&[Commit], &[Commit]])
        },
        Scope {
            split: true,
            forgetful: true,
            ..scope("two clients, two primaries", &[&[Commit], &[Commit]])
        },
        Scope {
            counted: true,
            ..scope("two clients, rounds counted", &[&[Commit, Commit], &[Commit]])
        },
        Scope {
            cancels: 1,
            real_time: true,
            ..scope("two stage and commit", &[&[Stage(0), Seal], &[Stage(0), Seal]])
        },
        Scope {
            cancels: 1,
            forgetful: true,
            merged: true,
            ..scope(
                "three commits of what is staged",
                &[&[Stage(0), Seal, Seal], &[Stage(0), Seal]],
            )
        },
        Scope {
            losses: 1,
            merged: true,
            ..scope("a staged commit, a loss", &[&[Stage(0), Seal], &[Commit]])
        },
        Scope {
            losses: 1,
            merged: true,
            ..scope("a staged commit, another's write, a loss", &[&[Stage(0), Seal], &[Stage(1)]])
        },
        scope("folds", &[&[Commit, Commit, Fold], &[Fold]]),
        Scope {
            ahead: true,
            counted: true,
            ..scope("batches prepared ahead, rounds counted", &[&[Commit, Commit], &[Commit]])
        },
        Scope {
            ahead: true,
            losses: 1,
            ..scope("batches prepared ahead, a loss", &[&[Commit], &[Commit]])
        },
        Scope {
            forgetful: true,
            merged: true,
            ..scope("three clients", &[&[Commit, Commit], &[Commit, Commit], &[Commit]])
        },
    ]
}

/// What `make model` goes through, besides the small ones.
pub fn large() -> Vec<Scope> {
    let three: &[&[What]] = &[&[Commit, Commit], &[Commit, Commit], &[Commit, Commit]];
    let three_singles: &[&[What]] = &[&[Commit], &[Commit], &[Commit]];
    vec![
        Scope {
            losses: 2,
            lost_replies: true,
            real_time: true,
            ..scope("two clients, two losses", &[&[Commit], &[Commit]])
        },
        Scope {
            split: true,
            losses: 1,
            ..scope("two clients, two primaries, a loss", &[&[Commit], &[Commit]])
        },
        Scope {
            counted: true,
            helpers: 3,
            ..scope("three clients, rounds counted", three_singles)
        },
        Scope {
            counted: true,
            helpers: 3,
            batch_max: 1,
            ..scope("three clients, rounds of one counted", three_singles)
        },
        Scope {
            cancels: 1,
            real_time: true,
            lost_replies: true,
            ..scope("two stage and commit, replies lost", &[&[Stage(0), Seal], &[Stage(0), Seal]])
        },
        Scope {
            cancels: 1,
            real_time: true,
            forgetful: true,
            merged: true,
            ..scope(
                "three stage and commit, two paths",
                &[&[Stage(0), Seal], &[Stage(1), Seal], &[Stage(0), Seal]],
            )
        },
        Scope {
            ahead: true,
            counted: true,
            lost_replies: true,
            batch_max: 1,
            ..scope("batches of one prepared ahead, rounds counted", three_singles)
        },
        Scope {
            ahead: true,
            forgetful: true,
            losses: 1,
            ..scope("batches prepared ahead, three clients, a loss", three_singles)
        },
        Scope {
            ahead: true,
            forgetful: true,
            split: true,
            ..scope("batches prepared ahead, two primaries", &[&[Commit, Commit], &[Commit]])
        },
        Scope {
            ahead: true,
            cancels: 1,
            ..scope(
                "batches prepared ahead of what is staged",
                &[&[Stage(0), Seal, Commit], &[Commit, Commit]],
            )
        },
        Scope { losses: 1, ..scope("staged commits, a loss", &[&[Stage(0), Seal], &[Commit]]) },
        scope("folds among commits", &[&[Commit, Commit, Fold], &[Commit, Fold]]),
        Scope {
            losses: 1,
            forgetful: true,
            merged: true,
            ..scope("folds, a loss", &[&[Commit, Commit, Fold], &[Fold]])
        },
        Scope { forgetful: true, merged: true, helpers: 3, ..scope("three clients of two", three) },
        Scope { forgetful: true, ..scope("three clients of two, every step", three) },
        Scope {
            depth: Some(DEPTH_MAX),
            forgetful: true,
            helpers: 3,
            ..scope("three clients of two, every step, three rounds", three)
        },
        Scope {
            forgetful: true,
            merged: true,
            losses: 1,
            ..scope("three clients, a loss", three_singles)
        },
        Scope {
            forgetful: true,
            merged: true,
            split: true,
            ..scope("three clients, two primaries", three_singles)
        },
        Scope {
            depth: Some(DEPTH_MAX),
            forgetful: true,
            merged: true,
            losses: 1,
            ..scope("three clients of two, a loss", three)
        },
        Scope {
            depth: Some(DEPTH_MAX - 7),
            forgetful: true,
            merged: true,
            split: true,
            ..scope("three clients of two, two primaries", three)
        },
    ]
}

/// Where the reductions are compared with the model in which every step is taken by itself.
pub fn reducible() -> Vec<Scope> {
    let two: &[&[What]] = &[&[Commit], &[Commit]];
    vec![
        Scope { losses: 1, lost_replies: true, ..scope("two clients, a loss", two) },
        Scope { cancels: 1, ..scope("stage and commit", &[&[Stage(0), Seal], &[Commit]]) },
        scope("a fold", &[&[Commit, Fold], &[Commit]]),
    ]
}

/// Where a bug shows.
pub fn broken(bug: Bug) -> Scope {
    let two: &[&[What]] = &[&[Commit], &[Commit]];
    let stage_and_commit: &[&[What]] = &[&[Stage(0), Seal], &[Stage(0), Seal]];
    let right = match bug {
        Bug::DecideElsewhere | Bug::AdoptPopsFront | Bug::RestoreForgets => {
            Scope { losses: 1, ..scope("", two) }
        }
        Bug::AheadStays | Bug::AheadEarly => Scope { ahead: true, ..scope("", two) },
        Bug::AheadBlindly => Scope { ahead: true, losses: 1, ..scope("", two) },
        // The batch, and two that wait behind it.
        Bug::AdoptsPart => {
            Scope { losses: 1, merged: true, ..scope("", &[&[Commit], &[Commit], &[Commit]]) }
        }
        Bug::CancelRemoves => Scope { cancels: 1, ..scope("", two) },
        Bug::SealCopies | Bug::AreaDropped => {
            Scope { cancels: 1, real_time: true, ..scope("", stage_and_commit) }
        }
        Bug::StageForgets => {
            Scope { lost_replies: true, real_time: true, ..scope("", stage_and_commit) }
        }
        Bug::NeverPrunes | Bug::PrunesLate => {
            Scope { cancels: 1, ..scope("", &[&[Stage(0), Seal, Seal], &[Stage(0), Seal]]) }
        }
        Bug::LostSealsAnew => Scope { losses: 1, ..scope("", &[&[Stage(0), Seal], &[Stage(1)]]) },
        Bug::SettlesLostSeals => Scope { losses: 1, ..scope("", &[&[Stage(0), Seal]]) },
        Bug::FoldBlindly => scope("", &[&[Commit, Commit, Fold], &[Commit, Fold]]),
        _ => scope("", two),
    };
    Scope { name: "with a bug", bug: Some(bug), ..right }
}
