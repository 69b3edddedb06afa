//! Repeats a write until the store has answered it. The fence makes that harmless: where another process has ended the
//! attempt by then, nothing is written.

use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_observe::executions;
use prompt_ledger_store::Fence;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pauses between tries: each is twice the one before, up to the longest, less up to half of it at random.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const REPEAT_FOR: Duration = Duration::from_secs(600);

/// Repeats a write of this attempt while its failure may pass, for at most ten minutes or until `stop`. A write that is
/// given up is logged with its execution's id.
pub(crate) async fn until_written<T, F>(fence: Fence, stop: &CancellationToken, write: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (began, mut tries, mut pause) = (Instant::now(), 0_u32, FIRST_PAUSE);
    let mut waits = None;
    loop {
        tries += 1;
        let error = match stop.run_until_cancelled(write()).await {
            Some(Ok(written)) => {
                if tries > 1 {
                    tracing::info!(execution_id = %fence.id, tries, took = ?began.elapsed(), "written at last");
                }
                return Ok(written);
            }
            Some(Err(error)) => error,
            None => Error::new(Reason::StoreUnavailable, "the process ended before the store answered"),
        };
        let cause = chain(&error);
        let may_pass = error.parts().retry_after.is_some() && began.elapsed() + pause < REPEAT_FOR;
        let next = tokio::time::sleep(pause.mul_f64(1.0 - prompt_ledger_runtime::jitter() / 2.0));
        if may_pass && tries == 1 {
            waits = Some(executions::unwritten());
            tracing::warn!(execution_id = %fence.id, attempt = fence.attempt, cause, "not written yet; it is repeated");
        }
        if !may_pass || stop.run_until_cancelled(next).await.is_none() {
            let took = began.elapsed();
            executions::result_lost();
            tracing::error!(execution_id = %fence.id, attempt = fence.attempt, tries, ?took, error = cause,
                "lost: how this attempt ended could not be recorded");
            drop(waits);
            return Err(error);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use prompt_ledger_domain::ids::ExecutionId;

    use super::*;

    /// The times at which a write is tried that fails `fails` times.
    async fn tries(stop: &CancellationToken, failure: impl Fn() -> Error, fails: usize) -> (Vec<Duration>, Result<()>) {
        let (began, made) = (Instant::now(), RefCell::new(Vec::new()));
        let fence = Fence { id: ExecutionId(prompt_ledger_runtime::new_id()), attempt: 1 };
        let written = until_written(fence, stop, || async {
            made.borrow_mut().push(began.elapsed());
            if made.borrow().len() <= fails { Err(failure()) } else { Ok(()) }
        })
        .await;
        (made.into_inner(), written)
    }

    fn unavailable() -> Error {
        Error::new(Reason::StoreUnavailable, "not now").retry_after(Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_repeated_a_tenth_of_a_second_to_two_apart_until_it_goes_well() {
        let (made, written) = tries(&CancellationToken::new(), unavailable, 100).await;
        assert!(written.is_ok() && made.len() == 101);
        let pauses: Vec<_> = made.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let bounds = Duration::from_millis(99)..Duration::from_millis(2_002);
        assert!(pauses.iter().all(|pause| bounds.contains(pause)), "{pauses:?}");
        assert!(pauses[0] < Duration::from_millis(202) && pauses[50] > Duration::from_millis(998), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_given_up_after_ten_minutes() {
        let (made, written) = tries(&CancellationToken::new(), unavailable, usize::MAX).await;
        assert_eq!(written.unwrap_err().reason(), Reason::StoreUnavailable);
        let last = made.last().unwrap();
        assert!((Duration::from_secs(590)..REPEAT_FOR).contains(last), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_the_database_that_may_pass_is_repeated_and_a_value_that_it_refuses_is_not() {
        let odd = || Error::internal("an odd failure").retry_after(Duration::from_secs(1));
        assert!(tries(&CancellationToken::new(), odd, 3).await.1.is_ok());
        let (made, written) = tries(&CancellationToken::new(), || Error::internal("a value"), 3).await;
        assert_eq!((made.len(), written.unwrap_err().reason()), (1, Reason::Internal));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_drain_ends_it_in_a_try_or_between_two() {
        let stop = CancellationToken::new();
        let ending = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            ending.cancel();
        });
        let began = Instant::now();
        let (_, written) = tries(&stop, unavailable, usize::MAX).await;
        assert!(written.is_err() && began.elapsed() < Duration::from_secs(31));
        let fence = Fence { id: ExecutionId(prompt_ledger_runtime::new_id()), attempt: 1 };
        let hangs = until_written(fence, &stop, std::future::pending::<Result<()>>).await;
        assert_eq!(hangs.unwrap_err().reason(), Reason::StoreUnavailable);
    }
}
