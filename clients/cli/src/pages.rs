//! Lists of the contract, page after page.

use std::future::Future;
use std::time::Duration;

use futures::stream::{self, Stream, TryStreamExt as _};
use prompt_ledger_client::LedgerError;
use tonic::{Request, Response, Status};

/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

/// The entries of all pages, from that of `request` on. `ask` sends a request, `read` takes an answer's entries and the token of the next
/// page, `at` sets the token. It ends after an error.
pub(crate) fn pages<Q, A, F, T>(
    request: Q,
    ask: impl Fn(Request<Q>) -> F,
    read: fn(A) -> (Vec<T>, String),
    at: fn(&mut Q, String),
) -> impl Stream<Item = Result<T, LedgerError>>
where
    Q: Clone,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let pages = stream::try_unfold((Some(request), ask), move |(request, ask)| async move {
        let Some(mut request) = request else { return Ok::<_, LedgerError>(None) };
        let mut asking = Request::new(request.clone());
        asking.set_timeout(PAGE_WITHIN);
        let (entries, token) = read(ask(asking).await?.into_inner());
        let more = !token.is_empty();
        at(&mut request, token);
        let entries = stream::iter(entries.into_iter().map(Ok::<_, LedgerError>));
        Ok(Some((entries, (more.then_some(request), ask))))
    });
    pages.try_flatten()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    /// Reads the pages of a server with so many; the last of which is refused where `breaks`.
    async fn read(count: u32, breaks: bool) -> Vec<Result<u32, tonic::Code>> {
        let ask = |request: Request<u32>| async move {
            let page = request.into_inner();
            if breaks && page + 1 == count {
                return Err(Status::unavailable("away"));
            }
            let token = if page + 1 < count { "more" } else { "" };
            // The second page is empty.
            let entries = if page == 1 { vec![] } else { vec![page * 10, page * 10 + 1] };
            Ok(Response::new((entries, token.to_owned())))
        };
        let pages = pages(0, ask, |answer| answer, |page, _| *page += 1);
        pages.map(|entry| entry.map_err(|error| error.code)).collect().await
    }

    #[tokio::test]
    async fn all_pages_are_read_and_empty_ones_end_nothing() {
        assert_eq!(read(1, false).await, [Ok(0), Ok(1)]);
        assert_eq!(read(3, false).await, [Ok(0), Ok(1), Ok(20), Ok(21)]);
        assert_eq!(read(3, true).await, [Ok(0), Ok(1), Err(tonic::Code::Unavailable)]);
    }
}
