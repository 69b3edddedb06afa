//! Turns an entry of the script into the pieces of an answer.
#![allow(clippy::disallowed_methods, reason = "it stands for a server, also for one that is wrong")]

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use http::HeaderMap;
use prost_reflect::MethodDescriptor;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::body::Piece;
use super::events;
use crate::contract;
use crate::scenario::{NamedEnd, ScriptEntry, ScriptedEnd, ScriptedError};

/// The pieces of the answer that an entry describes.
pub(super) fn pieces(method: &MethodDescriptor, entry: &ScriptEntry) -> Result<VecDeque<Piece>, String> {
    let mut pieces = VecDeque::new();
    if let Some(answer) = &entry.answer {
        pieces.push_back(Piece::Message(contract::encode(method.output(), answer)?));
    }
    for message in &entry.send {
        pieces.push_back(events::piece(&method.output(), message)?);
    }
    pieces.push_back(match &entry.end {
        ScriptedEnd::Named(NamedEnd::Ok) => status(&Status::new(Code::Ok, "")),
        ScriptedEnd::Named(NamedEnd::Reset) => Piece::Reset,
        ScriptedEnd::Named(NamedEnd::Drop) => Piece::Drop,
        ScriptedEnd::Named(NamedEnd::Hang) => Piece::Hang,
        ScriptedEnd::Error(error) => status(&refusal(error)?),
    });
    Ok(pieces)
}

pub(super) fn unimplemented(path: &str) -> Piece {
    status(&Status::unimplemented(format!("the contract has no method {path}")))
}

/// A refusal that no client repeats.
pub(super) fn script_ended(what: &str) -> Piece {
    let details = ErrorDetails::with_error_info("SCRIPT_ENDED", "promptledger.dev", HashMap::<String, String>::new());
    status(&Status::with_error_details(Code::FailedPrecondition, what, details))
}

fn refusal(error: &ScriptedError) -> Result<Status, String> {
    let code = code(&error.code).ok_or_else(|| format!("there is no code {}", error.code))?;
    let mut details = ErrorDetails::new();
    if let Some(reason) = &error.reason {
        let metadata: HashMap<String, String> = error.metadata.clone().into_iter().collect();
        details.set_error_info(reason, "promptledger.dev", metadata);
    }
    if let Some(seconds) = error.retry {
        details.set_retry_info(Some(Duration::from_secs_f64(seconds)));
    }
    for (field, problem) in &error.fields {
        details.add_bad_request_violation(field, problem);
    }
    // A proxy sends no details.
    Ok(match error.reason.is_none() && error.retry.is_none() && error.fields.is_empty() {
        true => Status::new(code, &error.message),
        false => Status::with_error_details(code, &error.message, details),
    })
}

fn status(status: &Status) -> Piece {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).expect("a status of the script is sent");
    Piece::Status(trailers)
}

/// A code by its name, `NOT_FOUND`.
fn code(name: &str) -> Option<Code> {
    let codes = (0..=16).map(Code::from);
    let spelled = |code: &Code| format!("{code:?}").to_ascii_uppercase() == name.replace('_', "");
    codes.into_iter().find(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_by_their_names() {
        for (name, expected) in [
            ("NOT_FOUND", Some(Code::NotFound)),
            ("CANCELLED", Some(Code::Cancelled)),
            ("RESOURCE_EXHAUSTED", Some(Code::ResourceExhausted)),
            ("NONSENSE", None),
        ] {
            assert_eq!(code(name), expected);
        }
    }
}
