//! The rendering of a template with its variables is the same by every RPC that renders.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};
use prompt_ledger_testkit::values::variables;
use prompt_ledger_testkit::watch_record::{Holds, WatchRecord};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;
use tonic::{Code, Response, Status, Streaming};
use tonic_types::StatusExt;

use super::{ledger, ledger_with_model, refused, wrong_fields};

/// Makes the template the active one of the full-mode prompt `edited` and of the tracking-mode prompt `carried`.
async fn in_both_modes(ledger: &Ledger, template: &str) {
    ledger.active("edited", template).await;
    ledger.carry(vec![carried("carried", template)]).await;
}

fn given(name: &str, variables: &Struct) -> v1::ExecutionSpec {
    v1::ExecutionSpec { variables: Some(variables.clone()), ..spec(name, &[]) }
}

fn in_code(spec: v1::ExecutionSpec, mode: v1::ExecutionMode) -> v1::ExecuteCodePromptRequest {
    v1::ExecuteCodePromptRequest { spec: Some(spec), mode: mode.into() }
}

/// Waits for the end of an execution whose model echoes its prompt, and checks that this is what is stored.
async fn ended(ledger: &Ledger, id: &str) -> v1::Execution {
    let ended = WatchRecord::whole(&mut ledger.watch(id, 0).await.unwrap()).await.ended.unwrap();
    assert_eq!((ended.status(), &ended.response_text), (v1::ExecutionStatus::Succeeded, &ended.rendered_prompt));
    ended
}

async fn streamed<M: Holds>(answer: Result<Response<Streaming<M>>, Status>) -> Result<String, Status> {
    Ok(WatchRecord::whole(&mut answer?.into_inner()).await.id)
}

/// The result of every RPC that renders a prompt of [`in_both_modes`] with these variables.
async fn every_way(ledger: &Ledger, variables: &Struct) -> Vec<(&'static str, Result<String, Status>)> {
    use v1::ExecutionMode::{Async, Sync};
    let (mut registry, mut executions, mut code) = (ledger.registry(), ledger.executions(), ledger.code());
    let (edited, carried) = (|| Some(given("edited", variables)), |mode| in_code(given("carried", variables), mode));
    let id = |execution: Option<v1::Execution>| execution.unwrap().execution_id;
    let ran = executions.run_execution(v1::RunExecutionRequest { spec: edited() }).await;
    let submitted = executions.submit_execution(v1::SubmitExecutionRequest { spec: edited() }).await;
    let recorded = [
        ("RunExecution", ran.map(|answer| id(answer.into_inner().execution))),
        ("SubmitExecution", submitted.map(|answer| answer.into_inner().execution_id)),
        (
            "StreamExecution",
            streamed(executions.stream_execution(v1::StreamExecutionRequest { spec: edited() }).await).await,
        ),
        (
            "ExecuteCodePrompt",
            code.execute_code_prompt(carried(Sync)).await.map(|answer| id(answer.into_inner().execution)),
        ),
        (
            "ExecuteCodePrompt async",
            code.execute_code_prompt(carried(Async)).await.map(|answer| id(answer.into_inner().execution)),
        ),
        (
            "StreamCodePrompt",
            streamed(code.stream_code_prompt(v1::StreamCodePromptRequest { spec: carried(Sync).spec }).await).await,
        ),
    ];
    let mut outcomes = Vec::new();
    for (rpc, recorded) in recorded {
        let outcome = match recorded {
            Ok(id) => Ok(ended(ledger, &id).await.rendered_prompt),
            Err(status) => Err(status),
        };
        outcomes.push((rpc, outcome));
    }
    for (rpc, name) in [("RenderPrompt", "edited"), ("RenderPrompt in code", "carried")] {
        let variables = Some(variables.clone());
        let preview = v1::RenderPromptRequest { name: name.into(), variables, ..v1::RenderPromptRequest::default() };
        outcomes.push((rpc, registry.render_prompt(preview).await.map(|answer| answer.into_inner().rendered_prompt)));
    }
    outcomes
}

/// Every RPC refuses the variables, and names exactly these fields, each with this word in its description.
async fn refused_every_way(ledger: &Ledger, variables: &Struct, reason: &str, expected: &[(&str, &str)]) {
    for (rpc, outcome) in every_way(ledger, variables).await {
        let status = outcome.expect_err(rpc);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        refused(Err::<(), _>(status), Code::InvalidArgument, reason);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.trim_start_matches("spec.")).collect();
        assert_eq!(fields, expected.iter().map(|(field, _)| *field).collect::<Vec<_>>(), "{rpc}: {variables:?}");
        for (violation, (_, word)) in violations.iter().zip(expected) {
            assert!(violation.description.contains(word), "{rpc}: {violation:?}");
        }
    }
}

/// Nothing was recorded or queued.
async fn nothing_was_recorded(ledger: &Ledger, model: &FakeModel) {
    ledger.active("last", "last").await;
    let last = ended(ledger, &ledger.submit(spec("last", &[])).await).await;
    let list = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    let ids: Vec<_> = list.executions.iter().map(|execution| &execution.execution_id).collect();
    assert_eq!((ids, model.calls()), (vec![&last.execution_id], 1));
}

#[tokio::test]
async fn values_render_alike_by_every_call() {
    let (ledger, _model) = ledger_with_model().await;
    for (template, values, expected) in [
        (
            "{{i}} {{neg}} {{big}} {{d}} {{yes}} {{no}} [{{nil}}]",
            json!({"i": 3.0, "neg": -7, "big": 9_007_199_254_740_992_u64, "d": 0.1, "yes": true, "no": false, "nil": null}),
            "3 -7 9007199254740992 0.1 true false []",
        ),
        (
            "{{#if n}}a{{else}}b{{/if}}{{#unless n}}c{{/unless}}{{#each n}}d{{else}}e{{/each}}",
            json!({"n": null}),
            "bce",
        ),
        ("{{a}}", json!({"a": "{{b}} {{{a}}} <i>&\"'"}), "{{b}} {{{a}}} <i>&\"'"),
        (
            "{{json o}}|{{#each o}}{{@key}};{{/each}}",
            json!({"o": {"b": 1.0, "a": [true, null], "B": "\"é", "10": {}, "9": -0.5}}),
            r#"{"10":{},"9":-0.5,"B":"\"é","a":[true,null],"b":1}|10;9;B;a;b;"#,
        ),
    ] {
        in_both_modes(&ledger, template).await;
        for (rpc, outcome) in every_way(&ledger, &variables(&values)).await {
            assert_eq!(outcome.expect(rpc), expected, "{rpc}: {template}");
        }
    }
}

#[tokio::test]
async fn every_variable_that_a_template_names_is_required_before_anything_is_recorded() {
    let (ledger, model) = ledger_with_model().await;
    let nested = "{{user.name}}{{#each items}}{{price}}{{/each}}";
    let items = json!({"user": {}, "items": [{"price": 1}, {}]});
    for (template, values, missing) in [
        (nested, items, ["variables.user.name", "variables.items[1].price"].as_slice()),
        ("{{a}}{{#if b.c}}{{a}}{{/if}}{{d}}", json!({}), &["variables.a", "variables.b.c", "variables.d"]),
        ("{{#if yes}}x{{else}}{{a}}{{/if}}", json!({"yes": true}), &["variables.a"]),
        ("{{#if no}}{{a}}{{/if}}", json!({"no": null}), &["variables.a"]),
        ("{{#unless yes}}{{a}}{{else}}x{{/unless}}", json!({"yes": true}), &["variables.a"]),
        ("{{#unless no}}x{{else if b}}x{{/unless}}", json!({"no": false}), &["variables.b"]),
        ("{{#each none}}{{price}}{{../a}}{{/each}}", json!({"none": []}), &["variables.a"]),
        ("{{#each some}}x{{else}}{{a}}{{/each}}", json!({"some": [1]}), &["variables.a"]),
    ] {
        in_both_modes(&ledger, template).await;
        let expected: Vec<_> = missing.iter().map(|field| (*field, "missing")).collect();
        refused_every_way(&ledger, &variables(&values), "VARIABLES_MISSING", &expected).await;
    }
    nothing_was_recorded(&ledger, &model).await;
}

#[tokio::test]
async fn a_number_that_a_double_cannot_hold_exactly_is_refused_with_what_to_send() {
    let (ledger, model) = ledger_with_model().await;
    in_both_modes(&ledger, "{{n}}").await;
    let beyond = 9_007_199_254_740_994.0;
    for number in [beyond, -beyond, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let value = Value { kind: Some(Kind::NumberValue(number)) };
        let number = Struct { fields: [("n".to_owned(), value)].into() };
        refused_every_way(&ledger, &number, "INVALID_FIELD", &[("variables.n", "send a string")]).await;
    }
    for value in [json!({"n": [beyond]}), json!({"n": {"m": 1e300}, "unused": "x"})] {
        let field = if value["n"].is_array() { "variables.n[0]" } else { "variables.n.m" };
        refused_every_way(&ledger, &variables(&value), "INVALID_FIELD", &[(field, "send a string")]).await;
    }
    nothing_was_recorded(&ledger, &model).await;
}

#[tokio::test]
async fn a_list_or_an_object_where_a_text_belongs_is_told_of_the_helper_json() {
    let (ledger, model) = ledger_with_model().await;
    in_both_modes(&ledger, "{{n}}").await;
    for value in [json!({"n": [1, "x"]}), json!({"n": {}}), json!({"n": {"m": 1}})] {
        let expected = [("variables.n", "{{json x}}")];
        refused_every_way(&ledger, &variables(&value), "INVALID_FIELD", &expected).await;
    }
    nothing_was_recorded(&ledger, &model).await;
}

#[tokio::test]
async fn a_nul_is_refused_wherever_it_stands() {
    let (ledger, model) = ledger_with_model().await;
    in_both_modes(&ledger, "Hi").await;
    for (value, field) in [
        (json!({"n": "a\0"}), "variables.n"),
        (json!({"n": {"m": ["x", "\0"]}}), "variables.n.m[1]"),
        (json!({"n": {"a\0b": 1}}), "variables.n"),
        (json!({"\0": 1}), "variables"),
    ] {
        refused_every_way(&ledger, &variables(&value), "INVALID_FIELD", &[(field, "NUL")]).await;
    }
    for (role, content, field) in
        [("us\0er", "Hi", "spec.messages[1].role"), ("user", "Hi\0", "spec.messages[1].content")]
    {
        let message = |role: &str, content: &str| v1::ChatMessage {
            role: role.into(),
            content: content.into(),
            ..Default::default()
        };
        let messages = vec![message("system", "Be brief."), message(role, content)];
        let sent = v1::ExecutionSpec { messages, ..spec("carried", &[]) };
        for mode in [v1::ExecutionMode::Sync, v1::ExecutionMode::Async] {
            let answer = ledger.code().execute_code_prompt(in_code(sent.clone(), mode)).await;
            assert_eq!(wrong_fields(answer), [field]);
        }
        let answer = ledger.code().stream_code_prompt(v1::StreamCodePromptRequest { spec: Some(sent) }).await;
        assert_eq!(wrong_fields(answer), [field]);
    }
    nothing_was_recorded(&ledger, &model).await;
}

#[tokio::test]
async fn what_waits_in_the_queue_was_rendered_before_it_came_there() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("WORKER_CONCURRENCY", "1").start().await;
    in_both_modes(&ledger, "old {{name}}").await;
    let gate = Gate::new();
    model.next(Reply::echo().held(&gate));
    let sent = variables(&json!({"name": "Ada", "unused": [1, null]}));
    ledger.submit(given("edited", &sent)).await;
    model.wait_for_calls(1).await;
    let in_code = in_code(given("carried", &sent), v1::ExecutionMode::Async);
    let queued = ledger.code().execute_code_prompt(in_code).await.unwrap().into_inner().execution.unwrap();
    let ids = [ledger.submit(given("edited", &sent)).await, queued.execution_id];
    in_both_modes(&ledger, "new {{name}}").await;
    for id in &ids {
        let request = v1::GetExecutionRequest { execution_id: id.clone(), view: 0, ..Default::default() };
        let waiting = ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
        assert_eq!((waiting.status(), &*waiting.rendered_prompt), (v1::ExecutionStatus::Queued, "old Ada"));
        assert_eq!(waiting.variables.as_ref(), Some(&sent));
    }
    gate.open();
    for id in &ids {
        let done = ended(&ledger, id).await;
        assert_eq!((&*done.response_text, done.variables.as_ref(), done.version_number), ("old Ada", Some(&sent), 1));
    }
}
