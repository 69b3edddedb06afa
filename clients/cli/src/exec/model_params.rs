//! Parameters of a model from the command line.

use clap::Args;
use prompt_ledger_client::v1;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::failure::CommandError;
use crate::variables::exact;
use crate::{contract_json, json_value};

/// What is sent instead of what the version was tuned with.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ModelArgs {
    /// The model, instead of the version's; `ledgerctl models` lists those that the ledger knows
    #[arg(long, value_name = "PROVIDER/NAME", value_parser = model)]
    pub(crate) model: Option<v1::ModelRef>,
    /// A parameter of the model, such as temperature=0.2, max_new_tokens=200, seed=7, stop=END or reasoning_effort=low; extra.NAME=JSON
    /// for any other of the provider's; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, String)>,
    /// Leave out a part of the version's config: model, params, params.temperature and the like, params.extra.NAME, tools, tool_choice
    /// or response_format; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) without: Vec<String>,
}

/// The fields of ModelParams.
const NAMES: &str = "temperature, top_k, top_p, repetition_penalty, max_new_tokens, stop, seed, frequency_penalty, presence_penalty, \
                     reasoning_effort, extra.NAME";

impl ModelArgs {
    /// The parameters; absent where none was given.
    pub(crate) fn params(&self) -> Result<Option<v1::ModelParams>, CommandError> {
        if self.params.is_empty() {
            return Ok(None);
        }
        let (mut params, mut extra, mut stop) = (Map::new(), Map::new(), Vec::new());
        for (name, value) in &self.params {
            match name.strip_prefix("extra.") {
                Some(key) => drop(extra.insert(key.to_owned(), json_or_text(name, value)?)),
                None if name == "stop" => stop.push(value.clone()),
                None => {
                    let read =
                        if name == "reasoning_effort" { value.clone().into() } else { json_or_text(name, value)? };
                    let told =
                        |error| CommandError::refused(format!("--param {name}={value}: {error}; there are {NAMES}"));
                    contract_json::read::<v1::ModelParams>("ModelParams", json!({name: &read})).map_err(told)?;
                    params.insert(name.clone(), read);
                }
            }
        }
        if !stop.is_empty() {
            params.insert("stop".to_owned(), json!({"values": stop}));
        }
        extra.iter().try_for_each(|(name, value)| exact(value, &format!("--param extra.{name}"), 1))?;
        if !extra.is_empty() {
            params.insert("extra".to_owned(), extra.into());
        }
        let read = contract_json::read("ModelParams", params.into());
        read.map(Some).map_err(|error| CommandError::refused(format!("--param: {error}; there are {NAMES}")))
    }
}

/// JSON, or else the text. What is JSON but for a key that stands twice is refused.
fn json_or_text(name: &str, value: &str) -> Result<Value, CommandError> {
    match json_value::from_str(value) {
        Ok(read) => Ok(read),
        Err(error) if serde_json::from_str::<IgnoredAny>(value).is_ok() => {
            Err(CommandError::refused(format!("--param {name}: {error}")))
        }
        Err(_) => Ok(value.into()),
    }
}

/// A model as `PROVIDER/NAME`; the name may have slashes of its own.
pub(crate) fn model(text: &str) -> Result<v1::ModelRef, String> {
    match text.split_once('/') {
        Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
            Ok(v1::ModelRef { provider: provider.to_owned(), model_name: name.to_owned() })
        }
        _ => Err(format!("`{text}` is no model: write PROVIDER/NAME, as openai/gpt-4o-mini")),
    }
}

fn param(text: &str) -> Result<(String, String), String> {
    pair(text)
        .ok_or_else(|| format!("`{text}` is no parameter: write NAME=VALUE, as temperature=0.2; there are {NAMES}"))
}

/// The parts of `NAME=VALUE`; absent where it has no name.
pub(crate) fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(given: &[&str]) -> Result<Value, String> {
        let params = given.iter().map(|text| param(text).unwrap()).collect();
        let read = ModelArgs { params, ..ModelArgs::default() }.params().map_err(|error| error.to_string())?;
        Ok(read.map_or(Value::Null, |read| contract_json::write("ModelParams", &read)))
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let refusal = params(&[r#"extra.x={"a": 1, "a": 2}"#]).unwrap_err();
        assert!(refusal.contains("--param extra.x") && refusal.contains("the key \"a\" twice"), "{refusal}");
        assert_eq!(params(&["extra.x={\"a\": 1"]).unwrap()["extra"]["x"], "{\"a\": 1");
    }

    #[test]
    fn each_parameter_is_read_as_what_it_is() {
        let all = params(&[
            "temperature=0",
            "max_new_tokens=20",
            "seed=9007199254740993",
            "stop=END",
            "stop=1",
            "reasoning_effort=low",
            "extra.top_a=0.5",
            "extra.user=ada",
            "extra.gone=null",
        ]);
        let expected = json!({
            "temperature": 0.0, "max_new_tokens": 20, "seed": 9_007_199_254_740_993_i64, "stop": {"values": ["END", "1"]},
            "reasoning_effort": "low", "extra": {"top_a": 0.5, "user": "ada", "gone": null},
        });
        assert_eq!(all.unwrap(), expected);
        assert_eq!(params(&[]), Ok(Value::Null));
    }

    #[test]
    fn what_is_no_parameter_is_refused_with_those_that_are() {
        for wrong in ["temprature=1", "temperature=warm", "top_k=1.5"] {
            let said = params(&["seed=1", wrong, "stop=END"]).unwrap_err();
            assert!(
                said.starts_with(&format!("--param {wrong}: ")) && said.contains("repetition_penalty"),
                "{wrong}: {said}"
            );
        }
        let said = params(&["extra.a={\"id\": 9007199254740993}"]).unwrap_err();
        assert!(said.starts_with("--param extra.a.id: 9007199254740993 would lose digits"), "{said}");
        assert!(param("temperature").unwrap_err().contains("temperature=0.2"));
    }

    #[test]
    fn a_model_has_a_provider_and_a_name() {
        let read = model("local/org/model").unwrap();
        assert_eq!((&*read.provider, &*read.model_name), ("local", "org/model"));
        for wrong in ["gpt", "/gpt", "openai/", ""] {
            assert!(model(wrong).unwrap_err().contains("openai/gpt-4o-mini"), "{wrong}");
        }
    }
}
