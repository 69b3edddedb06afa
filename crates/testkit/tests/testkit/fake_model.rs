//! The fake model server, byte by byte.

use std::time::{Duration, Instant};

use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OPENAI: &str = "/v1/chat/completions";
const ANTHROPIC: &str = "/v1/messages";

/// A connection on which one request was sent.
async fn send(model: &FakeModel, path: &str, body: &Value) -> TcpStream {
    let place = model.anthropic_url().replace("http://", "");
    let mut stream = TcpStream::connect(&place).await.unwrap();
    let body = body.to_string();
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {place}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((request + &body).as_bytes()).await.unwrap();
    stream
}

/// Reads until the connection is closed.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn ask(model: &FakeModel, path: &str, body: &Value) -> String {
    rest(send(model, path, body).await).await
}

/// The JSON of a response that is not streamed.
fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The data of every event of a streamed response.
fn events(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

fn say(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": text}]})
}

fn stream(text: &str) -> Value {
    let mut body = say(text);
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[tokio::test]
async fn it_echoes_in_both_protocols() {
    let model = FakeModel::start().await;
    let answer = json_of(&ask(&model, OPENAI, &say("one two three")).await);
    assert_eq!(answer["choices"][0]["message"]["content"], "one two three");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"], json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}));
    let answer = json_of(&ask(&model, ANTHROPIC, &say("one")).await);
    assert_eq!(answer["content"], json!([{"type": "text", "text": "one"}]));
    assert_eq!((&answer["stop_reason"], &answer["usage"]["input_tokens"]), (&json!("end_turn"), &json!(3)));
    assert_eq!(model.base_url(), format!("{}/v1", model.anthropic_url()));
}

#[tokio::test]
async fn the_script_comes_first_and_requests_are_remembered() {
    let model = FakeModel::start().await;
    model.otherwise(Reply::answer("always"));
    model.next(Reply::status(418, "tea").header("retry-after", "3"));
    let answer = ask(&model, OPENAI, &say("hi")).await;
    assert!(answer.starts_with("HTTP/1.1 418 ") && answer.contains("retry-after: 3\r\n") && answer.ends_with("tea"));
    assert!(ask(&model, OPENAI, &say("hi")).await.contains("always"));
    let requests = model.requests();
    assert_eq!((requests.len(), model.calls(), model.connections()), (2, 2, 2));
    assert_eq!((requests[0].path.as_str(), requests[0].query.as_str()), (OPENAI, ""));
    assert_eq!(requests[0].header("connection"), Some("close"));
    assert_eq!(requests[0].body, say("hi"));
    assert_eq!(requests[0].header("x-none"), None);
}

#[tokio::test]
async fn openais_stream_has_deltas_a_finish_usage_and_an_end() {
    let model = FakeModel::start().await;
    let answer = ask(&model, OPENAI, &stream("one two")).await;
    assert!(answer.contains("content-type: text/event-stream"));
    let events = events(&answer);
    assert_eq!(events.len(), 6, "{events:?}");
    let chunks: Vec<Value> = events[..5].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "one ");
    assert_eq!(chunks[2]["choices"][0]["delta"]["content"], "two");
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!((&chunks[4]["choices"], &chunks[4]["usage"]["completion_tokens"]), (&json!([]), &json!(2)));
    assert_eq!(events[5], "[DONE]");

    model.next(Reply::answer("one").finish_reason("length").without_usage());
    let answer = ask(&model, OPENAI, &stream("hi")).await;
    assert!(answer.contains(r#""finish_reason":"length""#) && !answer.contains("usage"));
}

#[tokio::test]
async fn anthropics_stream_has_its_own_events() {
    let model = FakeModel::start().await;
    let answer = ask(&model, ANTHROPIC, &stream("one two")).await;
    let names: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    let last: Value = serde_json::from_str(events(&answer)[6]).unwrap();
    assert_eq!((&last["delta"]["stop_reason"], &last["usage"]["output_tokens"]), (&json!("end_turn"), &json!(2)));
}

#[tokio::test]
async fn a_cut_answer_breaks_in_the_middle() {
    let model = FakeModel::start().await;
    model.otherwise(Reply::cut());
    let answer = ask(&model, OPENAI, &say("hi")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let told = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(told.parse::<usize>().unwrap() / 2, body.len());

    let answer = ask(&model, OPENAI, &stream("hi")).await;
    assert!(answer.contains(r#""content":"an ""#) && !answer.contains("[DONE]"));
    assert!(!answer.ends_with("0\r\n\r\n"), "the last chunk never comes");
    assert_eq!((model.in_flight(), model.aborts()), (0, 0));
}

#[tokio::test]
async fn a_connection_may_be_closed_before_any_byte() {
    let model = FakeModel::start().await;
    model.next(Reply::close());
    assert_eq!(ask(&model, OPENAI, &say("hi")).await, "");
    assert_eq!((model.calls(), model.in_flight(), model.aborts()), (1, 0, 0));
}

#[tokio::test]
async fn what_a_client_gives_up_is_counted() {
    let model = FakeModel::start().await;
    model.next(Reply::hang());
    let waiting = send(&model, OPENAI, &say("hi")).await;
    model.wait_for_calls(1).await;
    assert_eq!((model.in_flight(), model.aborts()), (1, 0));
    drop(waiting);
    model.wait_for_aborts(1).await;
    assert_eq!(model.in_flight(), 0);
}

#[tokio::test]
async fn a_gate_holds_an_answer_or_the_rest_of_a_stream() {
    let model = FakeModel::start().await;
    let gate = Gate::default();
    model.next(Reply::answer("at last").held(&gate));
    let held = send(&model, OPENAI, &say("hi")).await;
    model.wait_for_calls(1).await;
    assert_eq!(model.in_flight(), 1);
    gate.open();
    assert!(rest(held).await.contains("at last"));

    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(1, &gate));
    let mut held = send(&model, OPENAI, &stream("hi")).await;
    let mut seen = String::new();
    while !seen.contains("one ") {
        let mut piece = [0; 1024];
        let length = held.read(&mut piece).await.unwrap();
        seen.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    assert!(!seen.contains("two"));
    gate.open();
    assert!(rest(held).await.contains("two "));
    model.wait_until_idle().await;
}

#[tokio::test]
async fn an_answer_may_take_its_time() {
    let model = FakeModel::start().await;
    let delay = Duration::from_millis(30);
    model.next(Reply::echo().delay(delay));
    let begun = Instant::now();
    assert!(ask(&model, OPENAI, &say("hi")).await.contains("hi"));
    assert!(begun.elapsed() >= delay);
}

#[tokio::test]
async fn a_huge_answer_is_as_long_as_it_was_ordered() {
    let model = FakeModel::start().await;
    for length in [200, 64 * 1024, 200_000] {
        model.next(Reply::huge(length));
        let answer = ask(&model, OPENAI, &say("hi")).await;
        assert!(answer.contains("transfer-encoding: chunked"));
        assert!(answer.len() > length && answer.len() < length + 1000, "{}", answer.len());
    }
    for (reply, body) in
        [(Reply::empty(), ""), (Reply::garbage(), "<html>It works!</html>"), (Reply::json(&json!(1)), "1")]
    {
        model.next(reply);
        assert_eq!(ask(&model, OPENAI, &say("hi")).await.split_once("\r\n\r\n").unwrap().1, body);
    }
    model.next(Reply::nul());
    assert!(ask(&model, OPENAI, &say("hi")).await.contains(r"before\u0000after"));
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let model = FakeModel::start().await;
    assert!(ask(&model, "/v1/embeddings", &say("hi")).await.starts_with("HTTP/1.1 404 "));
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_request_that_breaks_off_is_no_call() {
    let model = FakeModel::start().await;
    let mut stream = TcpStream::connect(model.anthropic_url().replace("http://", "")).await.unwrap();
    stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(stream).await, "");
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let model = FakeModel::start().await;
    model.next(Reply::hang());
    let mut open = send(&model, OPENAI, &say("hi")).await;
    model.wait_for_calls(1).await;
    let place = model.anthropic_url().replace("http://", "");
    drop(model);
    // Closed, with or without a reset.
    assert!(matches!(open.read(&mut [0; 16]).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(place).await.is_err());
}

#[tokio::test]
async fn only_the_latest_requests_are_kept() {
    let model = FakeModel::start().await;
    let place = model.anthropic_url().replace("http://", "");
    let mut stream = TcpStream::connect(&place).await.unwrap();
    model.otherwise(Reply::empty());
    for n in 0..10_001 {
        let body = format!("{n:05}");
        let request = format!("POST {ANTHROPIC} HTTP/1.1\r\nhost: {place}\r\ncontent-length: 5\r\n\r\n1{}", &body[1..]);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut answer).await.unwrap();
        }
    }
    assert_eq!((model.calls(), model.requests().len()), (10_001, 10_000));
}
