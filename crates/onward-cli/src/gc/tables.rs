//! What became of the files of tables, as it is told.

use onward::internals::repo::gc::Tally;
use onward_server::tables::{Collected, CollectedFolder};
use serde_json::{Value, json};

use super::super::out::{human_bytes, printable};

/// Folders that are told without `-v`, at most.
const FOLDERS_TOLD: usize = 20;

/// All of it, for programs.
pub fn json(collected: &Collected) -> Value {
    let folder = |folder: &CollectedFolder| {
        let mut told = tally(folder.files);
        super::super::shape::add(&mut told, "location", folder.location.clone());
        super::super::shape::add(&mut told, "table", folder.table.clone());
        super::super::shape::add(&mut told, "left_alone", folder.is_alone);
        told
    };
    let unreadable = collected
        .unreadable
        .iter()
        .map(|lost| json!({"location": lost.location, "table": lost.table, "reason": lost.reason}));
    let [metadata, lists, manifests] = collected.read;
    let read = json!({"metadata": metadata, "manifest_lists": lists, "manifests": manifests});
    let mut told = tally(all(collected));
    for (key, value) in [
        ("dry_run", (!collected.removed).into()),
        ("halted", collected.halted.clone().into()),
        ("read", read),
        ("unreadable", unreadable.collect()),
        ("folders", collected.folders.iter().map(folder).collect()),
    ] {
        super::super::shape::add(&mut told, key, value);
    }
    told
}

/// An object of JSON that says a tally.
pub fn tally(files: Tally) -> Value {
    json!({
        "kept": files.kept, "kept_bytes": files.kept_bytes, "young": files.young,
        "removed": files.removed, "removed_bytes": files.removed_bytes,
    })
}

fn all(collected: &Collected) -> Tally {
    let mut all = Tally::default();
    for CollectedFolder { files, .. } in &collected.folders {
        all.kept += files.kept;
        all.kept_bytes += files.kept_bytes;
        all.young += files.young;
        all.removed += files.removed;
        all.removed_bytes += files.removed_bytes;
    }
    all
}

/// All files of tables, and those of each folder that loses some or is left alone; for people, line by line.
pub fn text(collected: &Collected, dry_run: bool, verbose: bool) -> String {
    if collected.folders.is_empty() && collected.halted.is_none() {
        return String::new();
    }
    let mut text = format!("{:<12} {}\n", "tables", counted(all(collected), collected.removed));
    let lost = |folder: &&CollectedFolder| folder.files.removed > 0 || folder.is_alone;
    let told: Vec<&CollectedFolder> = collected.folders.iter().filter(lost).collect();
    let most = if verbose { told.len() } else { FOLDERS_TOLD };
    for folder in told.iter().take(most) {
        let table = folder.table.as_deref().unwrap_or("of no table");
        let alone = if folder.is_alone { "left alone, " } else { "" };
        let counted = counted(folder.files, collected.removed);
        let said = format!("{} ({table}): {alone}{counted}", folder.location);
        text += &format!("  {}\n", printable(&said));
    }
    if told.len() > most {
        text += &format!("  and {} more: -v lists them\n", told.len() - most);
    }
    for lost in &collected.unreadable {
        let by = match lost.table.as_str() {
            "" => String::new(),
            table => format!(", which {table} needs"),
        };
        let said = format!("cannot be read: {}{by}: {}", lost.location, lost.reason);
        text += &format!("  {}\n", printable(&said));
    }
    match &collected.halted {
        Some(why) => text += &format!("  nothing of tables was removed: {}\n", printable(why)),
        None if !collected.removed && !dry_run && all(collected).removed > 0 => {
            text += "  files of tables are only counted: --tables removes them\n";
        }
        None => {}
    }
    text
}

/// What became of files, in words.
pub fn counted(files: Tally, removed: bool) -> String {
    let done = if removed { "removed" } else { "would go" };
    let mut text = format!(
        "{} {done} ({}), {} kept ({})",
        files.removed,
        human_bytes(files.removed_bytes),
        files.kept,
        human_bytes(files.kept_bytes)
    );
    if files.young > 0 {
        text += &format!(", {} of them unused but too young", files.young);
    }
    text
}
