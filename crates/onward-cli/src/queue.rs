//! `queue`: what waits on a branch, once or live.

use std::io::IsTerminal;
use std::time::Duration;

use onward::internals::model::address::Address;
use onward::internals::repo::branch::QueueView;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told, printable};
use super::session::{branch_of, with};
use super::shape;
use super::signals::Signals;

/// Ops looked at.
const OPS_MAX: usize = 100;

/// Ops shown to people.
const OPS_SHOWN: usize = 15;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Shows a branch's queue; with `watch`, until Ctrl-C.
pub async fn run(global: &Global, out: &Out, address: &Address, watch: bool) -> Done {
    with(global, async |onward| {
        let branch = branch_of(&onward, address)?;
        let name = address.to_string();
        if !watch {
            let view = branch.queue(OPS_MAX).await?;
            out.data(|| shape::queue(&name, &view), || text(&name, &view, None))?;
            return Ok(Exit::Done);
        }
        let mut signals = Signals::listen(*out)?;
        let mut screen = Screen { lines: 0, done: None };
        loop {
            let view = tokio::select! {
                view = branch.queue(OPS_MAX) => view?,
                () = signals.caught() => return Ok(Exit::Done),
            };
            screen.draw(out, &name, &view)?;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = signals.caught() => return Ok(Exit::Done),
            }
        }
    })
    .await
}

/// A part of the terminal that is written over and over.
struct Screen {
    lines: usize,
    done: Option<u64>,
}

impl Screen {
    fn draw(&mut self, out: &Out, name: &str, view: &QueueView) -> Told {
        let rate =
            self.done.map(|before| view.done.saturating_sub(before) as f64 / PAUSE.as_secs_f64());
        self.done = Some(view.done);
        if out.is_json() || !std::io::stdout().is_terminal() {
            return out.data(|| shape::queue(name, view), || text(name, view, rate));
        }
        let text = text(name, view, rate);
        // Up to the first line of what was drawn before, and everything below it away.
        let back = match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        self.lines = text.lines().count();
        out.bytes(format!("{back}{text}\n").as_bytes())
    }
}

fn text(name: &str, view: &QueueView, rate: Option<f64>) -> String {
    let now = onward::internals::clock::now_ms();
    let oldest = view.ops.first().map(|op| format!(", oldest {}", age(op.age_ms(now))));
    let rate = rate.map(|rate| format!(", {rate:.0}/s")).unwrap_or_default();
    let mut text = format!(
        "{name}: {} waiting{}, {} decided{rate}",
        view.depth,
        oldest.unwrap_or_default(),
        view.done
    );
    for op in view.ops.iter().take(OPS_SHOWN) {
        let committer: String = printable(&op.committer).chars().take(24).collect();
        let age = age(op.age_ms(now));
        text += &format!(
            "\n{:>10}  {:<12}  {committer:<24}  {age:>8}  {}",
            op.ticket, op.kind, op.op_id
        );
    }
    let shown = view.ops.len().min(OPS_SHOWN) as u64;
    if view.depth > shown {
        text += &format!("\n{:>10}  and {} more", "…", view.depth - shown);
    }
    text
}

fn age(ms: i64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        _ => format!("{} s", ms / 1000),
    }
}
