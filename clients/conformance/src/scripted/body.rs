//! The body of an answer, piece by piece.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use http::HeaderMap;
use hyper::body::{Body, Frame};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::records::Call;

/// Lets what was sent arrive before the stream or the connection breaks. A client may drop what it has not read by then: where that
/// matters, the script has a gate.
const ARRIVAL: Duration = Duration::from_millis(300);

/// A piece of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// An encoded message.
    Message(Vec<u8>),
    /// Wait until the driver has begun so many pauses.
    Gate(usize),
    /// Wait for so long.
    Wait(Duration),
    /// The status, which ends the call.
    Status(HeaderMap),
    /// Break the stream.
    Reset,
    /// Break the connection.
    Drop,
    /// Send nothing any more.
    Hang,
}

/// The frames of an answer.
pub(super) struct ScriptedBody(BoxStream<'static, io::Result<Frame<Bytes>>>);

struct Sending {
    pieces: VecDeque<Piece>,
    call: Call,
    pauses: watch::Receiver<usize>,
    line: CancellationToken,
}

impl ScriptedBody {
    pub(super) fn new(
        pieces: VecDeque<Piece>,
        call: Call,
        pauses: watch::Receiver<usize>,
        line: CancellationToken,
    ) -> Self {
        let sending = Sending { pieces, call, pauses, line };
        Self(stream::unfold(sending, Sending::next).boxed())
    }

    /// An answer that is a status alone.
    pub(super) fn ended(status: Piece) -> Self {
        let Piece::Status(trailers) = status else { return Self(stream::empty().boxed()) };
        Self(stream::once(async { Ok(Frame::trailers(trailers)) }).boxed())
    }
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        loop {
            match self.pieces.pop_front()? {
                Piece::Message(message) => return Some((Ok(Frame::data(framed(&message))), self)),
                Piece::Gate(number) => {
                    let _ = self.pauses.wait_for(|pauses| *pauses > number).await;
                }
                Piece::Wait(time) => tokio::time::sleep(time).await,
                Piece::Status(trailers) => {
                    self.call.end();
                    return Some((Ok(Frame::trailers(trailers)), self));
                }
                Piece::Reset => {
                    tokio::time::sleep(ARRIVAL).await;
                    self.call.end();
                    return Some((Err(io::Error::other("the script says so")), self));
                }
                Piece::Drop => {
                    tokio::time::sleep(ARRIVAL).await;
                    self.call.end();
                    self.line.cancel();
                    std::future::pending::<()>().await;
                }
                Piece::Hang => std::future::pending().await,
            }
        }
    }
}

/// A message with its prefix: not compressed, its length.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_next_unpin(context)
    }
}
