//! The process that reads a Parquet file: it limits itself, reads one question, and answers it.

use std::io::{Read, Write, stdin, stdout};

use bytes::Bytes;
use nix::sys::resource::{Resource, setrlimit};
use onward::{Error, Result};

use super::file::Opened;
use super::frame::{ANSWER_LEN_MAX, Answer, Asked, QUESTION_LEN_MAX};
use crate::page::content::words::cut;

/// What it may take: seconds of a processor, bytes of memory; it opens no file and leaves no core.
const LIMITS: [(Resource, u64); 4] = [
    (Resource::RLIMIT_CPU, 2),
    (Resource::RLIMIT_DATA, 512 << 20),
    (Resource::RLIMIT_NOFILE, 0),
    (Resource::RLIMIT_CORE, 0),
];

/// Bytes of an answer that has rows: escaped, they fit a page.
const ROOM: usize = 32 << 10;

/// Characters of why it is no such file.
const WHY_MAX: usize = 200;

/// Answers on standard output what a sidecar asks about a Parquet file on standard input: what the command's
/// hidden verb `look-at-parquet` does. The process can do nothing else afterwards.
///
/// Fails where it cannot limit itself, or where the question is none. Whatever is in the file, it may also be
/// ended by the limits.
pub fn look_at_parquet() -> Result<()> {
    // Where memory of the machine or the container runs out, Linux ends this first; elsewhere nothing is there.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    for (resource, most) in LIMITS {
        setrlimit(resource, most, most)
            .map_err(|error| failed("a process cannot be limited").with_source(error))?;
    }
    let mut question = Vec::new();
    stdin()
        .take(QUESTION_LEN_MAX)
        .read_to_end(&mut question)
        .map_err(|error| failed("a question cannot be read").with_source(error))?;
    let answer = answer(question.into()).and_then(fitting);
    let answer = answer.ok_or_else(|| failed("there is no such question"))?;
    stdout()
        .write_all(&answer)
        .map_err(|error| failed("an answer cannot be given").with_source(error))
}

fn failed(what: &'static str) -> Error {
    Error::internal(what)
}

/// The answer to a question; `None` where it is cut off, or none.
fn answer(question: Bytes) -> Option<Answer> {
    let end = question.iter().position(|byte| *byte == b'\n')?;
    let asked: Asked = serde_json::from_slice(&question.slice(..end)).ok()?;
    let mut rest = question.slice(end + 1..);
    let mut next = |len: usize| (len <= rest.len()).then(|| rest.split_to(len));
    let tail = next(asked.tail_len)?;
    let opened = match Opened::new(asked.size, tail) {
        Ok(opened) => opened,
        Err(why) => return Some(Answer::Refused(cut(&why.to_string(), WHY_MAX))),
    };
    match asked.part_lens {
        None => Some(Answer::Parts(opened.parts)),
        Some(lens) => {
            let parts = lens.into_iter().map(next).collect::<Option<Vec<_>>>()?;
            Some(Answer::Shown(opened.show(parts)))
        }
    }
}

/// An answer as JSON, with as many rows as it has room for.
fn fitting(mut answer: Answer) -> Option<Vec<u8>> {
    loop {
        let told = serde_json::to_vec(&answer).ok()?;
        let is_shorter = match &mut answer {
            Answer::Shown(shown) if told.len() > ROOM => shown.rows.pop().is_some(),
            _ => false,
        };
        if !is_shorter {
            return (told.len() <= ANSWER_LEN_MAX).then_some(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Shown;
    use super::*;

    #[test]
    fn a_question_that_is_cut_off_is_not_answered() {
        let line = "{\"size\":100,\"tail_len\":8,\"part_lens\":null}";
        assert!(matches!(
            answer(format!("{line}\n\x04\0\0\0PAR1").into()),
            Some(Answer::Refused(_))
        ));
        for question in ["", "\n", line, &format!("{line}\nPAR1")] {
            assert!(answer(Bytes::copy_from_slice(question.as_bytes())).is_none(), "{question:?}");
        }
    }

    #[test]
    fn an_answer_has_as_many_rows_as_it_has_room_for() {
        let rows = |rows: usize| vec![vec!["\u{1}".repeat(100); 16]; rows];
        let told = fitting(Answer::Shown(Shown { rows: rows(20), ..Shown::default() })).unwrap();
        let Answer::Shown(shown) = serde_json::from_slice(&told).unwrap() else { panic!() };
        assert_eq!(shown.rows, rows(3));
        let schema = "x".repeat(ANSWER_LEN_MAX);
        assert!(fitting(Answer::Shown(Shown { schema, ..Shown::default() })).is_none());
    }
}
