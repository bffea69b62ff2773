//! Forms: what all of them have, and how what they send is read.

use std::collections::BTreeMap;

use maud::{Markup, html};

use onward::OpId;
use onward::internals::clock;
use onward::internals::model::ids::Fingerprint;

use super::at::At;
use crate::error::{ApiError, ApiResult};
use crate::page::links::Link;

/// Pairs of metadata that a form takes.
const PAIRS_MAX: usize = 100;

/// A form that is sent to `action`.
pub fn form(at: &At, action: &Link, fields: Markup) -> Markup {
    html! {
        form.ask method="post" action=(action) {
            (at.visitor.token())
            (fields)
        }
    }
}

/// The hidden field by which a form that is sent twice is one op.
pub fn once() -> Markup {
    hidden("op", &clock::new_op_id().to_string())
}

/// A field that is sent and not seen.
pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A line of text with its label. `id` is its name, too.
pub fn line(id: &str, label: &str, value: &str, hint: &str) -> Markup {
    let said = format!("{id}-hint");
    let has_hint = !hint.is_empty();
    html! {
        p {
            label for=(id) { (label) }
            input id=(id) type="text" name=(id) value=(value) autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby=[has_hint.then_some(&said)];
            @if has_hint { small id=(said) { (hint) } }
        }
    }
}

/// The fields of a message and of metadata.
pub fn message(hint: &str) -> Markup {
    html! {
        p {
            label for="message" { "Message" }
            textarea #message name="message" rows="3" maxlength="8192" aria-describedby="message-hint" {}
            small #message-hint { (hint) }
        }
        p {
            label for="metadata" { "Metadata" }
            textarea #metadata name="metadata" rows="2" maxlength="8192" spellcheck="false" aria-describedby="metadata-hint" {}
            small #metadata-hint { "A line for each pair: key=value" }
        }
    }
}

/// A text of several lines as a form sends it, with the ends of lines that were typed.
pub fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}

/// The pairs that were typed into the field of metadata.
pub fn metadata(text: &str) -> ApiResult<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let pair = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else {
            return Err(ApiError::invalid(
                "a line of metadata is not KEY=VALUE, and nothing was done: go back, and write one pair on each line",
            ));
        };
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::invalid(
                "a key of metadata is there twice, and nothing was done: go back, and write it once",
            ));
        }
        if pairs.len() > PAIRS_MAX {
            return Err(ApiError::invalid(format!(
                "more than {PAIRS_MAX} pairs of metadata, and nothing was done: go back, and write fewer"
            )));
        }
    }
    Ok(pairs)
}

/// What tells a form from another one with the same op id.
pub fn print(fields: &[&str]) -> Fingerprint {
    let all: String = fields.iter().map(|field| format!("{}:{field}", field.len())).collect();
    Fingerprint::of(all.as_bytes())
}

/// The op id of a form.
pub fn op(text: &str) -> ApiResult<OpId> {
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_line_by_line() {
        let pairs = metadata("a=1\r\n\r\n b = x=y \nc=").unwrap();
        let expected = [("a", "1"), ("b", "x=y"), ("c", "")];
        assert_eq!(pairs, BTreeMap::from(expected.map(|(key, value)| (key.into(), value.into()))));
        for wrong in ["a", "=1", "a=1\na=2", &"k".repeat(3)] {
            assert!(metadata(wrong).is_err(), "{wrong}");
        }
        let many: String = (0..101).map(|n| format!("k{n}=v\n")).collect();
        assert!(metadata(&many).is_err());
    }

    #[test]
    fn fields_that_run_together_are_not_the_same_form() {
        assert!(print(&["ab", "c"]) != print(&["a", "bc"]));
        assert_eq!(lines("a\r\nb\r\n\r\n"), "a\nb");
    }
}
