//! The named background tasks of a process. They run until they are asked to end. A task that ends or panics earlier
//! leaves the process without something that it needs: the process must then end too, and name the task.

#[cfg(debug_assertions)]
mod fault;

use std::collections::HashMap;
use std::{fmt, io};

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::thread;

/// The running tasks. Dropping this aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

/// A task that ended without being asked to.
#[derive(Debug, PartialEq, Eq)]
pub struct TaskEnded {
    pub name: &'static str,
    pub panicked: bool,
}

impl fmt::Display for TaskEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.panicked { "panicked" } else { "ended by itself" };
        write!(f, "the background task `{}` {how}; the process ends too", self.name)
    }
}

impl std::error::Error for TaskEnded {}

impl Tasks {
    /// Runs a task under this name. Must be called within a tokio runtime.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        #[cfg(debug_assertions)]
        let task = fault::inject(name, task);
        self.supervise(name, task);
    }

    /// Runs a task under this name on a thread with a runtime of its own ([`thread::spawn`]). Must be called within a
    /// tokio runtime.
    pub fn spawn_on_thread(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        #[cfg(debug_assertions)]
        let task = fault::inject(name, task);
        self.supervise(name, thread::spawn(name, task)?);
        Ok(())
    }

    fn supervise(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Resolves when a task ends; never while all of them run. Dropping the future loses nothing.
    pub async fn ended(&mut self) -> TaskEnded {
        match self.running.join_next_with_id().await {
            Some(ended) => self.name(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits until all tasks have ended, which must have been asked to; at `deadline` aborts those that are left.
    pub async fn stop(mut self, deadline: Instant) {
        let all = async { while self.running.join_next().await.is_some() {} };
        // What is left is aborted as `self` is dropped.
        let _ = tokio::time::timeout_at(deadline, all).await;
    }

    fn name(&mut self, ended: Result<(Id, ()), JoinError>) -> TaskEnded {
        let (id, panicked) = match ended {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        TaskEnded { name: self.names.remove(&id).unwrap_or_default(), panicked }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_named_while_others_run() {
        let mut tasks = Tasks::default();
        tasks.spawn("runs", std::future::pending());
        tasks.spawn("panics", async { panic!("as a test wants it") });
        assert_eq!(tasks.ended().await, TaskEnded { name: "panics", panicked: true });
        tasks.spawn("ends", async {});
        let ended = tasks.ended().await;
        assert_eq!(ended.to_string(), "the background task `ends` ended by itself; the process ends too");
        tokio::select! {
            biased;
            ended = tasks.ended() => panic!("{ended}"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn the_end_and_the_panic_of_a_task_on_its_own_thread_are_told() {
        let mut tasks = Tasks::default();
        tasks.spawn_on_thread("panics", async { panic!("as a test wants it") }).unwrap();
        assert_eq!(tasks.ended().await, TaskEnded { name: "panics", panicked: true });
        tasks.spawn_on_thread("ends", async {}).unwrap();
        assert_eq!(tasks.ended().await, TaskEnded { name: "ends", panicked: false });
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_those_that_end_and_aborts_the_others() {
        let (asked, done) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = Tasks::default();
        let (ends, finished) = (asked.clone(), done.clone());
        tasks.spawn("ends", async move {
            ends.cancelled().await;
            finished.cancel();
        });
        let never = CancellationToken::new();
        let aborted = never.clone().drop_guard();
        tasks.spawn("stays", async move {
            let _aborted = aborted;
            std::future::pending::<()>().await;
        });
        asked.cancel();
        tasks.stop(Instant::now() + Duration::from_millis(50)).await;
        assert!(done.is_cancelled());
        never.cancelled().await;
    }
}
