//! Ends streams early: when their key is revoked, or the server drains.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Response;
use http_body::Frame;
use prompt_ledger_domain::{Error, Reason};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::answers::AnswerForm;

/// Ends the stream of a response with `error`, between two messages, once it resolves. The stream is dropped then, as
/// when the caller hangs up.
pub(crate) fn ends_with(
    error: impl Future<Output = Error> + Send + 'static,
    form: &AnswerForm,
    response: Response<Body>,
) -> Response<Body> {
    let end = form.ended;
    response.map(|stream| Body::new(EarlyEnd { stream: Some(stream), error: Box::pin(error), end }))
}

/// Resolves to KEY_INVALID once the token of a key fires.
pub(crate) async fn revoked(key: CancellationToken) -> Error {
    key.cancelled_owned().await;
    let message = "the API key of this call was revoked; `prompt-ledger keys create` makes another one";
    Error::new(Reason::KeyInvalid, message)
}

struct EarlyEnd {
    /// Absent once it has ended.
    stream: Option<Body>,
    error: BoxFuture<'static, Error>,
    end: fn(Error) -> Result<Frame<Bytes>, Status>,
}

impl http_body::Body for EarlyEnd {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if let Poll::Ready(error) = this.error.as_mut().poll(cx) {
            this.stream = None;
            return Poll::Ready(Some((this.end)(error)));
        }
        Pin::new(stream).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use http_body_util::StreamBody;
    use tonic_types::StatusExt as _;

    use crate::grpc::status::FORM;

    #[tokio::test]
    async fn a_stream_goes_on_until_its_key_is_revoked_and_what_feeds_it_is_dropped_then() {
        let (feed, fed) = futures::channel::mpsc::unbounded::<Result<Frame<Bytes>, Status>>();
        let key = CancellationToken::new();
        let response = ends_with(super::revoked(key.clone()), &FORM, Response::new(Body::new(StreamBody::new(fed))));
        let mut body = response.into_body();
        feed.unbounded_send(Ok(Frame::data(Bytes::from_static(b"one")))).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        let waiting = async move {
            let ended = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
            (ended, body.frame().await.is_none())
        };
        // Polled in this order: the key is revoked while the stream is waited for.
        let ((ended, is_over), ()) = futures::join!(waiting, async { key.cancel() });
        let status = Status::from_header_map(&ended).unwrap();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert_eq!(status.get_details_error_info().unwrap().reason, "KEY_INVALID");
        assert!(is_over && feed.is_closed());
    }
}
