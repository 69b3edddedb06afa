//! One answer is followed, whichever number it has.

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use serde_json::{Value, json};

use super::{
    DONE, MESSAGE_STOP, anthropic, anthropic_row, ends, events, fails, openai, openai_row, pass, row, says, usage, uses,
};

fn choice(index: Option<i64>, key: &str, said: &str, finish: Option<&str>) -> Value {
    let mut choice = json!({key: {"content": said}, "finish_reason": finish});
    if let Some(index) = index {
        choice["index"] = json!(index);
    }
    choice
}

fn chunk(choices: &[Value]) -> Value {
    json!({"choices": choices})
}

#[tokio::test]
async fn the_first_choice_that_says_text_is_the_answer() {
    let delta = |index, said, finish| chunk(&[choice(Some(index), "delta", said, finish)]);
    let message = |index, said, finish| choice(Some(index), "message", said, finish);
    let both_ways = |deltas: &[Value]| events(deltas) + DONE;
    let thought =
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "hm", "content": ""}}]});
    let so_far = |text: &str, delta: &str| json!({"choices": [{"index": 0, "delta": {"content": delta}, "message": {"content": text}}]});
    pass(vec![
        openai_row("number 3", both_ways(&[delta(3, "a ", None), delta(3, "b", Some("stop"))]), says("a b")),
        openai_row("the role at 0, the text at 2", both_ways(&[delta(0, "", None), delta(2, "text", None), delta(0, "", Some("stop"))]), says("text")),
        openai_row("thoughts at 0, the text at 1", both_ways(&[thought, delta(1, "42.", None), delta(0, "", Some("stop"))]), says("42.")),
        openai_row("two at once", both_ways(&[delta(5, "first ", None), delta(9, "second ", None), delta(5, "one", Some("length")), delta(9, "one", Some("stop"))]), ends("first one", Some(FinishReason::Length))),
        openai_row("two in one chunk", both_ways(&[chunk(&[choice(Some(0), "delta", "a", Some("stop")), choice(Some(1), "delta", "b", Some("length"))])]), says("a")),
        openai_row("without numbers", both_ways(&[chunk(&[choice(None, "delta", "a", None)]), chunk(&[choice(None, "delta", "b", Some("stop"))])]), says("ab")),
        openai_row("whole, number 1", chunk(&[message(1, "42.", Some("stop"))]).to_string(), says("42.")),
        openai_row("whole, the second speaks", chunk(&[message(0, "", None), message(1, "42.", Some("stop"))]).to_string(), says("42.")),
        openai_row("whole, the second speaks, the first ends", chunk(&[message(0, "", Some("stop")), message(1, "42.", None)]).to_string(), says("42.")),
        openai_row("whole, both speak", chunk(&[message(0, "a", Some("stop")), message(1, "b", Some("length"))]).to_string(), says("a")),
        openai_row("a message in place of a delta", both_ways(&[chunk(&[message(0, "hi", Some("stop"))])]), says("hi")),
        openai_row("messages in place of deltas", events(&[chunk(&[message(0, "h", None)]), chunk(&[message(0, "i", Some("stop"))])]), says("hi")),
        openai_row("a delta in place of a message", chunk(&[choice(Some(0), "delta", "hi", Some("stop"))]).to_string(), says("hi")),
        openai_row("the text so far beside each delta", both_ways(&[so_far("", ""), so_far("a", "a"), so_far("ab", "b"), openai::finish("stop")]), says("ab")),
        openai_row("a message beside an empty delta", both_ways(&[so_far("hi", ""), openai::finish("stop")]), says("hi")),
        openai_row("parts", both_ways(&[json!({"choices": [{"delta": {"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}]}, "finish_reason": "stop"}]})]), says("ab")),
        openai_row("a refusal", both_ways(&[json!({"choices": [{"delta": {"content": "", "refusal": "I will not"}, "finish_reason": "stop"}]})]), says("I will not")),
        openai_row("tools", both_ways(&[json!({"choices": [{"delta": {"content": null, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}]})]), ends("", Some(FinishReason::ToolCalls))),
        openai_row("tools without a reason", json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "1"}]}}]}).to_string(), ends("", None)),
        anthropic_row("two blocks of text around others", json!({"type": "message", "stop_reason": "end_turn", "content": [{"type": "thinking", "thinking": "hm", "text": "no"}, {"type": "text", "text": "a"}, {"type": "tool_use", "input": {}, "text": "no"}, {"type": "text", "text": "b"}]}).to_string(), says("ab")),
        anthropic_row("text in a block's start", events(&[json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "a"}}), anthropic::text("b"), json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm", "text": "no"}}), anthropic::finish("end_turn")]), says("ab")),
        anthropic_row("text in the message's start", events(&[json!({"type": "message_start", "message": {"content": [{"type": "text", "text": "a"}]}}), anthropic::text("b"), anthropic::finish("end_turn")]), says("ab")),
        anthropic_row("tools without a reason", json!({"type": "message", "content": [{"type": "tool_use", "id": "1"}]}).to_string(), ends("", None)),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_a_fault_that_may_pass() {
    let nothing = || fails(ErrorType::ProviderError, "says nothing");
    assert!(ErrorType::ProviderError.is_retryable());
    let no_text = json!({"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": null}]});
    let no_block = json!({"type": "message", "content": [], "stop_reason": null});
    let prompt_only = json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}});
    let input_only = json!({"type": "message", "content": [], "usage": {"input_tokens": 5, "output_tokens": 0}});
    let and_used = || super::Expected::Failure {
        error_type: ErrorType::ProviderError,
        message: "says nothing",
        text: "",
        usage: usage(5, None, 0),
    };
    let thought =
        json!({"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": 5, "completion_tokens": 3}});
    let thought_too =
        json!({"type": "message", "content": [{"type": "thinking"}], "usage": {"input_tokens": 5, "output_tokens": 3}});
    let ended = json!({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]});
    let ended_too = json!({"type": "message", "content": [], "stop_reason": "end_turn"});
    let used = json!({"prompt_tokens": 5, "completion_tokens": 1});
    pass(vec![
        row("nothing at all", "", "", nothing()),
        row("blanks", " \r\n\n", "\n", nothing()),
        row("comments", ": hello\n\n", ":\n\n", nothing()),
        row("an empty object", "{}", "data: {}\n\n", nothing()),
        row("the end alone", DONE, MESSAGE_STOP, nothing()),
        row("no choice", r#"{"choices":[]}"#, r#"{"content":[]}"#, nothing()),
        row("a choice without text", no_text.to_string(), no_block.to_string(), nothing()),
        row("tokens of the prompt alone", prompt_only.to_string(), input_only.to_string(), and_used()),
        row(
            "thoughts alone",
            thought.to_string(),
            thought_too.to_string(),
            super::Expected::Answer { text: "", finish_reason: None, usage: usage(5, None, 3) },
        ),
        row("a reason alone", ended.to_string(), ended_too.to_string(), says("")),
        openai_row(
            "a reason and tokens",
            events(&[openai::finish("stop"), openai::used(used)]) + DONE,
            uses("", usage(5, None, 1)),
        ),
    ])
    .await;
}
