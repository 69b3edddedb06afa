//! Responses that wait for their callers, bounded in bytes per key and per process: a caller that reads nothing keeps
//! what it asked for in this server's memory, for as long as its connection lives.
//!
//! A response takes its room (a share of the bytes) once it is complete, and is handed over in pieces, each of which
//! gives its room back as the connection takes it. A connection holds one piece per call, which is no more than a call
//! takes anyway, so a response that fits into one piece takes no room and never waits. One that finds no room waits
//! for it, with a turn, of which there are few: large reads take their turn before they begin, other calls when they
//! find no room.
//!
//! Streams about prompts have large messages that many read at once. They take room for each before it is made, of a part
//! that is theirs (`Answers::message_room`), and wait for it. Who keeps others waiting must read: a message of which nothing
//! is taken for a second is dropped then, with its stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};
use prompt_ledger_domain::{Error, Reason, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::answering::Answering;
use super::shares::{Exhausted, Share, Shares};

/// The most bytes that the responses of one key may take, and those of all keys.
const BYTES: (usize, usize) = (64 * 1024 * 1024, 256 * 1024 * 1024);
/// How many large responses may be in the making or without room, of one key and of all keys.
const TURNS: (usize, usize) = (16, 64);
/// The most bytes of messages that take their room before they are made, of one key and of all keys. Half of [`BYTES`], since
/// each is counted there twice while it is sent.
const MESSAGES: (usize, usize) = (16 * 1024 * 1024, 64 * 1024 * 1024);
/// How long a call waits for its turn, and a response for room.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// Retry delay of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The rest of a response is dropped after this long without a piece taken.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// The same, for a message whose room others wait for.
const STALL_LIMIT_IN_SHORTAGE: Duration = Duration::from_secs(1);
/// The least rate at which a response must be taken, in bytes per second over the whole, once [`STALL_LIMIT`] has
/// passed. What is not taken by then is dropped as well.
const LEAST_RATE: usize = 64 * 1024;
/// How often stalled responses are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same, while others wait for room of messages.
const POLL_INTERVAL_IN_SHORTAGE: Duration = Duration::from_millis(100);
/// Bytes that are handed to a connection at once.
const PIECE_BYTES: usize = 4 * 1024;

/// An execution's id, in the extensions of the response about it: where the response is dropped, the error names the
/// execution.
#[derive(Clone, Debug)]
pub(crate) struct Told(pub(crate) String);

/// In the extensions of a stream's response: its messages have taken [`Answers::message_room`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomTaken;

/// How a front door tells an error in place of a response, or at the end of one that is under way.
#[derive(Debug)]
pub struct AnswerForm {
    /// The whole response of a refused call.
    pub refused: fn(Error) -> Response<Body>,
    /// The end of a unary response, or of a stream, within a message of which a part was sent.
    pub cut: fn(Error) -> Result<Frame<Bytes>, Status>,
    /// The end of a stream between two messages.
    pub ended: fn(Error) -> Result<Frame<Bytes>, Status>,
}

/// The responses of a server that were not taken yet. Clones share them.
#[derive(Clone)]
pub struct Answers {
    bytes: Arc<Shares<u64>>,
    turns: Arc<Shares<u64>>,
    messages: Arc<Shares<u64>>,
    waiting: Arc<Mutex<Vec<Weak<Mutex<Pieces>>>>>,
    /// Those that a drain waits for.
    pub(crate) answering: Answering,
    form: &'static AnswerForm,
}

/// The right to hold a response that has no room yet; absent where the call takes none before its response is there. The
/// call finds a clone of it among the request's extensions.
#[derive(Clone, Default)]
pub(crate) struct Turn(Option<Arc<HeldTurn>>);

struct HeldTurn {
    turns: Arc<Shares<u64>>,
    key: u64,
    /// Absent while the call waits for something else.
    share: Mutex<Option<Share<u64>>>,
}

impl Turn {
    /// Waits for something else, and gives the turn to others meanwhile: OVERLOADED where it does not come again within
    /// [`ROOM_WAIT`].
    pub(crate) async fn given_away<T>(&self, wait: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(held) = &self.0 else { return wait.await };
        drop(lock(&held.share).take());
        let done = wait.await?;
        let share = held.turns.take(held.key, 1, Instant::now() + ROOM_WAIT).await;
        *lock(&held.share) = Some(share.map_err(|exhausted| overloaded(exhausted, None))?);
        Ok(done)
    }
}

impl Answers {
    /// Those of a front door.
    #[must_use]
    pub fn new(form: &'static AnswerForm) -> Self {
        Self::limited(BYTES, TURNS, form)
    }

    fn limited(bytes: (usize, usize), turns: (usize, usize), form: &'static AnswerForm) -> Self {
        let (bytes, turns) = (Shares::new(bytes.0, bytes.1), Shares::new(turns.0, turns.1));
        let messages = Shares::new(MESSAGES.0, MESSAGES.1);
        Self { bytes, turns, messages, waiting: Arc::default(), answering: Answering::default(), form }
    }

    /// The room of messages that take it before they are made, by key. Their responses have [`RoomTaken`], and give it back
    /// once the message was taken or its stream has ended.
    #[must_use]
    pub(crate) fn message_room(&self) -> Arc<Shares<u64>> {
        Arc::clone(&self.messages)
    }

    #[must_use]
    pub(crate) fn form(&self) -> &'static AnswerForm {
        self.form
    }

    /// The same, with the same limits on all together, for another front door.
    #[must_use]
    pub fn shared_with(&self, form: &'static AnswerForm) -> Self {
        Self { form, ..self.clone() }
    }

    /// Waits for the turn of a large read, whose response is a page or has an execution with its texts: OVERLOADED where
    /// it does not come within [`ROOM_WAIT`]. No other call waits.
    pub(crate) async fn begin(&self, key: u64, is_large_read: bool) -> Result<Turn> {
        if !is_large_read {
            return Ok(Turn(None));
        }
        match self.turns.take(key, 1, Instant::now() + ROOM_WAIT).await {
            Ok(share) => {
                let (turns, share) = (Arc::clone(&self.turns), Mutex::new(Some(share)));
                Ok(Turn(Some(Arc::new(HeldTurn { turns, key, share }))))
            }
            Err(exhausted) => Err(overloaded(exhausted, None)),
        }
    }

    /// Reads a unary response, which is complete, to its end, and keeps it until it is sent. Without room it waits for
    /// some, if it has a turn or gets one; else it is dropped, and the caller gets OVERLOADED.
    pub(crate) async fn keep(&self, key: u64, turn: Turn, response: Response<Body>) -> Response<Body> {
        // An error is in the headers only; its body must stay absent.
        if response.body().is_end_stream() {
            return response;
        }
        let (head, body) = response.into_parts();
        let whole = match body.collect().await {
            Ok(whole) => whole,
            Err(status) => return status.into_http(),
        };
        let trailers = whole.trailers().cloned();
        let bytes = whole.to_bytes();
        let trailers = std::future::ready(trailers.map(Ok));
        if bytes.len() <= PIECE_BYTES {
            let body = Full::new(bytes).with_trailers(trailers);
            return Response::from_parts(head, Body::new(body.map_err(|never| match never {})));
        }
        match self.room(key, turn, bytes.len()).await {
            Ok(room) => {
                let rest = Full::new(Bytes::new()).with_trailers(trailers).map_err(|never| match never {});
                let next = Next::Pieces(self.pieces(&bytes, room, None, Body::new(rest)));
                Response::from_parts(head, Body::new(Sending { answers: self.clone(), key, room_taken: false, next }))
            }
            Err(exhausted) => {
                drop(bytes);
                (self.form.refused)(overloaded(exhausted, head.extensions.get()))
            }
        }
    }

    /// Takes room for each large message of a stream as it comes. One that finds none ends the stream: OVERLOADED.
    pub(crate) fn keep_stream(&self, key: u64, response: Response<Body>) -> Response<Body> {
        if response.body().is_end_stream() {
            return response;
        }
        let room_taken = response.extensions().get::<RoomTaken>().is_some();
        response.map(|rest| Body::new(Sending { answers: self.clone(), key, room_taken, next: Next::Rest(rest) }))
    }

    async fn room(&self, key: u64, Turn(turn): Turn, bytes: usize) -> Result<Share<u64>, Exhausted> {
        if let Ok(room) = self.bytes.try_take(key, bytes) {
            return Ok(room);
        }
        let _turn = match turn.and_then(|held| lock(&held.share).take()) {
            Some(turn) => turn,
            None => self.turns.try_take(key, 1)?,
        };
        self.bytes.take(key, bytes, Instant::now() + ROOM_WAIT).await
    }

    /// Divides the bytes into pieces, each an allocation of its own, so that a piece is freed once it was taken.
    /// `gives_way` is the key in whose [`Self::message_room`] they are.
    fn pieces(&self, bytes: &[u8], room: Share<u64>, gives_way: Option<u64>, rest: Body) -> Arc<Mutex<Pieces>> {
        let left = bytes.chunks(PIECE_BYTES).map(Bytes::copy_from_slice).collect();
        let now = Instant::now();
        let until = now + STALL_LIMIT + Duration::from_millis((bytes.len() * 1_000 / LEAST_RATE) as u64);
        let pieces = Arc::new(Mutex::new(Pieces { left, room, taken: now, until, gives_way, rest: Some(rest) }));
        lock(&self.waiting).push(Arc::downgrade(&pieces));
        pieces
    }

    /// Drops the responses that are not taken in time, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let look = async {
            loop {
                let is_short = tokio::time::timeout(POLL_INTERVAL, self.messages.shortage()).await.is_ok();
                self.drop_late();
                if is_short {
                    tokio::time::sleep(POLL_INTERVAL_IN_SHORTAGE).await;
                }
            }
        };
        stop.run_until_cancelled(look).await;
    }

    fn drop_late(&self) {
        let is_awaited = |pieces: &Mutex<Pieces>| lock(pieces).is_awaited(&self.messages);
        // What is dropped with the last piece may give room back.
        lock(&self.waiting).retain(|waiting| waiting.upgrade().is_some_and(|pieces| is_awaited(&pieces)));
    }
}

/// The pieces of a response, or of a stream's message, that were not taken yet.
struct Pieces {
    left: VecDeque<Bytes>,
    room: Share<u64>,
    /// When the last piece was taken; before the first, when the pieces were made.
    taken: Instant,
    /// When the last piece must have been taken.
    until: Instant,
    /// The key in whose room for messages they are; absent where they are not.
    gives_way: Option<u64>,
    /// What follows the pieces; absent once they were dropped.
    rest: Option<Body>,
}

impl Pieces {
    fn take(&mut self) -> Option<Bytes> {
        let piece = self.left.pop_front()?;
        self.taken = Instant::now();
        self.room.give_back(piece.len());
        Some(piece)
    }

    /// Whether pieces are left. Those of a response that is too late are dropped, with the stream behind them, as when
    /// the caller hangs up.
    fn is_awaited(&mut self, messages: &Shares<u64>) -> bool {
        let limit = match self.gives_way.is_some_and(|key| messages.is_short(key)) {
            true => STALL_LIMIT_IN_SHORTAGE,
            false => STALL_LIMIT,
        };
        let is_late = self.taken.elapsed() >= limit || Instant::now() >= self.until;
        if is_late && !self.left.is_empty() {
            self.left = VecDeque::new();
            self.rest = None;
            self.room.give_back(usize::MAX);
        }
        !self.left.is_empty()
    }
}

/// The body of a response that takes room.
struct Sending {
    answers: Answers,
    key: u64,
    /// It is a stream whose messages have taken their room.
    room_taken: bool,
    next: Next,
}

enum Next {
    Pieces(Arc<Mutex<Pieces>>),
    Rest(Body),
    Nothing,
}

impl Sending {
    /// Ends the response early.
    fn ends(&mut self, end: Result<Frame<Bytes>, Status>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.next = Next::Nothing;
        Poll::Ready(Some(end))
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.next, Next::Nothing) {
                Next::Pieces(pieces) => {
                    let mut left = lock(&pieces);
                    if let Some(piece) = left.take() {
                        drop(left);
                        this.next = Next::Pieces(pieces);
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                    match left.rest.take() {
                        Some(rest) => this.next = Next::Rest(rest),
                        None => return this.ends((this.answers.form.cut)(not_read())),
                    }
                }
                Next::Rest(mut rest) => {
                    let polled = Pin::new(&mut rest).poll_frame(cx);
                    let large = match &polled {
                        Poll::Ready(Some(Ok(frame))) => frame.data_ref().filter(|data| data.len() > PIECE_BYTES),
                        _ => None,
                    };
                    let Some(data) = large else {
                        this.next = Next::Rest(rest);
                        return polled;
                    };
                    // The encoder of a stream keeps its buffer of the same size, beside the pieces.
                    match this.answers.bytes.try_take(this.key, 2 * data.len()) {
                        Ok(room) => {
                            let gives_way = this.room_taken.then_some(this.key);
                            this.next = Next::Pieces(this.answers.pieces(data, room, gives_way, rest));
                        }
                        Err(exhausted) => return this.ends((this.answers.form.ended)(overloaded(exhausted, None))),
                    }
                }
                Next::Nothing => return Poll::Ready(None),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn overloaded(exhausted: Exhausted, told: Option<&Told>) -> Error {
    let whose = match exhausted {
        Exhausted::Each => "this key",
        Exhausted::All => "all keys",
    };
    let mut message = format!(
        "the answers to {whose} that are made or wait to be read are as many, or as large, as they may be; read them, or \
         ask for less at once, and try again"
    );
    if told.is_some() {
        message.push_str("; the execution is recorded and can be read by its id");
    }
    let error = Error::new(Reason::Overloaded, message).retry_after(RETRY_AFTER);
    match told {
        Some(Told(execution_id)) => error.of_execution(execution_id.clone()),
        None => error,
    }
}

fn not_read() -> Error {
    let message = format!(
        "nothing of the answer was read for {} s, or for {} s while others waited for its room, or less than {} KiB/s of it; \
         call again, and read faster",
        STALL_LIMIT.as_secs(),
        STALL_LIMIT_IN_SHORTAGE.as_secs(),
        LEAST_RATE / 1024
    );
    Error::new(Reason::SlowConsumer, message)
}

#[cfg(test)]
mod tests;
