//! The streams about executions and prompts.

use std::pin::Pin;
use std::task::{Poll, ready};

use futures::{Stream, StreamExt as _, stream};
use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;
use tonic::Status;

use super::convert::{event, prompt_event};
use super::deadline::Deadline;
use super::status;
use crate::watch::{FilteredFeed, PromptWatch, Watch};

pub(super) type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The events of a stream as messages.
pub(super) fn messages<T: 'static>(
    events: impl Stream<Item = Result<v1::ExecutionEvent>> + Send + 'static,
    message: fn(v1::ExecutionEvent) -> T,
) -> ResponseStream<T> {
    Box::pin(events.map(move |event| event.map(message).map_err(status::status)))
}

/// The events of a watch; `held` is dropped with the stream.
pub(crate) fn about_one<H: Send + 'static>(
    watch: Watch,
    held: H,
    reused: bool,
    deadline: Option<Deadline>,
) -> impl Stream<Item = Result<v1::ExecutionEvent>> + Send + use<H> {
    let read = watch.slot().read_marker();
    let events = stream::unfold((watch, held), move |(mut watch, held)| async move {
        let next = watch.next().await?;
        let event = next.map(|next| event::message(watch.id(), next, reused));
        Some((event, (watch, held)))
    });
    marked(read, deadline, events)
}

/// The events of a feed.
pub(crate) fn about_all(
    feed: FilteredFeed,
    deadline: Option<Deadline>,
) -> impl Stream<Item = Result<v1::ExecutionEvent>> + Send {
    let read = feed.slot().read_marker();
    let events = stream::unfold(feed, |mut feed| async move {
        let next = feed.next().await?;
        Some((next.map(|next| event::feed(next, feed.now())), feed))
    });
    marked(read, deadline, events)
}

/// The messages of a watch of prompts.
pub(crate) fn about_prompts(
    watch: PromptWatch,
    deadline: Option<Deadline>,
) -> impl Stream<Item = Result<v1::WatchPromptsResponse>> + Send {
    let read = watch.slot().read_marker();
    let messages = stream::unfold(watch, |mut watch| async move {
        let next = watch.next().await?;
        Some((next.map(prompt_event::message), watch))
    });
    marked(read, deadline, messages)
}

/// Calls `read` on each poll, and ends the stream with DEADLINE_EXCEEDED at the caller's deadline.
fn marked<T, R: Fn() + Send + 'static, S: Stream<Item = Result<T>> + Send + 'static>(
    read: R,
    deadline: Option<Deadline>,
    events: S,
) -> impl Stream<Item = Result<T>> + Send + use<T, R, S> {
    let mut events = Box::pin(events);
    let mut over = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.answer_by)));
    let mut ended = false;
    stream::poll_fn(move |cx| {
        read();
        if ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = events.as_mut().poll_next(cx) {
            return Poll::Ready(event);
        }
        let Some(over) = &mut over else { return Poll::Pending };
        ready!(over.as_mut().poll(cx));
        ended = true;
        Poll::Ready(Some(Err(status::deadline_exceeded())))
    })
}
