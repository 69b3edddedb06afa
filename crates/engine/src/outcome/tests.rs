use super::*;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::ids::PriceId;

const S: fn(u64) -> Duration = Duration::from_secs;

fn price() -> Price {
    let id = PriceId(prompt_ledger_runtime::new_id());
    let (input, output, valid_from) = (1_000_000, 2_000_000, Timestamp(0));
    Price { id, input, cached_input: None, cache_write_5m: None, cache_write_1h: None, output, valid_from }
}

fn used(prompt: i32, response: i32) -> Usage {
    Usage { prompt_tokens: Some(prompt), response_tokens: Some(response), ..Usage::default() }
}

fn around<'a>(policy: &'a Policy, price: Option<&'a Price>) -> AttemptContext<'a> {
    AttemptContext {
        mode: ExecutionMode::Sync,
        attempt: 1,
        max_retries: 3,
        used: Usage::default(),
        price,
        prompt_truncated: false,
        policy,
        jitter: 0.5,
        time_left: None,
    }
}

fn answer(text: &str) -> End {
    End::Answered(Answer {
        text: text.into(),
        truncated: false,
        tool_calls: vec![ToolCall { id: "c".into(), name: "add".into(), arguments: "{}".into() }],
        refused: true,
        usage: used(3, 4),
        finish_reason: Some(FinishReason::Stop),
        request_id: "req-1".into(),
        response_model: "small-2025".into(),
        requests: 2,
        latency: S(1),
    })
}

fn cut() -> PartialAnswer {
    let details = CallDetails {
        usage: used(3, 4),
        request_id: "req-3".into(),
        response_model: "small-2025".into(),
        requests: 2,
        refused: true,
    };
    let written = Written { text: "half".into(), tool_calls: vec![begun()], truncated: false };
    PartialAnswer { latency: S(1), details, written }
}

/// A call whose arguments had not come whole.
fn begun() -> ToolCall {
    ToolCall { id: "c1".into(), name: "add".into(), arguments: "{\"a\"".into() }
}

fn error(error_type: ErrorType) -> CallError {
    CallError {
        error_type,
        message: "no".into(),
        retry_after: None,
        request_id: "req-2".into(),
        response_model: "small-2025".into(),
        requests: 1,
        usage: Usage::default(),
        text: "half an".into(),
        truncated: true,
        tool_calls: vec![begun()],
        refused: true,
        latency: Some(S(2)),
    }
}

fn finish(end: End, around: &AttemptContext<'_>) -> Finish {
    match decide(end, around) {
        Outcome::Finish(finish) => finish,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_succeeds_with_its_cost_over_all_attempts() {
    let (policy, price) = (Policy::default(), price());
    let around = AttemptContext { used: used(1, 1), ..around(&policy, Some(&price)) };
    let finish = finish(answer("hello"), &around);
    assert_eq!((finish.status, &*finish.response, finish.response_truncated), (Status::Succeeded, "hello", false));
    assert_eq!((finish.failure, finish.cost_nano_usd), (None, Some(4 + 2 * 5)));
    assert_eq!(finish.ended.usage, used(3, 4));
    assert_eq!((&*finish.ended.provider_request_id, finish.finish_reason), ("req-1", Some(FinishReason::Stop)));
    assert_eq!((&*finish.ended.response_model, finish.ended.requests), ("small-2025", 2));
    assert_eq!((&*finish.tool_calls[0].name, finish.tool_calls.len(), finish.refused), ("add", 1, true));
}

#[test]
fn without_a_price_there_is_no_cost() {
    assert_eq!(finish(answer("x"), &around(&Policy::default(), None)).cost_nano_usd, None);
}

#[test]
fn what_is_cut_is_said_and_the_status_stays() {
    let policy = Policy::default();
    let long = "x".repeat(limits::RESPONSE_BYTES + 1);
    for (text, prompt_truncated, said) in [
        (&*long, false, "the response was cut at 500 KB"),
        ("x", true, "the rendered prompt was cut at 200 KB"),
        (&*long, true, "the rendered prompt was cut at 200 KB, the response at 500 KB"),
    ] {
        let around = AttemptContext { prompt_truncated, ..around(&policy, None) };
        let finish = finish(answer(text), &around);
        assert_eq!(finish.status, Status::Succeeded);
        assert_eq!(finish.response.len(), text.len().min(limits::RESPONSE_BYTES));
        let failure = finish.failure.unwrap();
        assert_eq!((failure.error_type, &*failure.message), (ErrorType::Truncated, said));
    }
}

#[test]
fn what_the_provider_left_out_is_said() {
    let End::Answered(answer) = answer("x") else { panic!() };
    let finish = finish(End::Answered(Answer { truncated: true, ..answer }), &around(&Policy::default(), None));
    assert_eq!((&*finish.response, finish.response_truncated), ("x", true));
    assert_eq!(finish.failure.unwrap().error_type, ErrorType::Truncated);
}

#[test]
fn what_may_pass_is_tried_again_until_the_budget_is_spent() {
    let policy = Policy::default();
    let end = || End::Failed(error(ErrorType::ProviderError));
    let first = decide(end(), &around(&policy, None));
    assert!(matches!(&first, Outcome::Retry { after, ended } if *after == S(5) && ended.error_type.is_some()));
    let spent = AttemptContext { attempt: 4, ..around(&policy, None) };
    let finish = finish(end(), &spent);
    assert_eq!((finish.status, finish.failure.unwrap().error_type), (Status::Failed, ErrorType::ProviderError));
    assert_eq!((&*finish.response, finish.response_truncated), ("half an", true), "what was written is kept");
    assert_eq!((&*finish.ended.response_model, finish.ended.requests), ("small-2025", 1));
}

#[test]
fn an_async_execution_goes_back_into_the_queue_between_attempts() {
    let policy = Policy::default();
    let around = AttemptContext { mode: ExecutionMode::Async, ..around(&policy, None) };
    let requeued = |end| match decide(end, &around) {
        Outcome::Requeue(requeue) => (requeue.ended.error_type, requeue.after, requeue.handed_back),
        other => panic!("{other:?}"),
    };
    let failed = End::Failed(error(ErrorType::ProviderError));
    assert_eq!(requeued(failed), (Some(ErrorType::ProviderError), S(5), false));
    let drained = End::Stopped(Stop::Drained, cut());
    assert_eq!(requeued(drained), (Some(ErrorType::Interrupted), S(0), true));
    assert_eq!(decide(End::Stopped(Stop::LeaseLost, cut()), &around), Outcome::Leave);
    assert!(matches!(decide(End::Stopped(Stop::Canceled, cut()), &around), Outcome::Finish(_)));
}

#[test]
fn a_retry_that_would_begin_too_late_is_not_made() {
    let policy = Policy::default();
    let hurried = AttemptContext { time_left: Some(S(5)), ..around(&policy, None) };
    let finish = finish(End::Failed(error(ErrorType::Timeout)), &hurried);
    assert_eq!((finish.status, finish.ended.latency), (Status::Failed, Some(S(2))));
}

#[test]
fn a_stopped_call_says_why_and_what_it_had_used() {
    let (policy, price) = (Policy::default(), price());
    for (stop, status, error_type) in [
        (Stop::Canceled, Status::Canceled, None),
        (Stop::CallerDeadline, Status::Failed, Some(ErrorType::Timeout)),
        (Stop::Expired, Status::Failed, Some(ErrorType::Expired)),
        (Stop::Drained, Status::Failed, Some(ErrorType::Interrupted)),
        (Stop::LeaseLost, Status::Failed, Some(ErrorType::Interrupted)),
    ] {
        let finish =
            finish(End::Stopped(stop, cut()), &AttemptContext { used: used(1, 1), ..around(&policy, Some(&price)) });
        let Ended { usage, provider_request_id, latency, .. } = &finish.ended;
        assert_eq!((*usage, &**provider_request_id, *latency), (used(3, 4), "req-3", Some(S(1))));
        assert_eq!((&*finish.ended.response_model, finish.ended.requests), ("small-2025", 2));
        assert_eq!(finish.cost_nano_usd, Some(4 + 2 * 5), "of all attempts");
        assert_eq!((finish.status, finish.failure.map(|f| f.error_type)), (status, error_type), "{stop:?}");
        let (error, text, truncated) = (finish.ended.error_type, &*finish.response, finish.response_truncated);
        assert_eq!((error, text, truncated), (error_type, "half", false));
        assert_eq!((finish.tool_calls, finish.refused), (vec![begun()], true));
    }
    let more = Written { truncated: true, ..cut().written };
    let long = stopped(Stop::Expired, Some(PartialAnswer { written: more, ..cut() }), &around(&policy, None));
    assert_eq!((long.response_truncated, long.failure.unwrap().error_type), (true, ErrorType::Expired));
    let short = AttemptContext { prompt_truncated: true, ..around(&policy, None) };
    let finish = stopped(Stop::Canceled, None, &short);
    assert_eq!(finish.failure.unwrap().error_type, ErrorType::Truncated);
    assert_eq!((finish.ended.usage, finish.ended.latency), (Usage::default(), None), "between two calls");
}
