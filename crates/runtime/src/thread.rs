//! A thread with a runtime of its own: its work goes on while every thread of the process's runtime is busy.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs `work` to its end on a new thread of this name. The returned future resolves then, and panics where `work` did.
/// Sockets that `work` opens are polled by its thread alone.
pub fn spawn(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (running, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
        // Blocking calls that `work` left behind, such as the lookup of a name, are not waited for.
        runtime.shutdown_background();
        // Who waited for the end may be gone.
        running.send(end).ok();
    })?;
    Ok(async move {
        if let Ok(Err(panic)) = ended.await {
            resume_unwind(panic);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_while_the_callers_runtime_is_blocked_and_its_end_is_told() {
        let (tick, ticks) = mpsc::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let work = async move {
            while stopped.run_until_cancelled(tokio::time::sleep(Duration::from_millis(1))).await.is_some() {
                tick.send(()).unwrap();
            }
        };
        let mut ended = Box::pin(spawn("ticks", work).unwrap());
        // Blocks the only thread of this test's runtime.
        for _ in 0..10 {
            ticks.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        tokio::select! {
            biased;
            () = &mut ended => panic!("it ended"),
            () = std::future::ready(()) => {}
        }
        stop.cancel();
        ended.await;
    }

    #[tokio::test]
    async fn a_panic_is_an_end_and_a_panic() {
        let ended = spawn("panics", async { panic!("as a test wants it") }).unwrap();
        assert!(tokio::spawn(ended).await.unwrap_err().is_panic());
    }
}
