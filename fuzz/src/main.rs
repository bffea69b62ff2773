//! The campaign: libFuzzer over the targets of `onward::internals::fuzzing`. The first byte of an input picks
//! its target, unless `ONWARD_FUZZ_TARGET` names one. `scripts/fuzz` builds and runs this.
//!
//! With `ONWARD_FUZZ_SEEDS`, a folder, it only writes good bytes for every target there: what a
//! campaign starts from.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onward::internals::fuzzing::{Target, targets};

static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let wanted = std::env::var("ONWARD_FUZZ_TARGET").unwrap_or_default();
    let chosen = targets().into_iter().filter(|t| wanted.is_empty() || t.name == wanted);
    let chosen: Vec<Target> = chosen.collect();
    assert!(!chosen.is_empty(), "there is no target '{wanted}'");
    chosen
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("ONWARD_FUZZ_SEEDS") {
            write_seeds(Path::new(&folder)).expect("seeds");
            std::process::exit(0);
        }
    },
    |input: &[u8]| {
        let Some((pick, bytes)) = input.split_first() else { return };
        (TARGETS[usize::from(*pick) % TARGETS.len()].run)(bytes);
    }
);

fn write_seeds(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, target) in TARGETS.iter().enumerate() {
        for (sample, bytes) in target.seeds(Path::new("tests/fixtures"))?.into_iter().enumerate() {
            let pick = [u8::try_from(number).expect("few targets")];
            let name = format!("{}-{sample}", target.name);
            std::fs::write(folder.join(name), [&pick[..], &bytes].concat())?;
        }
    }
    Ok(())
}
