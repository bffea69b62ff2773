//! `kafka`: records of Kafka topics as files on a branch, each record once.
//!
//! What can be asked for is the same in every build; carrying it out takes the feature `kafka`, because
//! Kafka's client is a library in C that not everybody wants to build.

mod args;
#[cfg(feature = "kafka")]
mod plan;
#[cfg(feature = "kafka")]
mod run;
#[cfg(feature = "kafka")]
mod schema;
#[cfg(feature = "kafka")]
mod watch;

pub use args::KafkaArgs;
#[cfg(feature = "kafka")]
pub use run::run;

/// Says how to get a build that can; what is wrong with the settings is told in every build.
#[cfg(not(feature = "kafka"))]
pub async fn run(
    _: &super::args::Global,
    _: &super::out::Out,
    args: KafkaArgs,
) -> super::exit::Done {
    args.whole()?;
    Err(onward::Error::invalid(
        "this build of onward is without the Kafka sink: `cargo install --path crates/onward-cli --locked --features kafka` makes one with it, and the container image has it",
    )
    .into())
}
