//! What librdkafka says, as what the user should do.

use onward::{Error, ErrorKind};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// A call that came to nothing and may come to something later.
pub(super) fn failed(what: &str, error: &KafkaError) -> Error {
    match error.rdkafka_error_code().and_then(forbidden) {
        Some(refused) => refused.context(what),
        None => Error::unavailable(format!("{what}: {error}")),
    }
}

fn forbidden(code: Code) -> Option<Error> {
    let what = match code {
        Code::TopicAuthorizationFailed => "this user has no right to the topic",
        Code::GroupAuthorizationFailed => "this user may not be in the consumer group",
        Code::ClusterAuthorizationFailed => "this user may not use the cluster",
        Code::SaslAuthenticationFailed | Code::Authentication => "the brokers refuse this login",
        _ => return None,
    };
    Some(Error::new(
        ErrorKind::Forbidden,
        format!("{what} ({code:?}): check the user, and the rules of the cluster for it"),
    ))
}

/// What ends a client for good, where another one would fare no better.
pub(super) fn hopeless(code: Code, error: &KafkaError) -> Option<Error> {
    if let Some(refused) = forbidden(code) {
        return Some(refused.context(error));
    }
    match code {
        Code::FencedInstanceId | Code::UnreleasedInstanceId => Some(Error::new(
            ErrorKind::Fenced,
            format!(
                "another process is in the group under the same group.instance.id: end one of them ({error})"
            ),
        )),
        Code::UnsupportedAssignor
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::InvalidRequest => Some(Error::invalid(format!(
            "the brokers do not have this way of being in a group: look at group.protocol and group.remote.assignor ({error})"
        ))),
        _ => None,
    }
}

/// Brokers that cannot be believed to be those that were meant.
pub(super) fn untrusted(reason: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "no encrypted connection to the brokers: {reason}. Name the authority that signed their certificates by ssl.ca.location"
        ),
    )
}

/// Why a topic cannot be read.
pub(super) fn topic_error(topic: &str, code: Code) -> Error {
    if let Some(refused) = forbidden(code) {
        return refused.context(format!("topic '{topic}'"));
    }
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId => {
            Error::not_found(format!(
                "there is no topic '{topic}' on these brokers: check its name, or make it first"
            ))
        }
        Code::InvalidTopic => Error::invalid(format!("'{topic}' is no name of a topic")),
        code => Error::unavailable(format!("topic '{topic}' cannot be read now: {code:?}")),
    }
}

/// What came in place of a record.
pub(super) fn consuming(error: &KafkaError) -> Error {
    let Some(code) = error.rdkafka_error_code() else {
        return Error::unavailable(format!("reading: {error}"));
    };
    match code {
        // librdkafka goes on behind such a batch: what is in it must not be passed over.
        Code::BadCompression
        | Code::BadMessage
        | Code::InvalidMessage
        | Code::NotImplemented
        | Code::UnsupportedCompressionType => Error::corrupt(format!(
            "a batch of records cannot be read ({error}): nothing behind it is committed, and the offsets stand before it. Is it damaged at the broker, or compressed in a way that this build has not?"
        )),
        _ => failed("reading", error),
    }
}
