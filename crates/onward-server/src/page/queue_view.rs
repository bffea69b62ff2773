//! What a branch's queue looks like: who waits, since when, and how soon that is over at the latest.

use maud::{Markup, html};
use onward::internals::commit::accept::waiting::rounds_bound;
use onward::internals::commit::context::BATCH_MAX;
use onward::internals::repo::branch::{QueueView, QueuedView};
use onward::internals::repo::recent::RecentBatch;
use onward::{OpId, Ticket};

use super::layout::{head, table};
use super::links;
use super::window::Window;
use super::words;

/// Waiting ops that a page shows.
pub const OPS_SHOWN: usize = 100;

/// Batches that a page shows.
const BATCHES_SHOWN: usize = 10;

/// An op that waits.
pub struct Waiter {
    ticket: Ticket,
    op_id: OpId,
    kind: &'static str,
    committer: String,
    /// When it was submitted, milliseconds since the Unix epoch; 0 where that cannot be read.
    created_ms: i64,
}

impl From<QueuedView> for Waiter {
    fn from(op: QueuedView) -> Self {
        let QueuedView { ticket, op_id, kind, committer, created_ms, .. } = op;
        Self { ticket, op_id, kind, committer, created_ms }
    }
}

impl Waiter {
    /// How long it has waited, where that is known.
    fn age_ms(&self, now_ms: i64) -> Option<i64> {
        (self.created_ms > 0).then(|| now_ms.saturating_sub(self.created_ms).max(0))
    }
}

/// A queue at one moment.
pub struct Queue {
    depth: u64,
    done: u64,
    /// Whether nobody had the turn to decide it.
    stood: bool,
    /// The first of those who wait.
    ops: Vec<Waiter>,
}

impl From<QueueView> for Queue {
    fn from(view: QueueView) -> Self {
        let QueueView { depth, done, stood, ops, .. } = view;
        Self { depth, done, stood, ops: ops.into_iter().map(Waiter::from).collect() }
    }
}

/// A queue at one moment, and what is known besides.
pub struct QueueShown<'a> {
    /// Name of the repository.
    pub repo: &'a str,
    /// Name of the branch.
    pub branch: &'a str,
    /// The queue at that moment.
    pub queue: &'a Queue,
    /// What was decided last.
    pub batches: &'a [RecentBatch],
    /// The last seconds, where somebody has watched them.
    pub window: Option<&'a Window>,
    /// When it was looked at, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Whether whoever looks may call ops off.
    pub may_cancel: bool,
}

impl QueueShown<'_> {
    /// The part of the page that changes.
    pub fn markup(&self) -> Markup {
        html! {
            p.summary data-words { (self.summary()) }
            @if self.queue.stood {
                p.notice { "Nobody was deciding these ops, whose submitters may be gone: this sidecar helps them on." }
            }
            (self.facts())
            h2 { "Waiting" }
            (self.waiting())
            h2 { "Decided last" }
            (self.decided())
        }
    }

    fn summary(&self) -> String {
        match (self.queue.depth, self.oldest_ms()) {
            (0, _) => "Nothing waits.".to_owned(),
            (depth, None) => format!("{}.", words::counted(depth, "op waits", "ops wait")),
            (1, Some(ms)) => format!("1 op waits, for {}.", words::length(ms)),
            (depth, Some(ms)) => {
                format!("{} ops wait, the oldest for {}.", words::count(depth), words::length(ms))
            }
        }
    }

    fn oldest_ms(&self) -> Option<i64> {
        self.queue.ops.first().and_then(|op| op.age_ms(self.now_ms))
    }

    fn facts(&self) -> Markup {
        let oldest = self.oldest_ms().map_or_else(|| "–".to_owned(), words::length);
        html! {
            dl.figures {
                div { dt { "Waiting" } dd { (words::count(self.queue.depth)) } }
                div { dt { "Oldest for" } dd { (oldest) } }
                div {
                    dt { "Rounds at most" }
                    dd { (rounds(self.queue.depth)) " " small { "until the last of them is decided" } }
                }
                div { dt { "Decided so far" } dd { (words::count(self.queue.done)) } }
                @if let Some(window) = self.window { (window.facts()) }
            }
        }
    }

    fn waiting(&self) -> Markup {
        if self.queue.ops.is_empty() {
            return html! {
                p {
                    "What is accepted waits here until whoever has a commit waiting decides all of it, up to "
                    (words::count(BATCH_MAX as u64)) " ops in a round."
                }
            };
        }
        let hidden = self.queue.depth.saturating_sub(self.queue.ops.len() as u64);
        let columns = ["Ticket", "Op", "By", "Waits", "Rounds at most", "Op id"];
        let rows = html! {
            (head(columns.into_iter().chain(self.may_cancel.then_some("Call off"))))
            tbody {
                @for (at, op) in self.queue.ops.iter().enumerate() { (self.row(at as u64 + 1, op)) }
            }
        };
        html! {
            (table("Waiting ops", rows))
            @if hidden > 0 { p { "And " (words::count(hidden)) " more behind them." } }
        }
    }

    fn row(&self, position: u64, op: &Waiter) -> Markup {
        let id = op.op_id.to_string();
        html! {
            tr {
                th scope="row" { (op.ticket) }
                td { (op.kind.replace('_', " ")) }
                td.text { bdi { (op.committer) } }
                td {
                    @match op.age_ms(self.now_ms) {
                        Some(ms) => { (words::length(ms)) " " small { "since " (words::moment(op.created_ms)) } }
                        None => { "unknown" }
                    }
                }
                td { (rounds(position)) }
                td { code { (id) } }
                @if self.may_cancel {
                    td {
                        a.act id={ "cancel-" (id) } href=(links::cancel(self.repo, self.branch).with("op", &id))
                            aria-label={ "Call off op " (op.ticket) } { "Call off…" }
                    }
                }
            }
        }
    }

    fn decided(&self) -> Markup {
        if self.batches.is_empty() {
            return html! { p { "Nothing, for a while: its outcomes are in the log of the branch alone." } };
        }
        let rows = html! {
            thead { tr { th scope="col" { "Tickets" } th scope="col" { "Ops in one round" } th scope="col" aria-hidden="true" {} } }
            tbody {
                @for batch in self.batches.iter().take(BATCHES_SHOWN) {
                    tr {
                        th scope="row" {
                            (words::count(batch.first.0))
                            @if batch.ops > 1 { " to " (words::count(batch.last().0)) }
                        }
                        td { (words::count(u64::from(batch.ops))) }
                        td aria-hidden="true" { (bar(u64::from(batch.ops))) }
                    }
                }
            }
        };
        table("Batches that were decided last", rows)
    }
}

/// The rounds within which an op at a place of the queue is decided, of any client that goes on.
fn rounds(position: u64) -> String {
    match position {
        0 => "–".to_owned(),
        position => words::count(rounds_bound(position)),
    }
}

/// A batch as a bar: its length doubles with each tenfold of ops.
fn bar(ops: u64) -> Markup {
    let digits = (ops as f64).max(1.0).log10();
    let width = format!("{:.0}", 4.0 + digits * 38.0);
    html! {
        svg.bar viewBox="0 0 124 10" width="124" height="10" { rect width=(width) height="10" rx="2" fill="currentColor" {} }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_907_127_000;

    fn waiter(ticket: u64, committer: &str) -> Waiter {
        Waiter {
            ticket: Ticket(ticket),
            op_id: OpId::of_bytes(&ticket.to_be_bytes()),
            kind: "commit",
            committer: committer.to_owned(),
            created_ms: NOW_MS - 2_500,
        }
    }

    fn shown(queue: &Queue, may_cancel: bool) -> String {
        let batches = [RecentBatch { first: Ticket(4), ops: 3 }];
        let (repo, branch, batches) = ("lake", "main", batches.as_slice());
        QueueShown { repo, branch, queue, batches, window: None, now_ms: NOW_MS, may_cancel }
            .markup()
            .into_string()
    }

    #[test]
    fn a_queue_says_who_waits_since_when_and_how_long_at_most() {
        let ops = vec![waiter(7, "loader"), waiter(8, "<b>x</b>")];
        let queue = Queue { done: 6, depth: 2_000, stood: true, ops };
        let text = shown(&queue, true);
        for part in [
            "2,000 ops wait, the oldest for 2.5 s.",
            "Nobody was deciding",
            "&lt;b&gt;x&lt;/b&gt;",
            "1,998 more",
            "<dd>3 <small>until the last",
            "<td>2</td>",
            "4 to 6",
            "queue/cancel?op=",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<b>"));
        assert!(!shown(&queue, false).contains("cancel"));
    }

    #[test]
    fn the_longest_page_of_a_queue_is_not_long() {
        // The longest name that a key's owner can have, of characters that are written out.
        let ops =
            (0..OPS_SHOWN as u64).map(|n| waiter(u64::MAX / 2 + n, &"&".repeat(100))).collect();
        let queue = Queue { done: u64::MAX / 2, depth: u64::MAX / 4, stood: true, ops };
        let len = shown(&queue, true).len();
        assert!(len < 120 << 10, "{len} bytes");
    }

    #[test]
    fn an_op_that_cannot_be_read_waits_for_nobody_knows_how_long() {
        let unread = Waiter { created_ms: 0, kind: "damaged", ..waiter(1, "") };
        let text = shown(&Queue { done: 0, depth: 1, stood: false, ops: vec![unread] }, false);
        assert!(text.contains("1 op waits.") && text.contains("unknown"), "{text}");
    }

    #[test]
    fn an_empty_queue_says_so() {
        let empty = Queue { done: 0, depth: 0, stood: false, ops: Vec::new() };
        let text = shown(&empty, true);
        assert!(text.contains("Nothing waits.") && !text.contains("Nobody was deciding"), "{text}");
    }
}
