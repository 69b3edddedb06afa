//! What an execution came to, for people.

use std::process::ExitCode;

use prompt_ledger_client::v1;
use v1::ExecutionStatus as Status;

use crate::failure::NO;
use crate::money;
use crate::style::Tone;
use crate::table::Cell;
use crate::update_json;

/// The colour of a status.
pub(crate) fn tone(status: Status) -> Tone {
    match status {
        Status::Succeeded => Tone::Good,
        Status::Failed => Tone::Bad,
        Status::Canceled | Status::Queued => Tone::Warning,
        Status::Running => Tone::Accent,
        Status::Unspecified => Tone::Plain,
    }
}

/// A status in its colour.
pub(crate) fn status_cell(status: Status) -> Cell {
    Cell::new(tone(status), update_json::status(status))
}

/// `PROVIDER/NAME`; empty where there is none.
pub(crate) fn model_name(model: Option<&v1::ModelRef>) -> String {
    model.map(|model| format!("{}/{}", model.provider, model.model_name)).unwrap_or_default()
}

/// In one line: what was executed by which model, tokens, latency, cost, and its id.
pub(crate) fn summary(execution: &v1::Execution) -> String {
    let mut facts = vec![format!("{} version {}", execution.prompt_name, execution.version_number)];
    facts.extend(execution.model.as_ref().map(|model| model_name(Some(model))));
    if let (Some(sent), Some(got)) = (execution.prompt_tokens, execution.response_tokens) {
        facts.push(format!("{sent} tokens in, {got} out"));
    }
    facts.extend(execution.latency_ms.map(|millis| format!("{millis} ms")));
    facts.extend(execution.cost_nano_usd.map(money::dollars));
    facts.extend(cut(execution).map(str::to_owned));
    facts.extend((!execution.execution_id.is_empty()).then(|| execution.execution_id.clone()));
    facts.join("; ")
}

/// What is not whole: the prompt that was sent, the answer that is kept. Absent where both are.
pub(crate) fn cut(execution: &v1::Execution) -> Option<&'static str> {
    match (execution.prompt_truncated, execution.response_truncated) {
        (false, false) => None,
        (true, false) => Some("the prompt was sent cut to 200 KB"),
        (false, true) => Some("the answer is cut to 500 KB"),
        (true, true) => Some("the prompt was sent cut to 200 KB, and the answer is cut to 500 KB"),
    }
}

/// 0 where it succeeded, else 1.
pub(crate) fn exit_code(execution: &v1::Execution) -> ExitCode {
    match execution.status() {
        Status::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::from(NO),
    }
}

/// What went wrong in an execution, and what to do; absent where nothing did.
pub(crate) fn failure(execution: &v1::Execution) -> Option<String> {
    let id = &execution.execution_id;
    match execution.status() {
        Status::Failed => {
            let (kind, message) = (&execution.error_type, &execution.error_message);
            Some(format!("failed, {kind}: {message}. {}", advice(kind, id)))
        }
        Status::Canceled if execution.cancel_reason.is_empty() => Some("canceled".to_owned()),
        Status::Canceled => Some(format!("canceled: {}", execution.cancel_reason)),
        _ => None,
    }
}

/// What to do about an error type.
fn advice(error_type: &str, id: &str) -> String {
    let again = format!("ledgerctl exec retry {id}");
    match error_type {
        "timeout" => format!("Allow more time with --timeout, or try again: {again}"),
        "connection" | "provider_error" | "interrupted" => format!("It may pass: {again}"),
        "rate_limited" => format!("Wait a little, or let it retry by itself (exec submit); then {again}"),
        "quota_exhausted" => {
            "The provider's account has no credit left: raise its quota, or use another --model".into()
        }
        "provider_auth" => {
            "The provider takes no calls with the server's key: who runs the server must change it".into()
        }
        "invalid_request" => {
            format!(
                "The provider refused what was sent: ledgerctl exec get {id} --full shows it; change the prompt or --param"
            )
        }
        "content_filtered" => "The provider's filter refused it: change the prompt or the variables".into(),
        "invalid_response" | "response_too_large" => format!("Use another --model, or try again: {again}"),
        "expired" => format!("It waited too long: is a worker running that has the provider? Then {again}"),
        _ => format!("Try again: {again}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution() -> v1::Execution {
        v1::Execution {
            execution_id: "e1".into(),
            prompt_name: "greet".into(),
            version_number: 2,
            model: Some(v1::ModelRef { provider: "echo".into(), model_name: "echo".into() }),
            prompt_tokens: Some(3),
            response_tokens: Some(4),
            latency_ms: Some(5),
            cost_nano_usd: Some(1_500),
            ..v1::Execution::default()
        }
    }

    #[test]
    fn the_line_has_tokens_latency_and_the_exact_cost() {
        assert_eq!(summary(&execution()), "greet version 2; echo/echo; 3 tokens in, 4 out; 5 ms; $0.0000015; e1");
        let cut = summary(&v1::Execution { response_truncated: true, ..execution() });
        assert!(cut.ends_with("; $0.0000015; the answer is cut to 500 KB; e1"), "{cut}");
        assert_eq!(summary(&v1::Execution { model: None, ..Default::default() }), " version 0");
    }

    #[test]
    fn what_failed_says_what_to_do() {
        let ended = |status: Status, error_type: &str, cancel_reason: &str| {
            let status = status.into();
            let error_type = error_type.to_owned();
            let cancel_reason = cancel_reason.to_owned();
            failure(&v1::Execution { status, error_type, cancel_reason, error_message: "no".into(), ..execution() })
        };
        assert_eq!(ended(Status::Succeeded, "truncated", ""), None);
        for (kind, said) in [("timeout", "--timeout"), ("rate_limited", "Wait"), ("of_tomorrow", "exec retry e1")] {
            let told = ended(Status::Failed, kind, "").unwrap();
            assert!(told.starts_with(&format!("failed, {kind}: no. ")) && told.contains(said), "{told}");
        }
        assert_eq!(ended(Status::Canceled, "", "").as_deref(), Some("canceled"));
        assert_eq!(ended(Status::Canceled, "", "too slow").as_deref(), Some("canceled: too slow"));
    }
}
