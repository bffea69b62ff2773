//! Reading JSON that strangers wrote: each value is asked for by its type, and an error says where it stood. `null`
//! is as good as absent.

use serde_json::{Map, Value};

use super::Invalid;

/// An object of JSON.
pub(super) type Object = Map<String, Value>;

/// `value` as an object; `what` is what it is to be.
pub(super) fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Object, Invalid> {
    value.as_object().ok_or_else(|| Invalid::new(format!("{what} is no object")))
}

fn present<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn read<'a, T>(
    object: &'a Object,
    key: &str,
    what: &str,
    kind: &str,
    as_kind: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    let Some(value) = present(object, key) else {
        return Ok(None);
    };
    let read = as_kind(value);
    read.map(Some).ok_or_else(|| Invalid::new(format!("{what}: '{key}' is not {kind}")))
}

/// `found`, or that `key` is missing.
pub(super) fn needed<T>(
    found: Result<Option<T>, Invalid>,
    key: &str,
    what: &str,
) -> Result<T, Invalid> {
    found?.ok_or_else(|| Invalid::new(format!("{what} has no '{key}'")))
}

/// A whole number of 64 bits.
pub(super) fn integer(object: &Object, key: &str, what: &str) -> Result<Option<i64>, Invalid> {
    read(object, key, what, "a whole number of 64 bits", Value::as_i64)
}

/// [`integer`], which must be there.
pub(super) fn an_integer(object: &Object, key: &str, what: &str) -> Result<i64, Invalid> {
    needed(integer(object, key, what), key, what)
}

/// The string under a key of an object.
pub(super) fn text<'a>(
    object: &'a Object,
    key: &str,
    what: &str,
) -> Result<Option<&'a str>, Invalid> {
    read(object, key, what, "a string", Value::as_str)
}

/// [`text`], which must be there.
pub(super) fn a_text<'a>(object: &'a Object, key: &str, what: &str) -> Result<&'a str, Invalid> {
    needed(text(object, key, what), key, what)
}

/// True or false.
pub(super) fn flag(object: &Object, key: &str, what: &str) -> Result<Option<bool>, Invalid> {
    read(object, key, what, "true or false", Value::as_bool)
}

/// A list; an absent one is empty.
pub(super) fn list<'a>(object: &'a Object, key: &str, what: &str) -> Result<&'a [Value], Invalid> {
    let found = read(object, key, what, "a list", Value::as_array)?;
    Ok(found.map_or(&[], Vec::as_slice))
}

/// A list of whole numbers.
pub(super) fn integers(object: &Object, key: &str, what: &str) -> Result<Vec<i64>, Invalid> {
    let whole = |value: &Value| {
        let wrong = || Invalid::new(format!("{what}: '{key}' has something that is no number"));
        value.as_i64().ok_or_else(wrong)
    };
    list(object, key, what)?.iter().map(whole).collect()
}

/// An object within; an absent one is none.
pub(super) fn within<'a>(
    object: &'a Object,
    key: &str,
    what: &str,
) -> Result<Option<&'a Object>, Invalid> {
    read(object, key, what, "an object", Value::as_object)
}

/// Keys and values that are strings, as properties and summaries are.
pub(super) fn texts(object: &Object, what: &str) -> Result<(), Invalid> {
    match object.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(Invalid::new(format!("{what}: '{key}' is not a string"))),
        None => Ok(()),
    }
}

/// The value of `key` in what is known to be an object with a number there, such as validated metadata.
pub(super) fn number(value: &Value, key: &str) -> Option<i64> {
    value.get(key).and_then(Value::as_i64)
}
