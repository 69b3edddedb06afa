use std::process::ExitCode;

use clap::Args;
use futures::stream::{FuturesUnordered, StreamExt as _};
use prompt_ledger_client::{Update, Updates, WatchError, v1};
use v1::execution_spec::Selector;

use super::follow::{Followed, LeftAlone, follow, interrupt, interrupted, on_screen};
use super::side_by_side::{self, VersionAnswer};
use super::spec_args::{SelectedVersion, SpecArgs};
use super::{outcome, prompt_stream};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::update_json;
use crate::watch::ShownStates;

/// Executes a prompt.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec run greet --var name=Ada
  ledgerctl exec run greet --var name=Ada --version 3 --version 4      both beside each other
  ledgerctl exec run greet --label production --label staging --vars case.json
  ledgerctl exec run greet --vars case.json --model openai/gpt-4o-mini --param temperature=0
  ledgerctl exec run support --var question=Hello --var history:=[] --json | jq .cost_nano_usd
  ledgerctl exec run assistant --messages chat.json          a prompt whose text lives in code

The text comes on standard output while the model writes it, one line of tokens, latency and cost on standard error. Ctrl-C cancels \
the execution, unless it has an --idempotency-key. With --max-retries another attempt writes its text anew: --json answers the last one alone. A terminal \
is shown hidden characters escaped; into a file or a pipe the text goes as it is.

Under --json the answer is an Execution of the contract, of several versions an array of them, under --jsonl one in each line; \
one that was refused is left out, and told on standard error.
Exit code: 0 when it succeeded, 1 when it failed or was canceled; of several: 0 when all succeeded.")]
pub(crate) struct ExecRunArgs {
    #[command(flatten)]
    spec: SpecArgs,
}

/// The most versions that are executed beside each other.
const MOST_VERSIONS: usize = 16;

impl ExecRunArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let selected = self.spec.selected();
        let spec = self.spec.spec()?;
        let mode = prompt_stream::mode(&spec.prompt_name, connection).await?;
        if selected.len() > 1 {
            return several(selected, spec, mode, connection, output).await;
        }
        let spec = v1::ExecutionSpec { selector: selected.into_iter().next().flatten(), ..spec };
        let left_alone = LeftAlone::of(&spec);
        let updates = prompt_stream::begin(mode, spec, connection);
        if output.format == AnswerFormat::Text {
            return on_screen(updates, ShownStates::None, left_alone, None, connection, output).await;
        }
        match follow(updates, left_alone, None, connection, output, |_, _| Ok(())).await? {
            Followed::Interrupted(told) => Ok(interrupted(&told, output)),
            Followed::Ended(execution) => {
                output.json(&contract_json::write("Execution", &*execution))?;
                Ok(outcome::exit_code(&execution))
            }
        }
    }
}

/// Executes several versions at once, and shows them when all have ended.
async fn several(
    selected: Vec<SelectedVersion>,
    spec: v1::ExecutionSpec,
    mode: v1::PromptMode,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<ExitCode, CommandError> {
    if !spec.idempotency_key.is_empty() {
        return Err(CommandError::refused(
            "--idempotency-key names one execution: leave it out, or ask for one version",
        ));
    }
    if selected.len() > MOST_VERSIONS {
        return Err(CommandError::refused(format!("at most {MOST_VERSIONS} versions are executed beside each other")));
    }
    let labels: Vec<String> = selected.iter().map(label).collect();
    let mut running: FuturesUnordered<_> = selected
        .into_iter()
        .enumerate()
        .map(|(index, selector)| {
            let updates = prompt_stream::begin(mode, v1::ExecutionSpec { selector, ..spec.clone() }, connection);
            async move { (index, ended(updates).await) }
        })
        .collect();
    let mut interrupt = std::pin::pin!(interrupt().map_err(CommandError::refused)?);
    let mut answers: Vec<Option<VersionAnswer>> = labels.iter().map(|_| None).collect();
    loop {
        let (index, ended) = tokio::select! {
            ended = running.next() => match ended {
                Some(ended) => ended,
                None => break,
            },
            () = &mut interrupt => {
                return Ok(interrupted("interrupted: hanging up cancels those that have not ended", output));
            }
        };
        let label = labels.get(index).cloned().unwrap_or_default();
        let ended = ended.map_err(|error| CommandError::watch(&error, &connection.server));
        match &ended {
            Ok(execution) => output.note(&format!("{label}: {}", update_json::status(execution.status()))),
            Err(error) => {
                format!("{label}: {error}").lines().for_each(|line| output.note_as(Tone::Bad, line));
            }
        }
        if let Some(place) = answers.get_mut(index) {
            *place = Some(VersionAnswer { label, ended });
        }
    }
    let answers: Vec<VersionAnswer> = answers.into_iter().flatten().collect();
    if answers.iter().any(|answer| answer.ended.is_ok()) {
        side_by_side::show(&answers, output)?;
    }
    side_by_side::code(answers)
}

/// The version as it was asked for.
fn label(selected: &SelectedVersion) -> String {
    match selected {
        None => "active".to_owned(),
        Some(Selector::VersionNumber(number)) => format!("version {number}"),
        Some(Selector::Label(label)) => label.clone(),
        Some(Selector::ChecksumHash(hash)) => hash.chars().take(12).collect(),
    }
}

async fn ended(mut updates: Updates) -> Result<v1::Execution, WatchError> {
    while let Some(update) = updates.next().await {
        if let Update::Ended(execution) = update? {
            return Ok(*execution);
        }
    }
    Err(WatchError::Unreadable)
}
