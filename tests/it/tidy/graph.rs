//! Which file of a package names which: the graph of its modules, by the paths in their code.
//!
//! A re-export is no home: a path through one leads to the file where the item is, and the file that
//! re-exports does not count as one that uses it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, tokens, without_tests};
use super::{files, is_test};

type Path = Vec<String>;

/// How other packages name the library.
const LIBRARY: &str = "onward";

/// One file, as a module.
#[derive(Debug, Default)]
struct Module {
    file: String,
    /// The paths that its code names, each from the module itself.
    named: Vec<Path>,
    /// The paths into the library that the code of another package names.
    foreign: Vec<Path>,
    /// What it gives out under a name, and where that is.
    given: BTreeMap<String, Path>,
}

/// The modules of a package, by their paths.
pub struct Modules(BTreeMap<Path, Module>);

impl Modules {
    pub fn of(package: &str) -> Self {
        let folder = format!("{package}src/");
        let sources: Vec<_> =
            files(&folder, &["rs"]).into_iter().filter(|(path, _)| !is_test(path)).collect();
        let inner = |file: &str| file.trim_start_matches(&folder).to_owned();
        // A binary beside a library is a crate of its own, and names what it has by the same paths.
        let is_library = sources.iter().any(|(file, _)| inner(file) == "lib.rs");
        let root = if is_library { "lib.rs" } else { "main.rs" };
        let module = |(file, text): &(String, String)| {
            (module_path(&inner(file), root), Module::read(file, text))
        };
        Self(sources.iter().map(module).collect())
    }

    /// The files that each file names.
    pub fn named_files(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.targets(|module| module.named.iter().collect())
    }

    /// The files that each file names or gives out.
    pub fn all_files(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.targets(|module| module.named.iter().chain(module.given.values()).collect())
    }

    fn targets(&self, paths: impl Fn(&Module) -> Vec<&Path>) -> BTreeMap<String, BTreeSet<String>> {
        let files = |(at, module): (&Path, &Module)| {
            let paths = paths(module);
            let targets = paths.iter().filter_map(|path| resolve(&self.0, at, path, 0));
            let files = targets.map(|path| self.0[&path].file.clone());
            (module.file.clone(), files.filter(|file| *file != module.file).collect())
        };
        self.0.iter().map(files).collect()
    }

    /// The rooms of the library that each file of another package names: what stands behind
    /// `internals`.
    pub fn foreign_rooms(&self) -> BTreeMap<String, BTreeSet<String>> {
        let rooms = |module: &Module| {
            let behind =
                |path: &Path| path.iter().skip_while(|name| *name != "internals").nth(1).cloned();
            module.foreign.iter().filter_map(behind).collect()
        };
        self.0.values().map(|module| (module.file.clone(), rooms(module))).collect()
    }
}

fn module_path(file: &str, root: &str) -> Path {
    let mut path: Path = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") || file == root {
        path.pop();
    }
    path
}

impl Module {
    fn read(file: &str, text: &str) -> Self {
        let code = code(without_tests(text));
        let words: Vec<&str> = tokens(&code).into_iter().map(|(_, word)| word).collect();
        let children: BTreeSet<&str> = words
            .windows(3)
            .filter(|three| three[0] == "mod" && three[2] == ";")
            .map(|three| three[1])
            .collect();
        let mut module = Self { file: file.to_owned(), ..Self::default() };
        let mut at = 0;
        let mut gives = false;
        while at < words.len() {
            if words[at] == "use" {
                gives = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
            } else if words[at] == ";" {
                gives = false;
            }
            let follows = at > 0 && words[at - 1] == "::";
            let begins = ["crate", "super", "self", LIBRARY].contains(&words[at])
                || children.contains(words[at]);
            if follows || !begins || words.get(at + 1) != Some(&"::") {
                at += 1;
                continue;
            }
            let mut leaves = Vec::new();
            at = leaves_of(&words, at, &Path::new(), &mut leaves);
            for (path, name) in leaves {
                if path.first().is_some_and(|first| first == LIBRARY) {
                    module.foreign.push(path);
                } else if gives {
                    module.given.insert(name, path);
                } else {
                    module.named.push(path);
                }
            }
        }
        module
    }
}

/// Reads one path, or a tree of them, from `at`: each path, and the name that it brings. Returns
/// where the rest begins.
fn leaves_of(
    words: &[&str],
    mut at: usize,
    before: &Path,
    leaves: &mut Vec<(Path, String)>,
) -> usize {
    let mut path = before.clone();
    loop {
        match words.get(at).copied() {
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| *word != "}") {
                    at = leaves_of(words, at, &path, leaves);
                    at += usize::from(words.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                // `a::{self}` is `a`.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                at += 1;
            }
            Some("*") => at += 1,
            // A turbofish, or what is no path.
            _ => break,
        }
        if words.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if words.get(at) == Some(&"as") {
        name = words.get(at + 1).copied().unwrap_or_default().to_owned();
        at += 2;
    }
    leaves.push((path, name));
    at
}

/// The module in which a path that `from` names ends. None outside of the package.
fn resolve(
    modules: &BTreeMap<Path, Module>,
    from: &Path,
    path: &Path,
    depth: usize,
) -> Option<Path> {
    let mut at = from.clone();
    let mut segments = path.iter().peekable();
    match segments.peek()?.as_str() {
        "crate" => {
            at.clear();
            segments.next();
        }
        "self" => {
            segments.next();
        }
        _ => {}
    }
    while segments.next_if(|segment| *segment == "super").is_some() {
        at.pop();
    }
    for segment in segments {
        let mut inner = at.clone();
        inner.push(segment.clone());
        if modules.contains_key(&inner) {
            at = inner;
            continue;
        }
        let Some(given) = modules.get(&at)?.given.get(segment).filter(|_| depth < 8) else {
            break;
        };
        at = resolve(modules, &at, given, depth + 1)?;
    }
    modules.contains_key(&at).then_some(at)
}

/// The circles: each the files that reach one another.
pub fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|file| (file, reach(graph, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, there) in &reached {
        if there.contains(*file) {
            let circle = there.iter().filter(|other| reached[**other].contains(*file));
            circles.insert(circle.map(|other| (*other).clone()).collect());
        }
    }
    circles
}

fn reach<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, from: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = graph[from].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&graph[file]);
        }
    }
    reached
}

#[test]
fn paths_are_read_from_trees_and_expressions() {
    let text = "mod a;\npub use a::A;\nuse crate::b::{self, C, d::{E as F, *}};\n\
                fn f() { super::g::h(); a::i::<u8>(); x::a::b(); }";
    let module = Module::read("", text);
    let named: Vec<String> = module.named.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        named,
        ["crate::b", "crate::b::C", "crate::b::d::E", "crate::b::d", "super::g::h", "a::i"]
    );
    assert_eq!(module.given["A"].join("::"), "a::A");
}
