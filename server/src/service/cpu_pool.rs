//! CPU-bound work off the runtime: rendering, parsing and hashing of what callers send. The runtime's threads
//! meanwhile serve other calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_template::Interrupted;
use tokio::sync::{AcquireError, Semaphore};
use tokio_util::sync::CancellationToken;

/// Work on at most so many bytes runs where it is called: it takes a millisecond or two.
const INLINE_BYTES: usize = 64 * 1024;
/// How long work waits for its turn before it is refused. A caller's deadline may end the wait earlier.
const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// How long work may run once it has its turn. Bounds on bytes and steps keep any input to a tenth of this: only an
/// overloaded machine reaches it.
const RUN_LIMIT: Duration = Duration::from_secs(1);
/// Retry delay of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Called by work now and then; false asks it to end.
pub type GoOn<'a> = &'a dyn Fn() -> bool;

/// Runs work on blocking threads, on all processors but one at a time (on one where there is only one). A project may
/// use all of them while no other has work; otherwise they take turns, because a project has no more work in the queue
/// than there are processors.
///
/// Dropping the future, as a deadline or a hang-up does, removes work that waits and asks work that runs to end.
#[derive(Clone, Debug)]
pub struct CpuPool {
    turns: Arc<Semaphore>,
    processors: usize,
    /// [`RUN_LIMIT`], but in tests.
    run_limit: Duration,
    /// Permits to wait for `turns`, by project; those without a holder are removed when another project's are added.
    places: Arc<Mutex<HashMap<ProjectId, Weak<Semaphore>>>>,
}

impl Default for CpuPool {
    /// All processors of this machine but one, and at least one.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }
}

impl CpuPool {
    fn new(processors: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(processors)), processors, run_limit: RUN_LIMIT, places: Arc::default() }
    }

    /// Runs work whose cost grows no faster than its input; inline where that has at most 64 KiB.
    ///
    /// # Errors
    /// OVERLOADED where the work got no turn within 5 s, or was asked to end after 1 s.
    pub async fn run<T: Send + 'static>(
        &self,
        project: ProjectId,
        bytes: usize,
        work: impl FnOnce(GoOn<'_>) -> Result<T, Interrupted> + Send + 'static,
    ) -> Result<T> {
        match bytes {
            0..=INLINE_BYTES => work(&|| true).map_err(|Interrupted| overloaded()),
            _ => self.off_the_runtime(project, WAIT_LIMIT, work).await,
        }
    }

    /// As [`CpuPool::run`], for work on stored data: it waits for its turn as long as its caller does, and is never
    /// refused.
    pub async fn read<T: Send + 'static>(
        &self,
        project: ProjectId,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        match bytes {
            0..=INLINE_BYTES => Ok(work()),
            _ => self.off_the_runtime(project, Duration::MAX, |_| Ok(work())).await,
        }
    }

    /// Runs work whose size does not bound its cost: inline where it has at most 64 KiB and ends before it asks
    /// whether to go on, else from its start in the pool.
    ///
    /// # Errors
    /// As [`CpuPool::run`].
    pub async fn run_inline_if_short<T: Send + 'static>(
        &self,
        project: ProjectId,
        bytes: usize,
        work: impl Fn(GoOn<'_>) -> Result<T, Interrupted> + Send + 'static,
    ) -> Result<T> {
        if bytes <= INLINE_BYTES
            && let Ok(done) = work(&|| false)
        {
            return Ok(done);
        }
        self.off_the_runtime(project, WAIT_LIMIT, work).await
    }

    async fn off_the_runtime<T: Send + 'static>(
        &self,
        project: ProjectId,
        wait_limit: Duration,
        work: impl FnOnce(GoOn<'_>) -> Result<T, Interrupted> + Send + 'static,
    ) -> Result<T> {
        let turn = async {
            let place = self.places(project).acquire_owned().await?;
            Ok::<_, AcquireError>((place, Arc::clone(&self.turns).acquire_owned().await?))
        };
        let turn = tokio::time::timeout(wait_limit, turn).await;
        let turn = turn.map_err(|_| overloaded())?.map_err(Error::internal)?;
        let gone = CancellationToken::new();
        let _caller = gone.clone().drop_guard();
        let run_limit = self.run_limit;
        let working = tokio::task::spawn_blocking(move || {
            // Held until the work ends, also when its caller is gone.
            let _turn = turn;
            let began = Instant::now();
            work(&|| !gone.is_cancelled() && began.elapsed() < run_limit)
        });
        working.await.map_err(Error::internal)?.map_err(|Interrupted| overloaded())
    }

    fn places(&self, project: ProjectId) -> Arc<Semaphore> {
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = all.get(&project).and_then(Weak::upgrade) {
            return places;
        }
        all.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.processors));
        all.insert(project, Arc::downgrade(&places));
        places
    }
}

fn overloaded() -> Error {
    let message = "this server has no processor time for the request now; try again later";
    Error::new(Reason::Overloaded, message).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{self, ThreadId};

    use futures::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    fn project() -> ProjectId {
        ProjectId(prompt_ledger_runtime::new_id())
    }

    async fn ran_on(pool: &CpuPool, bytes: usize) -> ThreadId {
        pool.run(project(), bytes, |_| Ok(thread::current().id())).await.unwrap()
    }

    /// Work that runs until it is asked to end.
    fn endless(go_on: GoOn<'_>) -> Result<(), Interrupted> {
        while go_on() {
            thread::yield_now();
        }
        Err(Interrupted)
    }

    #[tokio::test]
    async fn small_work_runs_here_and_large_work_elsewhere() {
        let (pool, here) = (CpuPool::default(), thread::current().id());
        assert_eq!(ran_on(&pool, INLINE_BYTES).await, here);
        assert_ne!(ran_on(&pool, INLINE_BYTES + 1).await, here);
    }

    #[tokio::test]
    async fn work_that_asks_whether_to_go_on_is_begun_again_elsewhere() {
        let here = thread::current().id();
        for (bytes, asks, begun, inline) in
            [(1, false, 1, true), (1, true, 2, false), (INLINE_BYTES + 1, false, 1, false)]
        {
            let runs = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&runs);
            let work = move |go_on: GoOn<'_>| {
                counted.fetch_add(1, Ordering::Relaxed);
                if asks && !go_on() { Err(Interrupted) } else { Ok(thread::current().id()) }
            };
            let ran = CpuPool::new(1).run_inline_if_short(project(), bytes, work).await.unwrap();
            assert_eq!((runs.load(Ordering::Relaxed), ran == here), (begun, inline), "{bytes} {asks}");
        }
    }

    #[tokio::test]
    async fn work_without_an_end_is_ended_and_refused_as_overload() {
        let refused = CpuPool::new(1).run(project(), INLINE_BYTES + 1, endless).await.unwrap_err();
        assert_eq!((refused.reason(), refused.parts().retry_after), (Reason::Overloaded, Some(RETRY_AFTER)));
    }

    #[tokio::test]
    async fn work_ends_when_its_caller_goes_away_and_the_next_has_its_turn() {
        // Nothing but its caller's leaving ends it; else the next one would get no turn.
        let pool = CpuPool { run_limit: Duration::MAX, ..CpuPool::new(1) };
        let (begun, has_begun) = oneshot::channel();
        let running = pool.run(project(), INLINE_BYTES + 1, move |go_on| {
            begun.send(()).unwrap();
            endless(go_on)
        });
        tokio::select! {
            biased;
            _ = running => panic!("it has no end"),
            begun = has_begun => begun.unwrap(),
        }
        ran_on(&pool, INLINE_BYTES + 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_gets_no_turn_in_time_is_refused() {
        let pool = CpuPool::new(1);
        let turn = Arc::clone(&pool.turns).try_acquire_owned().unwrap();
        let refused = pool.run(project(), INLINE_BYTES + 1, |_| Ok(())).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::Overloaded);
        drop(turn);
        pool.run(project(), INLINE_BYTES + 1, |_| Ok(())).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_reads_waits_as_long_as_its_caller() {
        let pool = CpuPool::new(1);
        let turn = Arc::clone(&pool.turns).try_acquire_owned().unwrap();
        let reading = pool.read(project(), INLINE_BYTES + 1, || ());
        let (read, ()) = tokio::join!(reading, async {
            tokio::time::sleep(10 * WAIT_LIMIT).await;
            drop(turn);
        });
        read.unwrap();
    }

    #[tokio::test]
    async fn another_project_does_not_wait_for_all_the_work_of_one() {
        let (pool, one, other) = (CpuPool::new(1), project(), project());
        let turn = Arc::clone(&pool.turns).try_acquire_owned().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let work = |project| {
            let order = Arc::clone(&order);
            let note = move |_: GoOn<'_>| {
                order.lock().unwrap().push(project);
                Ok(())
            };
            let pool = pool.clone();
            async move { pool.run(project, INLINE_BYTES + 1, note).await.unwrap() }
        };
        let many = join_all((0..10).map(|_| work(one)));
        // Polled in this order: all work of the one project waits before that of the other comes.
        tokio::join!(many, work(other), async { drop(turn) });
        let ran = order.lock().unwrap().iter().position(|project| *project == other).unwrap();
        assert_eq!(ran, 1, "behind the one that was in the queue");
        pool.run(other, INLINE_BYTES + 1, |_| Ok(())).await.unwrap();
        assert!(pool.places.lock().unwrap().len() <= 2);
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_turn_back() {
        let pool = CpuPool::new(1);
        let broken = pool.run(project(), INLINE_BYTES + 1, |_| -> Result<(), Interrupted> { panic!("broken") }).await;
        assert_eq!(broken.unwrap_err().reason(), Reason::Internal);
        ran_on(&pool, INLINE_BYTES + 1).await;
    }
}
