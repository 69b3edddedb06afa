//! Answers that wait for their callers, bounded in bytes per key and per process: a caller that reads nothing keeps what it
//! asked for in the memory of this server, for as long as its connection lives.
//!
//! Room is reserved before a call is begun, as much as its answer may need, and what the answer does not need is given
//! back once it is there. It is kept in pieces, each of which gives its room back when it has been sent. An answer of which
//! nothing is taken for 30 s is dropped, but for the piece that is being sent. Streams are not answers: they
//! have bounds of their own.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use prompt_ledger_domain::{Error, Reason, Result, limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

use super::status;

/// What the answers of one key may take, in bytes.
const KEY_BYTES: usize = 64 * 1024 * 1024;
/// What the answers of all keys may take, in bytes.
const PROCESS_BYTES: usize = 256 * 1024 * 1024;
/// How long a call waits for room before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a refused caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After this long without a piece taken an answer is dropped.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// How often stalled answers are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How much is handed to a connection at once: a frame of HTTP/2.
const PIECE_BYTES: usize = 16 * 1024;

/// What a call reserves whose answer is a page, or an execution with its texts.
const PAGE: usize = limits::PAGE_BYTES;
/// One whose answer is a version or a rendered prompt: a template or a prompt, and what stands beside it.
const TEXT: usize = limits::TEMPLATE_BYTES + 56 * 1024;
/// Any other. What executes may take long, so it reserves little; its answer is charged for when it is there.
const LITTLE: usize = 1024;

/// The room that a call to this path reserves; absent where it answers with a stream, or is not of this contract.
pub(super) fn room_of(path: &str) -> Option<usize> {
    let (_, method) = path.strip_prefix("/promptledger.v1.")?.split_once('/')?;
    Some(match method {
        "StreamCodePrompt" | "StreamExecution" | "WatchExecution" | "WatchExecutions" | "WatchPrompts" => return None,
        "GetExecution" | "GetPromptAnalytics" | "GetPromptHistory" | "ListExecutions" | "ListModels"
        | "ListPrompts" | "ListVersions" | "QueryUsage" => PAGE,
        "GetPrompt" | "GetVersion" | "RenderPrompt" => TEXT,
        _ => LITTLE,
    })
}

/// The answers of a server.
#[derive(Clone)]
pub struct Answers(Arc<Shared>);

struct Shared {
    key_bytes: usize,
    process: Arc<Semaphore>,
    /// Of each key that ever called.
    keys: Mutex<HashMap<u64, Arc<Semaphore>>>,
    waiting: Mutex<Vec<Weak<Mutex<Pieces>>>>,
}

/// Room for an answer, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    key: OwnedSemaphorePermit,
    process: OwnedSemaphorePermit,
}

impl Default for Answers {
    fn default() -> Self {
        Self::new(KEY_BYTES, PROCESS_BYTES)
    }
}

impl Answers {
    fn new(key_bytes: usize, process_bytes: usize) -> Self {
        let process = Arc::new(Semaphore::new(process_bytes));
        Self(Arc::new(Shared { key_bytes, process, keys: Mutex::default(), waiting: Mutex::default() }))
    }

    /// Room for `bytes` of an answer to this key: OVERLOADED where there is none for [`PATIENCE`]. Those who wait get it in
    /// turn.
    pub(super) async fn reserve(&self, key: u64, bytes: usize) -> Result<Room> {
        let permits = u32::try_from(bytes).map_err(Error::internal)?;
        let until = Instant::now() + PATIENCE;
        let within = |semaphore: Arc<Semaphore>| tokio::time::timeout_at(until, semaphore.acquire_many_owned(permits));
        let of_key =
            Arc::clone(lock(&self.0.keys).entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.0.key_bytes))));
        let key = within(of_key).await.map_err(|_| overloaded("this key"))?.map_err(Error::internal)?;
        let process = within(Arc::clone(&self.0.process)).await.map_err(|_| overloaded("all keys"))?;
        Ok(Room { key, process: process.map_err(Error::internal)? })
    }

    /// Reads an answer, which is there at once, to its end, and keeps it in this room until it is sent.
    pub(super) async fn keep(&self, mut room: Room, response: Response<Body>) -> Response<Body> {
        // An error is all in the head; what follows it must stay absent.
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
        room.fit(bytes.len());
        let left = room.pieces(bytes);
        // A connection takes the first piece at once, whether there is room in its window or not.
        let waits = left.len() > 1;
        let pieces = Arc::new(Mutex::new(Pieces { left, taken: Instant::now(), dropped: false }));
        if waits {
            lock(&self.0.waiting).push(Arc::downgrade(&pieces));
        }
        Response::from_parts(head, Body::new(Answer { pieces, trailers }))
    }

    /// Drops the answers that are not taken, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            lock(&self.0.waiting).retain(|waiting| {
                let Some(pieces) = waiting.upgrade() else { return false };
                let mut pieces = lock(&pieces);
                if pieces.taken.elapsed() >= STALL_LIMIT && !pieces.left.is_empty() {
                    pieces.left.clear();
                    pieces.dropped = true;
                }
                !pieces.left.is_empty()
            });
        }
    }
}

impl Room {
    /// Makes it as large as the answer: what is too much is given back. What is missing is taken as far as it is there:
    /// an answer that has been made is not thrown away.
    fn fit(&mut self, bytes: usize) {
        for permit in [&mut self.key, &mut self.process] {
            match permit.num_permits().checked_sub(bytes) {
                Some(spare) => drop(permit.split(spare)),
                None => {
                    let semaphore = Arc::clone(permit.semaphore());
                    let missing = (bytes - permit.num_permits()).min(semaphore.available_permits());
                    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
                    if let Ok(more) = semaphore.try_acquire_many_owned(missing) {
                        permit.merge(more);
                    }
                }
            }
        }
    }

    /// Divides the bytes, each piece in memory of its own and with its share of the room.
    fn pieces(mut self, bytes: Bytes) -> VecDeque<Bytes> {
        if bytes.len() <= PIECE_BYTES {
            return VecDeque::from([Bytes::from_owner(Piece { bytes, _room: Some(self) })]);
        }
        let piece = |part: &[u8]| {
            let share = |permit: &mut OwnedSemaphorePermit| permit.split(part.len().min(permit.num_permits()));
            let room = share(&mut self.key).zip(share(&mut self.process));
            let room = room.map(|(key, process)| Room { key, process });
            Bytes::from_owner(Piece { bytes: Bytes::copy_from_slice(part), _room: room })
        };
        bytes.chunks(PIECE_BYTES).map(piece).collect()
    }
}

/// A part of an answer, in its room until it has been sent.
struct Piece {
    bytes: Bytes,
    _room: Option<Room>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What of an answer was not taken yet.
struct Pieces {
    left: VecDeque<Bytes>,
    /// When the last one was taken, or the answer made.
    taken: Instant,
    /// What was left was dropped.
    dropped: bool,
}

/// An answer on its way.
struct Answer {
    pieces: Arc<Mutex<Pieces>>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut pieces = lock(&self.pieces);
        let piece = pieces.left.pop_front();
        pieces.taken = Instant::now();
        let dropped = pieces.dropped;
        drop(pieces);
        let frame = match piece {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None => self.trailers.take().map(|kept| match dropped {
                true => status::trailers(not_read()).map(Frame::trailers),
                false => Ok(Frame::trailers(kept)),
            }),
        };
        Poll::Ready(frame)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn overloaded(whose: &str) -> Error {
    let message = format!(
        "the answers to {whose} that wait to be read take as much memory as they may; read them, or ask for less at once, \
         and try again"
    );
    Error::new(Reason::Overloaded, message).retry_after(RETRY_AFTER)
}

fn not_read() -> Error {
    let message =
        format!("nothing of the answer was read for {} s; call again, and read faster", STALL_LIMIT.as_secs());
    Error::new(Reason::SlowConsumer, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use tonic_types::StatusExt as _;

    const KIB: usize = 1024;

    fn response(bytes: Vec<u8>) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = http_body_util::Full::new(Bytes::from(bytes)).with_trailers(async move { Some(Ok(trailers)) });
        Response::new(Body::new(body.map_err(|never| match never {})))
    }

    /// How much room a key and the process have left.
    fn left(answers: &Answers, key: u64) -> (usize, usize) {
        (lock(&answers.0.keys)[&key].available_permits(), answers.0.process.available_permits())
    }

    #[test]
    fn every_method_that_answers_once_reserves_room_and_no_stream_does() {
        let described = prost_types::FileDescriptorSet::decode(prompt_ledger_proto::FILE_DESCRIPTOR_SET).unwrap();
        let ours = described.file.iter().filter(|file| file.package() == "promptledger.v1");
        let mut methods = 0;
        for service in ours.flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/promptledger.v1.{}/{}", service.name(), method.name());
                assert_eq!(room_of(&path).is_none(), method.server_streaming(), "{path}");
                methods += 1;
            }
        }
        assert!(methods > 20);
        assert_eq!(room_of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), None);
    }

    #[tokio::test]
    async fn an_answer_comes_whole_and_gives_its_room_back_piece_by_piece() {
        let answers = Answers::new(1024 * KIB, 2048 * KIB);
        let bytes: Vec<u8> = (0..100 * KIB).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let room = answers.reserve(1, 512 * KIB).await.unwrap();
        assert_eq!(left(&answers, 1), (512 * KIB, 1536 * KIB));
        let mut body = answers.keep(room, response(bytes.clone())).await.into_body();
        assert_eq!(left(&answers, 1), (924 * KIB, 1948 * KIB), "what it does not need is given back");
        let mut first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(left(&answers, 1).0, 924 * KIB, "what is being sent is still there");
        let start = first.split_to(100);
        drop(first);
        assert_eq!(left(&answers, 1).0, 924 * KIB, "and so is the whole piece");
        let mut read = start.to_vec();
        drop(start);
        assert_eq!(left(&answers, 1).0, 940 * KIB);
        let rest = body.collect().await.unwrap();
        assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
        read.extend_from_slice(&bytes[100..16 * KIB]);
        read.extend_from_slice(&rest.to_bytes());
        assert!(read == bytes);
        assert_eq!(left(&answers, 1), (1024 * KIB, 2048 * KIB));
    }

    #[tokio::test]
    async fn an_error_stays_all_in_the_head_and_needs_no_room() {
        let answers = Answers::default();
        let room = answers.reserve(1, PAGE).await.unwrap();
        let refused = answers.keep(room, Status::not_found("it").into_http()).await;
        assert!(refused.headers().contains_key("grpc-status") && refused.body().is_end_stream());
        assert_eq!(left(&answers, 1), (KEY_BYTES, PROCESS_BYTES));
    }

    #[tokio::test]
    async fn an_answer_larger_than_its_room_is_charged_for_as_far_as_there_is_room_and_not_thrown_away() {
        let answers = Answers::new(100 * KIB, 2048 * KIB);
        let other = answers.reserve(1, 60 * KIB).await.unwrap();
        let room = answers.reserve(1, LITTLE).await.unwrap();
        let body = answers.keep(room, response(vec![7; 90 * KIB])).await.into_body();
        assert_eq!(left(&answers, 1), (0, (2048 - 60 - 90) * KIB));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 90 * KIB);
        drop(other);
        assert_eq!(left(&answers, 1), (100 * KIB, 2048 * KIB));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_reads_nothing_is_refused_after_a_while_and_others_go_on_until_the_process_is_full() {
        let answers = Answers::new(100 * KIB, 150 * KIB);
        let held = answers.reserve(1, 90 * KIB).await.unwrap();
        let began = Instant::now();
        let refused = answers.reserve(1, 20 * KIB).await.unwrap_err();
        assert_eq!((refused.reason(), refused.parts().retry_after), (Reason::Overloaded, Some(RETRY_AFTER)));
        assert!(refused.to_string().contains("this key") && began.elapsed() >= PATIENCE, "{refused}");
        let others = answers.reserve(2, 60 * KIB).await.unwrap();
        assert_eq!(left(&answers, 2).1, 0);
        let refused = answers.reserve(3, 1).await.unwrap_err();
        assert!(refused.to_string().contains("all keys"), "{refused}");
        let (waiting, ()) = tokio::join!(answers.reserve(1, 20 * KIB), async { drop((held, others)) });
        waiting.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_is_dropped_and_said_when_it_is_read_after_all() {
        let answers = Answers::new(1024 * KIB, 1024 * KIB);
        let running = tokio::spawn(answers.clone().run(CancellationToken::new()));
        let keep = async || {
            let room = answers.reserve(1, 64 * KIB).await.unwrap();
            answers.keep(room, response(vec![7; 64 * KIB])).await.into_body()
        };
        let (mut stalled, mut slow) = (keep().await, keep().await);
        // As a connection does whose client gives it no window.
        let held = stalled.frame().await.unwrap().unwrap().into_data().unwrap();
        for _ in 0..2 {
            tokio::time::sleep(STALL_LIMIT.mul_f64(0.7)).await;
            slow.frame().await.unwrap().unwrap().into_data().unwrap();
        }
        assert_eq!(left(&answers, 1).0, (1024 - 16 - 32) * KIB, "but for the piece that is being sent");
        drop(held);
        let ended = stalled.frame().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&ended).unwrap();
        assert_eq!(status.get_details_error_info().unwrap().reason, "SLOW_CONSUMER");
        assert!(stalled.frame().await.is_none());
        assert_eq!(slow.collect().await.unwrap().trailers().unwrap()["grpc-status"], "0");
        assert_eq!(left(&answers, 1).0, 1024 * KIB);
        running.abort();
    }
}
