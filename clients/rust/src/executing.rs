use std::time::{Duration, SystemTime};

use prompt_ledger_proto::v1;
use tonic::Code;

use crate::calls::{Repeat, asked};
use crate::client::Client;
use crate::execution_handle::ExecutionHandle;
use crate::ledger_error::LedgerError;

/// What a provider call may take where the spec does not say.
const PROVIDER_CALL: Duration = Duration::from_secs(120);
/// What is added for everything else.
const AROUND: Duration = Duration::from_secs(10);
/// The server's delays before the first retries, unless it is configured otherwise, and before any further one.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];
const LAST_DELAY: Duration = Duration::from_secs(120);
/// The most retries that a server can be configured for.
const MOST_RETRIES: i32 = 10;

/// A finished execution.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// Whether it succeeded is its status; [`raise_for_status`](Self::raise_for_status) makes an error of any other.
    pub execution: v1::Execution,
    /// The idempotency key had begun it before.
    pub reused: bool,
}

/// An execution that ended otherwise than `SUCCEEDED`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("execution {execution_id} ended as {}: {error_type}: {error_message}", .status.as_str_name())]
pub struct ExecutionFailed {
    /// Which one.
    pub execution_id: String,
    /// `Failed` or `Canceled`.
    pub status: v1::ExecutionStatus,
    /// Such as `rate_limited`; empty where it was canceled.
    pub error_type: String,
    /// For people.
    pub error_message: String,
}

impl RunOutcome {
    /// The execution where it succeeded.
    ///
    /// # Errors
    ///
    /// Where it did not.
    pub fn raise_for_status(self) -> Result<v1::Execution, ExecutionFailed> {
        raise_for_status(self.execution)
    }
}

/// The execution where it succeeded.
///
/// # Errors
///
/// Where it did not.
pub fn raise_for_status(execution: v1::Execution) -> Result<v1::Execution, ExecutionFailed> {
    match execution.status() {
        v1::ExecutionStatus::Succeeded => Ok(execution),
        status => Err(ExecutionFailed {
            status,
            execution_id: execution.execution_id,
            error_type: execution.error_type,
            error_message: execution.error_message,
        }),
    }
}

impl Client {
    /// Executes a prompt and waits for its end. A failed execution is no error here. Without an idempotency key, hanging up
    /// aborts the paid call, and the call is made again only where nothing began; with one it is repeated while a failure
    /// may pass. The deadline is that of all attempts that the spec allows, with the delays between them, and 10 s.
    ///
    /// # Errors
    ///
    /// What keeps the execution from being recorded, or that the server cannot be reached. `Overloaded` with an
    /// [`execution_id`](LedgerError::execution_id): it was executed, and there was no room for its answer; read it by
    /// [`Client::handle`].
    pub async fn run(&self, spec: v1::ExecutionSpec) -> Result<RunOutcome, LedgerError> {
        let (limit, repeat) = (longest(&spec), Repeat::freely_if(!spec.idempotency_key.is_empty()));
        let request = v1::RunExecutionRequest { spec: Some(spec) };
        let answer = asked!(self, executions.run_execution, request, limit, repeat).await?;
        ran(answer.execution, answer.reused)
    }

    /// Queues an execution and returns a handle of it. Without an idempotency key the spec gets one of its own, which all
    /// repetitions of this call have.
    ///
    /// # Errors
    ///
    /// What keeps the execution from being recorded, or that the server cannot be reached.
    pub async fn submit(&self, mut spec: v1::ExecutionSpec) -> Result<ExecutionHandle, LedgerError> {
        if spec.idempotency_key.is_empty() {
            spec.idempotency_key = unique_key()?;
        }
        let request = v1::SubmitExecutionRequest { spec: Some(spec) };
        let answer = asked!(self, executions.submit_execution, request, self.timeout(), Repeat::Freely).await?;
        Ok(ExecutionHandle::submitted(self.clone(), answer))
    }

    /// A handle of an execution that is known by its id.
    #[must_use]
    pub fn handle(&self, execution_id: impl Into<String>) -> ExecutionHandle {
        ExecutionHandle::known(self.clone(), execution_id.into())
    }
}

pub(crate) fn ran(execution: Option<v1::Execution>, reused: bool) -> Result<RunOutcome, LedgerError> {
    let execution = execution.ok_or_else(|| LedgerError::local(Code::Internal, "the answer holds no execution"))?;
    Ok(RunOutcome { execution, reused })
}

/// The longest that a sync execution may take: what each of its attempts may, the delays between them, and a little more.
pub(crate) fn longest(spec: &v1::ExecutionSpec) -> Duration {
    let given = spec.timeout.and_then(|given| Duration::try_from(given).ok());
    let one = given.filter(|given| !given.is_zero()).unwrap_or(PROVIDER_CALL);
    let retries = u8::try_from(spec.max_retries.unwrap_or(0).clamp(0, MOST_RETRIES)).unwrap_or(0);
    let delays = RETRY_DELAYS.into_iter().chain(std::iter::repeat(LAST_DELAY));
    let delays: Duration = delays.take(retries.into()).sum();
    one.saturating_mul(u32::from(retries) + 1).saturating_add(delays).saturating_add(AROUND)
}

/// A UUIDv7.
pub(crate) fn unique_key() -> Result<String, LedgerError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut random = [0; 10];
    getrandom::fill(&mut random)
        .map_err(|error| LedgerError::local(Code::Internal, format!("no random numbers for a key: {error}")))?;
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_covers_all_attempts_and_the_delays_between_them() {
        let spec = |timeout: Option<i64>, max_retries| v1::ExecutionSpec {
            timeout: timeout.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            max_retries,
            ..v1::ExecutionSpec::default()
        };
        for (spec, seconds) in [
            (spec(None, None), 130),
            (spec(Some(2), None), 12),
            (spec(Some(2), Some(1)), 2 * 2 + 5 + 10),
            (spec(None, Some(3)), 4 * 120 + 155 + 10),
            (spec(Some(1), Some(4)), 5 + 155 + 120 + 10),
            (spec(Some(-1), Some(-1)), 130),
            (spec(Some(0), None), 130),
            (spec(Some(1), Some(300)), 11 + 5 + 30 + 8 * 120 + 10),
        ] {
            assert_eq!(longest(&spec).as_secs(), seconds, "{spec:?}");
        }
    }

    #[test]
    fn each_submitted_execution_has_a_key_of_its_own() {
        let keys = [unique_key().unwrap(), unique_key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() == 36 && key.as_bytes()[14] == b'7'), "{keys:?}");
    }

    #[test]
    fn only_what_succeeded_is_no_error() {
        let execution = |status: v1::ExecutionStatus| v1::Execution {
            execution_id: "e1".into(),
            status: status.into(),
            error_type: "rate_limited".into(),
            error_message: "slow down".into(),
            ..v1::Execution::default()
        };
        assert!(raise_for_status(execution(v1::ExecutionStatus::Succeeded)).is_ok());
        let failed = RunOutcome { execution: execution(v1::ExecutionStatus::Failed), reused: false };
        let error = failed.raise_for_status().unwrap_err();
        assert_eq!((error.status, &*error.error_type), (v1::ExecutionStatus::Failed, "rate_limited"));
        assert_eq!(error.to_string(), "execution e1 ended as EXECUTION_STATUS_FAILED: rate_limited: slow down");
    }
}
