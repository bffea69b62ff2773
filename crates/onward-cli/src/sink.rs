//! `sink`: where events of a repository go.

use std::time::Duration;

use clap::Subcommand;
use onward::internals::repo::sinks::{EventKind, StartAt};
use onward::{Error, RepoName, Ticket};
use onward_server::sinks::shapes::SinkShape;
use onward_server::sinks::{Made, NewSink, NewTarget, Reach, STREAM_LENGTH, Sent, Sinks};
use serde_json::{Value, json};

use super::args::{Global, duration};
use super::exit::{Done, Exit, Failure};
use super::out::{Out, printable};
use super::session::{confirm, with};
use super::shape::add;

#[derive(Debug, Subcommand)]
pub enum SinkVerb {
    /// Send events to a webhook, or to a stream of Redis; the secret of a webhook is shown this once
    #[command(
        after_help = "Examples:\n  onward sink add lake https://hooks.example.com/onward --branch main --event commit,merge\n  onward sink add lake --stream --from-start\n  onward sink add lake redis://events.internal/0 --stream --key lake-events\n\nWho delivers is the sidecar (`onward serve`); where it may send to says its --allow-sink."
    )]
    Add(Box<AddArgs>),
    /// All sinks of a repository, how far they came, and why one is not live
    #[command(after_help = "Example: onward sink list lake")]
    List {
        /// The repository
        repo: RepoName,
    },
    /// Send one event that says it is a test, and tell what became of it
    #[command(after_help = "Example: onward sink test lake audit")]
    Test {
        /// The repository
        repo: RepoName,
        /// The sink
        id: String,
        #[command(flatten)]
        allow: Allow,
    },
    /// Remove a sink; what was not delivered is not
    #[command(after_help = "Example: onward sink remove lake audit")]
    Remove {
        /// The repository
        repo: RepoName,
        /// The sink
        id: String,
    },
    /// Let a sink that was given up go on where it stopped
    #[command(after_help = "Example: onward sink revive lake audit")]
    Revive {
        /// The repository
        repo: RepoName,
        /// The sink
        id: String,
    },
    /// Give a webhook a new secret; the old one counts as well until this is done again
    #[command(after_help = "Example: onward sink rotate lake audit")]
    Rotate {
        /// The repository
        repo: RepoName,
        /// The sink
        id: String,
        /// The old one counts no longer: it became known
        #[arg(long)]
        alone: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The repository
    repo: RepoName,
    /// The webhook: https://…; with --stream another Redis than the deployment's own: redis://…
    #[arg(required_unless_present = "stream")]
    url: Option<String>,
    /// Names of branches, with * and ?; may be repeated [default: all branches]
    #[arg(long = "branch", value_name = "PATTERN")]
    branches: Vec<String>,
    /// Which events: commit, merge, reset, branch_created, branch_deleted [default: all of them]
    #[arg(long = "event", value_name = "KINDS", value_delimiter = ',')]
    events: Vec<EventKind>,
    /// Its id, if not one that is drawn
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// To a stream of Redis
    #[arg(long)]
    stream: bool,
    /// The name of a stream in another Redis
    #[arg(long, value_name = "KEY", requires = "stream")]
    key: Option<String>,
    /// Entries that a stream keeps, about
    #[arg(long, value_name = "ENTRIES", requires = "stream", default_value_t = STREAM_LENGTH)]
    length: u64,
    /// Begin with the first commit of every branch [default: with what is decided from now on]
    #[arg(long, conflicts_with = "after")]
    from_start: bool,
    /// Begin behind this ticket of every branch
    #[arg(long, value_name = "TICKET")]
    after: Option<u64>,
    /// How long one delivery may take, 60s at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    timeout: Duration,
    /// How long an event may fail before the sink is given up, 30days at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "3days")]
    give_up_after: Duration,
    #[command(flatten)]
    allow: Allow,
}

/// Where events may go, of who sends them himself and of a sidecar.
#[derive(Debug, clap::Args)]
pub struct Allow {
    /// Where events may go: public (any address of the internet, by https), a host, a domain (*.internal), an
    /// address or a network (10.1.0.0/16), which may be private and be reached by http; may be repeated
    #[arg(
        long,
        value_name = "PLACE",
        env = "ONWARD_ALLOW_SINK",
        value_delimiter = ' ',
        default_value = "public"
    )]
    pub allow_sink: Vec<String>,
}

impl Allow {
    /// The same, read.
    pub fn reach(&self) -> Result<Reach, Error> {
        Reach::new(&self.allow_sink)
    }
}

impl AddArgs {
    fn read(self) -> Result<(RepoName, NewSink, Reach), Error> {
        let target = match (self.url, self.stream) {
            (redis, true) => NewTarget::Stream { redis, key: self.key, length_max: self.length },
            (Some(url), false) => NewTarget::Webhook { url, secret: None },
            (None, false) => return Err(Error::invalid("give the URL of a webhook, or --stream")),
        };
        let start = match (self.from_start, self.after) {
            (true, _) => StartAt::Start,
            (false, Some(ticket)) => StartAt::After(Ticket(ticket.min(Ticket::MAX.0))),
            (false, None) => StartAt::Now,
        };
        let new = NewSink {
            id: self.id,
            branches: self.branches,
            kinds: self.events.into_iter().collect(),
            target,
            timeout: self.timeout,
            give_up_after: self.give_up_after,
            start,
        };
        Ok((self.repo, new, self.allow.reach()?))
    }
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: SinkVerb) -> Done {
    with(global, async |onward| {
        // What only keeps sinks sends nothing.
        let kept = |onward| Ok::<_, Error>(Sinks::new(onward, Reach::new(&[])?));
        match verb {
            SinkVerb::Add(args) => {
                let (repo, new, reach) = args.read()?;
                let made = Sinks::new(onward, reach).add(&repo, new).await?;
                show_made(out, &made)?;
            }
            SinkVerb::List { repo } => {
                for sink in kept(onward)?.list(&repo).await? {
                    out.data(|| shape(&sink), || line(&sink))?;
                }
            }
            SinkVerb::Test { repo, id, allow } => {
                let reach = allow.reach()?;
                return show_sent(out, Sinks::new(onward, reach).test(&repo, &id).await?);
            }
            SinkVerb::Remove { repo, id } => {
                let sinks = kept(onward.clone())?;
                onward.repo(repo.as_str()).sink(&id).await?;
                confirm(global, out, format!("sink '{id}' gets no more events")).await?;
                sinks.remove(&repo, &id).await?;
                if out.is_json() {
                    out.data(
                        || json!({"repository": repo, "id": id, "deleted": true}),
                        String::new,
                    )?;
                }
                out.note(&format!("removed sink '{id}'"));
            }
            SinkVerb::Revive { repo, id } => {
                kept(onward)?.revive(&repo, &id).await?;
                if out.is_json() {
                    out.data(
                        || json!({"repository": repo, "id": id, "revived": true}),
                        String::new,
                    )?;
                }
                out.note(&format!("sink '{id}' goes on where it stopped, within seconds"));
            }
            SinkVerb::Rotate { repo, id, alone } => {
                let secret = kept(onward)?.rotate(&repo, &id, alone).await?;
                let told = json!({"repository": repo, "id": id, "secret": secret});
                out.data(|| told, || format!("secret  {secret}"))?;
                out.note("the secret is not shown again: put it where it is needed");
            }
        }
        Ok(Exit::Done)
    })
    .await
}

fn shape(sink: &SinkShape) -> Value {
    // A shape of texts and numbers is always JSON.
    serde_json::to_value(sink).unwrap_or_default()
}

fn line(sink: &SinkShape) -> String {
    let mut line = format!(
        "{}\t{}\t{}\t{}\t{}",
        sink.id,
        sink.state,
        printable(&sink.place()),
        printable(&sink.branches.join(",")),
        sink.delivered
    );
    if let Some(since) = &sink.since {
        line.push_str(&format!("\tsince {since}"));
    }
    if let Some(reason) = &sink.reason {
        line.push_str(&format!("\t{}", printable(reason)));
    }
    if !sink.left_out.is_empty() {
        let left_out = printable(&sink.left_out.join(","));
        line.push_str(&format!("\tleft out, as their records are damaged: {left_out}"));
    }
    line
}

fn show_made(out: &Out, made: &Made) -> Result<(), Failure> {
    let Made { sink, secret, left_out } = made;
    out.data(
        || {
            let mut shape = shape(sink);
            if let Some(secret) = secret {
                add(&mut shape, "secret", secret.as_str());
            }
            if !left_out.is_empty() {
                add(&mut shape, "left_out", left_out.as_slice());
            }
            shape
        },
        || {
            let secret = secret.as_ref().map(|secret| format!("\nsecret  {secret}"));
            let secret = secret.unwrap_or_default();
            format!("sink    {}\nto      {}{secret}", sink.id, printable(&sink.place()))
        },
    )?;
    if secret.is_some() {
        out.note("the secret is not shown again: put it where it is needed");
    }
    for branch in left_out {
        out.note(&format!(
            "branch '{}' is left out: its record is damaged, and `onward verify {}` says how; it is followed once that is mended",
            printable(branch), sink.repository
        ));
    }
    out.note("a sidecar (`onward serve`) delivers, within seconds");
    Ok(())
}

fn show_sent(out: &Out, sent: Sent) -> Done {
    let (taken, status, reason) = match sent {
        Sent::Taken { status } => (true, status, None),
        Sent::Gone => (false, Some(410), Some("it answered 410 Gone".to_owned())),
        Sent::Failed { status, reason, .. } => (false, status, Some(reason)),
    };
    out.data(
        || json!({"taken": taken, "status": status, "reason": reason}),
        || match (status, &reason) {
            (_, Some(reason)) => format!("not taken: {}", printable(reason)),
            (Some(status), None) => format!("taken, with status {status}"),
            (None, None) => "taken".to_owned(),
        },
    )?;
    Ok(if taken { Exit::Done } else { Exit::Unexpected })
}

#[cfg(test)]
mod tests {
    use onward_server::sinks::{GIVE_UP_AFTER, TIMEOUT};

    use super::*;

    #[test]
    fn what_help_says_is_what_holds() {
        assert_eq!(duration("10s").unwrap(), TIMEOUT);
        assert_eq!(duration("3days").unwrap(), GIVE_UP_AFTER);
    }
}
