//! What became of a prompt, and tracing an execution back to it.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use tonic::{Code, Status};

use super::{ledger, ledger_with_model, refused, wrong_fields};

fn of(name: &str) -> v1::GetPromptHistoryRequest {
    v1::GetPromptHistoryRequest { name: name.into(), ..v1::GetPromptHistoryRequest::default() }
}

async fn history(
    ledger: &Ledger,
    request: v1::GetPromptHistoryRequest,
) -> Result<v1::GetPromptHistoryResponse, Status> {
    ledger.registry().get_prompt_history(request).await.map(tonic::Response::into_inner)
}

fn counts(history: &v1::GetPromptHistoryResponse) -> Vec<(i32, Option<i64>)> {
    history.versions.iter().map(|version| (version.version_number, version.execution_count)).collect()
}

#[tokio::test]
async fn a_history_shows_every_version_newest_first_with_its_executions_in_either_mode() {
    let ledger = ledger().start().await;
    ledger.active("edited", "one").await;
    ledger.run(spec("edited", &[])).await;
    ledger.run(spec("edited", &[])).await;
    ledger.active("edited", "two").await;
    ledger.run(spec("edited", &[])).await;
    let written = v1::PutPromptRequest { created_by: "ada".into(), ..put("edited", "three") };
    let draft = ledger.registry().put_prompt(written).await.unwrap().into_inner();
    let found = history(&ledger, of("edited")).await.unwrap();
    assert_eq!((&*found.prompt_name, found.mode(), found.current_version), ("edited", v1::PromptMode::Full, Some(2)));
    assert_eq!(counts(&found), [(3, Some(0)), (2, Some(1)), (1, Some(2))]);
    assert_eq!(found.revision, draft.revision);
    let newest = v1::PromptVersion { execution_count: None, ..found.versions[0].clone() };
    assert_eq!(Some(newest), draft.version, "number, checksum, template, author and time");

    ledger.carry(vec![carried("carried", "one")]).await;
    let request = v1::ExecuteCodePromptRequest { spec: Some(spec("carried", &[])), mode: 0 };
    ledger.code().execute_code_prompt(request).await.unwrap();
    let found = history(&ledger, of("carried")).await.unwrap();
    assert_eq!((found.mode(), found.current_version), (v1::PromptMode::Tracking, Some(1)));
    assert_eq!(counts(&found), [(1, Some(1))]);
    let listed = v1::ListVersionsRequest { name: "carried".into(), ..v1::ListVersionsRequest::default() };
    let listed = ledger.registry().list_versions(listed).await.unwrap().into_inner().versions;
    assert_eq!(listed[0].execution_count, None, "in a history only");
}

#[tokio::test]
async fn a_history_is_paged() {
    let ledger = ledger().start().await;
    for number in 1..=3 {
        ledger.active("greet", &format!("text {number}")).await;
        ledger.run(spec("greet", &[])).await;
    }
    let first = history(&ledger, v1::GetPromptHistoryRequest { page_size: 2, ..of("greet") }).await.unwrap();
    assert_eq!(counts(&first), [(3, Some(1)), (2, Some(1))]);
    let next = v1::GetPromptHistoryRequest { page_token: first.next_page_token.clone(), ..of("greet") };
    let second = history(&ledger, next).await.unwrap();
    assert_eq!((counts(&second), &*second.next_page_token), (vec![(1, Some(1))], ""));
    let foreign = v1::ListVersionsRequest {
        name: "greet".into(),
        page_token: first.next_page_token,
        ..v1::ListVersionsRequest::default()
    };
    refused(ledger.registry().list_versions(foreign).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    let negative = v1::GetPromptHistoryRequest { page_size: -1, ..of("greet") };
    assert_eq!(wrong_fields(history(&ledger, negative).await), ["page_size"]);
}

#[tokio::test]
async fn another_mode_than_the_prompts_is_refused() {
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    let asked = |mode: v1::PromptMode| v1::GetPromptHistoryRequest { mode: mode.into(), ..of("greet") };
    assert_eq!(history(&ledger, asked(v1::PromptMode::Full)).await.unwrap().versions.len(), 1);
    let refusal = history(&ledger, asked(v1::PromptMode::Tracking)).await;
    let info = refused(refusal, Code::FailedPrecondition, "MODE_MISMATCH");
    let told = ["prompt", "mode", "use_rpc"].map(|key| &*info.metadata[key]);
    assert_eq!(told, ["greet", "full", "RegistryService.GetPromptHistory"]);
    refused(history(&ledger, of("nobody")).await, Code::NotFound, "PROMPT_NOT_FOUND");
}

async fn verify(ledger: &Ledger, id: &str) -> v1::VerifyExecutionResponse {
    let request = v1::VerifyExecutionRequest { execution_id: id.into() };
    ledger.executions().verify_execution(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_execution_is_traced_back_byte_for_byte() {
    let (ledger, _model) = ledger_with_model().await;
    let version = ledger.active("greet", "Hi {{name}}, {{json list}} {{n}}\r\n").await.version.unwrap();
    let mut sent = spec("greet", &[("name", "Ada \"é\" <b>")]);
    let number = |value| prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(value)) };
    // Some need all of their 17 digits: read with fewer, they are their neighbours.
    let long = [0.30000000000000004, 2.2250738585072014e-308, 4_503_599_627_370_495.5, 51.248_178_375_505_404];
    let numbers = [-0.0, 1e15, 0.1, 5e-324].into_iter().chain(long);
    let list = prost_types::ListValue { values: numbers.map(number).collect() };
    let fields = &mut sent.variables.as_mut().unwrap().fields;
    fields.insert("n".into(), number(-0.0));
    fields.insert("list".into(), prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) });
    let ran = ledger.run(sent).await;
    // It is the version that was executed, whatever became active since.
    ledger.active("greet", "Bye").await;
    let found = verify(&ledger, &ran.execution_id).await;
    assert_eq!((found.result(), &*found.explanation), (v1::VerificationResult::Match, ""), "{found:?}");
    assert_eq!((found.version_number, &found.checksum_hash), (1, &version.checksum_hash));
    assert_eq!(found.computed_checksum_hash, version.checksum_hash);
    assert_eq!((&found.sent_prompt_sha256, found.sent_prompt_sha256.len()), (&found.rendered_prompt_sha256, 64));
    assert_eq!((found.execution_id, found.first_difference_offset), (ran.execution_id, None));
}

#[tokio::test]
async fn ready_messages_leave_nothing_to_compare() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let messages = vec![v1::ChatMessage { role: "user".into(), content: "Hi".into() }];
    let sent = v1::ExecutionSpec { messages, ..spec("greet", &[]) };
    let request = v1::ExecuteCodePromptRequest { spec: Some(sent), mode: 0 };
    let ran = ledger.code().execute_code_prompt(request).await.unwrap().into_inner().execution.unwrap();
    let found = verify(&ledger, &ran.execution_id).await;
    assert_eq!((found.result(), &*found.sent_prompt_sha256), (v1::VerificationResult::NotRendered, ""));
    assert_eq!((found.checksum_hash, &*found.rendered_prompt_sha256), (found.computed_checksum_hash, ""));
}

#[tokio::test]
async fn an_execution_that_does_not_exist_cannot_be_verified() {
    let ledger = ledger().start().await;
    let request = |id: &str| v1::VerifyExecutionRequest { execution_id: id.into() };
    assert_eq!(wrong_fields(ledger.executions().verify_execution(request("7")).await), ["execution_id"]);
    let unknown = request("00000000-0000-7000-8000-000000000000");
    refused(ledger.executions().verify_execution(unknown).await, Code::NotFound, "EXECUTION_NOT_FOUND");
}
