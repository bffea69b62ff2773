//! What is shown of an object's bytes: text, a table, or a picture. A function of the first bytes and the
//! name; nothing of it ever runs as a page.

use onward::ObjectPath;

/// Bytes that are read of an object to show it: escaped, they fit a page.
pub const READ_LEN: u64 = 24 * 1024;

/// The largest picture that is shown.
const PICTURE_LEN_MAX: u64 = 8 * 1024 * 1024;

/// Characters of JSON, set out line by line.
const JSON_LEN_MAX: usize = 48 * 1024;

/// Rows, columns, and characters of a cell that are shown of a table.
const ROWS_MAX: usize = 50;
const COLUMNS_MAX: usize = 30;
const CELL_MAX: usize = 200;

/// What is shown of an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Preview {
    /// Its text, and whether it goes on.
    Text(String, bool),
    /// The first rows of a table, and whether it goes on.
    Table(Vec<Vec<String>>, bool),
    /// It is a picture, of this media type.
    Picture(&'static str),
    /// Nothing, and why.
    Nothing(String),
}

/// What is shown of an object of `size` bytes by its first ones.
pub fn of(path: &ObjectPath, size: u64, head: &[u8]) -> Preview {
    if size == 0 {
        return Preview::Nothing("It is empty.".to_owned());
    }
    if let Some(media_type) = picture(head) {
        return match size <= PICTURE_LEN_MAX {
            true => Preview::Picture(media_type),
            false => Preview::Nothing(format!(
                "It is a picture of more than {}: download it to see it.",
                super::words::size(PICTURE_LEN_MAX)
            )),
        };
    }
    let goes_on = size > head.len() as u64;
    let Some(text) = text_of(head, goes_on) else {
        return Preview::Nothing("It is neither text nor a picture that is shown here.".to_owned());
    };
    match ending(path).as_str() {
        "csv" => table(text, b',', goes_on),
        "tsv" => table(text, b'\t', goes_on),
        "json" | "geojson" if !goes_on => Preview::Text(set_out(text), false),
        _ => Preview::Text(text.to_owned(), goes_on),
    }
}

/// The media type of a picture that browsers show and that cannot have scripts, by its first bytes and
/// never by its name.
pub fn picture(head: &[u8]) -> Option<&'static str> {
    let is_riff = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if is_riff => Some("image/webp"),
        _ => None,
    }
}

/// What stands behind the last dot of a path, in small letters.
fn ending(path: &ObjectPath) -> String {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// Bytes as text, up to the last whole character where they go on; `None` where they are something else.
fn text_of(head: &[u8], goes_on: bool) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if goes_on && error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// The first rows of a table. A row that is cut off is left out.
fn table(text: &str, delimiter: u8, goes_on: bool) -> Preview {
    let whole = match goes_on {
        true => text.rsplit_once('\n').map_or(text, |(whole, _)| whole),
        false => text,
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(whole.as_bytes());
    let mut rows = Vec::new();
    let mut is_cut = goes_on;
    for record in reader.records() {
        // Text in another form than it says is shown as the text it is.
        let Ok(record) = record else { return Preview::Text(text.to_owned(), goes_on) };
        if rows.len() == ROWS_MAX {
            is_cut = true;
            break;
        }
        is_cut |= record.len() > COLUMNS_MAX;
        rows.push(
            record.iter().take(COLUMNS_MAX).map(|cell| super::words::cut(cell, CELL_MAX)).collect(),
        );
    }
    match rows.is_empty() {
        true => Preview::Text(text.to_owned(), goes_on),
        false => Preview::Table(rows, is_cut),
    }
}

/// JSON with a line for each value, and otherwise as it is: names in their order, numbers as they are
/// written. What is no JSON, or would become too long, stays as it is.
fn set_out(text: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let (mut out, mut depth) = (String::with_capacity(text.len() * 2), 0_usize);
    let (mut in_string, mut is_escaped) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if out.len() > JSON_LEN_MAX {
            return text.to_owned();
        }
        if in_string {
            out.push(character);
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        match character {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = character == '"';
                out.push(character);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(path: &str, bytes: &[u8]) -> Preview {
        of(&ObjectPath::new(path).unwrap(), bytes.len() as u64, bytes)
    }

    fn text(text: &str) -> Preview {
        Preview::Text(text.to_owned(), false)
    }

    #[test]
    fn pictures_are_known_by_their_bytes_and_never_by_their_name() {
        let png = b"\x89PNG\r\n\x1a\n....";
        assert_eq!(shown("a.txt", png), Preview::Picture("image/png"));
        assert_eq!(shown("a.png", b"<script>"), text("<script>"));
        // Those can have scripts.
        assert_eq!(shown("a.svg", b"<svg/>"), text("<svg/>"));
        assert_eq!(shown("a", b"RIFF....WEBPVP8 "), Preview::Picture("image/webp"));
        let large = of(&ObjectPath::new("a.png").unwrap(), PICTURE_LEN_MAX + 1, png);
        assert!(matches!(large, Preview::Nothing(_)), "{large:?}");
    }

    #[test]
    fn text_is_cut_between_characters_and_bytes_are_not_text() {
        let head = &"aé".as_bytes()[..2];
        let path = ObjectPath::new("a").unwrap();
        assert_eq!(of(&path, 3, head), Preview::Text("a".to_owned(), true));
        assert!(matches!(of(&path, 2, head), Preview::Nothing(_)));
        assert!(matches!(shown("a", b"a\0b"), Preview::Nothing(_)));
        assert!(matches!(shown("a", b""), Preview::Nothing(_)));
    }

    #[test]
    fn tables_are_shown_row_by_row() {
        let Preview::Table(rows, is_cut) = shown("A.CSV", b"id,name\n1,\"a,\"\"b\"\n2\n") else {
            panic!()
        };
        assert_eq!(rows, [vec!["id", "name"], vec!["1", "a,\"b"], vec!["2"]]);
        assert!(!is_cut);
        let wide = vec!["x"; 40].join("\t") + "\n";
        let Preview::Table(rows, is_cut) = shown("a.tsv", wide.repeat(60).as_bytes()) else {
            panic!()
        };
        assert_eq!((rows.len(), rows[0].len(), is_cut), (ROWS_MAX, COLUMNS_MAX, true));
        let cut = of(&ObjectPath::new("a.csv").unwrap(), 100, b"a,b\nc,");
        assert_eq!(cut, Preview::Table(vec![vec!["a".into(), "b".into()]], true));
    }

    #[test]
    fn json_is_set_out_as_it_is_written() {
        let json = r#"{"b":1.10,"a":[ ],"c":[{"d":"x,\":{"}, null]}"#;
        let expected = "{\n  \"b\": 1.10,\n  \"a\": [],\n  \"c\": [\n    {\n      \"d\": \"x,\\\":{\"\n    },\n    null\n  ]\n}";
        assert_eq!(shown("a.json", json.as_bytes()), text(expected));
        assert_eq!(shown("a.json", b"{no json"), text("{no json"));
        let deep = format!("{}{}1{}", "[".repeat(100), "1,".repeat(10_000), "]".repeat(100));
        assert_eq!(shown("a.json", deep.as_bytes()), text(&deep));
    }

    proptest! {
        #[test]
        fn json_that_is_set_out_says_the_same(words in proptest::collection::vec(".{0,6}", 0..8)) {
            let value = serde_json::json!({"a": words, "b": {"c": [[], {}, 1, null]}});
            let written = value.to_string();
            let again: serde_json::Value = serde_json::from_str(&set_out(&written)).unwrap();
            prop_assert_eq!(again, value);
        }
    }
}
