//! Forms of answers and errors that no protocol has, and that servers send all the same.

use prompt_ledger_domain::execution::ErrorType;
use serde_json::{Value, json};

use super::{
    DONE, MESSAGE_STOP, anthropic, anthropic_row, ends, events, fails, fails_after, lines, openai, openai_row, pass,
    row, says,
};

/// Events without the empty line behind each.
fn unparted(documents: &[Value]) -> String {
    documents.iter().map(|document| format!("data: {document}\n")).collect()
}

/// All documents as a list, in one event.
fn listed(documents: &[Value]) -> String {
    events(&[Value::Array(documents.to_vec())])
}

fn openai_stream() -> [Value; 3] {
    [openai::text("so "), openai::text("be it"), openai::finish("stop")]
}

fn anthropic_stream() -> [Value; 4] {
    [anthropic::start(json!({})), anthropic::text("so "), anthropic::text("be it"), anthropic::finish("end_turn")]
}

#[tokio::test]
async fn documents_are_told_apart_without_what_should_stand_between_them() {
    let (chunks, parts) = (openai_stream(), anthropic_stream());
    let split = |whole: &Value| {
        let text = serde_json::to_string_pretty(whole).unwrap();
        text.lines().map(|line| format!("data: {line}\n")).collect::<String>() + "\n"
    };
    let piece = |text: &str| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "message": {"content": text}}]});
    pass(vec![
        row(
            "events without empty lines",
            unparted(&chunks) + DONE,
            unparted(&parts) + "data: {\"type\":\"message_stop\"}\n",
            says("so be it"),
        ),
        row("events without empty lines or an end", unparted(&chunks), unparted(&parts).trim_end(), says("so be it")),
        row(
            "events without empty lines, CRLF",
            (unparted(&chunks) + DONE).replace('\n', "\r\n"),
            (unparted(&parts) + MESSAGE_STOP).replace('\n', "\r\n"),
            says("so be it"),
        ),
        row(
            "one document over many lines of an event",
            split(&openai::whole("so be it")),
            split(&anthropic::whole("so be it")),
            says("so be it"),
        ),
        row("a list in an event", listed(&chunks) + DONE, listed(&parts) + MESSAGE_STOP, says("so be it")),
        openai_row(
            "lines whose pieces are called messages",
            lines(&[piece("so "), piece("be it"), openai::finish("stop")]),
            says("so be it"),
        ),
        openai_row(
            "such lines, cut behind the first",
            lines(&[piece("so ")]),
            fails_after("so ", ErrorType::Connection, "ended without saying why"),
        ),
        row(
            "a first event that is cut",
            "data: {\"choi",
            "data: {\"type\":\"mess",
            fails(ErrorType::Connection, "cut off within its JSON"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn text_is_found_in_every_place() {
    let choice = |choice: Value| json!({"choices": [choice]}).to_string();
    let message = |content: Value| json!({"content": content, "stop_reason": "end_turn"}).to_string();
    let stop = "stop";
    pass(vec![
        row(
            "a list of strings, a string",
            choice(json!({"message": {"content": ["h", "i"]}, "finish_reason": stop})),
            message(json!("hi")),
            says("hi"),
        ),
        row(
            "a part by itself, a block without a type",
            choice(json!({"message": {"content": {"text": "hi"}}, "finish_reason": stop})),
            message(json!([{"text": "hi"}])),
            says("hi"),
        ),
        openai_row("a completion's text", choice(json!({"text": "hi", "finish_reason": stop})), says("hi")),
        openai_row(
            "a stream of completions",
            events(&[
                json!({"choices": [{"text": "h", "finish_reason": null}]}),
                json!({"choices": [{"text": "i", "finish_reason": stop}]}),
            ]) + DONE,
            says("hi"),
        ),
        anthropic_row(
            "a delta without a type",
            events(&[
                json!({"type": "content_block_delta", "index": 0, "delta": {"text": "hi"}}),
                anthropic::finish("end_turn"),
            ]),
            says("hi"),
        ),
        anthropic_row(
            "a start that has the text",
            events(&[json!({"type": "message_start", "message": {"content": "hi"}})]) + MESSAGE_STOP,
            ends("hi", None),
        ),
    ])
    .await;
}

/// The same error in both protocols, whole and as an event.
fn told(name: &'static str, error: &Value, error_type: ErrorType, message: &'static str) -> [super::Row; 2] {
    let (whole, event) = (error.to_string(), events(std::slice::from_ref(error)));
    [
        row(name, whole.clone(), whole, fails(error_type, message)),
        row(name, event.clone(), event, fails(error_type, message)),
    ]
}

#[tokio::test]
async fn errors_are_found_in_every_form() {
    use ErrorType::{InvalidRequest, ProviderError, QuotaExhausted};
    let mut rows: Vec<_> = [
        told(
            "beside an empty list of choices",
            &json!({"code": 400, "message": "no", "choices": []}),
            InvalidRequest,
            "no",
        ),
        told("as `msg`", &json!({"code": 400, "msg": "no", "success": false}), InvalidRequest, "no"),
        told("as `errors`", &json!({"success": false, "errors": [{"code": 7, "message": "no"}]}), ProviderError, "no"),
        told("as `detail`", &json!({"detail": "no"}), ProviderError, "no"),
        told("in a list", &json!([{"error": {"code": 400, "message": "no"}}]), InvalidRequest, "no"),
        told(
            "as a spent quota",
            &json!({"error": {"type": "exceeded_current_quota_error", "message": "pay"}}),
            QuotaExhausted,
            "pay",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    let words = "data: \"upstream died\"\n\n";
    rows.push(row("as a string", words, words, fails(ProviderError, "says nothing: upstream died")));
    let tab = "event: error\ndata: {\"code\":400,\"message\":\"a\tb\"}\n\n";
    rows.push(row("with a tab in a string", tab, tab, fails(InvalidRequest, "a b")));
    let number = "event: error\ndata: {\"code\":400,\"message\":\"no\",\"after\":NaN}\n\n";
    rows.push(row("with a number that is none", number, number, fails(InvalidRequest, "no")));
    pass(rows).await;
}

#[tokio::test]
async fn an_error_whose_fields_say_nothing_is_none() {
    let beside = |error: Value| {
        let (mut whole, mut message) = (openai::whole("hi"), anthropic::whole("hi"));
        whole["error"] = error.clone();
        message["error"] = error;
        row("beside an answer", whole.to_string(), message.to_string(), says("hi"))
    };
    pass(vec![beside(json!({"code": 0, "message": ""})), beside(json!({"message": null, "code": null, "type": ""}))])
        .await;
}
