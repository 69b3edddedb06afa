//! Counts: under every name in use, the last that is not zero, normalised at the end.

use serde_json::json;

use super::{DONE, MESSAGE_STOP, anthropic, anthropic_row, events, openai, openai_row, pass, row, usage, uses, writes};

/// A whole answer of OpenAI's with this usage, and a stream that tells it in its last chunk.
fn told(usage: &serde_json::Value) -> [String; 2] {
    let mut whole = openai::whole("hi");
    whole["usage"] = usage.clone();
    let stream = events(&[openai::text("hi"), openai::finish("stop"), openai::used(usage.clone())]) + DONE;
    [whole.to_string(), stream]
}

#[tokio::test]
async fn a_count_has_many_names_and_forms() {
    let mut rows = Vec::new();
    for (name, told_usage, expected) in [
        (
            "OpenAI's",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}),
            usage(50, 40, 10),
        ),
        (
            "DeepSeek's",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": 10}),
            usage(50, 40, 10),
        ),
        (
            "both names",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_cache_hit_tokens": 40, "prompt_tokens_details": {"cached_tokens": 40}}),
            usage(50, 40, 10),
        ),
        ("at the top", json!({"prompt_tokens": 50, "completion_tokens": 10, "cached_tokens": 40}), usage(50, 40, 10)),
        (
            "the Responses API's",
            json!({"input_tokens": 50, "output_tokens": 10, "input_tokens_details": {"cached_tokens": 40}}),
            usage(50, 40, 10),
        ),
        (
            "null, then another name",
            json!({"prompt_tokens": null, "input_tokens": 50, "completion_tokens": 10}),
            usage(50, None, 10),
        ),
        ("floats and strings", json!({"prompt_tokens": 9.0, "completion_tokens": "3"}), usage(9, None, 3)),
        (
            "what cannot be",
            json!({"prompt_tokens": -1, "completion_tokens": 4_000_000_000_u64}),
            usage(None, None, None),
        ),
        (
            "reasoning inside",
            json!({"prompt_tokens": 1000, "completion_tokens": 30, "total_tokens": 1030, "completion_tokens_details": {"reasoning_tokens": 20}}),
            usage(1000, None, 30),
        ),
        (
            "reasoning beside",
            json!({"prompt_tokens": 1000, "completion_tokens": 30, "total_tokens": 1100, "completion_tokens_details": {"reasoning_tokens": 70}, "prompt_tokens_details": {"cached_tokens": 200}}),
            usage(1000, 200, 100),
        ),
        (
            "reasoning that nobody tells",
            json!({"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 317}),
            usage(7, None, 310),
        ),
        (
            "a prompt without what was cached",
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45, "cached_tokens": 30}),
            usage(40, 30, 5),
        ),
        (
            "a total that fits nothing",
            json!({"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 3}),
            usage(7, None, 10),
        ),
    ] {
        rows.extend(told(&told_usage).map(|body| openai_row(name, body, uses("hi", expected))));
    }
    let used = json!({"input_tokens": 3, "cache_read_input_tokens": 10.0, "cache_creation_input_tokens": "100", "output_tokens": 7});
    let mut whole = anthropic::whole("hi");
    whole["usage"] = used.clone();
    let stream =
        [anthropic::start(json!({})), anthropic::text("hi"), anthropic::finish("end_turn"), anthropic::used(used)];
    for body in [whole.to_string(), events(&stream)] {
        let expected = writes(100, None, usage(113, 10, 7));
        rows.push(anthropic_row("what the cache took part in", body, uses("hi", expected)));
    }
    pass(rows).await;
}

#[tokio::test]
async fn what_is_written_to_the_cache_is_counted_by_the_time_that_it_lives() {
    let lifetimes =
        |minutes: i64, hour: i64| json!({"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour});
    let mut rows = Vec::new();
    for (name, told_usage, expected) in [
        (
            "OpenRouter's",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details": {"cache_write_tokens": 30}}),
            writes(30, None, usage(50, None, 10)),
        ),
        (
            "LiteLLM's",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details":
                {"cache_creation_tokens": 30, "cache_creation_token_details": lifetimes(10, 20)}}),
            writes(10, 20, usage(50, None, 10)),
        ),
        (
            "Qwen's",
            json!({"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details":
                {"cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_5m_input_tokens": 30}}}),
            writes(30, None, usage(50, None, 10)),
        ),
    ] {
        rows.extend(told(&told_usage).map(|body| openai_row(name, body, uses("hi", expected))));
    }
    for (name, written, expected) in [
        ("both times", json!({"cache_creation_input_tokens": 30, "cache_creation": lifetimes(10, 20)}), (10, 20)),
        ("without their sum", json!({"cache_creation": lifetimes(10, 20)}), (10, 20)),
        ("another sum", json!({"cache_creation_input_tokens": 40, "cache_creation": lifetimes(10, 20)}), (20, 20)),
    ] {
        let mut used = json!({"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 7});
        used.as_object_mut().unwrap().extend(written.as_object().unwrap().clone());
        let mut whole = anthropic::whole("hi");
        whole["usage"] = used.clone();
        // The last event tells zeros, which replace nothing.
        let zeros = json!({"cache_creation_input_tokens": 0, "cache_creation": lifetimes(0, 0), "output_tokens": 7});
        let stream =
            [anthropic::start(used), anthropic::text("hi"), anthropic::finish("end_turn"), anthropic::used(zeros)];
        let (minutes, hour) = expected;
        let expected = uses("hi", writes(minutes, hour, usage(13 + minutes + hour, 10, 7)));
        for body in [whole.to_string(), events(&stream)] {
            rows.push(anthropic_row(name, body, expected.clone()));
        }
    }
    pass(rows).await;
}

#[tokio::test]
async fn zeros_and_nulls_take_nothing_back() {
    let chunks = |usages: &[serde_json::Value]| {
        let usages = usages.iter().cloned().map(openai::used);
        let documents: Vec<_> = [openai::text("hi"), openai::finish("stop")].into_iter().chain(usages).collect();
        events(&documents) + DONE
    };
    let parts = |start: serde_json::Value, usages: &[serde_json::Value]| {
        let usages = usages.iter().cloned().map(anthropic::used);
        let first = [anthropic::start(start), anthropic::text("hi"), anthropic::finish("end_turn")];
        events(&first.into_iter().chain(usages).collect::<Vec<_>>()) + MESSAGE_STOP
    };
    let (full, zero) =
        (json!({"prompt_tokens": 8, "completion_tokens": 2}), json!({"prompt_tokens": 0, "completion_tokens": 0}));
    let (said, none) = (json!({"input_tokens": 8, "output_tokens": 2}), json!({"input_tokens": 0, "output_tokens": 0}));
    let mut groq = openai::finish("stop");
    groq["x_groq"] = json!({"usage": full});
    let mut moonshot = openai::finish("stop");
    moonshot["choices"][0]["usage"] = full.clone();
    let expected = || uses("hi", usage(8, None, 2));
    pass(vec![
        row(
            "zeros behind",
            chunks(&[full.clone(), zero.clone()]),
            parts(said.clone(), std::slice::from_ref(&none)),
            expected(),
        ),
        row(
            "zeros before",
            chunks(&[zero.clone(), full.clone()]),
            parts(none.clone(), std::slice::from_ref(&said)),
            expected(),
        ),
        row(
            "nulls behind",
            chunks(&[full.clone(), json!(null), json!({"prompt_tokens": null})]),
            parts(said.clone(), &[json!(null), json!({"output_tokens": null})]),
            expected(),
        ),
        row(
            "in parts",
            chunks(&[json!({"prompt_tokens": 8}), json!({"completion_tokens": 2})]),
            parts(json!({"input_tokens": 8}), &[json!({"output_tokens": 2})]),
            expected(),
        ),
        row(
            "growing",
            chunks(&[json!({"prompt_tokens": 8, "completion_tokens": 1}), full.clone()]),
            parts(json!({"input_tokens": 8, "output_tokens": 1}), &[json!({"output_tokens": 2})]),
            expected(),
        ),
        row("zeros alone", chunks(std::slice::from_ref(&zero)), parts(none, &[]), uses("hi", usage(0, None, 0))),
        anthropic_row(
            "zeros behind what was cached",
            parts(
                json!({"input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 1}),
                &[json!({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4})],
            ),
            uses("hi", usage(50, 30, 4)),
        ),
        openai_row("Groq's place", events(&[openai::text("hi"), groq]) + DONE, expected()),
        openai_row("Moonshot's place", events(&[openai::text("hi"), moonshot]) + DONE, expected()),
    ])
    .await;
}
