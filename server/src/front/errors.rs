//! What a caller is shown of an error: by one table of codes for both front doors, in the names of the door that the call
//! came through, and within a size that every client accepts.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use prompt_ledger_domain::cause::{self, chain};
use prompt_ledger_domain::error::{Error, ErrorParts, Reason, Resource, Violation};
use prompt_ledger_domain::{limits, text};
use prompt_ledger_observe::front as observe;
use sha2::{Digest as _, Sha256};
use tonic::Code;

use super::{Door, remedies};

/// The most bytes of an error's message, which gRPC sends twice: beside the details and in them.
const MESSAGE_BYTES: usize = 1024;
/// Of these, reserved for the number of violations that are not shown.
const COUNT_BYTES: usize = 64;
/// The most bytes of a value of the metadata, or of a resource's name.
const VALUE_BYTES: usize = 128;
/// Estimate for everything that is neither message, metadata nor violation, in bytes.
const FRAME_BYTES: usize = 512;

/// The gRPC code of a reason.
#[must_use]
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::PromptNotFound
        | Reason::VersionNotFound
        | Reason::LabelNotFound
        | Reason::ProviderNotFound
        | Reason::ModelNotFound
        | Reason::ExecutionNotFound
        | Reason::ProjectNotFound => Code::NotFound,
        Reason::InvalidField
        | Reason::TemplateInvalid
        | Reason::VariablesMissing
        | Reason::TemplateHashMismatch
        | Reason::PageTokenInvalid => Code::InvalidArgument,
        Reason::ModeMismatch
        | Reason::NoActiveVersion
        | Reason::VersionInUse
        | Reason::PromptArchived
        | Reason::TemplateOpaque
        | Reason::ProviderNotConfigured
        | Reason::ExecutionFinished => Code::FailedPrecondition,
        Reason::EtagMismatch | Reason::SlowConsumer => Code::Aborted,
        Reason::PromptExists | Reason::IdempotencyKeyReused => Code::AlreadyExists,
        Reason::KeyMissing | Reason::KeyInvalid => Code::Unauthenticated,
        Reason::ScopeMissing => Code::PermissionDenied,
        Reason::TooLarge | Reason::Overloaded | Reason::TooManyWatchers | Reason::RateLimited => {
            Code::ResourceExhausted
        }
        Reason::EventsCompacted | Reason::SequenceAhead | Reason::RevisionAhead => Code::OutOfRange,
        Reason::Draining | Reason::StoreUnavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Unimplemented => Code::Unimplemented,
        Reason::Internal => Code::Internal,
    }
}

/// The HTTP status of a reason: that of its gRPC code, but where HTTP, or the REST API that came before, knows a closer one.
#[must_use]
pub fn http_status(reason: Reason) -> StatusCode {
    match reason {
        Reason::ModeMismatch | Reason::NoActiveVersion | Reason::PromptArchived => return StatusCode::BAD_REQUEST,
        Reason::EtagMismatch => return StatusCode::PRECONDITION_FAILED,
        Reason::TooLarge => return StatusCode::PAYLOAD_TOO_LARGE,
        _ => {}
    }
    match code(reason) {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        // Who has hung up is told nothing: no reason has the code CANCELLED.
        Code::Ok | Code::Unknown | Code::Cancelled | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// An error as a caller is shown it, every part cut to its size.
#[derive(Debug)]
pub struct ShownError {
    pub reason: Reason,
    pub message: String,
    pub violations: Vec<Violation>,
    pub metadata: Vec<(&'static str, String)>,
    pub resource: Option<Resource>,
    pub retry_after: Option<Duration>,
}

impl ShownError {
    /// In the names of this door. What the server or its services are the cause of is logged here, at most once a minute
    /// for each cause; of an internal error the caller gets an id in place of the cause.
    #[must_use]
    pub fn of(error: Error, door: Door) -> Self {
        let error = logged(error);
        let parts = error.parts();
        observe::error(parts.reason.as_str(), door.label());
        // The message begins with the name of a field where the error is about one.
        let mut message = named(parts, door, &parts.message).into_owned();
        if let Some(remedy) = &parts.remedy {
            message.push_str(&remedies::advice(remedy, door));
        }
        message.truncate(text::cut(&message, MESSAGE_BYTES - COUNT_BYTES).len());
        let (violations, left_out) = fitting(parts, door, message.len());
        if left_out > 0 {
            message.push_str(&format!(" ({left_out} of these are not shown)"));
        }
        let value = |(key, value): &(&'static str, String)| {
            let value = if *key == "field" { named(parts, door, value) } else { Cow::Borrowed(&**value) };
            (*key, text::cut(&value, VALUE_BYTES).to_owned())
        };
        let instead = parts.remedy.as_ref().and_then(|remedy| remedies::instead(remedy, door));
        let metadata = parts.metadata.iter().map(value).chain(instead).collect();
        let resource = parts
            .resource
            .as_ref()
            .map(|resource| Resource { kind: resource.kind, name: text::cut(&resource.name, VALUE_BYTES).to_owned() });
        Self { reason: parts.reason, message, violations, metadata, resource, retry_after: parts.retry_after }
    }
}

/// The name of a field as the door has it: over gRPC within `spec` where the error is about one; a body of HTTP is the
/// spec itself. A variable is named as where it is missing, `variables.NAME`, whatever the request.
fn named<'a>(parts: &ErrorParts, door: Door, field: &'a str) -> Cow<'a, str> {
    let is_variable = field.starts_with("variables.");
    match door {
        Door::Grpc if parts.of_spec && !is_variable => Cow::Owned(format!("spec.{field}")),
        Door::Http if !is_variable => in_json(field),
        Door::Grpc | Door::Http => Cow::Borrowed(field),
    }
}

/// A field of the contract as JSON has it: a body is the spec itself, and schemas are objects. What follows the field's name
/// stays.
fn in_json(field: &str) -> Cow<'_, str> {
    let (name, rest) = field.split_at(field.find(": ").unwrap_or(field.len()));
    let own = name.strip_prefix("spec.").unwrap_or(name);
    let renamed = [("parameters_json", "parameters"), ("schema_json", "schema")];
    match renamed.iter().find_map(|(of, json)| Some(format!("{}{json}{rest}", own.strip_suffix(of)?))) {
        Some(renamed) => Cow::Owned(renamed),
        None => Cow::Borrowed(&field[name.len() - own.len()..]),
    }
}

/// The violations that fit beside a message of so many bytes, and the number of those that do not.
fn fitting(parts: &ErrorParts, door: Door, message: usize) -> (Vec<Violation>, usize) {
    let metadata: usize = parts.metadata.iter().map(|(key, value)| key.len() + value.len().min(VALUE_BYTES) + 9).sum();
    let taken = 2 * (message + COUNT_BYTES) + metadata + FRAME_BYTES;
    let mut left = limits::ERROR_BYTES.saturating_sub(taken);
    let mut shown = Vec::new();
    for violation in &parts.violations {
        let field = named(parts, door, &violation.field);
        let field = text::cut(&field, 256);
        let description = text::cut(&violation.description, 512);
        let Some(rest) = left.checked_sub(field.len() + description.len() + 9) else { break };
        left = rest;
        shown.push(Violation { field: field.to_owned(), description: description.to_owned() });
    }
    let left_out = parts.violations.len() - shown.len() + parts.more_violations;
    (shown, left_out)
}

fn logged(error: Error) -> Error {
    match error.reason() {
        Reason::Internal => {
            let cause = chain(&error);
            let error_id = error_id(&cause);
            // With the id in the cause, the line with the count of a minute has it too.
            tracing::error!(cause = format!("{cause} (error_id {error_id})"), "calls end with an internal failure");
            return Error::logged(error_id);
        }
        Reason::StoreUnavailable => {
            tracing::warn!(cause = chain(&error), "calls end with UNAVAILABLE: the database cannot be used");
        }
        Reason::Overloaded | Reason::TooManyWatchers => {
            tracing::warn!(cause = chain(&error), "calls are refused with RESOURCE_EXHAUSTED");
        }
        _ => {}
    }
    error
}

/// Equal for causes of one kind, since not each of them is logged.
fn error_id(cause: &str) -> String {
    Sha256::digest(cause::kind(cause)).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// TOO_LARGE for a request of more bytes than its call takes.
#[must_use]
pub fn too_large(bytes: usize, most: usize) -> Error {
    let message = format!("the request is {bytes} bytes; this call takes at most {most}: send less at once");
    Error::new(Reason::TooLarge, message)
}

#[must_use]
pub fn deadline_exceeded() -> Error {
    Error::new(Reason::DeadlineExceeded, "the caller's deadline passed before the answer was there")
}

#[must_use]
pub fn draining() -> Error {
    let message = "this server is shutting down; connect again, to another one";
    Error::new(Reason::Draining, message).retry_after(Duration::from_secs(1))
}

/// STORE_UNAVAILABLE for a probe.
#[must_use]
pub fn not_ready() -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "this server shuts down, or its database takes no writes: send calls to another one",
    )
    .retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_http_status() {
        let mut told = 0;
        for (expected, reasons) in [
            (
                404,
                "PROMPT_NOT_FOUND VERSION_NOT_FOUND LABEL_NOT_FOUND PROVIDER_NOT_FOUND MODEL_NOT_FOUND \
                 EXECUTION_NOT_FOUND PROJECT_NOT_FOUND",
            ),
            (
                400,
                "INVALID_FIELD TEMPLATE_INVALID VARIABLES_MISSING TEMPLATE_HASH_MISMATCH PAGE_TOKEN_INVALID \
                 EVENTS_COMPACTED SEQUENCE_AHEAD REVISION_AHEAD MODE_MISMATCH NO_ACTIVE_VERSION PROMPT_ARCHIVED",
            ),
            (
                409,
                "VERSION_IN_USE TEMPLATE_OPAQUE PROVIDER_NOT_CONFIGURED EXECUTION_FINISHED PROMPT_EXISTS \
                 IDEMPOTENCY_KEY_REUSED SLOW_CONSUMER",
            ),
            (412, "ETAG_MISMATCH"),
            (401, "KEY_MISSING KEY_INVALID"),
            (403, "SCOPE_MISSING"),
            (413, "TOO_LARGE"),
            (429, "OVERLOADED TOO_MANY_WATCHERS RATE_LIMITED"),
            (503, "DRAINING STORE_UNAVAILABLE"),
            (504, "DEADLINE_EXCEEDED"),
            (501, "UNIMPLEMENTED"),
            (500, "INTERNAL"),
        ] {
            for word in reasons.split(' ') {
                let reason = Reason::ALL.iter().find(|reason| reason.as_str() == word).unwrap();
                assert_eq!(http_status(*reason), expected, "{word}");
                told += 1;
            }
        }
        assert_eq!(told, Reason::ALL.len());
    }

    #[test]
    fn the_statuses_of_the_page_are_those() {
        let page = include_str!("../../../docs/http.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        let rows: Vec<_> = rows.filter(|(status, _)| status.starts_with(|c: char| c.is_ascii_digit())).collect();
        let named = Reason::ALL.iter().filter(|reason| {
            let word = format!("`{}`", reason.as_str());
            let statuses: Vec<_> = rows.iter().filter(|(_, when)| when.contains(&word)).collect();
            let own = http_status(**reason).as_str().to_owned();
            let is_right = statuses.is_empty() || statuses.iter().any(|(status, _)| status.contains(&own));
            assert!(is_right, "{word} is {own}, and the page has {statuses:?}");
            !statuses.is_empty()
        });
        assert!(named.count() > 15);
    }
}
