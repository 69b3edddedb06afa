//! Counts the answers that are on their way to their callers: a drain waits for them last, since their calls were paid for.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The answers that were not taken yet. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answering(TaskTracker);

impl Answering {
    /// Counts an answer until its connection has taken all of it, or its caller is gone.
    pub(crate) fn counted<B>(&self, answer: Response<B>) -> Response<AwaitedBody<B>> {
        answer.map(|body| AwaitedBody { body, _counted: self.0.token() })
    }

    /// Waits until none is left.
    pub(crate) async fn taken(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

/// The body of an answer that is counted; a connection drops it with the last piece.
pub(crate) struct AwaitedBody<B> {
    body: B,
    _counted: TaskTrackerToken,
}

impl<B: Body + Unpin> Body for AwaitedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};

    #[tokio::test]
    async fn an_answer_counts_until_its_body_is_dropped() {
        let answering = Answering::default();
        answering.taken().await;
        let answer = Response::new(Full::new(Bytes::from_static(b"all of it")));
        let mut body = answering.counted(answer).into_body();
        assert_eq!(body.size_hint().exact(), Some(9));
        let mut taken = pin!(answering.taken());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "all of it");
        assert!(body.is_end_stream() && futures::poll!(taken.as_mut()).is_pending());
        drop(body);
        taken.await;
    }
}
