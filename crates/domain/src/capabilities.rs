//! What a model can do, and what an execution asks of it.

use serde::{Deserialize, Serialize};

use crate::chat::ChatMessage;
use crate::error::{Error, Result, Violations};
use crate::execution::Input;
use crate::params::Params;
use crate::tool::{AnswerRules, ResponseFormat, Tool, ToolChoice};

/// What a model can do. Absent means not known: it is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelCapabilities {
    /// Whether it takes tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it takes images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// Whether it answers by a JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<bool>,
    /// Whether it takes a reasoning effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Whether it takes `temperature`, `top_p` and `top_k`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<bool>,
    /// Whether it takes stop sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<bool>,
    /// Whether it takes tools only with the reasoning effort `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_need_effort_none: Option<bool>,
}

/// What a model is asked: all of a call but its bounds.
#[derive(Clone, Copy, Debug)]
pub struct ModelRequest<'a> {
    /// What is sent, byte for byte: a prompt or messages.
    pub input: &'a Input,
    /// The parameters; absent ones are not sent.
    pub params: &'a Params,
    /// The tools; empty means none.
    pub tools: &'a [Tool],
    /// Which tools the model is to call; absent means that none is sent.
    pub tool_choice: Option<&'a ToolChoice>,
    /// The form of the answer; absent means text.
    pub response_format: Option<&'a ResponseFormat>,
}

impl<'a> ModelRequest<'a> {
    /// A request without tools, for an answer that is text.
    #[must_use]
    pub fn plain(input: &'a Input, params: &'a Params) -> Self {
        Self { input, params, tools: &[], tool_choice: None, response_format: None }
    }

    /// A request with these tools and this form of the answer.
    #[must_use]
    pub fn new(input: &'a Input, params: &'a Params, rules: &'a AnswerRules) -> Self {
        Self {
            input,
            params,
            tools: &rules.tools,
            tool_choice: (!rules.tool_choice.is_absent()).then_some(&rules.tool_choice),
            response_format: rules.response_format.as_ref(),
        }
    }

    /// The messages; none where a prompt is sent.
    #[must_use]
    pub fn messages(&self) -> &'a [ChatMessage] {
        match self.input {
            Input::Prompt(_) => &[],
            Input::Messages(messages) => messages,
        }
    }
}

impl ModelCapabilities {
    /// These, with what `told` knows in its place.
    #[must_use]
    pub fn with(self, told: Self) -> Self {
        Self {
            tools: told.tools.or(self.tools),
            images: told.images.or(self.images),
            schema: told.schema.or(self.schema),
            reasoning: told.reasoning.or(self.reasoning),
            sampling: told.sampling.or(self.sampling),
            stop: told.stop.or(self.stop),
            tools_need_effort_none: told.tools_need_effort_none.or(self.tools_need_effort_none),
        }
    }

    /// INVALID_FIELD for what the model is known not to do, with paths such as `params.top_k`, `tools` and
    /// `messages[1].parts[0].image`; [`Overrides::blamed`](crate::config::Overrides::blamed) says whose they are.
    pub fn check(&self, request: &ModelRequest<'_>) -> Result<()> {
        let mut wrong = Violations::default();
        let mut refuse = |can: Option<bool>, asked: bool, field: &str, what: &str| {
            if asked && can == Some(false) {
                wrong.note(Error::invalid(field, format!("{what}, which this model does not take; leave it out")));
            }
        };
        let Params { temperature, top_p, top_k, stop, reasoning_effort, .. } = request.params;
        for (name, is_set) in
            [("temperature", temperature.is_some()), ("top_p", top_p.is_some()), ("top_k", top_k.is_some())]
        {
            refuse(self.sampling, is_set, &format!("params.{name}"), "samples");
        }
        let stops = stop.as_ref().is_some_and(|stop| !stop.is_empty());
        refuse(self.stop, stops, "params.stop", "is a list of stop sequences");
        refuse(self.reasoning, reasoning_effort.is_some(), "params.reasoning_effort", "is a reasoning effort");
        refuse(self.tools, !request.tools.is_empty(), "tools", "are tools");
        let by_schema = matches!(request.response_format, Some(ResponseFormat::JsonSchema(_)));
        refuse(self.schema, by_schema, "response_format", "is a JSON Schema");
        for (i, message) in request.messages().iter().enumerate() {
            refuse(self.images, message.images().next().is_some(), &format!("messages[{i}].parts"), "hold an image");
        }
        if self.tools_need_effort_none == Some(true) && !request.tools.is_empty() {
            match reasoning_effort.as_deref() {
                Some("none") => {}
                Some(_) => {
                    let problem = "must be `none`: this model takes tools only without reasoning here";
                    wrong.note(Error::invalid("params.reasoning_effort", problem));
                }
                None => {
                    let problem =
                        "are taken by this model only without reasoning here; set `params.reasoning_effort` to `none`";
                    wrong.note(Error::invalid("tools", problem));
                }
            }
        }
        wrong.finish(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ContentPart, ImageData, ImagePart, ImageSource};
    use crate::tool::JsonSchema;

    #[test]
    fn what_a_model_is_known_not_to_do_is_refused_and_the_rest_is_tried() {
        let image = ImagePart {
            source: ImageSource::Data(ImageData(vec![0].into())),
            media_type: "image/png".into(),
            detail: String::new(),
        };
        let seen = ChatMessage { parts: vec![ContentPart::Image(image)], ..ChatMessage::text("user", "") };
        let input = Input::Messages(vec![ChatMessage::text("user", ""), seen]);
        let params = Params {
            temperature: Some(0.0),
            top_p: Some(1.0),
            top_k: Some(1),
            stop: Some(vec!["a".into()]),
            reasoning_effort: Some("low".into()),
            ..Params::default()
        };
        let (tools, format) = ([Tool::default()], ResponseFormat::JsonSchema(JsonSchema::default()));
        let request =
            ModelRequest { tools: &tools, response_format: Some(&format), ..ModelRequest::plain(&input, &params) };
        let can = |can: Option<bool>| ModelCapabilities {
            tools: can,
            images: can,
            schema: can,
            reasoning: can,
            sampling: can,
            stop: can,
            tools_need_effort_none: can.map(|can| !can),
        };
        can(None).check(&request).unwrap();
        can(Some(true)).check(&request).unwrap();
        let error = can(Some(false)).check(&request).unwrap_err();
        let fields: Vec<_> = error.parts().violations.iter().map(|v| &*v.field).collect();
        let expected = [
            "params.temperature",
            "params.top_p",
            "params.top_k",
            "params.stop",
            "params.reasoning_effort",
            "tools",
            "response_format",
            "messages[1].parts",
            "params.reasoning_effort",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_is_not_asked_is_not_refused() {
        let (input, none) = (Input::Prompt("hi".into()), Some(false));
        let can = ModelCapabilities { tools: none, images: none, stop: none, ..ModelCapabilities::default() };
        let params = Params { stop: Some(vec![]), ..Params::default() };
        can.check(&ModelRequest::plain(&input, &params)).unwrap();
        let (tools, params) = ([Tool::default()], Params { reasoning_effort: Some("none".into()), ..params });
        let can = ModelCapabilities { tools_need_effort_none: Some(true), ..ModelCapabilities::default() };
        can.check(&ModelRequest::plain(&input, &Params::default())).unwrap();
        can.check(&ModelRequest { tools: &tools, ..ModelRequest::plain(&input, &params) }).unwrap();
    }

    #[test]
    fn tools_that_need_the_effort_none_are_at_fault_where_no_effort_is_sent() {
        let (input, tools) = (Input::Prompt("hi".into()), [Tool::default()]);
        let can = ModelCapabilities { tools_need_effort_none: Some(true), ..ModelCapabilities::default() };
        for (effort, field) in [(None, "tools"), (Some("low"), "params.reasoning_effort")] {
            let params = Params { reasoning_effort: effort.map(str::to_owned), ..Params::default() };
            let asked = ModelRequest { tools: &tools, ..ModelRequest::plain(&input, &params) };
            assert_eq!(can.check(&asked).unwrap_err().parts().violations[0].field, field);
        }
    }
}
