//! Chance that can be repeated: a run prints its seed when it fails, and takes one to do it again.
//!
//! Tests draw the same chance every time, so that a change passes or fails for what it does and not
//! for luck; campaigns are what looks for the unknown, and draw a new seed each. `ONWARD_TEST_SEED`
//! is `random` for them, or the number that replays a failure; `ONWARD_TEST_CASES` sets the size.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Cases of one campaign: `usually`, unless the environment asks for more or fewer.
pub fn cases(usually: u32) -> u32 {
    match std::env::var("ONWARD_TEST_CASES") {
        Ok(cases) => cases.parse().expect("ONWARD_TEST_CASES is a number"),
        Err(_) => usually,
    }
}

/// The seed of a run that asks for none.
const USUAL: u64 = 20_261_122;

/// The seed of this run.
pub fn seed() -> u64 {
    match std::env::var("ONWARD_TEST_SEED").as_deref() {
        Ok("random") => rand::random(),
        Ok(seed) => seed.parse().expect("ONWARD_TEST_SEED is a number, or 'random'"),
        Err(_) => USUAL,
    }
}

/// Runs `test` on values of `strategy`; a failure is shrunk and told with its seed.
pub fn campaign<S: Strategy>(
    strategy: &S,
    usually: u32,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: cases(usually),
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    if let Err(failure) = TestRunner::new_with_rng(config, rng).run(strategy, test) {
        panic!("ONWARD_TEST_SEED={seed} repeats this: {failure}");
    }
}
