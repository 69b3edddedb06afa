//! A thread with a runtime of its own: what runs there goes on while every thread of the process's runtime is busy.

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// Runs `work` on a new thread of this name, to its end. Answers what fires when that has come, be it by a panic. Sockets
/// that `work` opens are read by its thread alone.
pub fn spawn(name: &str, work: impl Future<Output = ()> + Send + 'static) -> std::io::Result<CancellationToken> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = guard;
        runtime.block_on(work);
    })?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

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
        let ended = spawn("ticks", work).unwrap();
        // Blocks the only thread of this test's runtime.
        for _ in 0..10 {
            ticks.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        assert!(!ended.is_cancelled());
        stop.cancel();
        ended.cancelled().await;
    }

    #[tokio::test]
    async fn a_panic_is_an_end() {
        spawn("panics", async { panic!("as a test wants it") }).unwrap().cancelled().await;
    }
}
