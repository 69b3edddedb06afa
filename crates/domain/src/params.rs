//! Parameters of a model call: their form, their bounds, and the keys of a request body that are not theirs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result, Violations};
use crate::field::{self, shown};
use crate::{json, limits};

/// Parameters of a model call. Absent ones are not sent: the provider's defaults apply. The serialized form is canonical
/// ProtoJSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Sampling temperature, 0 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Sample from this many of the likeliest tokens; -1 or more, where -1 means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i32>,
    /// Sample from the likeliest tokens of this total probability; above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Makes repetition less likely where it is above 1; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Maximum number of tokens that the model writes; 1 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<i32>,
    /// Texts at which the model stops, at most 4, each 1 to 255 bytes. Empty means none, also where a config has some.
    #[serde(skip_serializing_if = "Option::is_none", with = "stop_sequences")]
    pub stop: Option<Vec<String>>,
    /// Makes answers repeatable as far as the provider can.
    #[serde(skip_serializing_if = "Option::is_none", with = "whole_number")]
    pub seed: Option<i64>,
    /// Makes tokens less likely the more often they were written; -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Makes tokens less likely that were written at all; -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// How much the model thinks, in the provider's word; 1 to 64 of `A-Z a-z 0-9 _ -`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Anything else of the provider's request body, by its key there.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "json::doubles")]
    pub extra: Map<String, Value>,
}

/// The keys of a request body that an adapter may write, and the fields to use instead.
const WRITTEN: [(&str, &str); 23] = [
    ("model", "`model`"),
    ("messages", "the template, or `messages`"),
    ("system", "a `system` message"),
    ("temperature", "`params.temperature`"),
    ("top_k", "`params.top_k`"),
    ("top_p", "`params.top_p`"),
    ("repetition_penalty", "`params.repetition_penalty`"),
    ("max_tokens", "`params.max_new_tokens`"),
    ("max_completion_tokens", "`params.max_new_tokens`"),
    ("stop", "`params.stop`"),
    ("stop_sequences", "`params.stop`"),
    ("seed", "`params.seed`"),
    ("frequency_penalty", "`params.frequency_penalty`"),
    ("presence_penalty", "`params.presence_penalty`"),
    ("reasoning_effort", "`params.reasoning_effort`"),
    ("output_config", "`params.reasoning_effort` and `response_format`"),
    ("tools", "`tools`"),
    ("tool_choice", "`tool_choice`"),
    ("parallel_tool_calls", "`tool_choice.parallel`"),
    ("response_format", "`response_format`"),
    ("stream", "`stream_text`, or a streaming RPC"),
    ("stream_options", "`stream_text`, or a streaming RPC"),
    ("n", "an execution for each answer"),
];

/// A real number: its name and value, whether it is in its bounds, and what to send instead.
type RealRule = (&'static str, Option<f64>, fn(f64) -> bool, &'static str);

impl Params {
    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the bounds of each; `field` is the path of the parameters. INVALID_FIELD names every wrong one.
    pub fn check(&self, field: &str) -> Result<()> {
        let mut wrong = Violations::default();
        let of = |name: &str| format!("{field}.{name}");
        let reals: [RealRule; 5] = [
            ("temperature", self.temperature, |v| v >= 0.0, "send 0 or more"),
            ("top_p", self.top_p, |v| v > 0.0 && v <= 1.0, "send more than 0 and at most 1"),
            ("repetition_penalty", self.repetition_penalty, |v| v > 0.0, "send more than 0"),
            ("frequency_penalty", self.frequency_penalty, |v| (-2.0..=2.0).contains(&v), "send -2 to 2"),
            ("presence_penalty", self.presence_penalty, |v| (-2.0..=2.0).contains(&v), "send -2 to 2"),
        ];
        for (name, value, ok, rule) in reals {
            if let Some(value) = value.filter(|value| !(value.is_finite() && ok(*value))) {
                wrong.add(of(name), || format!("is {value}; {rule}"));
            }
        }
        for (name, value, least, rule) in [
            ("top_k", self.top_k, -1, "send -1 for all, or how many"),
            ("max_new_tokens", self.max_new_tokens, 1, "send 1 or more"),
        ] {
            if let Some(value) = value.filter(|value| *value < least) {
                wrong.add(of(name), || format!("is {value}; {rule}"));
            }
        }
        wrong.keep(check_stop(&of("stop"), self.stop.as_deref().unwrap_or_default()))?;
        if let Some(effort) = &self.reasoning_effort {
            wrong.keep(check_effort(&of("reasoning_effort"), effort))?;
        }
        wrong.keep(self.check_extra(&of("extra")))?;
        wrong.finish(Some(()))
    }

    fn check_extra(&self, field: &str) -> Result<()> {
        let mut wrong = Violations::default();
        wrong.keep(json::check_object(field, &self.extra))?;
        for key in self.extra.keys() {
            if key.is_empty() {
                wrong.add(field.to_owned(), || "has a key that is empty; leave it out".to_owned());
            }
            if let Some((_, instead)) = WRITTEN.iter().find(|(written, _)| written == key) {
                wrong.add(format!("{field}.{key}"), || format!("is not for extra: the ledger sends it; use {instead}"));
            }
        }
        wrong.finish(Some(()))
    }

    /// These over those of a config: field by field, in `extra` key by key; a null there takes the key out.
    #[must_use]
    pub fn over(&self, config: Self) -> Self {
        let mut extra = config.extra;
        for (key, value) in &self.extra {
            match value {
                Value::Null => drop(extra.remove(key)),
                value => drop(extra.insert(key.clone(), value.clone())),
            }
        }
        Self {
            temperature: self.temperature.or(config.temperature),
            top_k: self.top_k.or(config.top_k),
            top_p: self.top_p.or(config.top_p),
            repetition_penalty: self.repetition_penalty.or(config.repetition_penalty),
            max_new_tokens: self.max_new_tokens.or(config.max_new_tokens),
            stop: self.stop.clone().or(config.stop),
            seed: self.seed.or(config.seed),
            frequency_penalty: self.frequency_penalty.or(config.frequency_penalty),
            presence_penalty: self.presence_penalty.or(config.presence_penalty),
            reasoning_effort: self.reasoning_effort.clone().or(config.reasoning_effort),
            extra,
        }
    }

    /// Takes out the parameter of this name; false where there is none of it.
    pub fn remove(&mut self, name: &str) -> bool {
        match name {
            "temperature" => self.temperature = None,
            "top_k" => self.top_k = None,
            "top_p" => self.top_p = None,
            "repetition_penalty" => self.repetition_penalty = None,
            "max_new_tokens" => self.max_new_tokens = None,
            "stop" => self.stop = None,
            "seed" => self.seed = None,
            "frequency_penalty" => self.frequency_penalty = None,
            "presence_penalty" => self.presence_penalty = None,
            "reasoning_effort" => self.reasoning_effort = None,
            "extra" => self.extra.clear(),
            _ => match name.strip_prefix("extra.") {
                None | Some("") => return false,
                Some(key) => drop(self.extra.remove(key)),
            },
        }
        true
    }

    /// Whether the parameter of this name is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut without = self.clone();
        without.remove(name) && without != *self
    }
}

fn check_stop(field: &str, stop: &[String]) -> Result<()> {
    if stop.len() > limits::STOP_SEQUENCES {
        let problem = format!("holds {} texts; at most {} are allowed", stop.len(), limits::STOP_SEQUENCES);
        return Err(Error::invalid(field, problem));
    }
    let mut wrong = Violations::default();
    for (i, text) in stop.iter().enumerate() {
        wrong.keep(field::token(&format!("{field}.values[{i}]"), text.clone()))?;
    }
    wrong.finish(Some(()))
}

fn check_effort(field: &str, effort: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if (1..=limits::EFFORT_BYTES).contains(&effort.len()) && effort.chars().all(allowed) {
        return Ok(());
    }
    let problem = format!("is `{}`; send a word of the provider's, such as `low`, `medium` or `high`", shown(effort));
    Err(Error::invalid(field, problem))
}

/// Stop sequences as ProtoJSON has them: `{"values": [...]}`, an empty list left out.
mod stop_sequences {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct StopForm {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<String>,
    }

    pub(super) fn serialize<S: Serializer>(stop: &Option<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        stop.clone().map(|values| StopForm { values }).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
        Ok(Option::<StopForm>::deserialize(deserializer)?.map(|form| form.values))
    }
}

/// A 64-bit integer as ProtoJSON has it: a text.
mod whole_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(number: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(|number| number.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests;
