//! Replies of scripts as plain values, so that a model's and a server's can be compared.

/// A reply, as far as scripts make them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Int(i64),
    Text(String),
    List(Vec<Reply>),
}

impl Reply {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// What a server said.
    pub fn of(value: redis::Value) -> Self {
        match value {
            redis::Value::Int(number) => Self::Int(number),
            redis::Value::BulkString(bytes) => Self::Text(String::from_utf8(bytes).unwrap()),
            redis::Value::Array(values) => Self::List(values.into_iter().map(Self::of).collect()),
            other => panic!("no script returns {other:?}"),
        }
    }
}

pub fn ints(numbers: &[i64]) -> Reply {
    Reply::List(numbers.iter().map(|number| Reply::Int(*number)).collect())
}

pub fn texts(texts: &[String]) -> Reply {
    Reply::List(texts.iter().map(|text| Reply::text(text)).collect())
}
