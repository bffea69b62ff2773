//! The program's own words on stderr: those of a sidecar always, those of a command when asked for;
//! and a sidecar's traces, where the program was built with them.

use std::any::Any;
use std::io::IsTerminal;

use onward::Result;
use tracing::Metadata;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::serve::LogFormat;
use super::verbs::{Args, Verb};

/// What has to live as long as anything may be said.
pub type Kept = Option<Box<dyn Any>>;

/// Begins to listen to what is said, as `-v` or `RUST_LOG` ask.
pub fn begin(args: &Args) -> Result<Kept> {
    let sidecar = match &args.verb {
        Verb::Up(serve) | Verb::Serve(serve) => Some(serve),
        _ => None,
    };
    let ours = |level| Targets::new().with_target("onward", level);
    let asked = || std::env::var("RUST_LOG").ok()?.parse::<Targets>().ok();
    let filter = match (args.global.verbose, sidecar) {
        (0, None) => asked().unwrap_or_default(),
        (0, Some(_)) => asked().unwrap_or_else(|| ours(LevelFilter::INFO)),
        (1, None) => ours(LevelFilter::INFO),
        (1, Some(_)) | (2, _) => ours(LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    let ansi = !args.global.no_color && std::io::stderr().is_terminal();
    // A reader of the log that has gone away is no reason to stop.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .log_internal_errors(false);
    let log = match sidecar.map(|serve| serve.log_format) {
        Some(LogFormat::Json) => log.json().flatten_event(true).boxed(),
        _ => log.boxed(),
    };
    let all = tracing_subscriber::registry().with(filter).with(filter_fn(is_no_secret)).with(log);
    #[cfg(feature = "otel")]
    if sidecar.is_some()
        && let Some((traces, sending)) = onward_server::otel::layer()?
    {
        // Somebody else may listen already, in a test: then he hears it.
        let _ = all.with(traces).try_init();
        return Ok(Some(Box::new(sending)));
    }
    let _ = all.try_init();
    Ok(None)
}

/// Whether something may be said, whatever is asked for. The crate that speaks S3 says what signatures it
/// expects, and whole requests with those they have; the one that signs says what it signs, tokens among it.
fn is_no_secret(of: &Metadata<'_>) -> bool {
    !["s3s", "aws_sigv4"].iter().any(|of_secrets| of.target().starts_with(of_secrets))
}
