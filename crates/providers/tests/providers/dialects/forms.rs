//! The form of an answer is told by its bytes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;

use super::{DONE, MESSAGE_STOP, anthropic, events, fails, lines, openai, pass, row, says};
use crate::setup::{Ask, both, prompt};

fn openai_stream() -> [serde_json::Value; 3] {
    [openai::text("so "), openai::text("be it"), openai::finish("stop")]
}

fn anthropic_stream() -> [serde_json::Value; 4] {
    [anthropic::start(json!({})), anthropic::text("so "), anthropic::text("be it"), anthropic::finish("end_turn")]
}

#[tokio::test]
async fn an_answer_is_read_in_whatever_form_it_comes() {
    let (whole, message) = (openai::whole("so be it"), anthropic::whole("so be it"));
    let (chunks, parts) = (openai_stream(), anthropic_stream());
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap();
    let list = |values: &[serde_json::Value]| pretty(&json!(values));
    pass(vec![
        row("whole", whole.to_string(), message.to_string(), says("so be it")),
        row("whole, over many lines", pretty(&whole), pretty(&message), says("so be it")),
        row(
            "whole, with the end of a stream behind it",
            format!("{whole}\n\n{DONE}"),
            format!("{message}\n\n{MESSAGE_STOP}"),
            says("so be it"),
        ),
        row(
            "whole, with a bare end behind it",
            format!("{whole}\n[DONE]\n"),
            format!("{message}\n[DONE]"),
            says("so be it"),
        ),
        row(
            "whole, in a list",
            list(std::slice::from_ref(&whole)),
            list(std::slice::from_ref(&message)),
            says("so be it"),
        ),
        row(
            "whole, as an event",
            events(std::slice::from_ref(&whole)),
            events(std::slice::from_ref(&message)),
            says("so be it"),
        ),
        row(
            "whole, behind words",
            format!("Warning: slow\n{whole}"),
            format!("Warning: slow\n{message}"),
            says("so be it"),
        ),
        row("events", events(&chunks) + DONE, events(&parts) + MESSAGE_STOP, says("so be it")),
        row("events without the end", events(&chunks), events(&parts), says("so be it")),
        row(
            "events, CRLF",
            (events(&chunks) + DONE).replace('\n', "\r\n"),
            (events(&parts) + MESSAGE_STOP).replace('\n', "\r\n"),
            says("so be it"),
        ),
        row(
            "events with comments",
            format!(": hello\n\n{}: bye\n\n{DONE}", events(&chunks)),
            format!(": hello\n\n{}:\n\n{MESSAGE_STOP}", events(&parts)),
            says("so be it"),
        ),
        row("lines", lines(&chunks), lines(&parts), says("so be it")),
        row(
            "lines, with the end of a stream behind them",
            lines(&chunks) + DONE,
            lines(&parts) + MESSAGE_STOP,
            says("so be it"),
        ),
        row("lines without the last end", lines(&chunks).trim_end(), lines(&parts).trim_end(), says("so be it")),
        row("a list of chunks", list(&chunks), list(&parts), says("so be it")),
        row(
            "a byte order mark, events",
            format!("\u{feff}{}", events(&chunks)),
            format!("\u{feff}{}", events(&parts)),
            says("so be it"),
        ),
        row("a byte order mark, whole", format!("\u{feff}{whole}"), format!("\u{feff}{message}"), says("so be it")),
        row(
            "neither form",
            "<html>It works!</html>",
            "It works!",
            fails(ErrorType::InvalidResponse, "neither JSON nor"),
        ),
        row("a value that is no object", "7\n", "null", fails(ErrorType::InvalidResponse, "neither JSON nor")),
        row(
            "cut JSON",
            &whole.to_string()[..40],
            &message.to_string()[..40],
            fails(ErrorType::Connection, "cut off within its JSON"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_whole_answer_is_asked_for_by_name() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        Ask::new(&*provider, prompt("hi")).answer().await;
        let request = model.last_request();
        assert_eq!((&request.body["stream"], request.body.get("stream_options")), (&json!(false), None));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        let (_, pieces) = Ask::new(&*provider, prompt("one two")).at_once().streamed().await;
        assert_eq!((pieces, &model.last_request().body["stream"]), (vec!["one two".to_owned()], &json!(false)));
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read_all_the_same() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |text: &str| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let model = FakeModel::start().await;
    for (provider, [whole, stream]) in both(&model).iter().zip([
        [openai::whole("so be it").to_string(), events(&openai_stream()) + DONE],
        [anthropic::whole("so be it").to_string(), events(&anthropic_stream()) + MESSAGE_STOP],
    ]) {
        let ask = Ask::new(&**provider, prompt("hi"));
        for text in [&whole, &stream] {
            for (coding, body) in [
                ("gzip", gzip(text)),
                ("deflate", zlib(text)),
                ("identity", gzip(text)),
                ("deflate", text.clone().into_bytes()),
                ("gzip", text.clone().into_bytes()),
            ] {
                let reply = Reply::events([body]).header("content-encoding", coding);
                model.next(reply.clone());
                assert_eq!(ask.answer().await.text, "so be it", "{coding}");
                model.next(reply);
                assert_eq!(ask.streamed().await.0.text, "so be it", "{coding}");
            }
        }
        model.next(
            Reply::status(400, gzip(r#"{"error":{"message":"not like this"}}"#)).header("content-encoding", "gzip"),
        );
        assert_eq!(ask.failure().await.message, "not like this");
        let cut = gzip(&stream);
        model.next(Reply::events([cut[..cut.len() / 2].to_vec()]).header("content-encoding", "gzip"));
        assert_eq!(ask.broken().await.0.error_type, ErrorType::Connection);
        model.next(Reply::events(["x"]).header("content-encoding", "br"));
        let failure = ask.failure().await;
        assert_eq!(failure.error_type, ErrorType::InvalidResponse);
        assert!(failure.message.contains("content coding br"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_compressed_answer_is_bounded_by_what_comes_out() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let line = format!(": {}\n", "x".repeat(1024 * 1024));
    (0..80).for_each(|_| encoder.write_all(line.as_bytes()).unwrap());
    let bomb = encoder.finish().unwrap();
    let model = FakeModel::start().await;
    for provider in both(&model) {
        model.next(Reply::events([bomb.clone()]));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!(failure.error_type, ErrorType::ResponseTooLarge, "{failure:?}");
    }
}
