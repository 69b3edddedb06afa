//! The record after an execution's first and second event.

use uuid::Uuid;

use super::*;
use crate::Timestamp;
use crate::content::VersionContent;
use crate::prompt::{Source, TemplateFormat, VersionStatus};
use crate::tool::{ResponseFormat, Tool, ToolChoice};

const BEGAN: Timestamp = Timestamp(1_000_000);
const ENDED: Timestamp = Timestamp(3_000_000);

fn new(key: Option<&str>, expire_after: Option<Duration>) -> NewExecution {
    NewExecution {
        id: ExecutionId(Uuid::from_u128(1)),
        project_id: ProjectId(Uuid::from_u128(2)),
        prompt_id: PromptId(Uuid::from_u128(3)),
        version_id: VersionId(Uuid::from_u128(4)),
        prompt_mode: Mode::Full,
        must_be_active: true,
        label: "production".into(),
        must_be_labelled: false,
        resolved_at: None,
        environment: "dev".into(),
        input: Input::Prompt("Hello Ada".into()),
        is_rendered_chat: true,
        prompt_truncated: true,
        variables: r#"{"name":"Ada"}"#.into(),
        model: ModelRef { provider: "echo".into(), model_name: "echo-1".into() },
        price_id: Some(PriceId(Uuid::from_u128(5))),
        params: Params { top_k: Some(3), ..Params::default() },
        rules: AnswerRules {
            tools: vec![Tool { name: "add".into(), ..Tool::default() }],
            tool_choice: ToolChoice { rule: None, parallel: Some(false) },
            response_format: Some(ResponseFormat::JsonObject {}),
        },
        correlation_id: "order-7".into(),
        metadata: [("user".to_owned(), "ada".to_owned())].into(),
        key: key.map(|key| ExecutionKey { key: key.into(), request_hash: [1; 32] }),
        retry_of: key.map(|_| ExecutionId(Uuid::from_u128(6))),
        timeout: CallTimeout::asked(Duration::from_secs(60)),
        expire_after,
        max_retries: 2,
        stream_text: true,
        trace: None,
    }
}

fn version() -> ExecutedVersion {
    let prompt = Prompt {
        id: PromptId(Uuid::from_u128(3)),
        project: "default".into(),
        name: "greet".into(),
        mode: Mode::Full,
        description: String::new(),
        owner_team: String::new(),
        tags: vec![],
        active_version: Some(3),
        latest_version: 3,
        revision: 9,
        created_at: BEGAN,
        updated_at: BEGAN,
        archived_at: None,
        labels: vec![],
    };
    let version = Version {
        id: VersionId(Uuid::from_u128(4)),
        prompt_id: prompt.id,
        number: 3,
        status: VersionStatus::Active,
        content: VersionContent::text("Hello {{name}}"),
        template_format: TemplateFormat::Handlebars,
        checksum_hash: "c0ffee".into(),
        variables: vec!["name".into()],
        created_by: String::new(),
        created_at: BEGAN,
        source: Source::default(),
        note: String::new(),
    };
    ExecutedVersion::of(&prompt, &version)
}

fn running() -> Execution {
    Execution::begun(new(None, None), version(), ExecutionMode::Sync, Event::first(BEGAN, Status::Running, 1))
}

fn end(sequence: i64, attempt: i32, to: Status) -> Event {
    Event { sequence, from: Some(Status::Running), ..Event::first(ENDED, to, attempt) }
}

fn finish(status: Status) -> Finish {
    let failure = Failure { error_type: ErrorType::Timeout, message: "too late".into() };
    let failed = status == Status::Failed;
    Finish {
        status,
        ended: Ended {
            error_type: failed.then_some(ErrorType::Timeout),
            error_message: if failed { "too late".into() } else { String::new() },
            provider_request_id: "call-1".into(),
            response_model: "echo-2".into(),
            requests: 2,
            usage: Usage { prompt_tokens: Some(2), ..Usage::default() },
            latency: Some(Duration::from_millis(250)),
        },
        response: "Hi".into(),
        tool_calls: vec![ToolCall { id: "c".into(), name: "add".into(), arguments: "{}".into() }],
        refused: failed,
        response_truncated: failed,
        finish_reason: (!failed).then_some(FinishReason::Stop),
        failure: failed.then_some(failure),
        cost_nano_usd: (!failed).then_some(42),
    }
}

#[test]
fn an_execution_begins_as_it_was_asked_for() {
    let second = Duration::from_secs(1);
    for (mode, status, attempt, key, expire_after, started_at, expire_at) in [
        (ExecutionMode::Async, Status::Queued, 0, None, None, None, None),
        (ExecutionMode::Async, Status::Queued, 0, Some("k"), Some(second), None, Some(Timestamp(2_000_000))),
        (ExecutionMode::Sync, Status::Running, 1, None, None, Some(BEGAN), None),
        (ExecutionMode::Sync, Status::Running, 1, Some("k"), Some(second), Some(BEGAN), Some(Timestamp(2_000_000))),
    ] {
        let asked = new(key, expire_after);
        let begun = Execution::begun(asked.clone(), version(), mode, Event::first(BEGAN, status, attempt));
        assert_eq!((begun.mode, begun.status, begun.attempts), (mode, status, attempt));
        assert_eq!((begun.started_at, begun.expire_at, begun.completed_at), (started_at, expire_at, None));
        assert_eq!((begun.created_at, &*begun.idempotency_key), (BEGAN, key.unwrap_or_default()));
        assert_eq!(begun.retry_of, asked.retry_of);
        assert_eq!((&*begun.project, &*begun.prompt_name), ("default", "greet"));
        assert_eq!((begun.version_number, &*begun.checksum_hash), (3, "c0ffee"));
        assert_eq!((begun.id, begun.prompt_id, begun.version_id), (asked.id, asked.prompt_id, asked.version_id));
        assert_eq!((begun.prompt_truncated, begun.response_truncated), (true, false));
        assert_eq!((begun.timeout, begun.max_retries, begun.params), (asked.timeout, 2, asked.params));
        assert_eq!((begun.stream_text, begun.next_attempt_at), (asked.stream_text, None));
        assert_eq!(
            (begun.model, begun.environment, begun.correlation_id.as_str(), begun.label.as_str()),
            (asked.model, "dev".into(), "order-7", "production")
        );
        let texts = ExecutionTexts {
            input: asked.input,
            is_rendered_chat: true,
            variables: asked.variables,
            tools: asked.rules.tools,
            response_format: asked.rules.response_format,
            response: String::new(),
            tool_calls: vec![],
        };
        assert_eq!(begun.texts, Some(texts));
        assert_eq!(begun.metadata, asked.metadata);
        assert_eq!((begun.tool_choice, begun.refused), (asked.rules.tool_choice, false));
        assert!(begun.attempt_log.is_empty() && begun.failure.is_none() && begun.usage == Usage::default());
    }
}

#[test]
fn an_end_of_the_first_attempt_is_the_executions() {
    for status in [Status::Succeeded, Status::Failed] {
        let ended = running().finish(finish(status), end(2, 1, status), "server-1").unwrap();
        let told = finish(status);
        let attempt = Attempt {
            number: 1,
            worker: "server-1".into(),
            started_at: BEGAN,
            ended_at: ENDED,
            error_type: told.ended.error_type,
            error_message: told.ended.error_message.clone(),
            provider_request_id: "call-1".into(),
            requests: 2,
            usage: told.ended.usage,
            latency_ms: Some(250),
        };
        let expected = Execution {
            status,
            usage: told.ended.usage,
            latency_ms: Some(250),
            cost_nano_usd: told.cost_nano_usd,
            attempt_log: vec![attempt],
            failure: told.failure,
            finish_reason: told.finish_reason,
            provider_request_id: "call-1".into(),
            response_model: "echo-2".into(),
            response_truncated: told.response_truncated,
            refused: told.refused,
            completed_at: Some(ENDED),
            texts: running().texts.map(|texts| ExecutionTexts {
                response: "Hi".into(),
                tool_calls: told.tool_calls.clone(),
                ..texts
            }),
            ..running()
        };
        assert_eq!(ended, expected);
    }
}

#[test]
fn what_more_than_that_happened_to_is_read_from_the_store() {
    for (status, sequence, attempt) in
        [(Status::Succeeded, 3, 1), (Status::Succeeded, 2, 2), (Status::Failed, 3, 2), (Status::Canceled, 2, 1)]
    {
        assert_eq!(running().finish(finish(status), end(sequence, attempt, status), "server-1"), None);
    }
}

#[test]
fn a_latency_is_stored_in_whole_milliseconds() {
    for (latency, ms) in [
        (None, None),
        (Some(Duration::from_micros(1_999)), Some(1)),
        (Some(Duration::from_secs(u64::MAX)), Some(i32::MAX)),
    ] {
        assert_eq!(Ended { latency, ..Ended::default() }.latency_ms(), ms);
    }
}

#[test]
fn requests_are_stored_only_where_the_latency_does_not_tell_them() {
    let second = Some(Duration::from_secs(1));
    for (requests, latency, stored) in
        [(0, None, None), (1, second, None), (2, second, Some(2)), (0, second, Some(0)), (1, None, Some(1))]
    {
        let ended = Ended { requests, latency, ..Ended::default() };
        assert_eq!(ended.stored_requests(), stored);
        assert_eq!(stored.unwrap_or_else(|| usual_requests(ended.latency_ms())), requests);
    }
}
