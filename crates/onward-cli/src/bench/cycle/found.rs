//! What cycles were measured, and how it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::sample::{Latencies, rounded};
use super::super::table::Cell;
use super::api::{Asked, Refused};

/// The requests of a cycle, in their order.
pub const STEPS: [&str; 4] = ["branch", "upload", "commit", "merge"];

/// What clients measured.
pub struct Cycles {
    /// Of cycles that came to their end.
    pub whole: Latencies,
    /// Of their requests.
    steps: Vec<Latencies>,
    /// How many were refused, by status.
    refused: BTreeMap<String, u64>,
    /// The first that was.
    error: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Cycles {
    /// None yet.
    pub fn new() -> Self {
        let steps = STEPS.iter().map(|_| Latencies::new()).collect();
        Self { whole: Latencies::new(), steps, refused: BTreeMap::new(), error: None, seconds: 0.0 }
    }

    /// A request that was answered as it should be.
    pub fn note(&mut self, step: usize, latency: Duration) {
        if let Some(latencies) = self.steps.get_mut(step) {
            latencies.record(latency);
        }
    }

    /// One that was not, which ends its cycle.
    pub fn fail(&mut self, step: usize, refused: &Refused) {
        let status = refused.status.map_or("no answer".to_owned(), |status| status.to_string());
        let step = STEPS.get(step).copied().unwrap_or_default();
        self.error.get_or_insert_with(|| format!("{step}: {status}: {}", refused.why));
        *self.refused.entry(status).or_default() += 1;
    }

    /// Adds what another client measured at the same time.
    pub fn add(&mut self, other: &Self) {
        self.whole.add(&other.whole);
        for (sum, other) in self.steps.iter_mut().zip(&other.steps) {
            sum.add(other);
        }
        for (status, count) in &other.refused {
            *self.refused.entry(status.clone()).or_default() += count;
        }
        if self.error.is_none() {
            self.error.clone_from(&other.error);
        }
    }

    /// How many did not come to their end.
    pub fn failed(&self) -> u64 {
        self.refused.values().sum()
    }

    /// What to say of those.
    pub fn told(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let by: Vec<String> = self.refused.iter().map(|(by, n)| format!("{n} × {by}")).collect();
        Some(format!("{} cycles failed ({}), the first: {error}", self.failed(), by.join(", ")))
    }
}

/// One number of clients.
pub struct Point {
    /// How many there were.
    pub clients: usize,
    /// What they measured.
    pub cycles: Cycles,
    /// What the server asked for meanwhile, where it tells.
    pub asked: Option<Asked>,
}

impl Point {
    fn per_second(&self) -> f64 {
        self.cycles.whole.count() as f64 / self.cycles.seconds.max(f64::MIN_POSITIVE)
    }

    fn each(&self, of: fn(Asked) -> f64) -> Option<f64> {
        let cycles = self.cycles.whole.count().max(1) as f64;
        self.asked.map(|asked| rounded(of(asked) / cycles))
    }

    /// Corrected: a client that waits begins no other cycle meanwhile.
    fn steps(&self) -> impl Iterator<Item = (&'static str, Latencies)> {
        let Cycles { whole, steps, .. } = &self.cycles;
        STEPS.into_iter().zip(steps.iter().map(|step| step.corrected_by(whole)))
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let Cycles { whole, refused, seconds, .. } = &self.cycles;
        let corrected = whole.corrected();
        let steps: BTreeMap<&str, Value> = self
            .steps()
            .map(|(name, step)| {
                (name, json!({"p50_ms": step.quantile_ms(0.5), "p99_ms": step.quantile_ms(0.99)}))
            })
            .collect();
        json!({
            "scenario": "cycle",
            "clients": self.clients,
            "cycles": whole.count(),
            "seconds": rounded(*seconds),
            "cycles_per_second": rounded(self.per_second()),
            "p50_ms": corrected.quantile_ms(0.5),
            "p99_ms": corrected.quantile_ms(0.99),
            "max_ms": corrected.max_ms(),
            "steps": steps,
            "errors": self.cycles.failed(),
            "errors_by_status": refused,
            "redis_calls_per_cycle": self.each(|asked| asked.redis),
            "object_requests_per_cycle": self.each(|asked| asked.objects),
        })
    }

    /// The row: of each step p50 and p99 in milliseconds.
    pub fn row(&self) -> Vec<Cell> {
        let corrected = self.cycles.whole.corrected();
        let mut row = vec![
            Cell::number("clients", 7, self.clients),
            Cell::number("cycles/s", 8, format!("{:.1}", self.per_second())),
            Cell::ms("p50 ms", corrected.quantile_ms(0.5)),
            Cell::ms("p99 ms", corrected.quantile_ms(0.99)),
        ];
        row.extend(self.steps().map(|(name, step)| {
            let short = |ms: f64| if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
            let both = [0.5, 0.99].map(|quantile| short(step.quantile_ms(quantile)));
            Cell::number(name, 8, both.join("/"))
        }));
        row.push(Cell::number("failed", 6, self.cycles.failed()));
        if let Some(calls) = self.each(|asked| asked.redis) {
            row.push(Cell::number("calls", 5, format!("{calls:.1}")));
        }
        row
    }
}
