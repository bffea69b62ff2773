//! Random calls. What only makes sense against a state (the batch to publish, what a writer saw)
//! is drawn as a wish and made concrete when its turn comes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::accept::{Limits, Part, Submission, row};
use super::model::{Asker, Bounds};

/// One call, or an accident.
#[derive(Clone, Debug)]
pub enum Step {
    /// Redis loses everything.
    Lose,
    Submit {
        asker: Asker,
        limits: Limits,
        ops: Vec<Submission>,
    },
    View {
        asker: Asker,
        wish: char,
        wanted: usize,
        skip: usize,
    },
    Extend {
        asker: Asker,
    },
    Publish {
        asker: Asker,
        wish: Wish,
    },
    /// Takes out of a sealed area what newer ones have.
    Prune {
        at: usize,
        truly: bool,
        budget: usize,
    },
    Rows {
        producers: Vec<String>,
    },
    Status {
        ops: Vec<String>,
    },
    /// Puts back that these ops were decided as these tickets.
    Remember {
        remembered: u64,
        ops: Vec<(String, u64)>,
    },
    /// What Redis keeps of an idle branch expires.
    Forget,
    Cancel {
        op: String,
    },
    /// Replaces what stands at a place of the queue, or what is believed to stand there.
    Mend {
        index: usize,
        truly: bool,
        body: u32,
    },
    Stage {
        call: usize,
        limit: usize,
        changes: Vec<(String, String)>,
        seen: Sight,
    },
    StagedRange {
        area: Option<usize>,
        bounds: Bounds,
    },
    StagedPaths {
        area: Option<usize>,
        paths: Vec<String>,
    },
    Unstage {
        area: Option<usize>,
        bounds: Bounds,
    },
    /// Makes two areas one: those that are chosen, or whose older one is this.
    Unite {
        area: Option<usize>,
        limit: usize,
    },
    Restore {
        part: Part,
        /// Whether less is in the draft than is said.
        is_short: bool,
        /// Whether the call is made twice, as after a lost reply.
        is_repeated: bool,
    },
    Name {
        name: String,
        uid: String,
    },
    Unname {
        name: String,
        uid: String,
    },
}

/// Drafts under way at once, at most.
pub const DRAFTS: usize = 2;

/// What a conditional writer believes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sight {
    Unconditional,
    True,
    WrongValue,
    OldDone,
    OldAreas,
    /// True, where the branch stands in any case.
    Strict,
    StrictOldDone,
}

/// Which batch to publish.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Where it begins, from `done`.
    pub offset: i64,
    pub count: usize,
    /// Ops of the queue that it leaves out at the front.
    pub skip: usize,
    /// Ops that may not be in the queue at all, before the others.
    pub strangers: Vec<String>,
    pub closes: bool,
    pub kept: usize,
    pub forgotten: usize,
    pub budget: usize,
    pub adopted: usize,
    pub wanted: usize,
    pub producers: Vec<(String, String)>,
    /// Which of its ops committed what they sealed, as bits.
    pub committed: u8,
    /// The area of which the log says something else.
    pub unlike: Option<usize>,
}

pub const OPS: usize = 12;
/// Areas with names of their own: more than are listed at a time.
pub const AREAS: usize = 8;
/// Ids of staging calls: few enough to meet again now and then.
pub const CALLS: usize = 12;
const PATHS: [&str; 6] = ["a", "b", "b/c", "b/d", "c", "é"];

pub fn op(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub fn area(n: usize) -> String {
    format!("00000000-0000-4000-9000-{n:012}")
}

fn any_op() -> impl Strategy<Value = String> {
    (0..OPS).prop_map(op)
}

fn any_path() -> impl Strategy<Value = String> {
    (0..PATHS.len()).prop_map(|n| PATHS[n].to_owned())
}

fn any_asker() -> impl Strategy<Value = Asker> {
    (1u64..60, 0..3usize, 1u64..20).prop_map(|(now, helper, turn)| Asker {
        now: 1_700_000_000_000 + now,
        helper: format!("helper-{helper}"),
        turn,
    })
}

fn any_submission() -> impl Strategy<Value = Submission> {
    let place = || (0..3u64, 0..4u64);
    let each = || prop::option::weighted(0.3, place());
    let producers = (each(), each(), each()).prop_map(|(p, q, r)| {
        let named = |(name, place): (&str, Option<(u64, u64)>)| {
            place.map(|(epoch, sequence)| (name.to_owned(), epoch, sequence))
        };
        [("p", p), ("q", q), ("r", r)].into_iter().filter_map(named).collect()
    });
    let seal = prop_oneof![2 => Just('0'), 2 => Just('1'), 1 => Just('2')];
    (any_op(), 0..100u32, producers, seal, any::<bool>()).prop_map(
        |(op, body, producers, seal, may_repeat)| Submission {
            element: format!("{op}P{body}"),
            op,
            producers,
            seal,
            area: String::new(),
            may_repeat,
        },
    )
}

fn any_row() -> impl Strategy<Value = (String, String)> {
    let producer = prop_oneof![Just("p"), Just("q")];
    (producer, 0..3u64, 0..4u64, any::<bool>()).prop_map(|(producer, epoch, sequence, commit)| {
        let commit = if commit { "c0ffee" } else { "" };
        (producer.to_owned(), row(epoch, sequence) + commit)
    })
}

/// A row, or that it is forgotten.
fn any_told() -> impl Strategy<Value = (String, String)> {
    let gone = prop_oneof![Just("p"), Just("q")].prop_map(|name| (name.to_owned(), String::new()));
    prop_oneof![4 => any_row(), 1 => gone]
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let offset = prop_oneof![9 => Just(0i64), 1 => -2..3i64];
    let skip = prop_oneof![5 => Just(0usize), 1 => 1..3usize];
    let strangers = prop_oneof![5 => Just(vec![]), 1 => vec(any_op(), 1..3)];
    let closes = prop_oneof![15 => Just(false), 1 => Just(true)];
    let kept = prop_oneof![2 => 1..4usize, 1 => Just(100)];
    let forgotten = prop_oneof![1 => 1..3usize, 2 => Just(100)];
    let budget = prop_oneof![1 => 0..8usize, 1 => Just(100)];
    let unlike = prop_oneof![5 => Just(None), 1 => (0..3usize).prop_map(Some)];
    let batch = (offset, 1..5usize, skip, strangers, closes, (kept, forgotten, budget), 0..4usize);
    let adopted = prop_oneof![1 => 1..4usize, 1 => Just(100)];
    let rest = (vec(any_told(), 0..3), any::<u8>(), unlike, adopted);
    (batch, rest).prop_map(|(batch, (producers, committed, unlike, adopted))| {
        let (offset, count, skip, strangers, closes, kept, wanted) = batch;
        let (kept, forgotten, budget) = kept;
        Wish {
            offset,
            count,
            skip,
            strangers,
            closes,
            kept,
            forgotten,
            budget,
            adopted,
            wanted,
            producers,
            committed,
            unlike,
        }
    })
}

fn any_bounds() -> impl Strategy<Value = Bounds> {
    let bound = || (any_path(), any::<bool>());
    let text = |(path, open): (String, bool)| format!("{}{path}", if open { '(' } else { '[' });
    let lower = prop_oneof![Just("-".to_owned()), bound().prop_map(text)];
    let upper = prop_oneof![2 => Just("+".to_owned()), 1 => bound().prop_map(text)];
    (lower, upper, 1..5usize).prop_map(|(lower, upper, limit)| Bounds { lower, upper, limit })
}

fn any_sight() -> impl Strategy<Value = Sight> {
    prop_oneof![
        4 => Just(Sight::Unconditional),
        4 => Just(Sight::True),
        1 => Just(Sight::WrongValue),
        1 => Just(Sight::OldDone),
        1 => Just(Sight::OldAreas),
        4 => Just(Sight::Strict),
        1 => Just(Sight::StrictOldDone),
    ]
}

fn any_part() -> impl Strategy<Value = Part> {
    let outcome = (1..3u64, any_op(), 0..100u32);
    let state = prop_oneof![5 => Just("open"), 1 => Just("deleted")];
    let content = (vec(outcome, 0..4), vec(any_row(), 0..2));
    (0..DRAFTS, any::<bool>(), state, 0..8u64, content).prop_map(
        |(draft, last, state, done, (gaps, producers))| {
            let mut ticket = 0;
            let mut outcomes = Vec::new();
            for (gap, op, record) in gaps {
                ticket += gap;
                outcomes.push((ticket, op, format!("r{record}")));
            }
            let (outcomes_before, rows_before) = (0, 0);
            let state = state.to_owned();
            Part { draft, outcomes_before, rows_before, last, state, done, outcomes, producers }
        },
    )
}

/// The staging area, or one in the order of the list, or one that is not there.
fn any_area() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![1 => Just(None), 2 => (0..AREAS).prop_map(Some)]
}

pub fn any_step() -> impl Strategy<Value = Step> {
    // A change without a value takes its path out.
    let value = prop_oneof![
        4 => (0..100u32).prop_map(|n| format!("v{n}")),
        1 => Just(String::new()),
    ];
    let changes = vec((any_path(), value), 1..4);
    let limit = prop_oneof![1 => Just(3usize), 5 => Just(100)];
    let names = || (prop_oneof![Just("main"), Just("dev")], prop_oneof![Just("1"), Just("2")]);
    let named = |(name, uid): (&str, &str)| (name.to_owned(), uid.to_owned());
    prop_oneof![
        1 => Just(Step::Lose),
        10 => (any_asker(), (2..7usize, 1..4usize, 0..4u64), vec(any_submission(), 1..4)).prop_map(
            |(asker, (queue, sealed, remembered), ops)| {
                Step::Submit { asker, limits: Limits { queue, sealed, remembered }, ops }
            }
        ),
        2 => (0..4u64, vec((any_op(), 1..8u64), 0..4))
            .prop_map(|(remembered, ops)| Step::Remember { remembered, ops }),
        1 => Just(Step::Forget),
        4 => (any_asker(), prop_oneof![Just('0'), Just('1'), Just('2')], 0..4usize, 0..3usize)
            .prop_map(|(asker, wish, wanted, skip)| Step::View { asker, wish, wanted, skip }),
        2 => any_asker().prop_map(|asker| Step::Extend { asker }),
        8 => (any_asker(), any_wish()).prop_map(|(asker, wish)| Step::Publish { asker, wish }),
        3 => (0..4usize, prop::bool::weighted(0.8), 1..8usize)
            .prop_map(|(at, truly, budget)| Step::Prune { at, truly, budget }),
        2 => vec(prop_oneof![Just("p"), Just("q"), Just("r")].prop_map(str::to_owned), 1..4)
            .prop_map(|producers| Step::Rows { producers }),
        3 => vec(any_op(), 1..4).prop_map(|ops| Step::Status { ops }),
        2 => any_op().prop_map(|op| Step::Cancel { op }),
        1 => (0..4usize, any::<bool>(), 0..100u32)
            .prop_map(|(index, truly, body)| Step::Mend { index, truly, body }),
        8 => (0..CALLS, limit, changes, any_sight()).prop_map(
            |(call, limit, changes, seen)| Step::Stage { call, limit, changes, seen }
        ),
        2 => (any_area(), any_bounds())
            .prop_map(|(area, bounds)| Step::StagedRange { area, bounds }),
        2 => (any_area(), vec(any_path(), 1..4))
            .prop_map(|(area, paths)| Step::StagedPaths { area, paths }),
        3 => (any_area(), any_bounds()).prop_map(|(area, bounds)| Step::Unstage { area, bounds }),
        4 => (any_area(), 1..4usize).prop_map(|(area, limit)| Step::Unite { area, limit }),
        3 => (any_part(), prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
            |(part, is_short, is_repeated)| Step::Restore { part, is_short, is_repeated }
        ),
        1 => names().prop_map(named).prop_map(|(name, uid)| Step::Name { name, uid }),
        1 => names().prop_map(named).prop_map(|(name, uid)| Step::Unname { name, uid }),
    ]
}
