//! What a campaign came to, in numbers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use serde_json::json;

use super::fault::{Fault, Setting};

/// Of one setting, or of several together.
#[derive(Debug, Default)]
pub struct Figures {
    /// Milliseconds from the end of a fault to the first outcome that somebody was told behind it.
    recoveries: BTreeMap<(&'static str, Fault), Vec<u64>>,
    counts: BTreeMap<&'static str, u64>,
}

/// All settings of this run, so that the last to end tells the whole.
static TOTAL: Mutex<Option<Figures>> = Mutex::new(None);

impl Figures {
    pub fn recovered(&mut self, setting: Setting, fault: Fault, ms: u64) {
        self.recoveries.entry((setting.name(), fault)).or_default().push(ms);
    }

    pub fn add(&mut self, what: &'static str, count: u64) {
        *self.counts.entry(what).or_default() += count;
    }

    fn injections(&self) -> usize {
        self.recoveries.values().map(Vec::len).sum()
    }

    fn by_fault(&self) -> BTreeMap<Fault, Vec<u64>> {
        let mut all: BTreeMap<Fault, Vec<u64>> = BTreeMap::new();
        for ((_, fault), times) in &self.recoveries {
            all.entry(*fault).or_default().extend(times);
        }
        for times in all.values_mut() {
            times.sort_unstable();
        }
        all
    }

    fn table(&self) -> String {
        let mut table = String::new();
        let columns = ["fault", "injected", "median ms", "worst ms"];
        let [fault, injected, median, worst] = columns;
        writeln!(table, "{fault:<22}{injected:>10}{median:>12}{worst:>12}").unwrap();
        for (fault, times) in self.by_fault() {
            let (count, median) = (times.len(), times[times.len() / 2]);
            let (fault, worst) = (format!("{fault:?}"), times[count - 1]);
            writeln!(table, "{fault:<22}{count:>10}{median:>12}{worst:>12}").unwrap();
        }
        writeln!(table, "{:<22}{:>10}", "all", self.injections()).unwrap();
        for (what, count) in &self.counts {
            writeln!(table, "{what:<40}{count:>10}").unwrap();
        }
        table
    }

    fn json(&self, seed: u64) -> serde_json::Value {
        let faults: BTreeMap<String, _> = self
            .by_fault()
            .into_iter()
            .map(|(fault, times)| {
                let figures = json!({
                    "injected": times.len(),
                    "recovery_ms_median": times[times.len() / 2],
                    "recovery_ms_max": times[times.len() - 1],
                });
                (format!("{fault:?}"), figures)
            })
            .collect();
        let counts = &self.counts;
        json!({ "seed": seed, "injections": self.injections(), "faults": faults, "counts": counts })
    }

    /// Prints a setting's figures, and those of all settings so far; `ONWARD_TEST_REPORT` names a
    /// directory that gets both as JSON.
    pub fn tell(self, setting: Setting, seed: u64) {
        let name = setting.name();
        println!("\ncampaign '{name}', ONWARD_TEST_SEED={seed}\n{}", self.table());
        let mut total = TOTAL.lock().unwrap();
        let mut reports = vec![(name, self.json(seed))];
        let all = total.get_or_insert_default();
        for (key, times) in self.recoveries {
            all.recoveries.entry(key).or_default().extend(times);
        }
        for (what, count) in self.counts {
            *all.counts.entry(what).or_default() += count;
        }
        println!("all settings of this run so far\n{}", all.table());
        reports.push(("total", all.json(seed)));
        if let Some(dir) = std::env::var_os("ONWARD_TEST_REPORT") {
            let dir = std::path::PathBuf::from(dir);
            std::fs::create_dir_all(&dir).unwrap();
            for (name, report) in reports {
                let text = serde_json::to_string_pretty(&report).unwrap();
                std::fs::write(dir.join(format!("campaign-{name}.json")), text).unwrap();
            }
        }
    }
}
