//! `import`: a folder of an object store, in one commit, without a copy.

use onward::internals::model::address::Address;
use onward::internals::repo::import::{ImportPart, ImportRequest, Imported};
use serde_json::{Value, json};

use super::args::Global;
use super::commit::TIMEOUT;
use super::exit::{Done, Exit};
use super::out::{Out, human_bytes, printable};
use super::session::{branch_above, prefix_of, with};
use super::shape::add;
use super::tell::{Asked, tell};

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// REPO/BRANCH[/PREFIX]
    pub address: Address,
    /// The folder: file:///srv/raw, s3://bucket/raw
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Why [default: names the source]
    #[arg(short, long, value_name = "MSG")]
    pub message: Option<String>,
    /// Only names like this (*.csv) or paths like this (2026/**); may be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No names or paths like this; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Remove what is below PREFIX, would be taken by the patterns, and is not in the folder
    #[arg(long)]
    pub mirror: bool,
    /// Only count
    #[arg(long)]
    pub dry_run: bool,
}

/// Imports.
pub async fn run(global: &Global, out: &Out, args: ImportArgs) -> Done {
    let request = ImportRequest {
        parts: vec![ImportPart::Folder { url: args.from, prefix: prefix_of(&args.address) }],
        include: args.include,
        exclude: args.exclude,
        message: args.message,
        dry_run: args.dry_run,
        mirror: args.mirror,
        partial: true,
        timeout: Some(TIMEOUT),
        ..ImportRequest::default()
    };
    with(global, async |onward| {
        let branch = branch_above(&onward, &args.address)?;
        let imported = branch.import(&request).await?;
        let summary = summary(&imported);
        let exit = match &imported.outcome {
            None => {
                out.data(|| counted(json!({"outcome": null}), &imported), || summary)?;
                Exit::Done
            }
            Some(outcome) if out.is_json() => {
                out.data(|| counted(json!(outcome), &imported), String::new)?;
                Exit::of_outcome(outcome)
            }
            Some(outcome) => {
                out.note(&summary);
                let reference = args.address.require_ref()?;
                let branch = format!("{}/{reference}", args.address.repo);
                tell(out, outcome, &Asked::Ticket, &branch)?
            }
        };
        out.left_out(imported.skipped.missed(), &imported.skipped.reasons);
        Ok(exit.unless_missed(imported.skipped.missed()))
    })
    .await
}

fn summary(imported: &Imported) -> String {
    let mut text = format!(
        "{} objects, {}, from {}",
        imported.objects,
        human_bytes(imported.bytes),
        printable(&imported.source)
    );
    let skipped = &imported.skipped;
    for (count, what) in [
        (imported.left_out, "left out by the patterns"),
        (imported.removed, "no longer there removed"),
        (skipped.special, "skipped that have no content"),
        (skipped.names, "names out of rule skipped"),
        (skipped.unreadable, "unreadable skipped"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

fn counted(mut shape: Value, imported: &Imported) -> Value {
    add(&mut shape, "source", imported.source.as_str());
    add(&mut shape, "objects", imported.objects);
    add(&mut shape, "bytes", imported.bytes);
    add(&mut shape, "left_out", imported.left_out);
    add(&mut shape, "removed", imported.removed);
    let skipped = &imported.skipped;
    let skipped = json!({
        "special": skipped.special, "names": skipped.names, "unreadable": skipped.unreadable,
        "reasons": skipped.reasons,
    });
    add(&mut shape, "skipped", skipped);
    shape
}
