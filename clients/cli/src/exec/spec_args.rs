//! What to execute, from the command line.

use std::io::{self, Read};

use clap::Args;
use prompt_ledger_client::v1;
use serde_json::{Value, json};
use v1::execution_spec::Selector;

use super::model_params::{ModelArgs, pair};
use crate::failure::CommandError;
use crate::prompt::version_name::version_number;
use crate::since;
use crate::variables::VariablesArgs;
use crate::{contract_json, json_value};

/// The most bytes that are read of a file of messages. The contract takes 200 KB of text and 768 KiB of images; JSON may be longer.
const MOST_BYTES: u64 = 4 << 20;

/// What to execute.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SpecArgs {
    /// The prompt's name
    #[arg(value_name = "PROMPT", required_unless_present = "prompt", conflicts_with = "prompt")]
    name: Option<String>,
    /// The prompt's name, where it is not the first argument
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// The version of this number, instead of the active one
    #[arg(long, value_name = "N", value_parser = version_number)]
    version: Vec<i32>,
    /// The version that this label names, such as production
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// The version of this content, by its sha-256
    #[arg(long, value_name = "SHA256")]
    hash: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// A file with a JSON array of messages to send instead of a rendered template, `-` for standard input; only for prompts whose text
    /// lives in code
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    messages: Option<String>,
    /// What it is executed for, for reports: dev, staging, prod; absent: dev
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// An id of yours, to find executions that belong together
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// An entry of yours to find it by, such as user=ada; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = entry)]
    metadata: Vec<(String, String)>,
    /// How long each call of the model may take: 500ms, 30s, 2m; absent: 120 s
    #[arg(long, value_name = "DURATION", value_parser = since::duration)]
    timeout: Option<prost_types::Duration>,
    /// How often to try again after a failure that may pass; absent: never where it runs within the call, as often as the server allows
    /// where it is queued
    #[arg(long, value_name = "N")]
    max_retries: Option<i32>,
    /// Makes it safe to repeat: the same key with the same request answers the execution that exists
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    variables: VariablesArgs,
}

/// An entry of metadata.
pub(crate) fn entry(text: &str) -> Result<(String, String), String> {
    pair(text).ok_or_else(|| format!("`{text}` is no entry: write NAME=VALUE, as user=ada"))
}

/// A version to execute: absent is the active one.
pub(crate) type SelectedVersion = Option<Selector>;

impl SpecArgs {
    /// The versions asked for, in the order of the help; the active one where none was.
    pub(crate) fn selected(&self) -> Vec<SelectedVersion> {
        let versions = self.version.iter().map(|number| Selector::VersionNumber(*number));
        let labels = self.label.iter().cloned().map(Selector::Label);
        let hashes = self.hash.iter().cloned().map(Selector::ChecksumHash);
        let all: Vec<SelectedVersion> = versions.chain(labels).chain(hashes).map(Some).collect();
        if all.is_empty() { vec![None] } else { all }
    }

    /// The spec, of the one version that may be asked for. Reads files and standard input.
    pub(crate) fn spec_of_one(self) -> Result<v1::ExecutionSpec, CommandError> {
        let mut selected = self.selected();
        let one = selected.pop().unwrap_or_default();
        if !selected.is_empty() {
            return Err(CommandError::refused(
                "one version is executed here: leave out all but one of --version, --label and --hash; `ledgerctl exec run` compares several",
            ));
        }
        Ok(v1::ExecutionSpec { selector: one, ..self.spec()? })
    }

    /// The spec without a version. Reads files and standard input.
    pub(crate) fn spec(self) -> Result<v1::ExecutionSpec, CommandError> {
        if self.version.iter().any(|number| *number < 1) {
            return Err(CommandError::refused(
                "--version: versions are numbered from 1; `ledgerctl prompt versions` lists them",
            ));
        }
        if self.messages.as_deref() == Some("-") && self.variables.inputs() > 0 {
            return Err(CommandError::refused(
                "--messages - and --vars -: standard input can be read once; put one of them into a file",
            ));
        }
        let params = self.model.params()?;
        let messages = self.messages.as_deref().map(|file| messages(file, io::stdin().lock())).transpose()?;
        Ok(v1::ExecutionSpec {
            prompt_name: self.name.or(self.prompt).unwrap_or_default(),
            environment: self.environment.unwrap_or_default(),
            variables: self.variables.read()?,
            messages: messages.unwrap_or_default(),
            model: self.model.model,
            params,
            without: self.model.without,
            correlation_id: self.correlation_id.unwrap_or_default(),
            idempotency_key: self.idempotency_key.unwrap_or_default(),
            timeout: self.timeout,
            max_retries: self.max_retries,
            metadata: self.metadata.into_iter().collect(),
            ..Default::default()
        })
    }
}

/// The messages in a file.
fn messages(file: &str, stdin: impl Read) -> Result<Vec<v1::ChatMessage>, CommandError> {
    let wrong = |why: String| {
        CommandError::refused(format!(
            "--messages {file}: {why}; write a JSON array, as [{{\"role\": \"user\", \"content\": \"Hello\"}}]"
        ))
    };
    let mut text = String::new();
    let read = match file {
        "-" => stdin.take(MOST_BYTES + 1).read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| CommandError::refused(format!("--messages: {file} cannot be read: {error}")))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(CommandError::refused(format!("--messages: {file} has more than 4 MiB")));
    }
    let array = match json_value::from_str(&text) {
        Ok(Value::Array(array)) if array.is_empty() => return Err(wrong("there are none".to_owned())),
        Ok(Value::Array(array)) => array,
        Ok(_) => return Err(wrong("holds JSON that is no array".to_owned())),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let spec: v1::ExecutionSpec = contract_json::read("ExecutionSpec", json!({"messages": array})).map_err(wrong)?;
    Ok(spec.messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_asked_for_are_those_of_all_options() {
        let asked = SpecArgs { version: vec![3, 4], label: vec!["production".into()], ..SpecArgs::default() };
        let expected =
            [Selector::VersionNumber(3), Selector::VersionNumber(4), Selector::Label("production".into())].map(Some);
        assert_eq!(asked.selected(), expected);
        assert_eq!(SpecArgs::default().selected(), [None]);
        let refused = asked.spec_of_one().unwrap_err().to_string();
        assert!(refused.contains("exec run"), "{refused}");
        let odd = SpecArgs { version: vec![0], ..SpecArgs::default() };
        assert!(odd.spec().unwrap_err().to_string().contains("prompt versions"));
    }

    #[test]
    fn standard_input_is_read_once() {
        use clap::{Args as _, FromArgMatches as _};
        let command = SpecArgs::augment_args(clap::Command::new("run"));
        let matches = command.try_get_matches_from(["run", "greet", "--vars", "-", "--messages", "-"]).unwrap();
        let refused = SpecArgs::from_arg_matches(&matches).unwrap().spec().unwrap_err().to_string();
        assert!(refused.contains("read once"), "{refused}");
    }

    #[test]
    fn messages_are_those_of_the_contract() {
        let read =
            messages("-", &br#"[{"role": "user", "content": "hi"}, {"role": "user", "parts": [{"text": "x"}]}]"#[..]);
        let read = read.unwrap();
        assert_eq!((read.len(), &*read[0].content, read[1].parts.len()), (2, "hi", 1));
        for (text, said) in
            [("{}", "no array"), ("[]", "none"), ("[{\"rolle\": 1}]", "rolle"), ("[1]", "--messages -"), ("", "EOF")]
        {
            let refused = messages("-", text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(said) && refused.contains("JSON array"), "{text}: {refused}");
        }
        assert!(
            messages("/nowhere/m.json", io::empty())
                .unwrap_err()
                .to_string()
                .contains("/nowhere/m.json cannot be read")
        );
        let long = vec![b' '; (4 << 20) + 1];
        assert!(messages("-", long.as_slice()).unwrap_err().to_string().contains("4 MiB"));
    }
}
