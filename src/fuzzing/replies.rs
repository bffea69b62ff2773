//! Targets: replies of scripts and commands, as the wire of Redis has them. A server of another
//! kind, or a script that somebody changed, must not bring a process down.

use redis::{FromRedisValue, Value, parse_redis_value};

use super::target::{Target, clear, target};
use crate::coord::outcomes::parse_outcome;
use crate::coord::publish::{self, Publication};
use crate::coord::submit::{self, Seal, Submission};
use crate::coord::{staging, status, view};
use crate::model::error::{ErrorKind, Result};
use crate::model::ids::{OpId, Ticket};

/// Open, three tickets done, a commit, a position, two ops, the turn is ours, no area, an element.
const VIEW: &[u8] = b"*9\r\n:1\r\n:3\r\n$64\r\n000102030405060708090a0b0c0d0e0f0123456789abcdef0000000000010000\r\n:1\r\n:2\r\n:1\r\n:250\r\n*0\r\n*1\r\n$4\r\nwhat\r\n";
const SUBMIT: &[u8] =
    b"*11\r\n:1\r\n:3\r\n$0\r\n\r\n:1\r\n:2\r\n:1\r\n:250\r\n*0\r\n:1\r\n:4\r\n$0\r\n\r\n";
const STATUS: &[u8] = b"*5\r\n:1\r\n:3\r\n:3\r\n:2\r\n$2\r\nok\r\n";
const STAGED: &[u8] = b"*6\r\n:1\r\n:3\r\n$0\r\n\r\n:1\r\n*0\r\n*2\r\n$1\r\na\r\n$1\r\n\x00\r\n";
const PUBLISHED: &[u8] = b"*6\r\n:2\r\n:4\r\n:1\r\n:1\r\n*0\r\n*1\r\n$4\r\nwhat\r\n";
const STREAM: &[u8] = b"*1\r\n*2\r\n$8\r\noutcomes\r\n*1\r\n*2\r\n$3\r\n7-0\r\n*4\r\n$1\r\no\r\n$36\r\n0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d\r\n$1\r\nr\r\n$1\r\nx\r\n";

pub(super) const TARGETS: &[Target] = &[Target {
    samples: &[VIEW, SUBMIT, STATUS, STAGED, PUBLISHED, STREAM, b"*1\r\n:0\r\n", b"$-1\r\n"],
    ..target("reply", "", reply)
}];

/// A reply that no script gives is a fault of the deployment: `internal`, or `corrupt`.
fn known<T>(result: Result<T>) {
    if let Err(error) = result {
        assert!(matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt), "{error:?}");
        clear(&error);
    }
}

fn reply(bytes: &[u8]) {
    let Ok(value) = parse_redis_value(bytes) else { return };
    known(view::parse(value.clone()));
    known(status::parse(value.clone(), 1));
    known(staging::parse(value.clone()));
    let op_id = OpId::of_bytes(b"op");
    let element = bytes.to_vec().into();
    let submission =
        Submission { op_id, element, producers: Vec::new(), seal: Seal::No, may_repeat: false };
    known(submit::parse(value.clone(), &[submission]));
    let batch = Publication {
        done_before: 3,
        commit: None,
        position: Ticket(4),
        closes: false,
        outcomes: Vec::new(),
        producers: Vec::new(),
        consumed: Vec::new(),
    };
    known(publish::parse(value.clone(), &batch));
    stream(value);
}

fn stream(value: Value) {
    if let Ok(reply) = redis::streams::StreamReadReply::from_redis_value(value) {
        for id in reply.keys.into_iter().flat_map(|key| key.ids) {
            known(parse_outcome(id));
        }
    }
}
