//! The response streams about executions.

use std::pin::Pin;
use std::task::{Poll, ready};

use futures::{Stream, stream};
use prompt_ledger_proto::v1;
use tonic::Status;

use super::convert::event;
use super::deadline::Deadline;
use super::status;
use crate::watch::{FilteredFeed, Watch};

pub(super) type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The messages of a watch, each converted by `message`; `held` is dropped with the stream.
pub(super) fn about_one<T: 'static, H: Send + 'static>(
    watch: Watch,
    held: H,
    reused: bool,
    deadline: Option<Deadline>,
    message: fn(v1::ExecutionEvent) -> T,
) -> ResponseStream<T> {
    let read = watch.slot().read_marker();
    let events = stream::unfold((watch, held), move |(mut watch, held)| async move {
        let next = watch.next().await?;
        let event = next.map(|next| event::message(watch.id(), next, reused)).map_err(status::status);
        Some((event, (watch, held)))
    });
    marked(read, deadline, events, message)
}

/// The messages of a feed, each converted by `message`.
pub(super) fn about_all<T: 'static>(
    feed: FilteredFeed,
    deadline: Option<Deadline>,
    message: fn(v1::ExecutionEvent) -> T,
) -> ResponseStream<T> {
    let read = feed.slot().read_marker();
    let events = stream::unfold(feed, |mut feed| async move {
        let next = feed.next().await?;
        Some((next.map(event::feed).map_err(status::status), feed))
    });
    marked(read, deadline, events, message)
}

/// Calls `read` on each poll, and ends the stream with DEADLINE_EXCEEDED at the caller's deadline.
fn marked<T: 'static>(
    read: impl Fn() + Send + 'static,
    deadline: Option<Deadline>,
    events: impl Stream<Item = Result<v1::ExecutionEvent, Status>> + Send + 'static,
    message: fn(v1::ExecutionEvent) -> T,
) -> ResponseStream<T> {
    let mut events = Box::pin(events);
    let mut over = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.answer_by)));
    let mut ended = false;
    Box::pin(stream::poll_fn(move |cx| {
        read();
        if ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = events.as_mut().poll_next(cx) {
            return Poll::Ready(event.map(|event| event.map(message)));
        }
        let Some(over) = &mut over else { return Poll::Pending };
        ready!(over.as_mut().poll(cx));
        ended = true;
        Poll::Ready(Some(Err(status::status(status::deadline_exceeded()))))
    }))
}
