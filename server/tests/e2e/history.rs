//! The history of a prompt, and tracing an execution back to its version.

use prompt_ledger_proto::v1::{self, execution_spec, get_version_request};
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use tonic::{Code, Status};

use super::queued::ended;
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
async fn a_history_shows_every_version_newest_first_with_its_executions() {
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

    let listed = v1::ListVersionsRequest { name: "edited".into(), ..v1::ListVersionsRequest::default() };
    let listed = ledger.registry().list_versions(listed).await.unwrap().into_inner().versions;
    assert_eq!(listed[0].execution_count, None, "in a history only");
}

#[tokio::test]
async fn a_history_in_code_counts_every_execution_whatever_became_of_it() {
    let (ledger, model) = ledger_with_model().await;
    let old = ledger.carry(vec![carried("greet", "one")]).await.remove(0);
    ledger.run_code(spec("greet", &[])).await;
    let release = v1::RegisterCodePromptsRequest {
        prompts: vec![v1::CodePrompt { path: "prompts/greet.txt".into(), ..carried("greet", "two") }],
        created_by: "ci".into(),
        source: Some(v1::CodeSource { repository: "shop".into(), commit: "abc".into() }),
        ..v1::RegisterCodePromptsRequest::default()
    };
    ledger.code().register_code_prompts(release).await.unwrap();
    let by_hash = Some(execution_spec::Selector::ChecksumHash(old.checksum_hash));
    ledger.run_code(v1::ExecutionSpec { selector: by_hash, ..spec("greet", &[]) }).await;
    ended(&ledger, &ledger.submit_code(spec("greet", &[])).await).await;
    assert_eq!(ledger.carry(vec![carried("greet", "one")]).await[0].action(), v1::RegistrationAction::Reactivated);
    let found = history(&ledger, of("greet")).await.unwrap();
    assert_eq!(
        (&*found.prompt_name, found.mode(), found.current_version),
        ("greet", v1::PromptMode::Tracking, Some(1))
    );
    assert_eq!(counts(&found), [(2, Some(1)), (1, Some(2))]);
    for version in &found.versions {
        let selector = Some(get_version_request::Selector::VersionNumber(version.version_number));
        let request = v1::GetVersionRequest { name: "greet".into(), selector, ..v1::GetVersionRequest::default() };
        let one = ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
        assert_eq!(v1::PromptVersion { execution_count: None, ..version.clone() }, one);
    }
    let newest = &found.versions[0];
    let source =
        v1::VersionSource { repository: "shop".into(), commit: "abc".into(), path: "prompts/greet.txt".into() };
    assert_eq!((&*newest.created_by, newest.source.as_ref()), ("ci", Some(&source)));

    model.next(Reply::status(400, "no"));
    ledger.run_code(spec("greet", &[])).await;
    let gate = Gate::new();
    for calls in [5, 6] {
        model.next(Reply::answer("late").held(&gate));
        let id = ledger.submit_code(spec("greet", &[])).await;
        model.wait_for_calls(calls).await;
        if calls == 5 {
            let cancel = v1::CancelExecutionRequest { execution_id: id.clone(), reason: String::new() };
            ledger.executions().cancel_execution(cancel).await.unwrap();
            assert_eq!(ended(&ledger, &id).await.status(), v1::ExecutionStatus::Canceled);
        }
    }
    let whole = [(2, Some(1)), (1, Some(5))];
    assert_eq!(counts(&history(&ledger, of("greet")).await.unwrap()), whole, "failed, canceled and still running");
    let mode = v1::PromptMode::Full.into();
    let moved = v1::MigratePromptModeRequest {
        name: "greet".into(),
        mode,
        etag: None,
        ..v1::MigratePromptModeRequest::default()
    };
    ledger.registry().migrate_prompt_mode(moved).await.unwrap();
    let found = history(&ledger, of("greet")).await.unwrap();
    assert_eq!((found.mode(), found.current_version, counts(&found)), (v1::PromptMode::Full, Some(1), whole.into()));
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
    ledger.active("edited", "one").await;
    ledger.carry(vec![carried("carried", "one")]).await;
    let (full, tracking) = (v1::PromptMode::Full, v1::PromptMode::Tracking);
    for (name, own, other, word) in [("edited", full, tracking, "full"), ("carried", tracking, full, "tracking")] {
        let asked = |mode: v1::PromptMode| v1::GetPromptHistoryRequest { mode: mode.into(), ..of(name) };
        assert_eq!(history(&ledger, asked(own)).await.unwrap().versions.len(), 1);
        let info = refused(history(&ledger, asked(other)).await, Code::FailedPrecondition, "MODE_MISMATCH");
        let told = ["prompt", "mode", "use_rpc"].map(|key| &*info.metadata[key]);
        assert_eq!(told, [name, word, "RegistryService.GetPromptHistory"]);
    }
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
    // Some need all of their 17 digits: parsed with fewer, they become a neighbouring number.
    let long = [0.30000000000000004, 2.2250738585072014e-308, 4_503_599_627_370_495.5, 51.248_178_375_505_404];
    let numbers = [-0.0, 1e15, 0.1, 5e-324].into_iter().chain(long);
    let list = prost_types::ListValue { values: numbers.map(number).collect() };
    let fields = &mut sent.variables.as_mut().unwrap().fields;
    fields.insert("n".into(), number(-0.0));
    fields.insert("list".into(), prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) });
    let ran = ledger.run(sent).await;
    // The version that was executed is compared, whatever was activated since.
    ledger.active("greet", "Bye").await;
    let found = verify(&ledger, &ran.execution_id).await;
    assert_eq!((found.result(), &*found.explanation), (v1::VerificationResult::Match, ""), "{found:?}");
    assert_eq!((found.version_number, &found.checksum_hash), (1, &version.checksum_hash));
    assert_eq!(found.computed_checksum_hash, version.checksum_hash);
    assert_eq!((&found.sent_prompt_sha256, found.sent_prompt_sha256.len()), (&found.rendered_prompt_sha256, 64));
    assert_eq!((found.execution_id, found.first_difference_offset), (ran.execution_id, None));
}

#[tokio::test]
async fn an_execution_of_a_prompt_in_code_is_traced_back_however_it_ran() {
    let (ledger, _model) = ledger_with_model().await;
    let old = ledger.carry(vec![carried("greet", "Hi {{name}}")]).await.remove(0);
    let sent = || spec("greet", &[("name", "Ada")]);
    let request = v1::StreamCodePromptRequest { spec: Some(sent()) };
    let mut messages = ledger.code().stream_code_prompt(request).await.unwrap().into_inner();
    let streamed = WatchRecord::whole(&mut messages).await.ended.unwrap();
    let queued = ended(&ledger, &ledger.submit_code(sent()).await).await;
    let called = ledger.run_code(sent()).await;
    ledger.carry(vec![carried("greet", "Bye {{name}}")]).await;
    let selector = Some(execution_spec::Selector::ChecksumHash(old.checksum_hash.clone()));
    let by_hash = ledger.run_code(v1::ExecutionSpec { selector, ..sent() }).await;
    for ran in [streamed, queued, called, by_hash] {
        let found = verify(&ledger, &ran.execution_id).await;
        assert_eq!((found.result(), &*found.explanation), (v1::VerificationResult::Match, ""), "{found:?}");
        assert_eq!((found.version_number, &found.checksum_hash), (1, &old.checksum_hash));
        assert_eq!((&found.computed_checksum_hash, &*ran.rendered_prompt), (&old.checksum_hash, "Hi Ada"));
        assert_eq!((&found.sent_prompt_sha256, found.sent_prompt_sha256.len()), (&found.rendered_prompt_sha256, 64));
    }
}

#[tokio::test]
async fn a_prompt_that_was_cut_is_cut_alike_when_it_is_verified() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("edited", "a{{x}}").await;
    ledger.carry(vec![carried("carried", "a{{x}}")]).await;
    let long = "é".repeat(110_000);
    let sent = |name| spec(name, &[("x", &*long)]);
    for ran in [ledger.run(sent("edited")).await, ledger.run_code(sent("carried")).await] {
        assert_eq!((ran.prompt_truncated, ran.rendered_prompt.len()), (true, 200 * 1024 - 1), "at a character");
        let found = verify(&ledger, &ran.execution_id).await;
        assert_eq!((found.result(), &*found.explanation), (v1::VerificationResult::Match, ""));
        assert_eq!(found.sent_prompt_sha256, found.rendered_prompt_sha256);
    }
}

#[tokio::test]
async fn ready_messages_leave_nothing_to_compare() {
    let (ledger, _model) = ledger_with_model().await;
    let opaque = v1::CodePrompt { template_format: v1::TemplateFormat::Opaque.into(), ..carried("jinja", "{% x %}") };
    ledger.carry(vec![carried("greet", "Hi {{name}}"), opaque]).await;
    for name in ["greet", "jinja"] {
        let messages = vec![v1::ChatMessage { role: "user".into(), content: "Hi".into(), ..Default::default() }];
        let ran = ledger.run_code(v1::ExecutionSpec { messages, ..spec(name, &[]) }).await;
        let found = verify(&ledger, &ran.execution_id).await;
        assert_eq!((found.result(), &*found.sent_prompt_sha256), (v1::VerificationResult::NotRendered, ""));
        assert_eq!((&found.checksum_hash, &*found.rendered_prompt_sha256), (&found.computed_checksum_hash, ""));
        assert_eq!(found.checksum_hash, ran.checksum_hash);
    }
}

#[tokio::test]
async fn an_execution_that_does_not_exist_cannot_be_verified() {
    let ledger = ledger().start().await;
    let request = |id: &str| v1::VerifyExecutionRequest { execution_id: id.into() };
    assert_eq!(wrong_fields(ledger.executions().verify_execution(request("7")).await), ["execution_id"]);
    let unknown = request("00000000-0000-7000-8000-000000000000");
    refused(ledger.executions().verify_execution(unknown).await, Code::NotFound, "EXECUTION_NOT_FOUND");
}
