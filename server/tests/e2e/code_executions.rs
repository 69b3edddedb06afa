//! Executing prompts that live in code.

use prompt_ledger_proto::v1::{self, execution_spec};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use tonic::{Code, Status};

use super::{ledger, ledger_with_model, refused, wrong_fields};

async fn execute(
    ledger: &Ledger,
    spec: v1::ExecutionSpec,
    mode: v1::ExecutionMode,
) -> Result<v1::ExecuteCodePromptResponse, Status> {
    let request = v1::ExecuteCodePromptRequest { spec: Some(spec), mode: mode.into() };
    ledger.code().execute_code_prompt(request).await.map(tonic::Response::into_inner)
}

/// Executes within the call, and returns the execution.
async fn run(ledger: &Ledger, spec: v1::ExecutionSpec) -> Result<v1::Execution, Status> {
    Ok(execute(ledger, spec, v1::ExecutionMode::Unspecified).await?.execution.unwrap())
}

async fn stream(
    ledger: &Ledger,
    spec: v1::ExecutionSpec,
) -> Result<tonic::Streaming<v1::StreamCodePromptResponse>, Status> {
    let request = v1::StreamCodePromptRequest { spec: Some(spec) };
    ledger.code().stream_code_prompt(request).await.map(tonic::Response::into_inner)
}

fn message(role: &str, content: &str) -> v1::ChatMessage {
    v1::ChatMessage { role: role.into(), content: content.into(), ..Default::default() }
}

fn by_messages(name: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec {
        prompt_name: name.into(),
        messages: vec![message("system", "Be {{brief}}."), message("user", "Hi")],
        ..v1::ExecutionSpec::default()
    }
}

fn opaque(name: &str) -> v1::CodePrompt {
    v1::CodePrompt { template_format: v1::TemplateFormat::Opaque.into(), ..carried(name, "Hi {{ name }}{% x %}") }
}

#[tokio::test]
async fn a_prompt_in_code_runs_within_the_call_and_lands_among_all_executions() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    model.next(Reply::answer("Hello, Ada."));
    let answer = execute(&ledger, spec("greet", &[("name", "Ada")]), v1::ExecutionMode::Sync).await.unwrap();
    let ran = answer.execution.unwrap();
    assert!(!answer.reused);
    assert_eq!((ran.prompt_mode(), ran.mode()), (v1::PromptMode::Tracking, v1::ExecutionMode::Sync));
    assert_eq!((&*ran.rendered_prompt, &*ran.response_text), ("Hi Ada", "Hello, Ada."));
    assert_eq!(ran.status(), v1::ExecutionStatus::Succeeded);
    ledger.active("edited", "Hi").await;
    ledger.run(spec("edited", &[])).await;
    let list = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    let modes: Vec<_> = list.executions.iter().map(v1::Execution::prompt_mode).collect();
    assert_eq!(modes, [v1::PromptMode::Full, v1::PromptMode::Tracking]);
}

#[tokio::test]
async fn a_prompt_in_code_runs_in_the_queue() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let gate = Gate::new();
    model.next(Reply::answer("Hello").held_after(0, &gate));
    let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..spec("greet", &[("name", "Ada")]) };
    let queued = execute(&ledger, keyed.clone(), v1::ExecutionMode::Async).await.unwrap();
    let execution = queued.execution.unwrap();
    assert!(!queued.reused && execution.completed_at.is_none(), "{execution:?}");
    assert_eq!((execution.mode(), execution.prompt_mode()), (v1::ExecutionMode::Async, v1::PromptMode::Tracking));
    let again = execute(&ledger, keyed, v1::ExecutionMode::Async).await.unwrap();
    assert_eq!((again.reused, &again.execution.unwrap().execution_id), (true, &execution.execution_id));
    gate.open();
    let ended = WatchRecord::whole(&mut ledger.watch(&execution.execution_id, 0).await.unwrap()).await.ended.unwrap();
    assert_eq!((ended.status(), &*ended.rendered_prompt), (v1::ExecutionStatus::Succeeded, "Hi Ada"));
}

#[tokio::test]
async fn a_failed_prompt_in_code_is_repeated_where_that_is_asked_for() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..spec("greet", &[("name", "Ada")]) };
    let retried = v1::ExecutionSpec { retry_failed: true, ..keyed.clone() };
    for _ in 0..3 {
        model.next(Reply::status(400, "{}"));
    }
    let failed = run(&ledger, keyed.clone()).await.unwrap();
    assert_eq!(run(&ledger, keyed).await.unwrap(), failed);
    let again = run(&ledger, retried.clone()).await.unwrap();
    assert_eq!((again.status(), again.retry_of), (v1::ExecutionStatus::Failed, failed.execution_id));
    let queued = execute(&ledger, retried.clone(), v1::ExecutionMode::Async).await.unwrap().execution.unwrap();
    assert_eq!(queued.retry_of, again.execution_id);
    WatchRecord::whole(&mut ledger.watch(&queued.execution_id, 0).await.unwrap()).await;
    let record = WatchRecord::whole(&mut stream(&ledger, retried.clone()).await.unwrap()).await;
    let streamed = record.ended.unwrap();
    assert_eq!((streamed.status(), &streamed.retry_of), (v1::ExecutionStatus::Succeeded, &queued.execution_id));
    let answer = execute(&ledger, retried, v1::ExecutionMode::Sync).await.unwrap();
    assert_eq!(
        (answer.reused, answer.execution.unwrap().execution_id, model.calls()),
        (true, streamed.execution_id, 4)
    );
}

#[tokio::test]
async fn a_prompt_in_code_is_streamed_as_any_other() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(2, &gate));
    let mut messages = stream(&ledger, spec("greet", &[("name", "Ada")])).await.unwrap();
    let mut record = WatchRecord::new();
    let failed = record.read(&mut messages, |record| record.text == "one two ").await;
    assert!(failed.is_none(), "{failed:?}");
    gate.open();
    record.finish(&mut messages).await;
    let ended = record.ended.unwrap();
    assert_eq!((ended.prompt_mode(), &*ended.response_text), (v1::PromptMode::Tracking, "one two three"));
    refused(stream(&ledger, spec("greet", &[])).await, Code::InvalidArgument, "VARIABLES_MISSING");
    refused(stream(&ledger, spec("nobody", &[])).await, Code::NotFound, "PROMPT_NOT_FOUND");
}

#[tokio::test]
async fn a_caller_that_hangs_up_on_its_stream_or_call_aborts_the_model() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi")]).await;
    let gate = Gate::new();
    model.next(Reply::answer("one two").held_after(1, &gate));
    let mut messages = stream(&ledger, spec("greet", &[])).await.unwrap();
    WatchRecord::new().read(&mut messages, |record| record.deltas > 0).await;
    drop(messages);
    model.wait_for_aborts(1).await;
    model.next(Reply::hang());
    let mut code = ledger.code();
    let request = v1::ExecuteCodePromptRequest { spec: Some(spec("greet", &[])), mode: 0 };
    tokio::select! {
        ended = code.execute_code_prompt(request) => panic!("it ended: {ended:?}"),
        () = model.wait_for_calls(2) => {}
    }
    model.wait_for_aborts(2).await;
}

#[tokio::test]
async fn two_releases_that_run_at_once_execute_each_its_own_text_every_way() {
    use execution_spec::Selector::{ChecksumHash, Label, VersionNumber};
    let (ledger, _model) = ledger_with_model().await;
    let [old, new] = ["old", "new"].map(|text| carried("greet", &format!("{text} {{{{name}}}}")));
    let old = ledger.carry(vec![old]).await.remove(0).checksum_hash;
    let new = ledger.carry(vec![new]).await.remove(0).checksum_hash;
    let selected = |selector| v1::ExecutionSpec { selector, ..spec("greet", &[("name", "Ada")]) };
    for (selector, number) in [
        (Some(ChecksumHash(old.clone())), 1),
        (Some(ChecksumHash(new.clone())), 2),
        (Some(VersionNumber(1)), 1),
        (Some(VersionNumber(2)), 2),
        (Some(Label("active".into())), 2),
        (Some(Label("latest".into())), 2),
        (None, 2),
    ] {
        let ran = run(&ledger, selected(selector.clone())).await.unwrap();
        let streamed = WatchRecord::whole(&mut stream(&ledger, selected(selector.clone())).await.unwrap()).await;
        let queued = execute(&ledger, selected(selector.clone()), v1::ExecutionMode::Async).await.unwrap();
        let queued = ledger.watch(&queued.execution.unwrap().execution_id, 0).await;
        let queued = WatchRecord::whole(&mut queued.unwrap()).await;
        for ended in [ran, streamed.ended.unwrap(), queued.ended.unwrap()] {
            let (checksum, text) = if number == 1 { (&old, "old Ada") } else { (&new, "new Ada") };
            assert_eq!((ended.version_number, &ended.checksum_hash), (number, checksum), "{selector:?}");
            assert_eq!((ended.status(), &*ended.rendered_prompt), (v1::ExecutionStatus::Succeeded, text));
        }
    }
    for (selector, reason) in [
        (ChecksumHash("0".repeat(64)), "VERSION_NOT_FOUND"),
        (VersionNumber(3), "VERSION_NOT_FOUND"),
        (Label("prod".into()), "LABEL_NOT_FOUND"),
    ] {
        let sent = selected(Some(selector));
        refused(run(&ledger, sent.clone()).await, Code::NotFound, reason);
        refused(stream(&ledger, sent.clone()).await, Code::NotFound, reason);
        refused(execute(&ledger, sent, v1::ExecutionMode::Async).await, Code::NotFound, reason);
    }
}

#[tokio::test]
async fn ready_messages_are_what_is_stored_and_sent() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let ran = run(&ledger, by_messages("greet")).await.unwrap();
    are_stored_and_sent(&ledger, &model, &ran).await;
}

#[tokio::test]
async fn ready_messages_go_every_way_that_variables_go() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}"), opaque("jinja")]).await;
    for name in ["greet", "jinja"] {
        model.next(Reply::answer("one two"));
        let mut messages = stream(&ledger, by_messages(name)).await.unwrap();
        let streamed = WatchRecord::whole(&mut messages).await;
        assert_eq!(streamed.text, "one two");
        are_stored_and_sent(&ledger, &model, &streamed.ended.unwrap()).await;

        model.next(Reply::answer("three"));
        let queued = execute(&ledger, by_messages(name), v1::ExecutionMode::Async).await.unwrap().execution.unwrap();
        assert_eq!(queued.messages, by_messages(name).messages);
        let ended = WatchRecord::whole(&mut ledger.watch(&queued.execution_id, 0).await.unwrap()).await.ended.unwrap();
        assert_eq!((ended.mode(), &*ended.response_text), (v1::ExecutionMode::Async, "three"));
        are_stored_and_sent(&ledger, &model, &ended).await;
    }
}

/// The messages of [`by_messages`] are in the response, in the stored execution, and in the request to the model.
async fn are_stored_and_sent(ledger: &Ledger, model: &FakeModel, told: &v1::Execution) {
    let request = v1::GetExecutionRequest { execution_id: told.execution_id.clone(), view: 0, ..Default::default() };
    let stored = ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
    for execution in [told, &stored] {
        assert_eq!(execution.status(), v1::ExecutionStatus::Succeeded);
        assert_eq!((&execution.messages, &*execution.rendered_prompt), (&by_messages("").messages, ""));
    }
    let sent = serde_json::json!([
        {"role": "system", "content": "Be {{brief}}."},
        {"role": "user", "content": "Hi"},
    ]);
    assert_eq!(model.last_request().body["messages"], sent, "nothing is rendered");
}

#[tokio::test]
async fn messages_and_variables_exclude_each_other_and_neither_means_no_variables() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "Hi {{name}}"), carried("plain", "Hi")]).await;
    let both = v1::ExecutionSpec { variables: spec("greet", &[("name", "Ada")]).variables, ..by_messages("greet") };
    assert_eq!(wrong_fields(run(&ledger, both).await), ["spec.messages"]);
    let neither = |name: &str| v1::ExecutionSpec { prompt_name: name.into(), ..v1::ExecutionSpec::default() };
    assert_eq!(wrong_fields(run(&ledger, neither("greet")).await), ["variables.name"]);
    assert_eq!(run(&ledger, neither("plain")).await.unwrap().rendered_prompt, "Hi");
    let mut large = by_messages("greet");
    large.messages.push(message("user", &"x".repeat(200 * 1024)));
    refused(run(&ledger, large).await, Code::ResourceExhausted, "TOO_LARGE");
    let mut nameless = by_messages("greet");
    nameless.messages[1].role.clear();
    assert_eq!(wrong_fields(run(&ledger, nameless).await), ["spec.messages[1].role"]);
}

#[tokio::test]
async fn an_opaque_template_is_executed_by_messages_only() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![opaque("greet")]).await;
    for sent in [spec("greet", &[("name", "Ada")]), spec("greet", &[])] {
        refused(run(&ledger, sent.clone()).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
        refused(stream(&ledger, sent.clone()).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
        let queued = execute(&ledger, sent, v1::ExecutionMode::Async).await;
        refused(queued, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
    }
    let preview = v1::RenderPromptRequest { name: "greet".into(), ..v1::RenderPromptRequest::default() };
    refused(ledger.registry().render_prompt(preview).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
    assert_eq!(model.calls(), 0);
    assert_eq!(run(&ledger, by_messages("greet")).await.unwrap().status(), v1::ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn what_keeps_a_prompt_in_code_from_being_executed_is_said() {
    let ledger = ledger().start().await;
    let drafted = v1::RegisterCodePromptsRequest {
        prompts: vec![carried("draft", "Hi")],
        set_active: Some(false),
        ..v1::RegisterCodePromptsRequest::default()
    };
    ledger.code().register_code_prompts(drafted).await.unwrap();
    refused(run(&ledger, spec("draft", &[])).await, Code::FailedPrecondition, "NO_ACTIVE_VERSION");
    let selector = Some(execution_spec::Selector::VersionNumber(1));
    run(&ledger, v1::ExecutionSpec { selector, ..spec("draft", &[]) }).await.unwrap();
    ledger.carry(vec![carried("greet", "Hi")]).await;
    ledger
        .registry()
        .archive_prompt(v1::ArchivePromptRequest {
            name: "greet".into(),
            etag: None,
            ..v1::ArchivePromptRequest::default()
        })
        .await
        .unwrap();
    refused(run(&ledger, spec("greet", &[])).await, Code::FailedPrecondition, "PROMPT_ARCHIVED");
    let none = v1::ExecuteCodePromptRequest { spec: None, mode: 0 };
    assert_eq!(wrong_fields(ledger.code().execute_code_prompt(none).await), ["spec"]);
    let odd = v1::ExecuteCodePromptRequest { spec: Some(spec("greet", &[])), mode: 99 };
    assert_eq!(wrong_fields(ledger.code().execute_code_prompt(odd).await), ["mode"]);
}
