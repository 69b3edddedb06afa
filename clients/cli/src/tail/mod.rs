//! `ledgerctl tail`: what happens to all executions.

mod lines;
mod live;
mod live_screen;

use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::v1;
use prost_types::Timestamp;

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::since;
use crate::status_arg::StatusArg;
use crate::update_json;

/// Shows what happens to all executions that match.
#[derive(Args)]
#[command(after_help = format!("Examples:
  ledgerctl tail
  ledgerctl tail --prompt greet --status failed --since 1h
  ledgerctl tail --environment prod --jsonl | jq .execution_id

First those are shown that have not ended (and with --since those that changed since), then each change as it happens. All that is asked \
for must hold. On a terminal each execution is a row that is brought up to date in its place, the newest at the bottom; elsewhere each \
change is a line.

Under --json and --jsonl each line is an object with a `kind`; each `execution` is an Execution of the contract:
{}", update_json::TAIL_LINES))]
pub(crate) struct TailArgs {
    /// Only executions of this prompt
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Only executions of this environment, such as dev, staging or prod
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only changes from or to this state; may be given several times
    #[arg(long, value_name = "STATE", value_enum)]
    status: Vec<StatusArg>,
    /// Only executions that their callers gave this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Begin with what changed since then: 30s, 10m, 2h or 7d ago, or a moment, as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<Timestamp>,
}

impl TailArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let json = output.format != AnswerFormat::Text;
        let mut tail = connection.client.tail(self.filter());
        if live_screen::fits(output) {
            return live_screen::show(tail, connection, output).await;
        }
        while let Some(update) = tail.next().await {
            let update = update.map_err(|error| CommandError::watch(&error, &connection.server))?;
            if json {
                update_json::tail(&update).map_or(Ok(()), |line| output.json_line(&line))?;
            } else {
                lines::told(&update).map_or(Ok(()), |line| output.line(&line))?;
            }
        }
        Err(CommandError::refused("the tail ended; run this again"))
    }

    fn filter(self) -> v1::WatchExecutionsRequest {
        v1::WatchExecutionsRequest {
            prompt_name: self.prompt.unwrap_or_default(),
            environment: self.environment.unwrap_or_default(),
            correlation_id: self.correlation_id.unwrap_or_default(),
            statuses: self.status.into_iter().map(|status| status.in_the_contract().into()).collect(),
            since: self.since,
            view: v1::ExecutionView::Basic.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_become_the_filter() {
        let tail = TailArgs {
            prompt: Some("greet".into()),
            environment: Some("prod".into()),
            status: vec![
                StatusArg::Queued,
                StatusArg::Running,
                StatusArg::Succeeded,
                StatusArg::Failed,
                StatusArg::Canceled,
            ],
            correlation_id: Some("order-1".into()),
            since: Some(Timestamp::default()),
        };
        let filter = tail.filter();
        assert_eq!(filter.statuses, [1, 2, 3, 4, 5]);
        assert_eq!((&*filter.prompt_name, &*filter.environment, &*filter.correlation_id), ("greet", "prod", "order-1"));
        assert_eq!(filter.since, Some(Timestamp::default()));
    }
}
