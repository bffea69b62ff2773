//! How the sidecar reads requests: by its own readers alone, which refuse what they cannot read. Those of
//! the libraries below pass over it, or put something else in its place.

use super::source::code_lines;
use super::{report, sources};

/// What reads a part of a request, and the files that may.
const READERS: &[(&str, &[&str])] = &[
    ("serde_html_form", &["extract.rs"]),
    ("FromRequest<S> for", &["extract.rs"]),
    ("): Body<", &[]),
    ("uri().query()", &[]),
    ("uri.query()", &["extract.rs", "urls.rs"]),
    // An id for the log, traces, and a path on this machine: none of it decides anything.
    (".to_str()", &["headers.rs", "requests.rs", "otel.rs", "sources.rs"]),
    ("from_utf8_lossy", &[]),
    ("starts_with(\"application/", &[]),
    ("starts_with(\"multipart/", &[]),
];

/// Readers of the library below, by their names: only `extract.rs` may name one.
const LIBRARYS: &[&str] =
    &["Query", "RawQuery", "Path", "RawPathParams", "Form", "RawForm", "Json"];

#[test]
fn requests_are_read_by_readers_that_refuse_what_they_cannot_read() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some(file) = path.strip_prefix("crates/onward-server/src/") else { continue };
        for (number, line) in code_lines(&text) {
            for (reader, allowed) in READERS {
                if line.contains(reader) && !allowed.contains(&file) {
                    broken.push(format!("{path}:{number}: {reader}"));
                }
            }
            if line.contains("axum::extract") && file != "extract.rs" {
                let words = line.split(|c: char| !c.is_alphanumeric());
                broken.extend(
                    words
                        .filter(|word| LIBRARYS.contains(word))
                        .map(|word| format!("{path}:{number}: {word}")),
                );
            }
        }
    }
    report("a request is read by extract.rs, headers.rs, conditions.rs and urls.rs", broken);
}
