//! Recording and ending executions.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::{
    CallTimeout, ChatMessage, ErrorType, ExecutionMode, ExecutionTexts, Failure, FinishReason, Input, Params,
    ResolvedAt, Status,
};
use prompt_ledger_domain::ids::{ExecutionId, PriceId, ProjectId};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_store::{
    Access, Ended, EventLog, ExecutionReader, ExecutionWriter, Finish, Models, NewExecution, PromptChange, PutModel,
    PutPrompt, Recorded, Registry, Revisions,
};

use crate::kit::{
    Backend, ChangePrompt, an_execution, execution_of, fence, holder, in_turn, key, new_id, put, put_active, reason,
    register, run, start, success, timeline, usage,
};

pub async fn a_started_execution_runs_and_reads_back_whole<B: Backend>(backend: &B) {
    let new = NewExecution {
        environment: "prod".into(),
        params: Params {
            temperature: Some(0.7),
            top_k: Some(-1),
            top_p: Some(0.9),
            repetition_penalty: Some(1.1),
            max_new_tokens: Some(64),
            ..Params::default()
        },
        price_id: Some(PriceId(new_id())),
        correlation_id: "order-7".into(),
        key: key("k", 1),
        timeout: CallTimeout::asked(Duration::from_millis(1_500)),
        expire_after: Some(Duration::from_secs(60)),
        max_retries: 3,
        stream_text: true,
        ..an_execution(backend).await
    };
    let at = start(backend, &new).await;
    let read = backend.store().get(new.project_id, new.id).await.unwrap();
    assert_eq!(
        (read.id, &*read.project, read.prompt_id, &*read.prompt_name),
        (new.id, "default", new.prompt_id, "greet")
    );
    assert_eq!((read.prompt_mode, read.version_id, read.version_number), (Mode::Full, new.version_id, 1));
    assert_eq!((read.mode, read.status, read.attempts), (ExecutionMode::Sync, Status::Running, 1));
    assert_eq!((&*read.environment, &read.model, read.params), ("prod", &new.model, new.params));
    assert_eq!((read.price_id, read.timeout, read.max_retries), (new.price_id, new.timeout, 3));
    assert_eq!((&*read.correlation_id, &*read.idempotency_key), ("order-7", "k"));
    assert_eq!((read.created_at, read.started_at, read.completed_at), (at, Some(at), None));
    assert_eq!((read.expire_at, read.cancel_requested_at), (Some(at.after(Duration::from_secs(60))), None));
    assert_eq!((read.usage, read.latency_ms, read.cost_nano_usd), (Default::default(), None, None));
    assert_eq!((read.failure, read.finish_reason, read.attempt_log), (None, None, vec![]));
    assert_eq!((read.stream_text, read.next_attempt_at), (true, None));
    assert_eq!(read.texts, Some(texts(new.input, new.variables)));
    assert_eq!(timeline(backend, new.id).await, ["1 -> running (1)"]);
}

/// The texts of an execution without tools and without a response.
fn texts(input: Input, variables: String) -> ExecutionTexts {
    ExecutionTexts {
        input,
        is_rendered_chat: false,
        variables,
        tools: vec![],
        response_format: None,
        response: String::new(),
        tool_calls: vec![],
    }
}

pub async fn messages_and_truncation_read_back<B: Backend>(backend: &B) {
    let message = |role: &str, content: &str| ChatMessage::text(role, content);
    let input = Input::Messages(vec![message("system", "Be \"brief\"\n"), message("user", "")]);
    let new = NewExecution { input: input.clone(), prompt_truncated: true, ..an_execution(backend).await };
    start(backend, &new).await;
    let finish = Finish { response: String::new(), response_truncated: true, ..success() };
    let done = crate::kit::finish(backend, &new, 1, finish).await;
    assert!(done.prompt_truncated && done.response_truncated);
    assert_eq!(done.texts.unwrap(), texts(input, new.variables));
}

pub async fn a_finished_execution_is_answered_whole<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    let started = start(backend, &new).await;
    let done = crate::kit::finish(backend, &new, 1, success()).await;
    assert_eq!((done.status, done.usage, done.latency_ms), (Status::Succeeded, usage(10, 2, 5), Some(250)));
    assert_eq!((done.cost_nano_usd, done.finish_reason), (Some(4_500), Some(FinishReason::Stop)));
    assert_eq!((&*done.provider_request_id, done.failure.clone()), ("req-1", None));
    assert_eq!(done.texts.as_ref().unwrap().response, "Hello");
    assert!(done.completed_at >= Some(started));
    let attempt = &done.attempt_log[0];
    assert_eq!((attempt.number, &*attempt.worker, attempt.started_at), (1, "server-1", started));
    assert_eq!((Some(attempt.ended_at), attempt.usage), (done.completed_at, usage(10, 2, 5)));
    assert_eq!(backend.store().get(new.project_id, new.id).await.unwrap(), done);
    assert_eq!(timeline(backend, new.id).await, ["1 -> running (1)", "2 running -> succeeded (1)"]);
}

pub async fn a_failed_execution_keeps_its_failure<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    let failure = Failure { error_type: ErrorType::Timeout, message: "no answer within 2 min".into() };
    let ended = Ended { error_type: Some(ErrorType::Timeout), ..Ended::default() };
    let finish = Finish {
        status: Status::Failed,
        ended,
        response: String::new(),
        finish_reason: None,
        failure: Some(failure.clone()),
        cost_nano_usd: None,
        ..success()
    };
    let done = crate::kit::finish(backend, &new, 1, finish).await;
    assert_eq!((done.status, done.failure), (Status::Failed, Some(failure)));
    assert_eq!((done.usage, done.latency_ms, done.cost_nano_usd), (Default::default(), None, None));
    assert_eq!(done.attempt_log[0].error_type, Some(ErrorType::Timeout));
    assert_eq!(timeline(backend, new.id).await[1], "2 running -> failed (1) timeout");
}

pub async fn a_finish_that_ends_nothing_is_refused<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    let finish = Finish { status: Status::Queued, ..success() };
    assert_eq!(reason(backend.store().finish(fence(new.id, 1), finish).await), Reason::Internal);
    assert_eq!(timeline(backend, new.id).await.len(), 1);
}

pub async fn what_is_not_active_any_more_is_stale<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    register(backend, put_active("greet", "Hello {{user.name}}")).await;
    assert_eq!(backend.store().start(new.clone(), holder()).await.unwrap(), Recorded::Stale);
    assert_eq!(reason(backend.store().get(new.project_id, new.id).await), Reason::ExecutionNotFound);
    start(backend, &NewExecution { must_be_active: false, ..new }).await;
}

pub async fn what_was_resolved_before_a_write_is_stale<B: Backend>(backend: &B) {
    let (store, new) = (backend.store(), an_execution(backend).await);
    let present = async || {
        let Revisions { keys, models, projects } = store.revisions(&[new.project_id]).await.unwrap();
        ResolvedAt { keys, models, project: projects[0].1 }
    };
    let started = async |at: ResolvedAt| {
        let new = NewExecution { id: ExecutionId(new_id()), resolved_at: Some(at), ..new.clone() };
        match store.start(new, holder()).await.unwrap() {
            Recorded::New(_) => true,
            Recorded::Stale => false,
            Recorded::Existing(_) => panic!("it has no key"),
        }
    };
    let mut before = present().await;
    assert!(started(before).await);
    // A write of each kind, which changes nothing of this execution's.
    register(backend, put("another", "A")).await;
    assert_eq!((started(before).await, started(present().await).await), (false, true));
    before = present().await;
    store.create_project(ProjectId(new_id()), "other").await.unwrap();
    assert_eq!((started(before).await, started(present().await).await), (false, true));
    before = present().await;
    let id = ModelRef { provider: "local".into(), model_name: "llama".into() };
    store
        .put_model(PutModel {
            id,
            max_tokens: None,
            supports_streaming: None,
            capabilities: ModelCapabilities::default(),
            price: None,
        })
        .await
        .unwrap();
    assert_eq!((started(before).await, started(present().await).await), (false, true));
    let ahead = ResolvedAt { project: before.project + 1, ..present().await };
    assert!(!started(ahead).await, "no revision but the present one");
}

pub async fn an_archived_prompt_is_stale<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    backend.store().change_prompt(new.project_id, "greet", None, PromptChange::Archive).await.unwrap();
    let named = NewExecution { must_be_active: false, ..new };
    assert_eq!(backend.store().start(named, holder()).await.unwrap(), Recorded::Stale);
}

pub async fn another_projects_version_is_stale<B: Backend>(backend: &B) {
    let other = backend.store().create_project(ProjectId(new_id()), "other").await.unwrap();
    let new = NewExecution { project_id: other.id, ..an_execution(backend).await };
    assert_eq!(backend.store().start(new, holder()).await.unwrap(), Recorded::Stale);
    assert_eq!(backend.count("SELECT count(*) FROM execution_inputs").await, 0);
}

pub async fn thirty_two_racing_starts_of_one_key_record_one<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let race = |_| {
        let new = NewExecution { id: ExecutionId(new_id()), key: key("k", 9), ..first.clone() };
        async move { (new.id, backend.store().start(new, holder()).await.unwrap()) }
    };
    let results = join_all((0..32).map(race)).await;
    let winners: Vec<_> =
        results.iter().filter(|(_, got)| matches!(got, Recorded::New(_))).map(|(id, _)| *id).collect();
    assert_eq!(winners.len(), 1);
    for (id, got) in results {
        if let Recorded::Existing(holder) = got {
            assert_ne!(id, winners[0]);
            assert_eq!((holder.id, holder.request_hash), (winners[0], [9; 32]));
        }
    }
    let found = backend.store().by_key(first.prompt_id, "k").await.unwrap().unwrap();
    assert_eq!(found.id, winners[0]);
    for table in ["executions", "execution_inputs", "execution_events"] {
        assert_eq!(backend.count(&format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
}

pub async fn a_key_is_found_although_the_prompt_was_archived<B: Backend>(backend: &B) {
    let first = NewExecution { key: key("k", 1), ..an_execution(backend).await };
    run(backend, &first).await;
    backend.store().change_prompt(first.project_id, "greet", None, PromptChange::Archive).await.unwrap();
    let again = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
    let Recorded::Existing(holder) = backend.store().start(again, holder()).await.unwrap() else {
        panic!("it has one")
    };
    assert_eq!(holder.id, first.id);
}

pub async fn the_same_key_of_another_prompt_is_free<B: Backend>(backend: &B) {
    let first = NewExecution { key: key("k", 1), ..an_execution(backend).await };
    start(backend, &first).await;
    let other = register(backend, put_active("other", "A")).await;
    start(backend, &NewExecution { key: key("k", 1), ..execution_of(first.project_id, &other) }).await;
    assert_eq!(backend.store().by_key(first.prompt_id, "other").await.unwrap(), None);
}

pub async fn another_project_does_not_see_an_execution<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    let other = backend.store().create_project(ProjectId(new_id()), "other").await.unwrap();
    assert_eq!(reason(backend.store().get(other.id, new.id).await), Reason::ExecutionNotFound);
    assert_eq!(reason(backend.store().events(other.id, new.id, 0, 9).await), Reason::ExecutionNotFound);
    assert!(backend.store().list(other.id, &Default::default(), None, 9, false).await.unwrap().rows.is_empty());
}

pub async fn events_are_paged_and_belong_to_a_project<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    run(backend, &new).await;
    let after = async |sequence, limit| {
        let events = backend.store().events(new.project_id, new.id, sequence, limit).await.unwrap();
        events.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(after(0, 1).await, [1]);
    assert_eq!(after(1, 9).await, [2]);
    assert_eq!(after(2, 9).await, [0; 0]);
    let unknown = ExecutionId(new_id());
    assert_eq!(reason(backend.store().events(new.project_id, unknown, 0, 9).await), Reason::ExecutionNotFound);
}

pub async fn many_writes_at_once_each_get_their_own_answer<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let one = |i: u64| {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        async move {
            // Every third write is refused.
            if i.is_multiple_of(3) {
                let refused = in_turn(|| {
                    let put = PutPrompt { etag: Some("no".into()), ..put("greet", &format!("text {i}")) };
                    backend.store().put_prompt(first.project_id, put)
                });
                assert_eq!(reason(refused.await), Reason::EtagMismatch);
                return;
            }
            start(backend, &new).await;
            let finish = Finish { response: format!("answer {i}"), ..success() };
            let done = crate::kit::finish(backend, &new, 1, finish).await;
            assert_eq!(done.texts.unwrap().response, format!("answer {i}"));
        }
    };
    // Twice what a batch takes: some wait for the next one, and none for long.
    stream::iter((0..300).map(one)).buffer_unordered(128).collect::<()>().await;
    assert_eq!(backend.count("SELECT count(*) FROM executions WHERE status = 'succeeded'").await, 200);
    assert_eq!(backend.count("SELECT count(*) FROM prompt_versions").await, 1);
    let gaps = "SELECT count(*) FROM executions x WHERE last_sequence <> \
                (SELECT count(*) FROM execution_events e WHERE e.execution_id = x.id)";
    assert_eq!(backend.count(gaps).await, 0);
}

pub async fn what_was_executed_cannot_be_deleted<B: Backend>(backend: &B) {
    run(backend, &an_execution(backend).await).await;
    for table in ["prompt_versions", "prompts", "projects"] {
        assert!(backend.execute(format!("DELETE FROM {table}")).await.is_err(), "{table}");
    }
}

pub async fn the_texts_attempts_and_events_go_with_their_execution<B: Backend>(backend: &B) {
    run(backend, &an_execution(backend).await).await;
    backend.execute("DELETE FROM executions".into()).await.unwrap();
    for table in ["execution_inputs", "execution_outputs", "execution_attempts", "execution_events"] {
        assert_eq!(backend.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}
