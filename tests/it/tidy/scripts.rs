//! The scripts in `lua/`: that their headers say what they are, and that a rule which several share
//! stands in `lua/includes/` only.

use std::collections::{BTreeMap, BTreeSet};

use onward::internals::coord::script;
use onward::internals::repo::doctor::commands::COMMANDS;

use super::{files, report};

/// So many equal lines of code in two scripts are a rule with two homes.
const SHARED_LINES: usize = 3;

/// Lines that say no rule begin so: what closes a block, how a script begins that reads the head, and
/// how it takes what repeats from its arguments.
const PLAIN_LINES: &[&str] = &[
    "end",
    "else",
    "local state, ",
    "if not state then",
    "return {0}",
    "for i = 1, ",
    "local at = ",
    "local producer, row = ARGV",
];

fn scripts() -> Vec<(String, String)> {
    let mut scripts = files("lua", &["lua"]);
    scripts.retain(|(path, _)| !path.starts_with("lua/includes/"));
    scripts
}

/// The includes by name.
fn includes() -> BTreeMap<String, String> {
    let name =
        |path: &str| path.trim_start_matches("lua/includes/").trim_end_matches(".lua").into();
    files("lua/includes", &["lua"]).iter().map(|(path, text)| (name(path), text.clone())).collect()
}

fn header(text: &str) -> Vec<&str> {
    text.lines().take_while(|line| line.starts_with("--")).collect()
}

/// What stands behind a word of the header, on its line and those before the next such word.
fn section(text: &str, word: &str) -> String {
    let is_next =
        |line: &&&str| line.strip_prefix("-- ").is_some_and(|rest| !rest.starts_with(' '));
    let lines = header(text);
    let Some(first) = lines.iter().position(|line| line.starts_with(&format!("-- {word}"))) else {
        return String::new();
    };
    let count = 1 + lines[first + 1..].iter().take_while(|line| !is_next(line)).count();
    let bare = lines[first..first + count].iter().map(|line| line.trim_start_matches("--"));
    bare.collect::<Vec<_>>().join("\n").trim_start().trim_start_matches(word).to_owned()
}

/// The parts of a section: they are apart by two blanks or a new line.
fn parts(section: &str) -> Vec<&str> {
    section.split('\n').flat_map(|line| line.split("  ")).map(str::trim).collect()
}

fn code(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("--")).collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What a header lists under KEYS or ARGV.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    /// Names by number.
    fixed: Vec<String>,
    /// Groups that repeat behind those, names by number in the group.
    groups: Vec<Vec<String>>,
}

impl Listed {
    fn of(section: &str) -> Result<Self, String> {
        let mut listed = Self::default();
        for part in parts(section) {
            let Some((number, rest)) = part.split_once(' ') else { continue };
            let name = words(rest).next().unwrap_or_default().to_owned();
            if let Some(number) = number.strip_prefix('+') {
                let Ok(number) = number.parse::<usize>() else { continue };
                if number == 1 {
                    listed.groups.push(Vec::new());
                }
                let group = listed.groups.last_mut().ok_or("a group begins with +1")?;
                group.push(name);
                if group.len() != number {
                    return Err(format!("+{number} out of order"));
                }
            } else if let Ok(number) = number.parse::<usize>() {
                listed.fixed.push(name);
                if listed.fixed.len() != number {
                    return Err(format!("{number} out of order"));
                }
            }
        }
        Ok(listed)
    }
}

/// The assignments of a script, one `(name, value)` each; those that it begins with are marked.
fn assignments(text: &str) -> Vec<(String, String, bool)> {
    let joined = code(text).join("\n").replace("=\n", "= ").replace(",\n", ", ");
    let mut at_the_top = true;
    let mut assignments = Vec::new();
    for line in joined.lines() {
        let is_local = line.starts_with("local ") && !line.starts_with("local function");
        at_the_top &= is_local && line.contains(" = ");
        let Some((names, values)) = line.split_once(" = ") else { continue };
        let names = names.trim().trim_start_matches("local ").split(", ");
        for (name, value) in names.zip(values.split(", ")) {
            assignments.push((name.to_owned(), value.to_owned(), at_the_top));
        }
    }
    assignments
}

/// The number in `KEYS[3]` (fixed) or `KEYS[at + 3]` (in a group), where a value has one.
fn place(value: &str, list: &str) -> Option<(bool, usize)> {
    let (_, rest) = value.split_once(&format!("{list}["))?;
    let (inner, _) = rest.split_once(']')?;
    match inner.rsplit_once(" + ") {
        Some((_, number)) => Some((false, number.parse().ok()?)),
        None => Some((true, inner.parse().ok()?)),
    }
}

/// What is wrong between the header's list and the script, for KEYS or ARGV.
fn compare(text: &str, list: &str, suffix: &str) -> Result<(), String> {
    let listed = Listed::of(&section(text, list))?;
    let assigned = assignments(text);
    let whole = code(text).join("\n");
    let named = |name: &String| format!("{name}{suffix}");
    let by_number = (0..10).map(|digit| whole.matches(&format!("{list}[{digit}")).count());
    let read: usize = by_number.sum();
    let mut fixed = Vec::new();
    for (name, value, at_the_top) in &assigned {
        if let Some((true, number)) = place(value, list)
            && *at_the_top
        {
            fixed.push((number, name.clone()));
        }
    }
    let expected: Vec<_> =
        listed.fixed.iter().map(named).enumerate().map(|(i, n)| (i + 1, n)).collect();
    if fixed != expected {
        return Err(format!("{list}: the header has {expected:?}, the first lines {fixed:?}"));
    }
    if read != fixed.len() {
        return Err(format!("{list}: some are read by number behind the first lines"));
    }
    for (_, name) in &fixed {
        if words(&whole).filter(|word| word == name).count() < 2 {
            return Err(format!("{list}: {name} is not used"));
        }
    }
    for (index, name) in listed.groups.iter().flat_map(|group| group.iter().enumerate()) {
        let wanted = (named(name), Some((false, index + 1)));
        if !assigned
            .iter()
            .any(|(name, value, _)| (name, place(value, list)) == (&wanted.0, wanted.1))
        {
            return Err(format!("{list}: +{} is not read as {}", index + 1, wanted.0));
        }
    }
    repeats(&listed, list, &assigned, &whole)
}

/// Whether the script looks for what repeats where the header has it, in steps of that size.
fn repeats(
    listed: &Listed,
    list: &str,
    assigned: &[(String, String, bool)],
    whole: &str,
) -> Result<(), String> {
    let begins = listed.fixed.len().to_string();
    let is_begin =
        |(name, value, _): &(String, String, bool)| name.ends_with("_at") && *value == begins;
    if !listed.groups.is_empty() && !assigned.iter().any(is_begin) {
        return Err(format!("{list}: no '…_at = {begins}', where what repeats begins"));
    }
    for group in &listed.groups {
        let size = group.len();
        let steps =
            [format!("(i - 1) * {size}"), format!("_at + {size}\n"), format!(", {size} do")];
        if !steps.iter().any(|step| whole.contains(step)) {
            return Err(format!("{list}: nothing goes in steps of {size}"));
        }
    }
    Ok(())
}

#[test]
fn every_script_documents_its_contract() {
    let mut broken = Vec::new();
    let mut check = |path: &str, text: &str, wanted: &[&str]| {
        let header = header(text);
        if !header.first().is_some_and(|line| line.ends_with(|c: char| c != '-')) {
            broken.push(format!("{path}: no header"));
        }
        for part in wanted {
            if !header.iter().any(|line| line.starts_with(&format!("-- {part}"))) {
                broken.push(format!("{path}: no line '-- {part}' in its header"));
            }
        }
    };
    for (path, text) in scripts() {
        check(&path, &text, &["KEYS", "ARGV", "Returns", "Cost"]);
    }
    for (name, text) in includes() {
        check(&format!("lua/includes/{name}.lua"), &text, &["Gives", "Alone"]);
    }
    report(
        "a script opens with its purpose, KEYS, ARGV, Returns and Cost; an include with what it gives \
         and what it alone may say",
        broken,
    );
}

#[test]
fn keys_and_arguments_of_every_script_are_those_of_its_header() {
    let mut broken = Vec::new();
    for (path, text) in scripts() {
        for (list, suffix) in [("KEYS", "_key"), ("ARGV", "")] {
            if let Err(why) = compare(&text, list, suffix) {
                broken.push(format!("{path}: {why}"));
            }
        }
    }
    report("KEYS and ARGV have the numbers and the names of the header", broken);
}

#[test]
fn every_script_is_put_together_from_what_it_says() {
    let includes = includes();
    let texts: BTreeMap<String, String> = scripts().into_iter().collect();
    let mut unused: BTreeSet<&String> = includes.keys().collect();
    let mut broken = Vec::new();
    for script in script::ALL {
        let path = format!("lua/{}.lua", script.name);
        let text = &texts[&path];
        let said = section(text, "Includes").trim().to_owned();
        if said != script.includes.join(", ") {
            broken.push(format!("{path}: says '{said}', has '{}'", script.includes.join(", ")));
        }
        let parts = script.includes.iter().map(|name| format!("{}\n", includes[*name]));
        if script.text != parts.collect::<String>() + text {
            broken.push(format!("{path}: is put together in another way"));
        }
        unused.retain(|name| !script.includes.contains(&name.as_str()));
    }
    broken.extend(unused.iter().map(|name| format!("lua/includes/{name}.lua: no script has it")));
    if texts.len() != script::ALL.len() {
        broken.push("a file in lua/ is no script of src/coord/script.rs".to_owned());
    }
    report("the line 'Includes' is what src/coord/script.rs puts together", broken);
}

/// The names that an include gives to those who have it.
fn given(text: &str) -> Vec<String> {
    let locals = text.lines().filter_map(|line| line.strip_prefix("local "));
    let names = locals.filter_map(|rest| words(rest.trim_start_matches("function ")).next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_script_has_the_includes_it_uses_and_no_other() {
    let includes = includes();
    let mut broken = Vec::new();
    for (name, text) in &includes {
        let gives = section(text, "Gives");
        for function in given(text).iter().filter(|name| !words(&gives).any(|word| word == *name)) {
            broken.push(format!("lua/includes/{name}.lua: gives {function} and does not say so"));
        }
    }
    for script in script::ALL {
        let own = code(script.text.rsplit_once("-- Returns").unwrap().1).join("\n");
        for (name, text) in &includes {
            // For itself, or for another include that it has.
            let others = script.includes.iter().filter(|other| *other != name);
            let around: String = others.map(|other| code(&includes[*other]).join("\n")).collect();
            let is_said =
                |given: &String| words(&own).chain(words(&around)).any(|word| word == given);
            let uses = given(text).iter().any(is_said);
            if uses != script.includes.contains(&name.as_str()) {
                broken.push(format!("lua/{}.lua: {name} is used: {uses}", script.name));
            }
        }
    }
    report("a script has the includes that it uses, and says so", broken);
}

#[test]
fn no_rule_of_the_scripts_has_two_homes() {
    let mut broken = Vec::new();
    let all = files("lua", &["lua"]);
    for (name, text) in includes() {
        let home = format!("lua/includes/{name}.lua");
        let alone = section(&text, "Alone");
        for phrase in parts(&alone).into_iter().filter(|phrase| !phrase.is_empty()) {
            for (path, text) in &all {
                let is_said = code(text).iter().any(|line| line.contains(phrase));
                if is_said != (*path == home) {
                    broken
                        .push(format!("{path}: {phrase} belongs to {home} (is there: {is_said})"));
                }
            }
        }
    }
    let mut known: BTreeMap<Vec<&str>, &str> = BTreeMap::new();
    for (path, text) in &all {
        let lines = code(text).into_iter().map(str::trim);
        let is_plain = |line: &&str| PLAIN_LINES.iter().any(|plain| line.starts_with(plain));
        let lines: Vec<&str> = lines.filter(|line| !is_plain(line)).collect();
        for shared in lines.windows(SHARED_LINES) {
            let first = known.entry(shared.to_vec()).or_insert(path);
            if first != path {
                broken.push(format!("{path}: '{}' and what follows is in {first} too", shared[0]));
            }
        }
    }
    report("a rule that several scripts share is an include", broken);
}

/// The commands that a text gives to Redis, where `begin` stands before the name in quotes.
fn commands_in(text: &str, begin: &str, quote: char) -> BTreeSet<String> {
    let calls = text.split(begin).skip(1);
    calls
        .map(|call| call.strip_prefix(quote).expect("a command is named where it is called"))
        .map(|call| call.split(quote).next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_doctor_tries_every_command() {
    let tried: BTreeSet<&str> =
        COMMANDS.iter().map(|command| command.split(' ').next().unwrap()).collect();
    // What the call of a script is made of, which the doctor's own are too.
    let scripts = ["EVAL", "EVALSHA"];
    let mut used = BTreeSet::new();
    for (_, text) in files("lua", &["lua"]) {
        used.extend(commands_in(&code(&text).join("\n"), "redis.call(", '\''));
    }
    assert!(used.len() > 25, "{used:?}");
    let own = files("src/coord", &["rs"]);
    for (_, text) in own.iter().filter(|(path, _)| !path.starts_with("src/coord/connect/")) {
        used.extend(commands_in(text, "redis::cmd(", '"'));
    }
    used.retain(|command| !tried.contains(command.as_str()) && command != "INFO");
    used.retain(|command| !scripts.contains(&command.as_str()));
    assert!(used.is_empty(), "the doctor does not try {used:?}: src/repo/doctor/commands.rs");
}
