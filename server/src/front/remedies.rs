//! What to do instead of a refused call, in the names of each front door.

use std::borrow::Cow;

use prompt_ledger_domain::error::Remedy;
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::Mode;

use super::Door;

/// The call that registers a model.
pub const PUT_MODEL: &str = "RegistryService.PutModel";

/// The call for an operation on prompts of a mode.
fn call_of(mode: Mode, operation: Operation, door: Door) -> &'static str {
    let (rpc, http) = match (mode, operation) {
        (Mode::Full, Operation::Write) => ("RegistryService.PutPrompt", "PUT /v1/prompts/{name}"),
        (Mode::Full, Operation::Run) => ("ExecutionService.RunExecution", "POST /v1/executions:run"),
        (Mode::Full, Operation::Stream) => ("ExecutionService.StreamExecution", "POST /v1/executions:stream"),
        (Mode::Full, Operation::Submit) => ("ExecutionService.SubmitExecution", "POST /v1/executions:submit"),
        (Mode::Tracking, Operation::Write) => {
            ("CodeRegistrationService.RegisterCodePrompts", "POST /v1/prompts/register-code")
        }
        (Mode::Tracking, Operation::Run | Operation::Submit) => {
            ("CodeRegistrationService.ExecuteCodePrompt", "POST /v1/prompts/{name}/execute")
        }
        (Mode::Tracking, Operation::Stream) => {
            ("CodeRegistrationService.StreamCodePrompt", "POST /v1/prompts/{name}/execute")
        }
    };
    pick(door, rpc, http)
}

fn pick(door: Door, rpc: &'static str, http: &'static str) -> &'static str {
    match door {
        Door::Grpc => rpc,
        Door::Http => http,
    }
}

/// The metadata that names the call: `use_rpc`, over HTTP `use_call`. Absent where only the message names one.
pub(super) fn instead(remedy: &Remedy, door: Door) -> Option<(&'static str, String)> {
    let call = match remedy {
        Remedy::Use(mode, operation) => call_of(*mode, *operation, door),
        Remedy::ReadHistory => pick(door, "RegistryService.GetPromptHistory", "GET /v1/prompts/{name}/history"),
        Remedy::RegisterModel { .. } => pick(door, PUT_MODEL, "PUT /v1/models/{provider}/{model}"),
        Remedy::RegisterPrompt
        | Remedy::Unarchive
        | Remedy::ListVersions
        | Remedy::ReadExecution
        | Remedy::WatchAll => return None,
    };
    Some((pick(door, "use_rpc", "use_call"), call.to_owned()))
}

/// The end of a message with a remedy.
pub(super) fn advice(remedy: &Remedy, door: Door) -> Cow<'static, str> {
    Cow::Borrowed(match remedy {
        Remedy::Use(mode, operation) => return format!("; use {} instead", call_of(*mode, *operation, door)).into(),
        Remedy::RegisterModel { provider, model } => {
            return match door {
                Door::Grpc => {
                    let fields = format!("{{\"provider\": \"{provider}\", \"model_name\": \"{model}\"}}");
                    format!("; register it: {PUT_MODEL} {fields}").into()
                }
                Door::Http => format!("; register it: PUT /v1/models/{provider}/{model}").into(),
            };
        }
        Remedy::RegisterPrompt => pick(
            door,
            "; PutPrompt registers one, or RegisterCodePrompts from code",
            "; PUT /v1/prompts/{name} registers one, or POST /v1/prompts/register-code from code",
        ),
        Remedy::Unarchive => pick(
            door,
            "; call UnarchivePrompt to use it again",
            "; call POST /v1/prompts/{name}/unarchive to use it again",
        ),
        Remedy::ListVersions => pick(door, "; ListVersions shows them", "; GET /v1/prompts/{name}/versions shows them"),
        Remedy::ReadExecution => pick(door, "; GetExecution answers it", "; GET /v1/executions/{id} answers it"),
        Remedy::WatchAll => pick(
            door,
            "; end some, or watch many executions by one WatchExecutions",
            "; end some, or watch many executions by one GET /v1/executions/events",
        ),
        Remedy::ReadHistory => "",
    })
}
