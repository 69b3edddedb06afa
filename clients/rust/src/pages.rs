use std::future::Future;

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use prompt_ledger_proto::v1;

use crate::calls::{Repeat, asked};
use crate::client::Client;
use crate::ledger_error::LedgerError;

/// All entries of a list, page by page. It ends after an error.
pub type Pages<T> = BoxStream<'static, Result<T, LedgerError>>;

/// A list's call of a generated client.
macro_rules! listed {
    ($client:expr, $request:expr, $service:ident . $method:ident, $entries:ident) => {{
        let client = $client.clone();
        pages(
            $request,
            move |request| asked!(client, $service.$method, request, client.timeout(), Repeat::Freely),
            |answer| (answer.$entries, answer.next_page_token),
            |request, token| request.page_token = token,
        )
    }};
}
pub(crate) use listed;

impl Client {
    /// The executions that match, the newest first. The request's `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list_executions(&self, request: v1::ListExecutionsRequest) -> Pages<v1::Execution> {
        listed!(self, request, executions.list_executions, executions)
    }

    /// Counts, latencies and costs of executions, a row for each group and bucket. The request's `page_size` is how many are
    /// fetched at once.
    #[must_use]
    pub fn query_usage(&self, request: v1::QueryUsageRequest) -> Pages<v1::UsageRow> {
        listed!(self, request, analytics.query_usage, rows)
    }

    /// The models that are known, with their prices. The request's `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list_models(&self, request: v1::ListModelsRequest) -> Pages<v1::Model> {
        listed!(self, request, registry.list_models, models)
    }
}

/// The entries of all pages, from that of `request` on. A server that names the page which it has just answered as the next one is not
/// asked again.
pub(crate) fn pages<Q, A, F, T>(
    request: Q,
    ask: impl Fn(Q) -> F + Send + 'static,
    read: fn(A) -> (Vec<T>, String),
    at: fn(&mut Q, String),
) -> Pages<T>
where
    Q: Clone + PartialEq + Send + 'static,
    A: 'static,
    F: Future<Output = Result<A, LedgerError>> + Send + 'static,
    T: Send + 'static,
{
    let pages = stream::try_unfold((Some(request), ask), move |(request, ask)| async move {
        let Some(mut request) = request else { return Ok::<_, LedgerError>(None) };
        let (entries, token) = read(ask(request.clone()).await?);
        let (asked, is_last) = (request.clone(), token.is_empty());
        at(&mut request, token);
        let stuck = || LedgerError::local(tonic::Code::Internal, "the server answers the same page again and again");
        let end = (!is_last && request == asked).then(|| Err(stuck()));
        let next = (!is_last && end.is_none()).then_some(request);
        Ok(Some((stream::iter(entries.into_iter().map(Ok).chain(end)), (next, ask))))
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the pages of a server with so many; the last is refused where `breaks`.
    async fn read(count: u32, breaks: bool) -> Vec<Result<u32, String>> {
        let ask = move |page: u32| async move {
            if breaks && page + 1 == count {
                return Err(LedgerError::local(tonic::Code::Unavailable, "away"));
            }
            let token = if page + 1 < count { (page + 1).to_string() } else { String::new() };
            // The second page is empty.
            let entries = if page == 1 { vec![] } else { vec![page * 10, page * 10 + 1] };
            Ok((entries, token))
        };
        let entries = pages(0, ask, |answer| answer, |page, token| *page = token.parse().unwrap_or_default());
        entries.map(|entry| entry.map_err(|error| error.message)).collect().await
    }

    #[tokio::test]
    async fn all_pages_are_read_and_empty_ones_end_nothing() {
        assert_eq!(read(1, false).await, [Ok(0), Ok(1)]);
        assert_eq!(read(3, false).await, [Ok(0), Ok(1), Ok(20), Ok(21)]);
        assert_eq!(read(3, true).await, [Ok(0), Ok(1), Err("away".to_owned())]);
    }

    #[tokio::test]
    async fn a_server_that_goes_in_a_circle_is_told_and_not_followed() {
        let ask = |page: u32| async move { Ok((vec![page], 1.to_string())) };
        let entries = pages(0, ask, |answer| answer, |page, token| *page = token.parse().unwrap_or_default());
        let read: Vec<_> = entries.map(|entry| entry.map_err(|error| error.message)).collect().await;
        let stuck = Err("the server answers the same page again and again".to_owned());
        assert_eq!(read, [Ok(0), Ok(1), stuck]);
    }
}
