//! Ends executions that are past their expiry, and ends or requeues those whose lease ran out. After a start, an outage or a
//! sleep of the machine nothing expires for one lease, so that every live holder can first renew its lease or write the end
//! that it could not write. Every server sweeps; together they have the effect of one. Also forgets, once a minute, the
//! processes that told of themselves long ago.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::execution::{ErrorType, Event, Execution};
use prompt_ledger_engine::EventPublisher;
use prompt_ledger_observe::executions::{self as observe, EndedExecution};
use prompt_ledger_store::{Change, ExecutionReader, Maintenance};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often old processes are deleted.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

pub struct Sweeper {
    pub store: Arc<dyn Maintenance>,
    /// To say of what ended what it was.
    pub executions: Arc<dyn ExecutionReader>,
    pub publisher: EventPublisher,
    /// How long an execution stays with a holder that does not renew.
    pub lease: Duration,
    /// The longest time between two sweeps; a quarter of the lease where that is shorter.
    pub interval: Duration,
}

/// When expiring is allowed: not within one lease of a start, of an outage of more than half a lease, of a failure
/// to expire, or of a sleep of the machine or a step of its clock by more than half a lease, because holders may have failed
/// to renew for the same reason.
#[derive(Debug)]
struct Caution {
    lease: Duration,
    /// Both clocks at the last look. A lease of SQLite ends by the wall clock, which goes on while the machine sleeps; what
    /// renews it goes by the other one, which stands still.
    looked: (Instant, SystemTime),
    seen: Instant,
    quiet_until: Instant,
}

impl Caution {
    fn new(lease: Duration, now: Instant, wall: SystemTime) -> Self {
        Self { lease, looked: (now, wall), seen: now, quiet_until: now + lease }
    }

    /// Notes both clocks, before each sweep.
    fn looks(&mut self, now: Instant, wall: SystemTime) {
        let (last, last_wall) = std::mem::replace(&mut self.looked, (now, wall));
        let by_wall = wall.duration_since(last_wall).unwrap_or_default();
        if by_wall.saturating_sub(now.saturating_duration_since(last)) > self.lease / 2 {
            self.quiet_until = now + self.lease;
        }
    }

    /// Notes a successful read of the store.
    fn seen(&mut self, now: Instant) {
        if now.saturating_duration_since(self.seen) > self.lease / 2 {
            self.quiet_until = now + self.lease;
        }
        self.seen = now;
    }

    /// Notes that expiring failed: the store could not be read or written.
    fn failed(&mut self, now: Instant) {
        self.quiet_until = now + self.lease;
    }

    fn may_expire(&self, now: Instant) -> bool {
        now >= self.quiet_until && now.saturating_duration_since(self.seen) <= self.lease / 2
    }
}

impl Sweeper {
    pub async fn run(self, stop: CancellationToken) {
        let mut caution = Caution::new(self.lease, Instant::now(), SystemTime::now());
        let mut ticks = tokio::time::interval(self.interval.min(self.lease / 4));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut forgotten = Instant::now();
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.sweep(&mut caution).await {
                tracing::warn!(cause = chain(&error), "expired executions could not be looked for");
            }
            if forgotten.elapsed() >= FORGET_INTERVAL {
                forgotten = Instant::now();
                // The next time repeats it; what is old is not listed in between.
                if let Err(error) = self.store.forget_processes().await {
                    tracing::warn!(cause = chain(&error), "old processes could not be deleted");
                }
            }
        }
    }

    async fn sweep(&self, caution: &mut Caution) -> Result<()> {
        caution.looks(Instant::now(), SystemTime::now());
        if !caution.may_expire(Instant::now()) {
            self.store.ping().await?;
            caution.seen(Instant::now());
            return Ok(());
        }
        let changes = self.store.expire(self.lease).await.inspect_err(|_| caution.failed(Instant::now()))?;
        caution.seen(Instant::now());
        for Change { id, event } in &changes {
            tracing::warn!(execution_id = %id, from = event.from.map(tracing::field::display), to = %event.to, "its holder went away, or its time is over");
            observe::swept(event.to);
            self.publisher.changed(*id, *event);
        }
        self.note(&changes).await;
        Ok(())
    }

    /// Notes those that have ended. Their texts are not read, and those that cannot be read are noted by what is known.
    async fn note(&self, changes: &[Change]) {
        let ended = || changes.iter().filter(|change| change.event.to.is_terminal());
        let ids: Vec<_> = ended().map(|change| change.id).collect();
        if ids.is_empty() {
            return;
        }
        let read = self.executions.whole(&ids, false).await;
        let read = read.inspect_err(|error| tracing::warn!(cause = chain(error), "ended executions could not be read"));
        let read: HashMap<_, _> = read.unwrap_or_default().into_iter().map(|found| (found.id, found)).collect();
        for Change { id, event } in ended() {
            note(read.get(id), event);
        }
    }
}

/// An execution that ended by this event; absent where it could not be read.
fn note(execution: Option<&Execution>, event: &Event) {
    observe::ended(EndedExecution {
        mode: execution.map(|execution| execution.mode),
        status: event.to,
        error_type: event.error_type,
        prompt: execution.map_or("", |execution| &execution.prompt_name),
        took: execution.map(|execution| event.at.since(execution.created_at)),
    });
    let Some(execution) = execution else { return };
    macro_rules! log {
        ($level:ident) => {
            tracing::event!(
                tracing::Level::$level,
                execution_id = %execution.id,
                project = execution.project,
                prompt = execution.prompt_name,
                version = execution.version_number,
                attempt = event.attempt,
                correlation_id = Some(&execution.correlation_id).filter(|id| !id.is_empty()),
                provider = execution.model.provider,
                model = execution.model.model_name,
                status = %event.to,
                error_type = event.error_type.map(<&str>::from),
                "execution ended"
            )
        };
    }
    // As the engine says it: what expired is the caller's affair.
    match event.error_type {
        Some(ErrorType::Interrupted) => log!(WARN),
        _ => log!(INFO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_expired_for_one_lease_after_a_start_or_an_outage() {
        let (lease, start) = (Duration::from_secs(30), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut caution = Caution::new(lease, start, SystemTime::now());
        for second in [0, 10, 20, 29] {
            caution.seen(at(second));
            assert!(!caution.may_expire(at(second)));
        }
        assert!(caution.may_expire(at(30)));
        assert!(!caution.may_expire(at(45)), "too long without a successful read");
        caution.seen(at(46));
        assert!(!caution.may_expire(at(46)));
        for second in [60, 74, 76] {
            caution.seen(at(second));
        }
        assert!(caution.may_expire(at(76)));
        caution.failed(at(77));
        for second in [78, 90, 100, 106] {
            caution.seen(at(second));
            assert!(!caution.may_expire(at(second)), "reads go well; writes may not have");
        }
        assert!(caution.may_expire(at(107)));
    }

    #[test]
    fn nothing_is_expired_for_one_lease_after_the_machine_slept_or_its_clock_was_set() {
        let (lease, start, began) = (Duration::from_secs(30), Instant::now(), SystemTime::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let wall = |seconds| began + Duration::from_secs(seconds);
        let mut caution = Caution::new(lease, start, began);
        for second in [10, 20, 30] {
            caution.looks(at(second), wall(second));
            caution.seen(at(second));
        }
        assert!(caution.may_expire(at(30)));
        caution.looks(at(31), wall(91));
        assert!(!caution.may_expire(at(31)));
        for second in [32, 45, 60] {
            caution.looks(at(second), wall(second + 60));
            caution.seen(at(second));
            assert!(!caution.may_expire(at(second)));
        }
        caution.looks(at(61), wall(121));
        assert!(caution.may_expire(at(61)));
        caution.looks(at(62), wall(0));
        assert!(caution.may_expire(at(62)), "a clock that is set back makes leases longer");
    }
}
