//! A campaign of real faults: worker processes commit all the time while they, their connections,
//! Redis, the object store and clocks fail, one fault after the other in an order that follows from
//! a seed; then everything is allowed to come to rest, and an audit compares what the workers were
//! told with what the object store has.
//!
//! `make campaign` runs a thousand faults (`ONWARD_TEST_CASES`); the tests run each kind a few times.
//! The same seed brings the same faults; how processes interleave is up to the machine.

mod audit;
mod crew;
mod fault;
mod figures;
mod forged;
mod history;
mod inject;
mod journal;
mod replay;
mod site;
pub mod writer;

use std::collections::BTreeMap;

use onward::Onward;
use onward::internals::invariants::{self, Interval};
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::audit::Audit;
use self::crew::Crew;
use self::fault::{Fault, Setting};
use self::figures::Figures;
use self::history::{BranchHistory, Journals};
use self::inject::Injector;
use self::journal::{Journal, Line, Plan, Reader, What, unacknowledged};
use self::site::{BRANCHES, SIDE, Site};
use crate::support::clock::ClockLibrary;
use crate::support::seed::{cases, seed};
use crate::support::verify::verify;

/// Workers of one site.
const WORKERS: usize = 4;

/// Faults before everything comes to rest and is audited.
const FAULTS_PER_AUDIT: usize = 50;

/// Faults of all settings in a run that is not asked for more.
const FAULTS: u32 = 96;

/// The slot in whose journal the campaign writes what it does itself at the end.
const LAST_SLOT: u32 = 99;

#[tokio::test(flavor = "multi_thread")]
async fn workers_connections_and_stores_that_fail_lose_no_acknowledged_commit() {
    campaign(Setting::Durable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_loses_no_acknowledged_commit() {
    campaign(Setting::Forgetful).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_promoted_without_the_newest_writes_loses_no_acknowledged_commit() {
    campaign(Setting::Replicated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_lose_no_acknowledged_commit() {
    campaign(Setting::Clocks).await;
}

/// The faults of one setting, in acts that each begin on a new site.
async fn campaign(setting: Setting) {
    let asked_for = std::env::var_os("ONWARD_TEST_CASES").is_some();
    let count = (cases(FAULTS) as usize * setting.share()).div_ceil(100);
    let seed = seed();
    println!("campaign '{}' of {count} faults, ONWARD_TEST_SEED={seed}", setting.name());
    let mut random = StdRng::seed_from_u64(seed);
    let faults = setting.draw(count, &mut random);
    let mut figures = Figures::default();
    // Beside other tests it is modest.
    let rest_ms = if asked_for { 15 } else { 40 };
    for (act, faults) in faults.chunks(FAULTS_PER_AUDIT).enumerate() {
        let seed = seed.wrapping_add(act as u64);
        let wrong = self::act(setting, faults, seed, rest_ms, &mut figures).await;
        figures.add("audits", 1);
        figures.add("findings of audits", wrong.len() as u64);
        if !wrong.is_empty() {
            let some = wrong.iter().take(20).map(|w| format!("\n  {w}")).collect::<String>();
            figures.tell(setting, seed);
            panic!("{} findings in act {act} of '{}':{some}", wrong.len(), setting.name());
        }
    }
    figures.tell(setting, seed);
}

/// One site: faults, rest, audit. Returns what is wrong.
async fn act(
    setting: Setting,
    faults: &[Fault],
    seed: u64,
    rest_ms: u64,
    figures: &mut Figures,
) -> Vec<String> {
    let mut site = Site::new(setting).await;
    let clocks = (setting == Setting::Clocks).then(ClockLibrary::build);
    let mut crew = Crew::new(site.dir.path(), clocks);
    for slot in 0..WORKERS {
        crew.hire(site.orders(slot, seed, rest_ms));
    }
    let random = StdRng::seed_from_u64(seed);
    let mut injector = Injector {
        site: &mut site,
        crew: &mut crew,
        random,
        figures: &mut *figures,
        outages: Vec::new(),
    };
    for fault in faults {
        injector.inject(*fault).await;
    }
    let outages = injector.outages;
    site.command(writer::END);
    crew.finish().await;
    figures.add("worker processes started", crew.started);
    let wrong = come_to_rest(&site, &outages, figures).await;
    if !wrong.is_empty() {
        site.keep();
    }
    wrong
}

/// Asks again for what nobody was told of, commits what is still staged, then audits.
async fn come_to_rest(site: &Site, outages: &[Interval], figures: &mut Figures) -> Vec<String> {
    let onward = site.connect().await;
    let journal = Journal::append_to(&Crew::journal(site.dir.path(), LAST_SLOT));
    // Ops of workers that were replaced and had gone on all the same.
    for slot in 0..WORKERS as u32 {
        let lines = Reader::new(&Crew::journal(site.dir.path(), slot)).more();
        for plan in unacknowledged(lines) {
            submit(&onward, &journal, plan, true).await;
        }
    }
    for (n, branch) in [SIDE].into_iter().chain(BRANCHES).enumerate() {
        let what = match branch {
            // Nobody stages here, and a commit of nothing staged would not see to what others left.
            SIDE => {
                let puts = vec![("the rest".to_owned(), u64::from(LAST_SLOT) << 44)];
                What::Changes { puts, deletes: Vec::new(), bulk: 0, producer: None }
            }
            _ => What::Staged,
        };
        let plan = Plan {
            op: format!("00000000-0000-4000-9000-{n:012x}").parse().unwrap(),
            branch: branch.to_owned(),
            message: "the rest".into(),
            committer: "campaign".into(),
            meta: BTreeMap::new(),
            what,
        };
        submit(&onward, &journal, plan, false).await;
    }
    // Its folds in the background are ops too: they end with it.
    onward.close().await;
    let onward = site.connect().await;
    let slots = (0..WORKERS as u32).chain([LAST_SLOT]);
    let journals = Journals::read(site.dir.path(), slots);
    let mut branches = Vec::new();
    for branch in [SIDE].into_iter().chain(BRANCHES) {
        branches.push(BranchHistory::read(&onward, &site.objects(), branch).await);
    }
    let mut wrong = Audit::of(&journals, &branches, site.setting.keeps(), outages, figures).wrong;
    for branch in &branches {
        let shown = onward.repo("lake").branch(&branch.name).show().await.unwrap();
        let next = branch.batches.last().map_or(1, |(first, ops)| first + ops);
        let held = invariants::not_ahead(shown.done, next);
        wrong.extend(held.err().map(|violation| violation.to_string()));
        let depth = onward.repo("lake").branch(&branch.name).queue(1).await.unwrap().depth;
        if depth > 0 {
            wrong.push(format!("{depth} ops are left in the queue of {}", branch.name));
        }
    }
    let (findings, _) = verify(&onward).await;
    wrong.extend(findings.iter().map(|finding| format!("verify: {finding:?}")));
    onward.close().await;
    wrong
}

/// Submits an op past all faults, and writes down what came of it.
async fn submit(onward: &Onward, journal: &Journal, plan: Plan, again: bool) {
    let (at, op) = (onward::internals::clock::now_ms() as u64, plan.op);
    journal.write(&Line::Asked { at, plan: plan.clone(), again });
    let outcome = writer::submit(onward, &plan).await.unwrap();
    let (at, told) = (onward::internals::clock::now_ms() as u64, writer::told(&outcome));
    journal.write(&Line::Told { at, life: 0, lane: 0, op, told });
}
