use std::process::ExitCode;

use clap::{Args, ValueEnum};
use prompt_ledger_client::{StateChange, TailUpdate, v1};
use prost_types::Timestamp;

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::{Format, Output};
use crate::since;
use crate::update_json::{self, status};

/// Shows what happens to all executions that match.
#[derive(Args)]
#[command(
    after_help = "First those are shown that have not ended (and with --since those that changed since), then each \
change as it happens. All that is asked for must hold."
)]
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

/// Where an execution stands.
#[derive(Clone, Copy, ValueEnum)]
enum StatusArg {
    /// It waits for a worker
    Queued,
    /// The model is called
    Running,
    /// The model answered
    Succeeded,
    /// It ended without an answer
    Failed,
    /// It was canceled
    Canceled,
}

impl StatusArg {
    fn in_the_contract(self) -> v1::ExecutionStatus {
        match self {
            Self::Queued => v1::ExecutionStatus::Queued,
            Self::Running => v1::ExecutionStatus::Running,
            Self::Succeeded => v1::ExecutionStatus::Succeeded,
            Self::Failed => v1::ExecutionStatus::Failed,
            Self::Canceled => v1::ExecutionStatus::Canceled,
        }
    }
}

impl TailArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        // Fails at once where the server cannot be reached: a watch would retry.
        let request = v1::ListExecutionsRequest { page_size: 1, ..v1::ListExecutionsRequest::default() };
        connection
            .ask(request, |client, request| async move { client.executions().list_executions(request).await })
            .await?;
        let json = output.format != Format::Text;
        let mut tail = connection.client.tail(self.filter());
        while let Some(update) = tail.next().await {
            let update = update.map_err(|error| CommandError::watch(&error, &connection.server))?;
            if json {
                update_json::tail(&update).map_or(Ok(()), |line| output.json_line(&line))?;
            } else {
                told(&update).map_or(Ok(()), |line| output.line(&line))?;
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

/// The line for an update; absent where it has none.
fn told(update: &TailUpdate) -> Option<String> {
    match update {
        TailUpdate::Found { execution, .. } => {
            let at = execution.completed_at.or(execution.started_at).or(execution.created_at);
            let stands = status(execution.status());
            Some(line(at, &execution.execution_id, &stands, &execution.prompt_name, &facts(execution)))
        }
        TailUpdate::Changed { change, execution } => {
            let what = match change.from {
                v1::ExecutionStatus::Unspecified => status(change.to),
                from => format!("{} -> {}", status(from), status(change.to)),
            };
            let facts = execution.as_deref().map_or_else(|| steps(change), facts);
            Some(line(change.at, &change.execution_id, &what, &change.prompt_name, &facts))
        }
        _ => None,
    }
}

/// The parts of the line for a change that is no end.
fn steps(change: &StateChange) -> Vec<String> {
    let attempt = (change.attempt > 0).then(|| format!("attempt {}", change.attempt));
    let error = (!change.error_type.is_empty()).then(|| change.error_type.clone());
    attempt.into_iter().chain(error).collect()
}

fn line(at: Option<Timestamp>, id: &str, what: &str, prompt: &str, facts: &[String]) -> String {
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    let line = format!("{at:27}  {id}  {what:20}  {prompt}  {}", facts.join(", "));
    line.trim_end().to_owned()
}

/// The parts of the line for an ended execution.
fn facts(execution: &v1::Execution) -> Vec<String> {
    let attempts = (execution.attempts > 1).then(|| format!("{} attempts", execution.attempts));
    let latency = execution.latency_ms.map(|millis| format!("{millis} ms"));
    let error = (!execution.error_type.is_empty()).then(|| execution.error_type.clone());
    attempts.into_iter().chain(latency).chain(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::ExecutionStatus::{Failed, Queued, Running, Unspecified};

    fn changed(from: v1::ExecutionStatus, to: v1::ExecutionStatus, execution: Option<v1::Execution>) -> TailUpdate {
        let change = StateChange {
            execution_id: "e".into(),
            sequence: 1,
            at: Some(Timestamp::default()),
            from,
            to,
            attempt: 1,
            error_type: if to == Queued { "timeout".into() } else { String::new() },
            next_attempt_at: None,
            prompt_name: "greet".into(),
        };
        TailUpdate::Changed { change, execution: execution.map(Box::new) }
    }

    #[test]
    fn each_change_is_a_line_with_its_prompt() {
        let mut execution = v1::Execution {
            execution_id: "e".into(),
            prompt_name: "greet".into(),
            created_at: Some(Timestamp::default()),
            ..v1::Execution::default()
        };
        execution.set_status(Queued);
        let ended = v1::Execution {
            attempts: 2,
            latency_ms: Some(7),
            error_type: "timeout".into(),
            completed_at: Some(Timestamp::default()),
            ..execution.clone()
        };
        let found = TailUpdate::Found { sequence: 1, execution: Box::new(execution) };
        let lines: Vec<_> = [
            changed(Unspecified, Running, None),
            found,
            changed(Running, Queued, None),
            TailUpdate::Synced,
            changed(Running, Failed, Some(ended)),
            changed(Unspecified, Running, None),
        ]
        .iter()
        .filter_map(told)
        .map(|line| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "))
        .collect();
        let expected = [
            "running greet attempt 1",
            "queued greet",
            "running -> queued greet attempt 1, timeout",
            "running -> failed greet 2 attempts, 7 ms, timeout",
            "running greet attempt 1",
        ];
        assert_eq!(lines, expected);
    }

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
