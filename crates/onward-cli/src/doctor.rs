//! `doctor`: whether this deployment can keep the promises, and what to change.

use std::io::IsTerminal;

use onward::internals::repo::doctor::{Check, Health, examine};
use serde_json::json;

use super::args::Global;
use super::exit::{Done, Exit};
use super::out::{Out, Told};
use super::session::config_or_new;

/// Examines the deployment; each check is told as it is made.
pub async fn run(global: &Global, out: &Out) -> Done {
    let config = config_or_new(global).await?;
    let mut worst = Health::Good;
    let mut told: Told = Ok(());
    examine(&config, &mut |check| {
        worst = worst.max(check.health);
        if told.is_ok() {
            told = out.data(|| json!(check), || text(out, &check));
        }
    })
    .await;
    told?;
    if !out.is_json() && std::io::stderr().is_terminal() {
        eprintln!("{}", summary(worst));
    }
    Ok(if worst == Health::Bad { Exit::Unexpected } else { Exit::Done })
}

fn text(out: &Out, check: &Check) -> String {
    let mark = match check.health {
        Health::Good => "good   ".to_owned(),
        Health::Warning => out.red("warning"),
        Health::Bad => out.red("bad    "),
    };
    let mut text = format!("{mark}  {:<25} {}", check.check, check.found);
    if let Some(advice) = &check.advice {
        text += &format!("\n         → {advice}");
    }
    text
}

fn summary(worst: Health) -> &'static str {
    match worst {
        Health::Good => "This deployment keeps every promise.",
        Health::Warning => "It works; the warnings say what could be better.",
        Health::Bad => "It cannot keep every promise as it is; see what is bad above.",
    }
}
