//! What a sink tells, for those who watch: a line that moves, remarks, or JSON.

use onward::internals::clock::{Stopwatch, rfc3339};
use onward_kafka::broker::Place;
use onward_kafka::{Event, Report};
use serde_json::{Value, json};

use super::super::out::{Out, Told, human_bytes, printable_lines};
use super::super::progress::Progress;

/// Partitions named in a remark.
const NAMED_MAX: usize = 8;

/// What was told so far.
pub struct Watch {
    out: Out,
    progress: Progress,
    begun: Stopwatch,
    /// Records on the branch, and when the rate was last counted.
    records: u64,
    counted: (Stopwatch, u64),
    rate: f64,
    files: u64,
    bytes: u64,
    commits: u64,
    lag: Option<u64>,
    valid_through_ms: Option<i64>,
    /// Nobody listens to stdout any more.
    is_unheard: bool,
}

impl Watch {
    pub fn new(out: Out) -> Self {
        Self {
            out,
            progress: Progress::new(&out),
            begun: Stopwatch::start(),
            records: 0,
            counted: (Stopwatch::start(), 0),
            rate: 0.0,
            files: 0,
            bytes: 0,
            commits: 0,
            lag: None,
            valid_through_ms: None,
            is_unheard: false,
        }
    }

    /// Something happened.
    pub fn tell(&mut self, event: Event) {
        match &event {
            Event::Committed { files, records, bytes, valid_through_ms, .. } => {
                self.records += records;
                self.files += files;
                self.bytes += bytes;
                self.commits += u64::from(*records > 0);
                self.valid_through_ms = valid_through_ms.or(self.valid_through_ms);
            }
            Event::Lag(lag) => self.lag = Some(*lag),
            _ => {}
        }
        if self.out.is_json() {
            if let Some(line) = shape(&event).filter(|_| !self.is_unheard) {
                self.is_unheard = self.out.data(|| line, String::new).is_err();
            }
        } else if let Some(remark) = remark(&event) {
            let remark = printable_lines(&remark);
            self.progress.aside(|| self.out.note(&remark));
        }
    }

    /// Draws the line that moves.
    pub fn draw(&mut self) {
        let (watch, before) = &mut self.counted;
        if watch.elapsed().as_secs() >= 2 {
            let seconds = watch.lap().as_secs_f64();
            self.rate = (self.records - *before) as f64 / seconds;
            *before = self.records;
        }
        self.progress.show(|| self.line());
    }

    fn line(&self) -> String {
        let lag = self.lag.map(|lag| format!(", {lag} to go")).unwrap_or_default();
        let valid = self.valid_through_ms.map(|ms| format!(", all up to {}", rfc3339(ms)));
        format!(
            "{} records in {} files ({}), {} commits, {:.0} records/s{lag}{}",
            self.records,
            self.files,
            human_bytes(self.bytes),
            self.commits,
            self.rate,
            valid.unwrap_or_default()
        )
    }

    /// Tells what it was in all.
    pub fn end(&self, report: &Report) -> Told {
        self.progress.end();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.out.data(
            || {
                json!({
                    "event": "ended", "records": report.records, "files": report.files, "bytes": report.bytes,
                    "commits": report.commits, "seconds": seconds,
                    "valid_through": self.valid_through_ms.map(rfc3339),
                })
            },
            || {
                format!(
                    "{} records in {} files ({}), {} commits",
                    report.records,
                    report.files,
                    human_bytes(report.bytes),
                    report.commits
                )
            },
        )
    }
}

fn names(places: &[Place]) -> String {
    let named = places.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>();
    let more = places.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// What people want to know at once.
fn remark(event: &Event) -> Option<String> {
    Some(match event {
        Event::Assigned(starts) => {
            let places: Vec<Place> = starts.iter().map(|(place, _)| place.clone()).collect();
            format!("reading {}", names(&places))
        }
        Event::Revoked { places, is_all_committed: false } => format!(
            "{} taken away before all that was read could be committed: whoever has them next reads it again",
            names(places)
        ),
        Event::Skipped { place, what, next } => {
            format!("skipped in {place}: {what}; going on at offset {next}")
        }
        Event::CameToNothing { place, offset, outcome } => {
            format!("the change set at offset {offset} of {place} came to nothing: {outcome}")
        }
        Event::TakenOver(place) => format!("{place} was taken over by another process"),
        Event::HeldBack(place) => {
            format!("{place}: an open transaction keeps records back until it ends")
        }
        Event::Trouble(what) => format!("tried again: {what}"),
        _ => return None,
    })
}

/// The same for programs.
fn shape(event: &Event) -> Option<Value> {
    let place_of = |place: &Place| json!({"topic": &*place.topic, "partition": place.partition});
    let places_of = |places: &[Place]| places.iter().map(place_of).collect::<Vec<_>>();
    Some(match event {
        Event::Assigned(starts) => {
            let starts = starts.iter().map(|(place, offset)| {
                json!({"topic": &*place.topic, "partition": place.partition, "offset": offset})
            });
            json!({"event": "assigned", "partitions": starts.collect::<Vec<_>>()})
        }
        Event::Revoked { places, is_all_committed } => {
            json!({"event": "revoked", "partitions": places_of(places), "all_committed": is_all_committed})
        }
        Event::Committed { commit, files, records, bytes, valid_through_ms } => json!({
            "event": "committed", "commit": commit, "files": files, "records": records, "bytes": bytes,
            "valid_through": valid_through_ms.map(rfc3339),
        }),
        Event::Skipped { place, what, next } => json!({
            "event": "skipped", "topic": &*place.topic, "partition": place.partition, "what": what, "next": next,
        }),
        Event::CameToNothing { place, offset, outcome } => json!({
            "event": "came_to_nothing", "topic": &*place.topic, "partition": place.partition, "offset": offset,
            "outcome": serde_json::from_str::<Value>(outcome).unwrap_or_default(),
        }),
        Event::TakenOver(place) => json!({"event": "taken_over", "partition": place_of(place)}),
        Event::HeldBack(place) => json!({"event": "held_back", "partition": place_of(place)}),
        Event::Paused(places) => json!({"event": "paused", "partitions": places_of(places)}),
        Event::Resumed(places) => json!({"event": "resumed", "partitions": places_of(places)}),
        Event::Trouble(what) => json!({"event": "trouble", "message": what}),
        _ => return None,
    })
}
