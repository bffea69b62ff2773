//! The `onward` command. All of it is in [`cli`], on top of the library's public face.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
