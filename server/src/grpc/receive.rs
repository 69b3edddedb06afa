//! Receives requests: whole, within their size, in time, and within the bytes that the server holds for requests. A
//! service is given a request only once all of it has arrived; of a stream of requests, each message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, stream};
use http::{Extensions, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use prompt_ledger_domain::{Error, Reason, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::body::Body;

use super::request_limits::{self, RequestLimits};
use super::rpcs::{Rpc, is_health};
use super::{call_note, counts, status};
use crate::front::arriving::{FIRST_BUFFER, LeasedBuffer, in_time, peer};
use crate::front::budget::{BytesLease, RequestBudget, Sender};
use crate::front::shares::{Exhausted, Share, Shares};

/// Length of a gRPC message's header: a compression flag, and the message's length in four bytes.
const HEADER: usize = 5;
/// How long a request to health may take to arrive: it needs no key, and is a few bytes.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Reflection streams that may be open at once, of one connection and of the process; callers with a key are counted
/// apart from those without. Each stream may leave its responses unread.
const REFLECTION_STREAMS: (usize, usize) = (4, 100);
/// How long a reflection stream lives, so that responses that are not read are not kept for ever.
const REFLECTION_AGE: Duration = Duration::from_secs(60);
/// Health watches that may be open at once, of one connection and of the process. They need no key, and live as long
/// as their connection.
const HEALTH_WATCHES: (usize, usize) = (16, 1_000);

/// A stream's place among those that may be open at once, given back on drop.
pub(super) type HeldPlace = Share<Option<SocketAddr>>;
type Places = Arc<Shares<Option<SocketAddr>>>;

pub struct Intake {
    budget: Arc<RequestBudget>,
    timeout: Duration,
    anonymous_reflection: Places,
    reflection: Places,
    health_watches: Places,
}

impl Intake {
    /// Takes the bytes of requests from `budget`; each request must arrive within `timeout`.
    #[must_use]
    pub fn new(budget: Arc<RequestBudget>, timeout: Duration) -> Self {
        let places = |(each, all)| Shares::new(each, all);
        Self {
            budget,
            timeout,
            anonymous_reflection: places(REFLECTION_STREAMS),
            reflection: places(REFLECTION_STREAMS),
            health_watches: places(HEALTH_WATCHES),
        }
    }

    /// The request once all of it has arrived, and the lease of the bytes that it takes, decoded too, to be held until
    /// it is answered. Its headers arrived at `arrived`.
    pub(super) async fn receive(
        &self,
        request: Request<Body>,
        rpc: &Rpc,
        sender: Sender,
        arrived: Instant,
    ) -> Result<(Request<Body>, BytesLease)> {
        let (request, messages) = self.opened(request, &rpc.limits, sender);
        let timeout = match is_health(request.uri().path()) {
            true => self.timeout.min(HEALTH_TIMEOUT),
            false => self.timeout,
        };
        let message = in_time(arrived, timeout, only(messages, &rpc.limits)).await?;
        let object = call_note::object(rpc, message.bytes.get(HEADER..).unwrap_or_default());
        let mut request = request.map(|()| Body::new(Full::new(message.bytes)));
        if let Some(object) = object {
            request.extensions_mut().insert(object);
        }
        Ok((request, message.lease))
    }

    /// Takes the place of a health watch; OVERLOADED where none is left.
    pub(super) fn health_watch(&self, request: &Request<Body>) -> Result<HeldPlace> {
        place(&self.health_watches, HEALTH_WATCHES, "watches of health", request.extensions())
    }

    /// A stream of requests, each of which must arrive within the timeout from the one before; and a future that ends
    /// with the error that must end the response, where a request does not arrive or is refused, because services do
    /// not pass that on. The future is dropped with the response.
    pub(super) fn stream(
        &self,
        request: Request<Body>,
        sender: Sender,
        arrived: Instant,
    ) -> Result<(Request<Body>, impl Future<Output = Error> + Send + use<>)> {
        let places = match sender {
            Sender::Anonymous => &self.anonymous_reflection,
            Sender::Key(_) => &self.reflection,
        };
        let place = place(places, REFLECTION_STREAMS, "reflection streams", request.extensions())?;
        let (request, messages) = self.opened(request, &request_limits::ORDINARY, sender);
        let (failed, failure) = oneshot::channel();
        let timeout = self.timeout;
        let frames = stream::unfold(Some((messages, failed, arrived)), move |state| {
            async move {
                let (mut messages, failed, since) = state?;
                match in_time(since, timeout, messages.next()).await {
                    Ok(next) => Some((Ok(Frame::data(next?.kept())), Some((messages, failed, Instant::now())))),
                    Err(error) => {
                        // Without a receiver there is no response any more.
                        let _ = failed.send(error);
                        Some((Err(status::status(status::cut_off())), None))
                    }
                }
            }
        });
        let failure = async move {
            let _place = place;
            let failure = async {
                match failure.await {
                    Ok(error) => error,
                    // The requests have ended without an error.
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::time::timeout_at(arrived + REFLECTION_AGE, failure).await.unwrap_or_else(|_| {
                let message = format!("a reflection stream ends after {REFLECTION_AGE:?}; open another one");
                Error::new(Reason::DeadlineExceeded, message)
            })
        };
        Ok((request.map(|()| Body::new(StreamBody::new(frames))), failure))
    }

    fn opened(&self, request: Request<Body>, limits: &RequestLimits, sender: Sender) -> (Request<()>, Messages) {
        let (parts, body) = request.into_parts();
        let lease = BytesLease::new(&self.budget, peer(&parts.extensions), sender);
        (Request::from_parts(parts, ()), Messages { body, rest: Bytes::new(), most: limits.bytes, lease })
    }
}

/// Takes a place; OVERLOADED where none is left.
fn place(places: &Places, (each, all): (usize, usize), of: &str, extensions: &Extensions) -> Result<HeldPlace> {
    places.try_take(peer(extensions), 1).map_err(|exhausted| {
        let (most, whose) = match exhausted {
            Exhausted::Each => (each, "this connection"),
            Exhausted::All => (all, "this server"),
        };
        let message = format!("{most} {of} of {whose} are open, which is the limit; try again");
        Error::new(Reason::Overloaded, message).retry_after(Duration::from_secs(1))
    })
}

/// Receives the only message of a body, and checks it.
async fn only(mut messages: Messages, limits: &RequestLimits) -> Result<GrpcMessage> {
    let Some(mut message) = messages.next().await? else { return Err(status::cut_off()) };
    match messages.end().now_or_never() {
        Some(ended) => ended?,
        None => {
            message = message.apart()?;
            messages.end().await?;
        }
    }
    // A compressed message is not counted: the service refuses it.
    if message.bytes.first() == Some(&0) {
        let decoded = message.bytes.len() + counts::check(&message.bytes[HEADER..], limits.counts)?;
        if decoded > FIRST_BUFFER {
            message.lease.grow_to_decoded(decoded)?;
        }
    }
    Ok(message)
}

struct GrpcMessage {
    bytes: Bytes,
    /// `bytes` is a slice of a larger buffer that was read from the connection, and keeps all of it in memory.
    shared: bool,
    lease: BytesLease,
}

impl GrpcMessage {
    /// The message in an allocation of its own, counted in the budget.
    fn apart(self) -> Result<Self> {
        if !self.shared {
            return Ok(self);
        }
        let mut buffer = LeasedBuffer::new(self.lease);
        buffer.push(&self.bytes, self.bytes.len())?;
        Ok(Self::collected(buffer))
    }

    fn collected(buffer: LeasedBuffer) -> Self {
        let (bytes, lease) = buffer.finish();
        Self { bytes, shared: false, lease }
    }

    /// The bytes of the message, whose lease ends when their last holder drops them.
    fn kept(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for GrpcMessage {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Messages {
    body: Body,
    /// Bytes that arrived after the last message.
    rest: Bytes,
    /// The most bytes of a message, without its header.
    most: usize,
    /// Holds nothing itself: each message gets another lease of the same sender.
    lease: BytesLease,
}

impl Messages {
    /// The next message; absent at the end of the body.
    async fn next(&mut self) -> Result<Option<GrpcMessage>> {
        let Some(mut piece) = self.piece().await? else { return Ok(None) };
        if let Some(size) = self.size(&piece)?
            && piece.len() >= size
        {
            self.rest = piece.split_off(size);
            return Ok(Some(GrpcMessage { bytes: piece, shared: true, lease: self.lease.another() }));
        }
        let mut buffer = LeasedBuffer::new(self.lease.another());
        loop {
            let size = self.size(buffer.bytes())?;
            if size == Some(buffer.bytes().len()) {
                self.rest = piece;
                return Ok(Some(GrpcMessage::collected(buffer)));
            }
            if piece.is_empty() {
                piece = self.piece().await?.ok_or_else(status::cut_off)?;
            }
            let size = size.unwrap_or(HEADER);
            let taken = piece.split_to(piece.len().min(size - buffer.bytes().len()));
            buffer.push(&taken, size)?;
        }
    }

    /// Waits for the end of the body; INVALID_FIELD where more bytes follow.
    async fn end(&mut self) -> Result<()> {
        match self.piece().await? {
            None => Ok(()),
            Some(_) => Err(Error::invalid("request", "goes on after its message; send one message in each call")),
        }
    }

    /// The next bytes of the body, never empty; absent at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        let mut piece = std::mem::take(&mut self.rest);
        while piece.is_empty() {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            // The connection is closed, or the caller has reset the stream.
            let frame = frame.map_err(|_| status::cut_off())?;
            piece = frame.into_data().unwrap_or_default();
        }
        Ok(Some(piece))
    }

    /// The size of the message that begins with these bytes, header included; absent where the header is not complete.
    fn size(&self, bytes: &[u8]) -> Result<Option<usize>> {
        let Some(&[_, a, b, c, d]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.most { Err(status::too_large(length, self.most)) } else { Ok(Some(HEADER + length)) }
    }
}

#[cfg(test)]
mod tests;
