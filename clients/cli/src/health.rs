use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use prompt_ledger_client::v1;
use serde_json::json;

use crate::connection::LedgerConnection;
use crate::failure::{CommandError, NO};
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::Cell;

/// Asks a server for its health.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl health
  ledgerctl health --server https://ledger.example.com:50051 --key-file checkout.key
  ledgerctl health --json | jq .serving

Asked is grpc.health.v1, as `prompt-ledger health` does beside the server; then one call with the key shows whether it is taken.
Exit code: 0 when it serves, 1 when it does not (it is shutting down, or its database takes no writes), 2 when it does not take the \
key, 3 when nothing answers.

Under --json and --jsonl the answer has `server`, `serving`, `latency_ms` (of the answer, a new connection included) and `key_accepted` \
(absent where it does not serve).")]
pub(crate) struct ServerHealthArgs {}

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);

impl ServerHealthArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let began = Instant::now();
        let asked = tokio::time::timeout(WITHIN, connection.client.is_serving()).await;
        let answer = asked.map_err(|_| {
            CommandError::NotNow(format!(
                "{} does not tell its health within {} s",
                connection.server,
                WITHIN.as_secs()
            ))
        })?;
        let serves = answer.map_err(|error| connection.failed(error))?;
        let millis = began.elapsed().as_secs_f64() * 1_000.0;
        if serves {
            let request = v1::ListPromptsRequest { page_size: 1, ..Default::default() };
            connection
                .ask(request, |client, request| async move { client.registry().list_prompts(request).await })
                .await?;
        }
        if output.format != AnswerFormat::Text {
            let mut told = json!({"server": connection.server, "serving": serves, "latency_ms": millis});
            if serves {
                told["key_accepted"] = true.into();
            }
            output.json(&told)?;
        } else {
            let (tone, word) = if serves { (Tone::Good, "serves") } else { (Tone::Bad, "does not serve") };
            let more = match serves {
                true => format!(", answered within {millis:.1} ms, and takes the key"),
                false => ": it is shutting down, or its database takes no writes; its log says which".to_owned(),
            };
            output.cells(&[format!("{} ", connection.server).into(), Cell::new(tone, word), more.into()])?;
        }
        Ok(if serves { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
}
