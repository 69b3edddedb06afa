//! What an execution reads as once it was put into the queue, or has ended within its call: put together from what was
//! written, so that no answer waits for the store to say it again.

use prompt_ledger_domain::execution::{Attempt, Event, Execution, ExecutionMode, ExecutionTexts, Status};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_engine::RecordedEnd;
use prompt_ledger_store::{Finish, NewExecution};

/// What an execution is from its beginning.
pub(super) struct Begun {
    new: NewExecution,
    prompt: Prompt,
    version_number: i32,
    checksum: String,
}

impl Begun {
    pub(super) fn new(new: &NewExecution, prompt: &Prompt, version: &Version) -> Self {
        Self {
            new: new.clone(),
            prompt: prompt.clone(),
            version_number: version.number,
            checksum: version.checksum.clone(),
        }
    }

    /// As GetExecution answers it; nothing where that takes more than its first event and its only attempt's end. A wish to
    /// cancel that came after that end was sent is not in it.
    pub(super) fn ended(self, first: Event, ending: RecordedEnd, worker: &str) -> Option<Execution> {
        let RecordedEnd { finish, event } = ending;
        if event.sequence != first.sequence + 1 || event.attempt != first.attempt || finish.status == Status::Canceled {
            return None;
        }
        let Finish { status, ended, response, response_truncated, finish_reason, failure, cost_nano_usd } = finish;
        let latency_ms = ended.latency_ms();
        let attempt = Attempt {
            number: event.attempt,
            worker: worker.to_owned(),
            started_at: first.at,
            ended_at: event.at,
            error_type: ended.error_type,
            error_message: ended.error_message,
            provider_request_id: ended.provider_request_id.clone(),
            usage: ended.usage,
            latency_ms,
        };
        let begun = self.recorded(first, ExecutionMode::Sync);
        Some(Execution {
            status,
            usage: ended.usage,
            latency_ms,
            cost_nano_usd,
            attempts: event.attempt,
            attempt_log: vec![attempt],
            failure,
            finish_reason,
            provider_request_id: ended.provider_request_id,
            response_truncated,
            started_at: Some(first.at),
            completed_at: Some(event.at),
            texts: begun.texts.map(|texts| ExecutionTexts { response, ..texts }),
            ..begun
        })
    }

    /// As GetExecution answers it while it waits for its first attempt.
    pub(super) fn queued(self, first: Event) -> Execution {
        self.recorded(first, ExecutionMode::Async)
    }

    /// As it stands with its first event.
    fn recorded(self, first: Event, mode: ExecutionMode) -> Execution {
        let Self { new, prompt, version_number, checksum } = self;
        Execution {
            id: new.id,
            project: prompt.project,
            prompt_id: prompt.id,
            prompt_name: prompt.name,
            prompt_mode: prompt.mode,
            version_id: new.version_id,
            version_number,
            checksum,
            mode,
            status: first.to,
            environment: new.environment,
            model: new.model,
            params: new.params,
            usage: Usage::default(),
            latency_ms: None,
            cost_nano_usd: None,
            price_id: new.price_id,
            attempts: first.attempt,
            attempt_log: Vec::new(),
            failure: None,
            finish_reason: None,
            provider_request_id: String::new(),
            prompt_truncated: new.prompt_truncated,
            response_truncated: false,
            correlation_id: new.correlation_id,
            idempotency_key: new.key.map(|key| key.key).unwrap_or_default(),
            timeout: new.timeout,
            expire_at: new.expire_after.map(|after| first.at.after(after)),
            max_retries: new.max_retries,
            cancel_requested_at: None,
            cancel_reason: String::new(),
            created_at: first.at,
            started_at: None,
            completed_at: None,
            texts: Some(ExecutionTexts { input: new.input, variables: new.variables, response: String::new() }),
        }
    }
}
