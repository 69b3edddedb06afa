//! Bad input: an error with the right code and reason, nothing written in part, and the process goes on.

use prompt_ledger_proto::v1::{self, execution_spec};
use prompt_ledger_testkit::ledger::{Ledger, put, spec};
use prost_types::value::Kind;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use super::{ledger, refused, wrong_fields};

/// Encodes bytes as they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buf, &item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let len = bytes::Buf::remaining(buf);
        Ok(Some(bytes::Buf::copy_to_bytes(buf, len).to_vec()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

async fn raw(ledger: &Ledger, path: &'static str, body: Vec<u8>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(ledger.connection());
    client.ready().await.unwrap();
    client.unary(Request::new(body), path.parse().unwrap(), Raw).await.map(|_| ())
}

async fn still_alive(ledger: &Ledger) {
    let prompts = ledger.registry().list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner().prompts;
    assert!(prompts.is_empty(), "something was half-written: {prompts:?}");
}

#[tokio::test]
async fn wrong_fields_of_a_prompt_are_named() {
    let ledger = ledger().start().await;
    let mut registry = ledger.registry();
    let tags = |values: Vec<String>| Some(v1::Tags { values });
    for (request, field) in [
        (put("", "x"), "name"),
        (put("a b", "x"), "name"),
        (put(&"n".repeat(129), "x"), "name"),
        (v1::PutPromptRequest { template: None, ..put("greet", "") }, "template"),
        (v1::PutPromptRequest { description: Some("d".repeat(4097)), ..put("greet", "x") }, "description"),
        (v1::PutPromptRequest { owner_team: Some("t".repeat(256)), ..put("greet", "x") }, "owner_team"),
        (v1::PutPromptRequest { note: "n".repeat(1025), ..put("greet", "x") }, "note"),
        (v1::PutPromptRequest { created_by: "NUL \0".into(), ..put("greet", "x") }, "created_by"),
        (v1::PutPromptRequest { tags: tags(vec![String::new()]), ..put("greet", "x") }, "tags[0]"),
        (v1::PutPromptRequest { tags: tags(vec!["t".into(); 33]), ..put("greet", "x") }, "tags"),
    ] {
        assert_eq!(wrong_fields(registry.put_prompt(request).await), [field]);
    }
    let several = v1::PutPromptRequest { description: Some("d".repeat(4097)), ..put("a b", "x") };
    assert_eq!(wrong_fields(registry.put_prompt(several).await), ["name", "description"]);
    still_alive(&ledger).await;
}

#[tokio::test]
async fn templates_that_cannot_be_are_refused_with_line_and_column() {
    let ledger = ledger().start().await;
    let deep = "{{#if a}}".repeat(400);
    for (template, line, column) in [
        ("Hi\n{{#if x}}", "2", "1"),
        ("{{> partial}}", "1", "1"),
        ("Hi\n {{foo bar}}", "2", "2"),
        ("é\r\n\né\té {{x | upper}}", "3", "5"),
        ("{{a}} {{#each b}}{{/if}}", "1", "18"),
        (&deep, "1", "289"),
    ] {
        let status = ledger.registry().put_prompt(put("greet", template)).await;
        let place = format!("template: line {line}, column {column}: ");
        assert!(status.as_ref().unwrap_err().message().starts_with(&place), "{status:?}");
        let info = refused(status, Code::InvalidArgument, "TEMPLATE_INVALID");
        assert_eq!([&*info.metadata["line"], &*info.metadata["column"]], [line, column], "{template}");
    }
    refused(ledger.registry().put_prompt(put("greet", "a\0b")).await, Code::InvalidArgument, "INVALID_FIELD");
    let long = "x".repeat(200 * 1024 + 1);
    refused(ledger.registry().put_prompt(put("greet", &long)).await, Code::ResourceExhausted, "TOO_LARGE");
    still_alive(&ledger).await;
}

#[tokio::test]
async fn what_does_not_decode_or_is_too_large_or_unknown_is_brought_into_form() {
    let ledger = ledger().start().await;
    let put = "/promptledger.v1.RegistryService/PutPrompt";
    refused(raw(&ledger, put, vec![0x0a, 0x02, 0xff, 0xfe]).await, Code::InvalidArgument, "INVALID_FIELD");
    refused(raw(&ledger, put, vec![0x0a, 0x7f]).await, Code::InvalidArgument, "INVALID_FIELD");
    refused(raw(&ledger, put, vec![0; 5 * 1024 * 1024]).await, Code::ResourceExhausted, "TOO_LARGE");
    refused(
        raw(&ledger, "/promptledger.v1.RegistryService/Nothing", vec![]).await,
        Code::Unimplemented,
        "UNIMPLEMENTED",
    );
    refused(raw(&ledger, "/some.Other/Thing", vec![]).await, Code::Unimplemented, "UNIMPLEMENTED");
    still_alive(&ledger).await;
}

#[tokio::test]
async fn a_request_over_the_size_of_its_rpc_is_too_large() {
    let ledger = ledger().start().await;
    for (rpc, most) in [
        ("/promptledger.v1.RegistryService/GetPrompt", 64 * 1024),
        ("/promptledger.v1.RegistryService/PutPrompt", 1_160 * 1024),
        ("/promptledger.v1.CodeRegistrationService/RegisterCodePrompts", 4 * 1024 * 1024),
        ("/promptledger.v1.ExecutionService/WatchExecutions", 64 * 1024),
        ("/grpc.health.v1.Health/Check", 1024),
    ] {
        let status = raw(&ledger, rpc, vec![0; most + 1]).await;
        let message = status.as_ref().unwrap_err().message();
        assert!(message.contains(&format!("{} bytes; this call takes at most {most}", most + 1)), "{message}");
        refused(status, Code::ResourceExhausted, "TOO_LARGE");
    }
    still_alive(&ledger).await;
}

#[tokio::test]
async fn what_a_request_holds_is_counted_before_anything_else() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let list = |values| value(Kind::ListValue(prost_types::ListValue { values }));
    let run = |variable| {
        let variables = Some(prost_types::Struct { fields: [("v".to_owned(), variable)].into() });
        v1::RunExecutionRequest { spec: Some(v1::ExecutionSpec { variables, ..spec("greet", &[]) }) }
    };
    let deep = (0..33).fold(list(vec![]), |inner, _| list(vec![inner]));
    for (variable, said) in [
        (list(vec![prost_types::Value::default(); 100_001]), "more than 100000 values"),
        (list(vec![list(vec![]); 10_001]), "more than 10000 objects and lists"),
        (deep, "more than 32 levels"),
    ] {
        let status = ledger.executions().run_execution(run(variable)).await;
        assert!(status.as_ref().unwrap_err().message().contains(said), "{status:?}");
        assert_eq!(wrong_fields(status), ["spec.variables"]);
    }
    let prompts = vec![v1::CodePrompt::default(); 1_001];
    let batch = v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() };
    assert_eq!(wrong_fields(ledger.code().register_code_prompts(batch).await), ["prompts"]);
    // As many short texts as fit into a megabyte are accepted.
    let texts = (0..80_000).map(|i| value(Kind::StringValue(format!("item{i:04}")))).collect();
    let taken = ledger.executions().run_execution(run(list(texts))).await.unwrap().into_inner();
    assert_eq!(taken.execution.unwrap().status(), v1::ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn of_a_hundred_wrong_fields_and_more_the_rest_is_counted() {
    let ledger = ledger().start().await;
    let prompts = vec![v1::CodePrompt::default(); 300];
    let batch = v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() };
    let status = ledger.code().register_code_prompts(batch).await.unwrap_err();
    // Each has neither a name nor a template, and all names but the first are duplicates.
    assert!(status.message().contains("(and 898 more)"), "{}", status.message());
    refused::<()>(Err(status), Code::InvalidArgument, "INVALID_FIELD");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let ledger = ledger().start().await;
    let run = |spec| v1::RunExecutionRequest { spec: Some(spec) };
    let mut executions = ledger.executions();
    refused(executions.run_execution(run(spec("absent", &[]))).await, Code::NotFound, "PROMPT_NOT_FOUND");
    ledger.registry().put_prompt(put("draft", "x")).await.unwrap();
    refused(executions.run_execution(run(spec("draft", &[]))).await, Code::FailedPrecondition, "NO_ACTIVE_VERSION");
    ledger.active("greet", "hello").await;
    let number = Some(execution_spec::Selector::VersionNumber(9));
    let wrong_version = v1::ExecutionSpec { selector: number, ..spec("greet", &[]) };
    refused(executions.run_execution(run(wrong_version)).await, Code::NotFound, "VERSION_NOT_FOUND");
    for (provider, model, code, reason) in [
        ("echo", "absent", Code::NotFound, "MODEL_NOT_FOUND"),
        ("absent", "m", Code::NotFound, "PROVIDER_NOT_FOUND"),
        ("openai", "gpt-4o-mini", Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED"),
    ] {
        let model = Some(v1::ModelRef { provider: provider.into(), model_name: model.into() });
        let status = executions.run_execution(run(v1::ExecutionSpec { model, ..spec("greet", &[]) })).await;
        refused(status, code, reason);
    }
    for (id, code, reason) in [
        ("018f3f5e-0000-7000-8000-000000000001", Code::NotFound, "EXECUTION_NOT_FOUND"),
        ("nonsense", Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let request = v1::GetExecutionRequest { execution_id: id.into(), ..v1::GetExecutionRequest::default() };
        refused(executions.get_execution(request).await, code, reason);
    }
    let none = executions.list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(none.executions, []);
}

#[tokio::test]
async fn every_missing_variable_is_named() {
    let ledger = ledger().start().await;
    ledger.active("greet", "{{a}} {{#if b.c}}{{d}}{{/if}}").await;
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[("unused", "x")])) };
    let status = ledger.executions().run_execution(run).await.map(|_| ());
    assert_eq!(wrong_fields(status.clone()), ["variables.a", "variables.b.c", "variables.d"]);
    refused(status, Code::InvalidArgument, "VARIABLES_MISSING");
}

#[tokio::test]
async fn as_many_missing_variables_are_named_as_an_error_holds_and_the_others_counted() {
    let ledger = ledger().start().await;
    for (name, length, shown) in [("few", 3, 100), ("many", 40, 250)] {
        let template: String = (0..shown).map(|i| format!("{{{{v{i:0length$}}}}}")).collect();
        ledger.active(name, &template).await;
        let run = v1::RunExecutionRequest { spec: Some(spec(name, &[])) };
        let status = ledger.executions().run_execution(run).await.unwrap_err();
        let named = wrong_fields::<()>(Err(status.clone())).len();
        let message = status.message();
        assert!(message.contains(&format!("is missing (and {} more)", shown - 1)), "{message}");
        match name {
            "few" => assert_eq!(named, shown, "{message}"),
            _ => assert!(message.ends_with(&format!("({} of these are not shown)", shown - named)), "{message}"),
        }
        refused::<()>(Err(status), Code::InvalidArgument, "VARIABLES_MISSING");
    }
}

#[tokio::test]
async fn wrong_fields_of_a_spec_are_named() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello {{n}}").await;
    let number = |n: f64| {
        let value = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(n)) };
        Some(prost_types::Struct { fields: [("n".to_owned(), value)].into() })
    };
    let good = spec("greet", &[("n", "x")]);
    let message = v1::ChatMessage { role: "user".into(), content: "hi".into(), ..Default::default() };
    let params = v1::ModelParams { temperature: Some(-1.0), ..v1::ModelParams::default() };
    for (wrong, field) in [
        (v1::ExecutionSpec { environment: "a b".into(), ..good.clone() }, "spec.environment"),
        (v1::ExecutionSpec { correlation_id: "c".repeat(256), ..good.clone() }, "spec.correlation_id"),
        (v1::ExecutionSpec { idempotency_key: "k".repeat(256), ..good.clone() }, "spec.idempotency_key"),
        (v1::ExecutionSpec { max_retries: Some(4), ..good.clone() }, "spec.max_retries"),
        (v1::ExecutionSpec { messages: vec![message], ..good.clone() }, "spec.messages"),
        (v1::ExecutionSpec { params: Some(params), ..good.clone() }, "spec.params.temperature"),
        (v1::ExecutionSpec { variables: number(f64::NAN), ..good.clone() }, "variables.n"),
        (v1::ExecutionSpec { variables: number(1e300), ..good.clone() }, "variables.n"),
        (
            v1::ExecutionSpec { timeout: Some(prost_types::Duration { seconds: -1, nanos: 0 }), ..good.clone() },
            "spec.timeout",
        ),
        (spec("", &[]), "spec.prompt_name"),
    ] {
        let run = v1::RunExecutionRequest { spec: Some(wrong) };
        assert_eq!(wrong_fields(ledger.executions().run_execution(run).await), [field]);
    }
    let none = v1::RunExecutionRequest { spec: None };
    assert_eq!(wrong_fields(ledger.executions().run_execution(none).await), ["spec"]);
    let nul = v1::RunExecutionRequest { spec: Some(spec("greet", &[("n", "a\0")])) };
    refused(ledger.executions().run_execution(nul).await, Code::InvalidArgument, "INVALID_FIELD");
    let large = v1::RunExecutionRequest { spec: Some(spec("greet", &[("n", &"x".repeat(1024 * 1024 + 1))])) };
    refused(ledger.executions().run_execution(large).await, Code::ResourceExhausted, "TOO_LARGE");
}

#[tokio::test]
async fn wrong_pages_and_filters_are_refused() {
    let ledger = ledger().start().await;
    let all = v1::ListExecutionsRequest::default;
    for (request, field) in [
        (v1::ListExecutionsRequest { page_size: -1, ..all() }, "page_size"),
        (v1::ListExecutionsRequest { statuses: vec![0], ..all() }, "statuses"),
        (v1::ListExecutionsRequest { statuses: vec![99], ..all() }, "statuses"),
        (v1::ListExecutionsRequest { view: 99, ..all() }, "view"),
        (v1::ListExecutionsRequest { version_number: Some(1), ..all() }, "version_number"),
        (v1::ListExecutionsRequest { prompt_name: "a b".into(), ..all() }, "prompt_name"),
        (
            v1::ListExecutionsRequest {
                start_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..all()
            },
            "start_time",
        ),
    ] {
        assert_eq!(wrong_fields(ledger.executions().list_executions(request).await), [field]);
    }
    let negative = v1::ListPromptsRequest { page_size: -1, ..v1::ListPromptsRequest::default() };
    assert_eq!(wrong_fields(ledger.registry().list_prompts(negative).await), ["page_size"]);
    let zero = v1::SetActiveVersionRequest {
        name: "greet".into(),
        version_number: 0,
        etag: None,
        ..v1::SetActiveVersionRequest::default()
    };
    assert_eq!(wrong_fields(ledger.registry().set_active_version(zero).await), ["version_number"]);
}
