//! Drives an execution that this process holds to its end, attempt after attempt. Provider calls run outside any
//! transaction; a change is published only after it is durable.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::execution::{CallTimeout, Event, ExecutionMode, Input, Params, Status};
use prompt_ledger_domain::ids::ClaimId;
use prompt_ledger_domain::model::{ModelRef, Price, Usage};
use prompt_ledger_domain::retry::Policy;
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_observe::executions as observe;
use prompt_ledger_observe::trace::TracedWork;
use prompt_ledger_providers::{Call, Provider, TextSink};
use prompt_ledger_runtime::telemetry::within;
use prompt_ledger_store::{Claimed, Ended, ExecutionWriter, Fence, Finish, Holder, Requeue, Subject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call_observed::{self, FirstChunk};
use crate::event_publisher::EventPublisher;
use crate::heartbeat::{Heartbeat, Lease};
use crate::outcome::{AttemptContext, End, Outcome, PartialAnswer, Stop, decide, stopped};
use crate::report;
use crate::text::{TextWriter, Texts, Untold};
use crate::write::until_written;

#[derive(Clone)]
pub struct Runner {
    pub store: Arc<dyn ExecutionWriter>,
    pub heartbeat: Heartbeat,
    pub policy: Policy,
    /// The name of this process, recorded with each attempt.
    pub worker: String,
    pub publisher: EventPublisher,
    pub texts: Texts,
    /// Fires when the drain aborts provider calls.
    pub abort: CancellationToken,
    /// Fires when the drain ends writes too: what is not recorded by then is given up.
    pub stop: CancellationToken,
}

/// A recorded, running attempt whose lease this process holds.
#[derive(Clone)]
pub struct Job {
    pub fence: Fence,
    pub subject: Subject,
    /// When it was recorded, by the store; absent for an execution that was recorded as its bounds began.
    pub created_at: Option<Timestamp>,
    /// A sync execution stays with its holder until it ends; an async one goes back into the queue between attempts.
    pub mode: ExecutionMode,
    /// Attempts that a drain handed back; they do not count against `max_retries`.
    pub handed_back: i32,
    pub input: Input,
    /// The rendered prompt was cut at its limit.
    pub prompt_truncated: bool,
    pub model: ModelRef,
    pub provider: Arc<dyn Provider>,
    /// Absent when no price is known; then the execution has no cost.
    pub price: Option<Price>,
    pub params: Params,
    /// The tools and the form of the answer.
    pub rules: AnswerRules,
    /// Applies to each call, not to the execution.
    pub timeout: CallTimeout,
    pub max_retries: i32,
    /// Sum over earlier attempts.
    pub used: Usage,
    /// Whether the text is kept in `texts` for readers while it is written.
    pub stream_text: bool,
    /// Whether the answer is asked for whole all the same: the model does not stream.
    pub whole: bool,
}

impl Job {
    #[must_use]
    pub fn claimed(claimed: Claimed, provider: Arc<dyn Provider>) -> Self {
        Self {
            fence: claimed.fence,
            subject: claimed.subject,
            created_at: Some(claimed.created_at),
            mode: ExecutionMode::Async,
            handed_back: claimed.handed_back,
            input: claimed.input,
            prompt_truncated: claimed.prompt_truncated,
            model: claimed.model,
            provider,
            price: claimed.price,
            params: claimed.params,
            rules: claimed.rules,
            timeout: claimed.timeout,
            max_retries: claimed.max_retries,
            used: claimed.used,
            stream_text: claimed.stream_text,
            whole: !claimed.model_streams,
        }
    }
}

/// What ends an execution before its answer.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// When the recording or claim was sent: the lease and `expire_after` are counted from here.
    pub sent: Instant,
    /// The end of `expire_after`; absent where there is none.
    pub expire_at: Option<Instant>,
    /// The deadline of the inline call; absent for queued executions.
    pub caller_deadline: Option<Instant>,
    /// Fires when the inline caller disconnects.
    pub hung_up: CancellationToken,
}

/// The end of an execution, as this process wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEnd {
    pub finish: Finish,
    pub event: Event,
}

impl Runner {
    /// A fresh claim id with this process's name and lease.
    #[must_use]
    pub fn holder(&self) -> Holder {
        Holder {
            worker: self.worker.clone(),
            claim_id: ClaimId(prompt_ledger_runtime::new_id()),
            lease: self.heartbeat.lease(),
        }
    }

    /// Calls the provider and records the result: an end, another attempt, or a requeue. A sync execution is retried
    /// here until it ends; an async one goes back into the queue. Must be spawned by the caller, since it has to
    /// outlive a disconnected client. Returns the end that it wrote; `None` where it wrote none (requeued, or ended by
    /// another process): then only the store knows the state.
    ///
    /// A lost lease ends calls, not writes: the result of a call is written, fenced, for as long as `until_written`
    /// repeats it, and the lease is extended meanwhile. An error has been logged already.
    pub fn run(&self, job: Job, bounds: Bounds) -> BoxFuture<'_, Result<Option<RecordedEnd>>> {
        // Boxed, since it takes 8 KB, and a task's future is copied a dozen times while it is spawned and when it ends.
        Box::pin(async move {
            let _running = observe::running(job.mode);
            let span = report::attempt_span(&job, job.fence);
            // Of an execution within its call all attempts are parts of one trace.
            within(span.context(), pin!(self.drive(job, bounds, span))).await
        })
    }

    async fn drive(&self, job: Job, bounds: Bounds, mut span: TracedWork) -> Result<Option<RecordedEnd>> {
        let mut fence = job.fence;
        let mut lease = self.heartbeat.hold(fence, bounds.sent);
        let mut used = job.used;
        loop {
            let end = match self.call(&job, fence, &bounds, &lease, &span).await {
                End::Stopped(Stop::LeaseLost, cut) if job.mode == ExecutionMode::Sync => {
                    End::Stopped(self.lost(fence).await, cut)
                }
                end => end,
            };
            if matches!(end, End::Stopped(Stop::LeaseLost, _)) {
                observe::lease_lost();
            }
            let around = AttemptContext {
                mode: job.mode,
                attempt: fence.attempt - job.handed_back,
                max_retries: job.max_retries,
                used,
                price: job.price.as_ref(),
                prompt_truncated: job.prompt_truncated,
                policy: &self.policy,
                jitter: prompt_ledger_runtime::jitter(),
                time_left: bounds.earliest().map(|(end, _)| end.saturating_duration_since(Instant::now())),
            };
            let outcome = decide(end, &around);
            report::attempt_ended(&mut span, &outcome);
            let (ended, after) = match outcome {
                Outcome::Finish(finish) => return self.finish(&job, fence, finish, bounds.sent).await,
                Outcome::Requeue(requeue) => {
                    self.requeue(&job, fence, requeue, bounds.sent).await?;
                    return Ok(None);
                }
                Outcome::Leave => {
                    tracing::warn!(execution_id = %fence.id, attempt = fence.attempt, "left: its lease was lost");
                    return Ok(None);
                }
                Outcome::Retry { ended, after } => (ended, after),
            };
            used = used.plus(ended.usage);
            let why = ended.error_type;
            let Some(sent) = self.retry(&job, fence, ended, after, bounds.sent).await? else { return Ok(None) };
            observe::retried(why);
            fence.attempt += 1;
            lease = self.heartbeat.hold(fence, sent);
            if let Err(stop) = self.unless_stopped(tokio::time::sleep(after), &bounds, &lease).await {
                let finish = stopped(stop, None, &AttemptContext { used, ..around });
                return self.finish(&job, fence, finish, bounds.sent).await;
            }
            span = report::attempt_span(&job, fence);
        }
    }

    /// Why the lease of a sync execution was lost: a recorded cancellation request, or else an expired lease.
    async fn lost(&self, fence: Fence) -> Stop {
        match self.store.canceled_of(&[fence]).await {
            Ok(canceled) if !canceled.is_empty() => Stop::Canceled,
            _ => Stop::LeaseLost,
        }
    }

    /// Starts the next attempt of a sync execution. Returns when the successful write was sent, or `None` where the
    /// execution is over. Where the answer to a write was lost, the repeat finds nothing to change, and the attempt
    /// that runs under our claim id decides. `began` is as in [`Self::finish`].
    async fn retry(
        &self,
        job: &Job,
        fence: Fence,
        ended: Ended,
        after: Duration,
        began: Instant,
    ) -> Result<Option<Instant>> {
        let (holder, first) = (self.holder(), Instant::now());
        let write = || async {
            let sent = Instant::now();
            Ok((self.store.retry(fence, ended.clone(), after, holder.clone()).await?, sent))
        };
        match until_written(fence, &self.stop, write).await? {
            (Some(event), sent) => {
                self.publisher.changed(fence.id, event);
                if event.to.is_terminal() {
                    report::settled(job, ended, event, began);
                }
                Ok((event.to == Status::Running).then_some(sent))
            }
            (None, _) => {
                let running = until_written(fence, &self.stop, || self.store.claimed(holder.claim_id)).await?;
                Ok((!running.is_empty()).then_some(first))
            }
        }
    }

    /// Puts an async execution back into the queue. Where the answer to a write was lost, the repeat changes nothing. `began`
    /// is as in [`Self::finish`].
    async fn requeue(&self, job: &Job, fence: Fence, requeue: Requeue, began: Instant) -> Result<()> {
        let write = || self.store.requeue(fence, requeue.clone());
        if let Some(event) = until_written(fence, &self.stop, write).await? {
            self.publisher.changed(fence.id, event);
            match event.to.is_terminal() {
                true => report::settled(job, requeue.ended, event, began),
                false => report::requeued(job, &requeue, event),
            }
        }
        Ok(())
    }

    /// Writes the end. The fence makes a repeated write harmless. `began` is when the recording or claim was sent.
    async fn finish(&self, job: &Job, fence: Fence, finish: Finish, began: Instant) -> Result<Option<RecordedEnd>> {
        let written = until_written(fence, &self.stop, || self.store.finish(fence, finish.clone())).await?;
        let Some(event) = written else {
            tracing::warn!(execution_id = %fence.id, attempt = fence.attempt, "ended by another");
            return Ok(None);
        };
        self.publisher.changed(fence.id, event);
        report::ended(job, &finish, event, began);
        Ok(Some(RecordedEnd { finish, event }))
    }

    async fn call(&self, job: &Job, fence: Fence, bounds: &Bounds, lease: &Lease, attempt: &TracedWork) -> End {
        let mut span = call_observed::begin(attempt, job);
        let call = Call {
            model: &job.model.model_name,
            request: ModelRequest::new(&job.input, &job.params, &job.rules),
            timeout: job.timeout,
            whole: job.whole || !job.stream_text,
            trace: span.context(),
        };
        let began = Instant::now();
        let (mut writer, mut untold) = (job.stream_text.then(|| self.texts.begin(fence, job.whole)), Untold::default());
        let telling = writer.as_ref().map(TextWriter::telling);
        let mut first_chunk = None;
        let sink: &mut dyn TextSink = match &mut writer {
            Some(writer) => writer,
            None => &mut untold,
        };
        let sink = &mut FirstChunk::new(sink, &mut first_chunk);
        let called = async {
            match telling {
                None => job.provider.call(call, Some(sink)).await,
                Some(telling) => tokio::select! {
                    biased;
                    ended = job.provider.call(call, Some(sink)) => ended,
                    never = telling => match never {},
                },
            }
        };
        let ended = self.unless_stopped(called, bounds, lease).await;
        let latency = began.elapsed();
        let (details, held) = match writer {
            Some(writer) => writer.end().await,
            None => (untold.details, untold.held),
        };
        let end = match ended {
            Ok(Ok(answer)) => End::Answered(answer),
            Ok(Err(error)) => End::Failed(error),
            Err(stop) => End::Stopped(stop, PartialAnswer { latency, details, written: held.end() }),
        };
        let first_chunk = first_chunk.filter(|_| !call.whole).map(|at| at.saturating_duration_since(began));
        call_observed::note(&mut span, job, &end, latency, first_chunk);
        end
    }

    /// Awaits `work`, or the first stop.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = T>,
        bounds: &Bounds,
        lease: &Lease,
    ) -> std::result::Result<T, Stop> {
        let clock = async {
            match bounds.earliest() {
                Some((end, stop)) => {
                    tokio::time::sleep_until(end).await;
                    stop
                }
                None => std::future::pending().await,
            }
        };
        let stops = async {
            tokio::select! {
                biased;
                () = lease.lost.cancelled() => Stop::LeaseLost,
                () = lease.cancel.cancelled() => Stop::Canceled,
                () = bounds.hung_up.cancelled() => Stop::Canceled,
                () = self.abort.cancelled() => Stop::Drained,
                stop = clock => stop,
            }
        };
        unless(stops, work).await
    }
}

/// Awaits `work`, or the first stop. Where a stop is already there, `work` is not polled at all; where both are ready
/// at once, the result of `work` is kept.
async fn unless<T>(stops: impl Future<Output = Stop>, work: impl Future<Output = T>) -> std::result::Result<T, Stop> {
    let mut stops = pin!(stops);
    if let Some(stop) = stops.as_mut().now_or_never() {
        return Err(stop);
    }
    tokio::select! {
        biased;
        done = work => Ok(done),
        stop = stops => Err(stop),
    }
}

impl Bounds {
    /// The earlier of `expire_at` and `caller_deadline`.
    fn earliest(&self) -> Option<(Instant, Stop)> {
        let expiry = self.expire_at.map(|end| (end, Stop::Expired));
        let caller = self.caller_deadline.map(|end| (end, Stop::CallerDeadline));
        expiry.into_iter().chain(caller).min_by_key(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_there_when_the_lease_ends_is_kept() {
        let (lost, (answer, answered)) = (CancellationToken::new(), oneshot::channel());
        let mut ended = pin!(unless(lost.cancelled().map(|()| Stop::LeaseLost), answered));
        assert!(futures::poll!(ended.as_mut()).is_pending());
        lost.cancel();
        answer.send(7).unwrap();
        assert_eq!(ended.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn nothing_is_begun_after_a_stop_and_what_hangs_is_ended_by_one() {
        let lost = CancellationToken::new();
        let stops = || lost.cancelled().map(|()| Stop::LeaseLost);
        let mut ended = pin!(unless(stops(), std::future::pending::<()>()));
        assert!(futures::poll!(ended.as_mut()).is_pending());
        lost.cancel();
        assert!(matches!(ended.await, Err(Stop::LeaseLost)));
        let begun = unless(stops(), async { panic!("a call was begun") });
        assert!(matches!(begun.await, Err(Stop::LeaseLost)));
    }
}
