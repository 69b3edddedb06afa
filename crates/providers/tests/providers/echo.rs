//! The echo model.

use std::time::Instant;

use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImagePart, ImageSource, ToolCall};
use prompt_ledger_domain::execution::{FinishReason, Input, Params};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::tool::{ToolChoice, ToolRule};
use prompt_ledger_providers::Provider;
use prompt_ledger_providers::echo::{Echo, LONG_WORDS, PACE};

use crate::setup::{Ask, Pieces, all_params, check, messages, prompt};

fn used(prompt: i32, response: i32) -> Usage {
    Usage { prompt_tokens: Some(prompt), response_tokens: Some(response), ..Usage::default() }
}

#[tokio::test]
async fn it_answers_the_prompt_word_by_word() {
    let (answer, pieces) = Ask::new(&Echo, prompt("say  this\nnow ")).streamed().await;
    assert_eq!(answer.text, "say  this\nnow ");
    assert_eq!(pieces.concat(), answer.text);
    assert_eq!(pieces, ["say ", " ", "this\n", "now "]);
    assert_eq!((answer.usage, answer.finish_reason), (used(3, 3), Some(FinishReason::Stop)));
    assert_eq!(answer.request_id, "");
}

#[tokio::test]
async fn two_models_stream_at_a_pace_and_one_of_them_at_length() {
    let began = Instant::now();
    let (answer, pieces) = Ask::new(&Echo, prompt("one two three")).model("slow").streamed().await;
    assert_eq!((answer.text.as_str(), pieces.len()), ("one two three", 3));
    assert!(began.elapsed() >= 2 * PACE);
    let params = Params { max_new_tokens: Some(5), ..Params::default() };
    let (answer, _) = Ask::new(&Echo, prompt("one two ")).model("long").params(params).streamed().await;
    assert_eq!((answer.text.as_str(), answer.usage), ("one two one two one", used(2, 5)));
    let whole = Ask::new(&Echo, prompt("one two")).model("long").at_once().answer().await;
    assert_eq!(whole.usage, used(2, i32::try_from(LONG_WORDS).unwrap()));
    assert_eq!(Ask::new(&Echo, prompt(" ")).model("long").answer().await.text, "");
}

#[tokio::test]
async fn it_answers_the_last_message_of_the_user() {
    let input = messages(&[("system", "be kind"), ("user", "one"), ("user", "two three"), ("assistant", "ok")]);
    let answer = Ask::new(&Echo, input).answer().await;
    assert_eq!((answer.text.as_str(), answer.usage), ("two three", used(6, 2)));
    let answer = Ask::new(&Echo, messages(&[("system", "be kind")])).answer().await;
    assert_eq!((answer.text.as_str(), answer.usage), ("", used(2, 0)));
}

#[tokio::test]
async fn the_token_limit_cuts_it() {
    let params = Params { max_new_tokens: Some(2), ..Params::default() };
    let (answer, pieces) = Ask::new(&Echo, prompt("one two three")).params(params).streamed().await;
    assert_eq!((answer.text.as_str(), answer.usage), ("one two", used(3, 2)));
    assert_eq!(answer.finish_reason, Some(FinishReason::Length));
    assert_eq!(pieces, ["one ", "two"]);
}

#[tokio::test]
async fn it_takes_every_parameter_and_only_its_own_model() {
    assert!(check(&Echo, &all_params()).is_ok());
    assert!(!Echo.traits().is_own_place);
}

#[tokio::test]
async fn a_nul_is_replaced_with_a_sink_and_without() {
    let ask = Ask::new(&Echo, prompt("a\0b"));
    assert_eq!(ask.answer().await.text, "a\u{fffd}b");
    assert_eq!(ask.streamed().await.1, ["a\u{fffd}b"]);
}

#[tokio::test]
async fn it_calls_the_tool_that_the_choice_names() {
    let mut ask = Ask::new(&Echo, prompt("the weather in Rome"));
    ask.tool_choice = Some(ToolChoice { rule: Some(ToolRule::Tool("weather".into())), parallel: None });
    let answer = ask.answer().await;
    let call = ToolCall { id: "call_0".into(), name: "weather".into(), arguments: "{}".into() };
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", Some(FinishReason::ToolCalls)));
    assert_eq!(answer.tool_calls, [call]);
    let mut pieces = Pieces::default();
    ask.stream_into(&mut pieces).await.unwrap();
    assert_eq!(pieces.1, [(0, 0, "call_0".into(), "weather".into(), "{}".into())]);
    ask.tool_choice = Some(ToolChoice { rule: Some(ToolRule::Required), parallel: None });
    assert_eq!(ask.answer().await.tool_calls, []);
}

#[tokio::test]
async fn it_answers_the_texts_of_a_message_in_parts() {
    let image =
        ImagePart { source: ImageSource::Url("https://e".into()), media_type: String::new(), detail: String::new() };
    let parts = vec![ContentPart::Text("what is".into()), ContentPart::Image(image), ContentPart::Text("this?".into())];
    let input = Input::Messages(vec![ChatMessage { parts, ..ChatMessage::text("user", "") }]);
    let answer = Ask::new(&Echo, input).answer().await;
    assert_eq!((answer.text.as_str(), answer.usage), ("what is\nthis?", used(3, 3)));
}
