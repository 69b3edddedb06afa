//! Waiting for an execution's end: register first, then read the store, then wait. A slow look at the store stands under
//! it, for an end that another process wrote.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_store::Executions;
use tokio::sync::Notify;

/// How long an announcement may be late before the store is asked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The executions that someone waits for.
#[derive(Clone, Default)]
pub struct Finished(Arc<Mutex<HashMap<ExecutionId, Arc<Notify>>>>);

impl Finished {
    /// Wakes whoever waits for this execution.
    pub fn announce(&self, id: ExecutionId) {
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            waiting.notify_waiters();
        }
    }

    /// The execution once it has ended.
    pub async fn wait(&self, store: &dyn Executions, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        let registration = Registration::new(self, id);
        loop {
            let announced = registration.notify.notified();
            tokio::pin!(announced);
            announced.as_mut().enable();
            let execution = store.get(project, id).await?;
            if execution.status.is_terminal() {
                return Ok(execution);
            }
            // Either way the store is asked again.
            let _ = tokio::time::timeout(LOOK_INTERVAL, announced).await;
        }
    }
}

/// A place among the waiting; the last one to leave takes the entry away.
struct Registration<'a> {
    finished: &'a Finished,
    id: ExecutionId,
    notify: Arc<Notify>,
}

impl<'a> Registration<'a> {
    fn new(finished: &'a Finished, id: ExecutionId) -> Self {
        let mut waiting = finished.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(waiting.entry(id).or_default());
        Self { finished, id, notify }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut waiting = self.finished.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own and ours: nobody else waits.
        if Arc::strong_count(&self.notify) == 2 {
            waiting.remove(&self.id);
        }
    }
}
