//! Failed streams: they are never a success, and keep the text before the failure.

use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Answer, Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use tokio::task::JoinSet;

use crate::setup::{Ask, CALL_TIMEOUT, KEY, both, channel, endpoint, openai, prompt};

/// A bound that is passed or kept, longer than a busy machine stands still. What waits for it does so side by side, each
/// with a model of its own.
const SHORT: Duration = Duration::from_secs(6);

const HI: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const USED: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n";
const TEXT: &str = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";

fn prompt_used() -> Usage {
    Usage { prompt_tokens: Some(3), ..Usage::default() }
}

/// Places of the protocols in [`bounded`] and [`both`].
const OPENAI: usize = 0;
const ANTHROPIC: usize = 1;

/// Providers in both protocols with these timeouts.
fn bounded(model: &FakeModel, bounds: &Endpoint) -> [Box<dyn Provider>; 2] {
    let at = |base: &str| Endpoint { base_url: Some(base.parse().unwrap()), ..bounds.clone() };
    [
        Box::new(OpenAi::new(at(&model.base_url())).unwrap()),
        Box::new(Anthropic::new(at(&model.anthropic_url())).unwrap()),
    ]
}

#[tokio::test]
async fn a_stream_that_ends_without_a_finish_reason_is_a_connection_failure() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    for (provider, stream) in [
        (&openai, vec![USED, HI]),
        (&openai, vec![USED, HI, &STOP[..STOP.len() - 9]]),
        (&openai, vec![USED, HI, "data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n"]),
        (&anthropic, vec![START, TEXT]),
    ] {
        model.next(Reply::events(stream.clone()));
        let (failure, pieces) = Ask::new(&**provider, prompt("hello")).broken().await;
        assert_eq!((failure.error_type, pieces), (ErrorType::Connection, vec!["hi".to_owned()]), "{stream:?}");
        assert!(failure.message.contains("ended without saying why"), "{}", failure.message);
        assert_eq!(failure.usage, prompt_used(), "{stream:?}");
        assert!(failure.latency.is_some());
    }
    for provider in [&openai, &anthropic] {
        model.next(Reply::events([""]).header("x-request-id", "req-1"));
        let (failure, _) = Ask::new(&**provider, prompt("hello")).broken().await;
        assert_eq!((failure.error_type, failure.request_id.as_str()), (ErrorType::ProviderError, "req-1"));
    }
}

/// OpenAI's last piece of text, with the reason beside it.
const HI_AND_STOP: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
/// The end of a choice that is not the answer.
const OTHER_STOP: &str = "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const EMPTY_STOP: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"length\"}]}\n\n";
const CALLED: &str = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n";
const END_TURN: &str = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_all_told_is_a_connection_failure() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    for (provider, stream) in [
        (&openai, vec![USED, HI]),
        (&openai, vec![USED, STOP]),
        (&openai, vec![USED, HI, OTHER_STOP]),
        // Some servers tell a reason with every piece of text.
        (&openai, vec![USED, HI_AND_STOP]),
        (&openai, vec![USED, HI, STOP, HI]),
        (&anthropic, vec![START, TEXT]),
        (&anthropic, vec![START, TEXT, END_TURN, TEXT]),
    ] {
        model.next(Reply::events(stream.clone()).then_cut().header("x-request-id", "req-1"));
        let (failure, _) = Ask::new(&**provider, prompt("hello")).broken().await;
        assert_eq!(failure.error_type, ErrorType::Connection, "{stream:?}");
        assert!(failure.message.contains(" broke: "), "{}", failure.message);
        assert_eq!((failure.usage, failure.request_id.as_str()), (prompt_used(), "req-1"), "{stream:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_or_hangs_behind_text_and_a_finish_reason_is_not_bought_again() {
    let mut cases = JoinSet::new();
    for (protocol, stream, text) in [
        (OPENAI, vec![USED, HI, STOP], "hi"),
        (OPENAI, vec![USED, HI_AND_STOP, STOP], "hi"),
        (OPENAI, vec![USED, HI, EMPTY_STOP, OTHER_STOP], "hi"),
        (OPENAI, vec![USED, CALLED, STOP], ""),
        (OPENAI, vec![USED, HI, STOP, "data: {\"id\": \"cu"], "hi"),
        (ANTHROPIC, vec![START, TEXT, END_TURN], "hi"),
    ] {
        cases.spawn(async move {
            let model = FakeModel::start().await;
            let bounds = Endpoint { idle_timeout: SHORT, ..endpoint("http://localhost") };
            let provider = &bounded(&model, &bounds)[protocol];
            let ask = || Ask::new(&**provider, prompt("hello"));
            let answered = |answer: Answer| {
                assert_eq!((answer.text.as_str(), answer.usage), (text, prompt_used()), "{stream:?}");
                assert!(answer.finish_reason.is_some());
            };
            model.next(Reply::events(stream.clone()).then_cut());
            answered(ask().streamed().await.0);
            for _ in 0..2 {
                model.next(Reply::events(stream.clone()).held_after(stream.len(), &Gate::new()));
            }
            // Silent for longer than a stream may be, and until the call's own timeout.
            let (silent, late) = (ask().without_timeout(), ask().timeout(SHORT));
            let ((silent, _), (late, _)) = tokio::join!(silent.streamed(), late.streamed());
            answered(silent);
            answered(late);
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn an_error_within_a_stream_is_classified_and_keeps_the_usage_so_far() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    for (provider, begin, error, expected) in [
        (&openai, [USED, HI], r#"{"error":{"code":429,"message":"slow"}}"#, ErrorType::RateLimited),
        (&openai, [USED, HI], r#"{"error":{"code":502,"message":"slow"}}"#, ErrorType::ProviderError),
        (&openai, [USED, HI], r#"{"error":{"code":"content_filter","message":"slow"}}"#, ErrorType::ContentFiltered),
        (&openai, [USED, HI], r#"{"error":"slow","choices":[{"finish_reason":"error"}]}"#, ErrorType::ProviderError),
        (
            &anthropic,
            [START, TEXT],
            r#"{"error":{"type":"overloaded_error","message":"slow"}}"#,
            ErrorType::ProviderError,
        ),
        (&anthropic, [START, TEXT], r#"{"error":{"type":"new_error","message":"slow"}}"#, ErrorType::ProviderError),
    ] {
        let error = format!("event: error\ndata: {error}\n\n");
        model.next(Reply::events([begin[0], begin[1], &error].map(str::to_owned)).header("x-request-id", "req-1"));
        let (failure, pieces) = Ask::new(&**provider, prompt("hello")).broken().await;
        assert_eq!((failure.error_type, failure.message.as_str()), (expected, "slow"), "{error}");
        assert_eq!((failure.usage, failure.request_id.as_str()), (prompt_used(), "req-1"));
        assert_eq!(pieces, ["hi"]);
    }
}

#[tokio::test]
async fn an_error_within_a_stream_repeats_neither_the_key_nor_the_prompt() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let error = format!("{{\"error\":{{\"message\":\"{KEY} may not ask: what is love?\"}}}}");
        model.next(Reply::events([format!("data: {error}\n\n")]));
        let (failure, _) = Ask::new(&*provider, prompt("what is love?")).broken().await;
        assert_eq!(failure.message, "*** may not ask: ***");
    }
}

#[tokio::test]
async fn an_event_that_is_no_json_is_an_invalid_response() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    for event in ["data: {\"choices\": [\n\n", "data: <html>\n\n"] {
        model.next(Reply::events([USED, HI, event, STOP, DONE]));
        let (failure, pieces) = Ask::new(&provider, prompt("hello")).broken().await;
        assert_eq!((failure.error_type, pieces), (ErrorType::InvalidResponse, vec!["hi".to_owned()]));
        assert!(failure.message.contains("is no JSON"), "{}", failure.message);
        assert_eq!(failure.usage, prompt_used());
    }
}

#[tokio::test]
async fn a_page_where_a_stream_should_be_is_an_invalid_response() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        model.next(Reply::status(200, "<html>It works!</html>").header("content-type", "text/html"));
        let (failure, _) = Ask::new(&*provider, prompt("hello")).broken().await;
        assert_eq!(failure.error_type, ErrorType::InvalidResponse);
        assert_eq!(failure.message, "the provider's answer is neither JSON nor a stream of events");
    }
}

#[tokio::test]
async fn a_stream_that_is_too_long_is_not_read_on() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let filler = format!(": {}\n\n", "x".repeat(64 * 1024));
    let endless_line = "x".repeat(64 * 1024);
    for (filler, most) in [(filler, limits::PROVIDER_STREAM_BYTES), (endless_line, limits::PROVIDER_EVENT_BYTES)] {
        let begin = [USED, HI].map(str::to_owned);
        let fillers = std::iter::repeat_n(filler.clone(), most / filler.len() + 1);
        model.next(Reply::events(begin.into_iter().chain(fillers).chain([STOP, DONE].map(str::to_owned))));
        let (failure, pieces) = Ask::new(&provider, prompt("hello")).broken().await;
        assert_eq!((failure.error_type, pieces), (ErrorType::ResponseTooLarge, vec!["hi".to_owned()]));
        assert_eq!(failure.usage, prompt_used());
    }
}

#[tokio::test]
async fn a_long_stream_is_read_to_its_end_and_its_text_is_kept_as_far_as_it_is_stored() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let text = "\u{e4}".repeat(15_000);
    let delta = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"x{text}\"}}}}]}}\n\n");
    let deltas = std::iter::repeat_n(delta.clone(), limits::PROVIDER_EVENT_BYTES / delta.len() + 10);
    model.next(Reply::events(std::iter::once(USED.to_owned()).chain(deltas).chain([STOP, DONE].map(str::to_owned))));
    let (outcome, pieces) = Ask::new(&provider, prompt("hello")).stream().await;
    let answer = outcome.unwrap();
    assert!(answer.truncated && pieces.concat() == answer.text);
    assert!(
        (limits::RESPONSE_BYTES - 1..=limits::RESPONSE_BYTES).contains(&answer.text.len()),
        "{}",
        answer.text.len()
    );
    assert_eq!((answer.finish_reason.is_some(), answer.usage), (true, prompt_used()));
}

#[tokio::test]
async fn a_stream_that_does_not_begin_in_time_is_left() {
    let bounds = Endpoint { first_byte_timeout: SHORT, ..endpoint("http://localhost") };
    let never = Gate::new();
    let models = [FakeModel::start().await, FakeModel::start().await];
    let mut cases = JoinSet::new();
    // Headers do not count as a begin.
    for (model, reply) in models.iter().zip([Reply::hang(), Reply::events([HI]).held_after(0, &never)]) {
        model.otherwise(reply);
        for provider in bounded(model, &bounds) {
            cases.spawn(async move {
                let ask = Ask::new(&*provider, prompt("hello")).without_timeout();
                let (failure, pieces) = ask.broken().await;
                assert_eq!((failure.error_type, pieces.len()), (ErrorType::Timeout, 0));
                assert_eq!(failure.message, "the provider had not begun to answer after 6s");
                assert!(failure.latency.unwrap() >= SHORT);
            });
        }
    }
    cases.join_all().await;
    for model in &models {
        model.wait_for_aborts(2).await;
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_left_and_keeps_the_usage_so_far() {
    let mut cases = JoinSet::new();
    for (protocol, stream) in [(OPENAI, [USED, HI]), (ANTHROPIC, [START, TEXT])] {
        cases.spawn(async move {
            let model = FakeModel::start().await;
            let bounds = Endpoint { idle_timeout: SHORT, ..endpoint("http://localhost") };
            let provider = &bounded(&model, &bounds)[protocol];
            model.next(Reply::events(stream).held_after(2, &Gate::new()).header("x-request-id", "req-1"));
            let ask = Ask::new(&**provider, prompt("hello")).without_timeout();
            let (failure, pieces) = ask.broken().await;
            assert_eq!((failure.error_type, pieces), (ErrorType::Timeout, vec!["hi".to_owned()]));
            assert_eq!(failure.message, "the provider fell silent within its answer: nothing came for 6s");
            assert_eq!((failure.usage, failure.request_id.as_str()), (prompt_used(), "req-1"));
            model.wait_for_aborts(1).await;
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn the_calls_own_timeout_bounds_a_stream_and_keeps_the_usage_so_far() {
    let mut cases = JoinSet::new();
    for (protocol, stream) in [(OPENAI, [USED, HI]), (ANTHROPIC, [START, TEXT])] {
        cases.spawn(async move {
            let model = FakeModel::start().await;
            let provider = &both(&model)[protocol];
            model.next(Reply::events(stream).held_after(2, &Gate::new()).header("x-request-id", "req-1"));
            let (failure, pieces) = Ask::new(&**provider, prompt("hello")).timeout(SHORT).broken().await;
            assert_eq!((failure.error_type, pieces), (ErrorType::Timeout, vec!["hi".to_owned()]));
            assert_eq!(failure.message, "the provider had not answered after 6s");
            assert_eq!((failure.usage, failure.request_id.as_str()), (prompt_used(), "req-1"));
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn neither_bound_of_a_stream_bounds_a_whole_answer() {
    let model = FakeModel::start().await;
    let nothing = Duration::ZERO;
    let bounds = Endpoint { first_byte_timeout: nothing, idle_timeout: nothing, ..endpoint("http://localhost") };
    for provider in bounded(&model, &bounds) {
        let ask = Ask::new(&*provider, prompt("hello")).without_timeout();
        assert_eq!(ask.answer().await.text, "hello");
    }
}

#[tokio::test]
async fn a_timeout_that_was_asked_for_is_the_only_bound() {
    let model = FakeModel::start().await;
    let nothing = Duration::ZERO;
    let bounds = Endpoint { first_byte_timeout: nothing, idle_timeout: nothing, ..endpoint("http://localhost") };
    for provider in bounded(&model, &bounds) {
        // Also where it is the default's.
        for timeout in [CALL_TIMEOUT, limits::TIMEOUT_DEFAULT] {
            model.next(Reply::clock(5, Duration::from_millis(20)).delay(Duration::from_millis(20)));
            let (answer, _) = Ask::new(&*provider, prompt("hello")).timeout(timeout).streamed().await;
            assert_eq!(answer.text.split_whitespace().count(), 5);
        }
    }
}

#[tokio::test]
async fn every_byte_is_a_sign_of_life() {
    let mut cases = JoinSet::new();
    for (protocol, text, end) in [(OPENAI, HI, STOP), (ANTHROPIC, TEXT, END_TURN)] {
        cases.spawn(async move {
            let model = FakeModel::start().await;
            let bounds = Endpoint { first_byte_timeout: SHORT, idle_timeout: SHORT, ..endpoint("http://localhost") };
            let provider = &bounded(&model, &bounds)[protocol];
            // Longer than either bound in all, before the first event and behind it.
            let comments = || std::iter::repeat_n(":\n\n", 14);
            let pieces: Vec<_> = comments().chain([text]).chain(comments()).chain([end]).collect();
            model.next(Reply::events(pieces).paced(SHORT / 12));
            let ask = Ask::new(&**provider, prompt("hello")).without_timeout();
            let (answer, _) = ask.streamed().await;
            assert_eq!(answer.text, "hi");
            assert!(answer.latency > 2 * SHORT, "{:?}", answer.latency);
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn dropping_the_call_aborts_the_stream() {
    let model = FakeModel::start().await;
    for (n, provider) in (1..).zip(both(&model)) {
        model.next(Reply::answer("one two three").held_after(1, &Gate::new()));
        let (mut sink, mut pieces) = channel();
        let call = tokio::spawn(async move { Ask::new(&*provider, prompt("hello")).stream_into(&mut sink).await });
        assert_eq!(pieces.recv().await.as_deref(), Some("one "));
        assert_eq!(model.in_flight(), 1);
        call.abort();
        model.wait_for_aborts(n).await;
        model.wait_until_idle().await;
    }
}
