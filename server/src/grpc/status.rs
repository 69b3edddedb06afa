//! The only place where an error becomes a `tonic::Status`: by one table, with `google.rpc` details, and no larger
//! than a client accepts in trailers. What tonic answers by itself is brought into the same form.
#![allow(clippy::disallowed_methods, reason = "errors become a Status here")]

use std::borrow::Cow;
use std::collections::HashMap;

use http::HeaderMap;
use prompt_ledger_domain::cause::{self, chain};
use prompt_ledger_domain::error::{Error, ErrorParts, Reason, Remedy};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{limits, text};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "promptledger.dev";
/// The RPC that registers a model.
pub const PUT_MODEL: &str = "RegistryService.PutModel";
/// The RPC that is in the contract and not offered yet.
pub const WATCH_PROMPTS: &str = "RegistryService.WatchPrompts";
/// The most bytes of an error's message, which is sent twice: beside the details and in them.
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

/// The status of an error. What the server or its services are the cause of is logged here, at most once a minute for each
/// cause; of an internal error the caller gets an id in place of the cause.
#[must_use]
pub fn status(error: Error) -> Status {
    let error = logged(error);
    let parts = error.parts();
    // The message begins with the name of a field where the error is about one.
    let mut message = named(parts, &parts.message).into_owned();
    if let Some(remedy) = &parts.remedy {
        message.push_str(&advice(remedy));
    }
    message.truncate(text::cut(&message, MESSAGE_BYTES - COUNT_BYTES).len());
    let (violations, left_out) = fitting(parts, message.len());
    if left_out > 0 {
        message.push_str(&format!(" ({left_out} of these are not shown)"));
    }
    let value = |(key, value): &(&'static str, String)| {
        let value = if *key == "field" { named(parts, value) } else { Cow::Borrowed(&**value) };
        ((*key).to_owned(), text::cut(&value, VALUE_BYTES).to_owned())
    };
    let instead = parts.remedy.as_ref().and_then(use_rpc).map(|rpc| ("use_rpc".to_owned(), rpc.to_owned()));
    let metadata: HashMap<_, _> = parts.metadata.iter().map(value).chain(instead).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(parts.reason.as_str(), DOMAIN, metadata);
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    if let Some(resource) = &parts.resource {
        details.set_resource_info(resource.kind, text::cut(&resource.name, VALUE_BYTES), "", "");
    }
    if let Some(delay) = parts.retry_after {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code(parts.reason), message, details)
}

/// The name of a field as the contract has it: within `spec` where the error is about one. A variable is named as where it
/// is missing, `variables.NAME`, whatever the request.
fn named<'a>(parts: &ErrorParts, field: &'a str) -> Cow<'a, str> {
    match parts.of_spec && !field.starts_with("variables.") {
        true => Cow::Owned(format!("spec.{field}")),
        false => Cow::Borrowed(field),
    }
}

/// The RPC for an operation on prompts of a mode.
fn rpc_of(mode: Mode, operation: Operation) -> &'static str {
    match (mode, operation) {
        (Mode::Full, Operation::Write) => "RegistryService.PutPrompt",
        (Mode::Full, Operation::Run) => "ExecutionService.RunExecution",
        (Mode::Full, Operation::Stream) => "ExecutionService.StreamExecution",
        (Mode::Full, Operation::Submit) => "ExecutionService.SubmitExecution",
        (Mode::Tracking, Operation::Write) => "CodeRegistrationService.RegisterCodePrompts",
        (Mode::Tracking, Operation::Run | Operation::Submit) => "CodeRegistrationService.ExecuteCodePrompt",
        (Mode::Tracking, Operation::Stream) => "CodeRegistrationService.StreamCodePrompt",
    }
}

/// The RPC for the metadata `use_rpc`; absent where only the message names one.
fn use_rpc(remedy: &Remedy) -> Option<&'static str> {
    match remedy {
        Remedy::Use(mode, operation) => Some(rpc_of(*mode, *operation)),
        Remedy::ReadHistory => Some("RegistryService.GetPromptHistory"),
        Remedy::RegisterModel { .. } => Some(PUT_MODEL),
        Remedy::RegisterPrompt
        | Remedy::Unarchive
        | Remedy::ListVersions
        | Remedy::ReadExecution
        | Remedy::WatchAll => None,
    }
}

/// The end of a message with a remedy.
fn advice(remedy: &Remedy) -> Cow<'static, str> {
    Cow::Borrowed(match remedy {
        Remedy::Use(mode, operation) => return format!("; use {} instead", rpc_of(*mode, *operation)).into(),
        Remedy::RegisterModel { provider, model } => {
            let fields = format!("{{\"provider\": \"{provider}\", \"model_name\": \"{model}\"}}");
            return format!("; register it: {PUT_MODEL} {fields}").into();
        }
        Remedy::RegisterPrompt => "; PutPrompt registers one, or RegisterCodePrompts from code",
        Remedy::Unarchive => "; call UnarchivePrompt to use it again",
        Remedy::ListVersions => "; ListVersions shows them",
        Remedy::ReadExecution => "; GetExecution answers it",
        Remedy::WatchAll => "; end some, or watch many executions by one WatchExecutions",
        Remedy::ReadHistory => "",
    })
}

/// The trailers that end a response with an error, after part of it was sent.
pub fn trailers(error: Error) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status(error).add_header(&mut trailers)?;
    Ok(trailers)
}

/// The violations that fit beside a message of so many bytes, and the number of those that do not.
fn fitting(parts: &ErrorParts, message: usize) -> (Vec<tonic_types::FieldViolation>, usize) {
    let metadata: usize = parts.metadata.iter().map(|(key, value)| key.len() + value.len().min(VALUE_BYTES) + 9).sum();
    let taken = 2 * (message + COUNT_BYTES) + metadata + FRAME_BYTES;
    let mut left = limits::ERROR_BYTES.saturating_sub(taken);
    let mut shown = Vec::new();
    for violation in &parts.violations {
        let field = named(parts, &violation.field);
        let field = text::cut(&field, 256);
        let description = text::cut(&violation.description, 512);
        let Some(rest) = left.checked_sub(field.len() + description.len() + 9) else { break };
        left = rest;
        shown.push(tonic_types::FieldViolation::new(field, description));
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

/// TOO_LARGE for a request of more bytes than its RPC takes.
#[must_use]
pub fn too_large(bytes: usize, most: usize) -> Error {
    let message = format!("the request is {bytes} bytes; this method takes at most {most}: send less at once");
    Error::new(Reason::TooLarge, message)
}

#[must_use]
pub fn deadline_exceeded() -> Error {
    Error::new(Reason::DeadlineExceeded, "the caller's deadline passed before the answer was there")
}

/// UNIMPLEMENTED for an RPC of the contract that this server does not offer yet.
#[must_use]
pub fn unimplemented(method: &str) -> Status {
    status(Error::new(Reason::Unimplemented, format!("{method} is not offered by this server yet")))
}

#[cfg(test)]
mod tests;
