//! What the Messages API does not take.

use serde_json::{Map, Value};

use super::unsupported::Unsupported;
use crate::capabilities::ModelRequest;
use crate::error::Result;
use crate::tool::{ResponseFormat, ToolRule};

const NAME: &str = "Anthropic";

/// What the API's form cannot express, wherever it is spoken.
pub(super) fn form<'a>(request: &ModelRequest<'a>) -> Unsupported<'a> {
    let mut wrong = Unsupported::new(NAME, request);
    for (i, message) in request.messages().iter().enumerate() {
        let at = |name: &str| format!("messages[{i}].{name}");
        if !message.name.is_empty() {
            wrong.refuse(at("name"), "has no names of speakers: leave it out");
        }
        for (j, call) in message.tool_calls.iter().enumerate() {
            let is_object = serde_json::from_str::<Map<String, Value>>(&call.arguments).is_ok();
            if !is_object && !call.arguments.is_empty() {
                wrong.refuse(at(&format!("tool_calls[{j}].arguments")), "takes the text of a JSON object");
            }
        }
        if message.is_system() && message.images().next().is_some() {
            wrong.refuse(at("parts"), "takes no image in what is its system prompt");
        }
    }
    for (field, _, image) in wrong.images() {
        if !image.detail.is_empty() {
            wrong.refuse(format!("{field}.detail"), "has no detail of images: leave it out");
        }
    }
    match request.response_format {
        Some(ResponseFormat::JsonObject {}) => {
            wrong.refuse("response_format.json_object", "answers by a schema only: send json_schema");
        }
        Some(ResponseFormat::JsonSchema(schema)) if !schema.strict => {
            let why = "makes sure that the answer matches in any case: set strict";
            wrong.refuse("response_format.json_schema.strict", why);
        }
        _ => {}
    }
    if let Some(choice) = request.tool_choice
        && choice.rule == Some(ToolRule::None)
        && choice.parallel.is_some()
    {
        wrong.refuse("tool_choice.parallel", "takes none where no tool may be called: leave it out");
    }
    if request.params.reasoning_effort.is_some() && request.params.extra.contains_key("thinking") {
        wrong.refuse("params.extra.thinking", "is told to think by params.reasoning_effort already: send one of them");
    }
    wrong
}

/// What Anthropic itself does not take. `has_effort` is whether the model is known to take an effort.
pub(super) fn vendor(request: &ModelRequest<'_>, has_effort: bool) -> Result<()> {
    let mut wrong = form(request);
    wrong.parameters(&["repetition_penalty", "seed", "frequency_penalty", "presence_penalty"]);
    for (i, stop) in request.params.stop.iter().flatten().enumerate() {
        if stop.trim().is_empty() {
            wrong.refuse(format!("params.stop.values[{i}]"), "takes no blank stop sequence: leave it out");
        }
    }
    if request.params.reasoning_effort.is_some() && !has_effort {
        let why = "takes no effort with this model: send its budget of thinking as params.extra.thinking";
        wrong.refuse("params.reasoning_effort", why);
    }
    wrong.vendors_images();
    wrong.finish()
}
