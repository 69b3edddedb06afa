//! The table of codes, and the details of a status.

use super::*;
use prompt_ledger_domain::error::{Violation, Violations};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::limits;
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::{Mode, Selector};
use std::time::Duration;

#[test]
fn every_reason_has_the_contracts_code() {
    for (expected, reasons) in [
        (
            Code::NotFound,
            "PROMPT_NOT_FOUND VERSION_NOT_FOUND LABEL_NOT_FOUND PROVIDER_NOT_FOUND MODEL_NOT_FOUND EXECUTION_NOT_FOUND PROJECT_NOT_FOUND",
        ),
        (
            Code::InvalidArgument,
            "INVALID_FIELD TEMPLATE_INVALID VARIABLES_MISSING TEMPLATE_HASH_MISMATCH PAGE_TOKEN_INVALID",
        ),
        (
            Code::FailedPrecondition,
            "MODE_MISMATCH NO_ACTIVE_VERSION VERSION_IN_USE PROMPT_ARCHIVED TEMPLATE_OPAQUE PROVIDER_NOT_CONFIGURED EXECUTION_FINISHED",
        ),
        (Code::Aborted, "ETAG_MISMATCH SLOW_CONSUMER"),
        (Code::AlreadyExists, "PROMPT_EXISTS IDEMPOTENCY_KEY_REUSED"),
        (Code::Unauthenticated, "KEY_MISSING KEY_INVALID"),
        (Code::PermissionDenied, "SCOPE_MISSING"),
        (Code::ResourceExhausted, "TOO_LARGE OVERLOADED TOO_MANY_WATCHERS RATE_LIMITED"),
        (Code::OutOfRange, "EVENTS_COMPACTED SEQUENCE_AHEAD REVISION_AHEAD"),
        (Code::Unavailable, "DRAINING STORE_UNAVAILABLE"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Code::Unimplemented, "UNIMPLEMENTED"),
        (Code::Internal, "INTERNAL"),
    ] {
        for word in reasons.split(' ') {
            let reason = Reason::ALL.iter().find(|reason| reason.as_str() == word).unwrap();
            assert_eq!(code(*reason), expected, "{word}");
        }
    }
}

/// The contract's enum has each reason, under its name, with its code in the comment.
#[test]
fn the_contract_lists_every_reason_with_its_code() {
    let proto = include_str!("../../../../proto/promptledger/v1/error_reason.proto");
    let (_, body) = proto.split_once("enum ErrorReason {").unwrap();
    let mut told = Vec::new();
    let mut comment = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("// ") {
            comment.push_str(words);
        } else if let Some((name, _)) = line.split_once(" = ") {
            told.push((name.strip_prefix("ERROR_REASON_").unwrap(), std::mem::take(&mut comment)));
        }
    }
    let (unspecified, reasons) = told.split_first().unwrap();
    assert_eq!(unspecified.0, "UNSPECIFIED");
    assert_eq!(
        reasons.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        Reason::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>()
    );
    for (reason, (name, comment)) in Reason::ALL.iter().zip(reasons) {
        let (told, _) = comment.split_once(". ").unwrap();
        let code: String = format!("{:?}", code(*reason));
        assert_eq!(told.replace('_', "").to_lowercase(), code.to_lowercase(), "{name}");
    }
}

#[test]
fn details_carry_what_a_program_reads() {
    let mut wrong = Violations::default();
    wrong.add("name".into(), || "is empty".into());
    let error = Error::template_hash_mismatch(wrong, "greet", "ab").retry_after(Duration::from_secs(1));
    let details = status(error).get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("TEMPLATE_HASH_MISMATCH", "promptledger.dev"));
    assert_eq!(info.metadata["prompt"], "greet");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "name");
    assert_eq!(details.resource_info().unwrap().resource_name, "greet");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
}

#[test]
fn what_to_do_instead_is_named_by_its_rpc() {
    let model = ModelRef { provider: "openai".into(), model_name: "gpt-x".into() };
    let id = ExecutionId(prompt_ledger_runtime::Uuid::nil());
    let mode = |mode, operation| Error::mode_mismatch("greet", mode, operation);
    let in_mode = |mode, rpc| format!("prompt `greet` is managed in {mode} mode; use {rpc} instead");
    let (full, tracking) = (Mode::Full, Mode::Tracking);
    let mut cases = vec![
        (
            Error::prompt_not_found("greet"),
            "no prompt `greet` in this project; PutPrompt registers one, or RegisterCodePrompts from code".into(),
            None,
        ),
        (
            Error::version_not_found("greet", &Selector::Number(9)),
            "prompt `greet` has no version 9; ListVersions shows them".into(),
            None,
        ),
        (
            Error::prompt_archived("greet"),
            "prompt `greet` is archived; call UnarchivePrompt to use it again".into(),
            None,
        ),
        (
            Error::execution_finished(id, prompt_ledger_domain::execution::Status::Failed),
            format!("execution {id} is finished (`failed`) and cannot be canceled; GetExecution answers it"),
            None,
        ),
        (
            Error::too_many_watchers("this key", 3, 3),
            "this key has 3 watching streams, and 3 is the limit; end some, or watch many executions by one \
             WatchExecutions"
                .into(),
            None,
        ),
        (
            Error::model_not_found(&model),
            "model `openai/gpt-x` is not registered; register it: RegistryService.PutModel \
             {\"provider\": \"openai\", \"model_name\": \"gpt-x\"}"
                .into(),
            Some("RegistryService.PutModel"),
        ),
        (
            Error::mode_not_asked("greet", full, tracking),
            "prompt `greet` is managed in full mode, not tracking; ask for full, or name no mode".into(),
            Some("RegistryService.GetPromptHistory"),
        ),
    ];
    for (managed, operation, rpc) in [
        (full, Operation::Write, "RegistryService.PutPrompt"),
        (full, Operation::Run, "ExecutionService.RunExecution"),
        (full, Operation::Stream, "ExecutionService.StreamExecution"),
        (full, Operation::Submit, "ExecutionService.SubmitExecution"),
        (tracking, Operation::Write, "CodeRegistrationService.RegisterCodePrompts"),
        (tracking, Operation::Run, "CodeRegistrationService.ExecuteCodePrompt"),
        (tracking, Operation::Submit, "CodeRegistrationService.ExecuteCodePrompt"),
        (tracking, Operation::Stream, "CodeRegistrationService.StreamCodePrompt"),
    ] {
        cases.push((mode(managed, operation), in_mode(managed, rpc), Some(rpc)));
    }
    for (error, message, rpc) in cases {
        let status = status(error);
        assert_eq!(status.message(), message);
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.metadata.get("use_rpc").map(String::as_str), rpc, "{message}");
    }
}

#[test]
fn the_fields_of_a_spec_are_named_as_parts_of_the_request() {
    let invalid = status(Error::invalid("timeout", "is 0 s").of_spec());
    assert_eq!(invalid.message(), "spec.timeout: is 0 s");
    let shown = invalid.get_error_details().bad_request().unwrap().field_violations[0].field.clone();
    assert_eq!(shown, "spec.timeout");
    let variable = status(Error::invalid("variables.n[1]", "is NaN").of_spec());
    assert_eq!(variable.message(), "variables.n[1]: is NaN");
    let shown = variable.get_error_details().bad_request().unwrap().field_violations[0].field.clone();
    assert_eq!(shown, "variables.n[1]");
    let large = status(Error::too_large("variables", 9, 8).of_spec());
    assert_eq!(large.message(), "spec.variables is 9 bytes; at most 8 are allowed: send less");
    assert_eq!(large.get_error_details().error_info().unwrap().metadata["field"], "spec.variables");
}

#[test]
fn an_error_stays_under_four_kibibytes_however_much_it_says() {
    for (field, description, shown) in [(300, 300, 1..5), (12, 10, 75..85), (0, 0, 100..101), (5_000, 0, 1..12)] {
        let violation = Violation { field: "f".repeat(field), description: "é".repeat(description) };
        let mut wrong = Violations::default();
        wrong.note(Error::violations(Reason::InvalidField, vec![violation; 300]));
        let error = Error::template_hash_mismatch(wrong, &"p".repeat(5_000), "");
        let status = status(error);
        assert!(status.details().len() + status.message().len() < limits::ERROR_BYTES);
        let told = status.get_error_details().bad_request().unwrap().field_violations.len();
        assert!(shown.contains(&told), "{told} of {field} and {description} bytes");
        let not_shown = format!(" ({} of these are not shown)", 300 - told);
        assert_eq!(status.message().ends_with(&not_shown), told < 300, "{}", status.message());
    }
}

#[test]
fn an_internal_failure_shows_an_id_and_nothing_else() {
    let told = status(Error::internal("SELECT * FROM secrets"));
    assert_eq!(told.code(), Code::Internal);
    assert!(!format!("{told:?}").contains("SELECT"));
    let info = told.get_error_details().error_info().unwrap().clone();
    assert!(told.message().contains(&info.metadata["error_id"]));
    let id = |cause: &str| {
        status(Error::internal(cause)).get_error_details().error_info().unwrap().metadata["error_id"].clone()
    };
    assert_eq!(id("row 17 is odd"), id("row 4 is odd"), "one of them is logged");
    assert_ne!(id("row 17 is odd"), id("column 17 is odd"));
}

#[test]
fn what_tonic_says_by_itself_is_brought_into_form() {
    for (code, said, reason) in [
        (Code::Internal, "failed to decode Protobuf message: invalid string value", "INVALID_FIELD"),
        (Code::Unimplemented, "", "UNIMPLEMENTED"),
        (Code::Unimplemented, "Content is compressed with `gzip` which isn't supported", "UNIMPLEMENTED"),
    ] {
        let status = rewritten(&Status::new(code, said)).unwrap();
        assert_eq!(status.get_error_details().error_info().unwrap().reason, reason);
    }
    assert!(rewritten(&Status::not_found("health's own")).is_none());
    assert!(rewritten(&status(Error::new(Reason::Unimplemented, "not here"))).is_none());
}
