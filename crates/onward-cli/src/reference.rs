//! `docs/settings.md` has every flag and variable of the command as the parser knows them: it is made of that,
//! by `make settings`.

use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::verbs::Args;

/// What stands behind this line is made.
const MADE: &str = "\n<!-- From here on made of the program. -->\n";

fn kept() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// How an argument is typed.
fn typed(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let values: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
    let takes = arg.get_action().takes_values();
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    match (flags.is_empty(), takes) {
        (true, _) => values.join(" "),
        (false, true) => format!("{} {}", flags.join(", "), values.join(" ")),
        (false, false) => flags.join(", "),
    }
}

fn row(arg: &Arg) -> String {
    let env = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match arg.get_action().takes_values() && !defaults.is_empty() {
        true => format!("`{}`", defaults.join(",")),
        false => String::new(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.split(" [env:").next().unwrap_or_default().replace('\n', " ");
    format!("| `{}` | {} | {default} | {help} |", typed(arg), env.unwrap_or_default())
        .replace("|  |", "| |")
        .replace("|  |", "| |")
}

fn table(arguments: impl Iterator<Item = Arg>) -> String {
    let rows: Vec<String> = arguments.map(|arg| row(&arg)).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("| | environment | default | |\n|---|---|---|---|\n{}\n\n", rows.join("\n"))
}

fn own(command: &Command) -> impl Iterator<Item = Arg> {
    let is_own = |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set();
    let is_built_in = |arg: &&Arg| matches!(arg.get_id().as_str(), "help" | "version");
    command.get_arguments().filter(is_own).filter(move |arg| !is_built_in(arg)).cloned()
}

fn verb(command: &Command, above: &str, text: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    text.push_str(&format!("### `{name}`\n\n{about}.\n\n{}", table(own(command))));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        // What a feature brings is described in kafka.md: the page is that of every build.
        let is_of_every_build = !(name == "onward bench" && below.get_name() == "kafka");
        if below.get_name() != "help" && is_of_every_build {
            verb(below, &name, text);
        }
    }
}

fn made() -> String {
    let command = Args::command();
    let global = command.get_arguments().filter(|arg| arg.is_global_set()).cloned();
    let mut text = format!("\n## Options of every verb\n\n{}## Verbs\n\n", table(global));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        verb(below, "onward", &mut text);
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn the_reference_of_settings_is_what_the_program_takes() {
    let (path, kept) = kept();
    let (written, _) = kept.split_once(MADE).expect("the line that begins what is made");
    let made = format!("{written}{MADE}{}", made());
    if std::env::var_os("ONWARD_WRITE_SETTINGS").is_some() {
        std::fs::write(path, made).unwrap();
    } else {
        assert!(kept == made, "docs/settings.md is not what the program takes: make settings");
    }
}

#[test]
fn every_variable_of_a_setting_is_among_those_that_are_described() {
    let (_, kept) = kept();
    for variable in [
        super::serve::SECRET_VARIABLE,
        "ONWARD_LISTEN",
        "ONWARD_REDIS",
        "NO_COLOR",
        "RUST_LOG",
        "TMPDIR",
    ] {
        assert!(kept.contains(&format!("`{variable}`")), "{variable}");
    }
}
