//! Where an error becomes a `tonic::Status`, with `google.rpc` details, and no larger than a client accepts in trailers.
//! What tonic answers by itself is brought into the same form.
#![allow(clippy::disallowed_methods, reason = "errors become a Status here")]

use std::collections::HashMap;

use http::HeaderMap;
use http_body::Frame;
use prompt_ledger_domain::error::{Error, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::front::Door;
use crate::front::answers::AnswerForm;
use crate::front::errors::{ShownError, code};
pub use crate::front::errors::{deadline_exceeded, too_large};

const DOMAIN: &str = "promptledger.dev";

/// The status of an error, which is logged where the server or its services are the cause of it.
#[must_use]
pub fn status(error: Error) -> Status {
    let ShownError { reason, message, violations, metadata, resource, retry_after } = ShownError::of(error, Door::Grpc);
    let metadata: HashMap<_, _> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), DOMAIN, metadata);
    if !violations.is_empty() {
        let shown =
            violations.into_iter().map(|wrong| tonic_types::FieldViolation::new(wrong.field, wrong.description));
        details.set_bad_request(shown.collect::<Vec<_>>());
    }
    if let Some(resource) = resource {
        details.set_resource_info(resource.kind, resource.name, "", "");
    }
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code(reason), message, details)
}

/// The status that breaks off a body over HTTP, where its caller is told nothing of it.
#[must_use]
pub fn of_broken_body(error: Error) -> Status {
    let ShownError { reason, message, .. } = ShownError::of(error, Door::Http);
    Status::new(code(reason), message)
}

/// The trailers that end a response with an error, after part of it was sent.
pub fn trailers(error: Error) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status(error).add_header(&mut trailers)?;
    Ok(trailers)
}

/// Errors as gRPC tells them: in the headers where nothing was sent, else in trailers.
pub static FORM: AnswerForm = AnswerForm {
    refused: |error| status(error).into_http(),
    cut: |error| trailers(error).map(Frame::trailers),
    ended: |error| trailers(error).map(Frame::trailers),
};

/// A status in our form for one that tonic made by itself: a message that does not decode, a method that does not
/// exist. Absent where it is kept as it is.
#[must_use]
pub fn rewritten(bare: &Status) -> Option<Status> {
    if !bare.details().is_empty() {
        return None;
    }
    let said = bare.message();
    let error = match bare.code() {
        Code::Internal if said.contains("failed to decode") || said.contains("invalid compression flag") => {
            undecodable()
        }
        Code::Unimplemented if said.contains("compressed with") => {
            let mut plain = status(Error::new(Reason::Unimplemented, "the request is compressed; send it as it is"));
            // Clients choose an encoding by it, or none.
            if let Some(accepted) = bare.metadata().get("grpc-accept-encoding") {
                plain.metadata_mut().insert("grpc-accept-encoding", accepted.clone());
            }
            return Some(plain);
        }
        Code::Unimplemented => Error::new(Reason::Unimplemented, "this server has no such method"),
        _ => return None,
    };
    Some(status(error))
}

/// INVALID_FIELD for bytes that do not decode.
#[must_use]
pub fn undecodable() -> Error {
    Error::invalid("request", "is not a message of this method, or holds text that is not UTF-8")
}

/// INVALID_FIELD for a request that ends within its message.
#[must_use]
pub fn cut_off() -> Error {
    Error::invalid("request", "ends in the middle of its message")
}

#[cfg(test)]
mod tests;
