#![allow(clippy::disallowed_methods, reason = "tests state what a service answers")]

use super::*;
use crate::grpc::status;
use http::HeaderMap;
use tonic_types::StatusExt as _;

const KIB: usize = 1024;
/// Whether a call is a large read.
const GET: bool = false;
const LIST: bool = true;

fn answers(key_kib: usize, process_kib: usize) -> Answers {
    Answers::limited((key_kib * KIB, process_kib * KIB), (2, 3), &status::FORM)
}

fn response(bytes: Vec<u8>) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(bytes)).with_trailers(async move { Some(Ok(trailers)) });
    Response::new(Body::new(body.map_err(|never| match never {})))
}

async fn keep(answers: &Answers, key: u64, bytes: usize) -> Response<Body> {
    answers.keep(key, Turn(None), response(vec![7; bytes])).await
}

/// The details of an error that is in the headers only.
fn refused(response: &Response<Body>) -> tonic_types::ErrorInfo {
    let status = Status::from_header_map(response.headers()).expect("it was answered");
    status.get_details_error_info().unwrap()
}

fn reason(trailers: &HeaderMap) -> String {
    Status::from_header_map(trailers).unwrap().get_details_error_info().unwrap().reason
}

/// KiB taken by the responses of this key, and of all keys.
fn taken(answers: &Answers, key: u64) -> (usize, usize) {
    let (of_key, of_all, _) = answers.bytes.state(key);
    (of_key / KIB, of_all / KIB)
}

#[tokio::test]
async fn an_answer_comes_whole_and_gives_its_room_back_piece_by_piece() {
    let answers = answers(1024, 2048);
    let bytes: Vec<u8> = (0..100 * KIB).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let mut body = answers.keep(1, Turn(None), response(bytes.clone())).await.into_body();
    assert_eq!(taken(&answers, 1), (100, 100));
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(taken(&answers, 1), (96, 96));
    let rest = body.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
    assert!([first, rest.to_bytes()].concat() == bytes);
    assert_eq!(answers.bytes.state(1), (0, 0, 0));
}

#[tokio::test]
async fn what_fits_into_a_piece_and_an_error_need_no_room_and_wait_for_nobody() {
    let answers = answers(64, 64);
    let _full = answers.bytes.try_take(1, 64 * KIB).unwrap();
    let small = keep(&answers, 1, PIECE_BYTES).await.into_body().collect().await.unwrap();
    assert_eq!(small.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(small.to_bytes().len(), PIECE_BYTES);
    let error = answers.keep(1, Turn(None), Status::not_found("it").into_http()).await;
    assert!(error.headers().contains_key("grpc-status") && error.body().is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn few_large_reads_are_under_way_and_nothing_else_waits_for_them() {
    let answers = answers(64, 64);
    let began = Instant::now();
    let held = [answers.begin(1, LIST).await.unwrap(), answers.begin(1, LIST).await.unwrap()];
    let error = answers.begin(1, LIST).await.err().unwrap();
    assert_eq!((error.reason(), error.parts().retry_after), (Reason::Overloaded, Some(RETRY_AFTER)));
    assert!(error.to_string().contains("this key") && began.elapsed() >= ROOM_WAIT, "{error}");
    let _other = answers.begin(2, LIST).await.unwrap();
    let error = answers.begin(3, LIST).await.err().unwrap();
    assert!(error.to_string().contains("all keys"), "{error}");

    let began = Instant::now();
    answers.begin(1, GET).await.unwrap();
    let kept = keep(&answers, 1, 20 * KIB).await;
    assert_eq!((kept.headers().len(), began.elapsed()), (0, Duration::ZERO));
    let (waiting, ()) = tokio::join!(answers.begin(1, LIST), async { drop(held) });
    waiting.unwrap();
}

#[tokio::test(start_paused = true)]
async fn few_answers_without_room_wait_for_it_and_the_others_are_refused_at_once() {
    let answers = answers(100, 150);
    let full = keep(&answers, 1, 90 * KIB).await;
    let began = Instant::now();
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(keep(&answers, 1, 20 * KIB))).collect();
    for waiting in &mut waiting {
        assert!(futures::poll!(waiting).is_pending());
    }
    let mut large = response(vec![7; 20 * KIB]);
    large.extensions_mut().insert(Told("an id".into()));
    let dropped = answers.keep(1, Turn(None), large).await;
    let info = refused(&dropped);
    assert_eq!((&*info.reason, &*info.metadata["execution_id"]), ("OVERLOADED", "an id"));
    assert_eq!(began.elapsed(), Duration::ZERO);

    // Makes room for one of the two that wait.
    drop(full);
    let _held = answers.bytes.try_take(1, 70 * KIB).unwrap();
    let ended = futures::future::join_all(waiting).await;
    assert!(ended[0].headers().is_empty());
    assert_eq!(refused(&ended[1]).reason, "OVERLOADED");
    assert!(began.elapsed() >= ROOM_WAIT);
    drop(ended);
    assert_eq!((taken(&answers, 1), answers.turns.state(1)), ((70, 70), (0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_dropped_and_said_when_it_is_read_after_all() {
    let answers = answers(2048, 2048);
    let running = tokio::spawn(answers.clone().run(CancellationToken::new()));
    let (stalled, slow) = (keep(&answers, 1, 64 * KIB).await, keep(&answers, 1, 1024 * KIB).await);
    let streamed = answers.keep_stream(1, response(vec![7; 64 * KIB]));
    let [mut stalled, mut slow, mut streamed] = [stalled, slow, streamed].map(Response::into_body);
    // Takes one piece and no more, as a connection without a window does.
    for stalled in [&mut stalled, &mut streamed] {
        stalled.frame().await.unwrap().unwrap().into_data().unwrap();
    }
    assert_eq!(taken(&answers, 1).0, 60 + 1024 + 124);
    for _ in 0..2 {
        tokio::time::sleep(STALL_LIMIT.mul_f64(0.7)).await;
        slow.frame().await.unwrap().unwrap().into_data().unwrap();
    }
    assert_eq!(taken(&answers, 1).0, 1024 - 8);
    for mut stalled in [stalled, streamed] {
        let ended = stalled.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(reason(&ended), "SLOW_CONSUMER");
        assert!(stalled.frame().await.is_none());
    }
    assert_eq!(slow.collect().await.unwrap().trailers().unwrap()["grpc-status"], "0");
    assert_eq!(answers.bytes.state(1), (0, 0, 0));
    running.abort();
}

#[tokio::test]
async fn a_stream_is_charged_for_its_large_messages_and_ends_where_there_is_no_room() {
    let answers = answers(200, 200);
    let stream = |sizes: [usize; 3]| {
        let frames = sizes.map(|size| Ok::<_, Status>(Frame::data(Bytes::from(vec![7; size]))));
        let stream = http_body_util::StreamBody::new(futures::stream::iter(frames));
        answers.keep_stream(1, Response::new(Body::new(stream))).into_body()
    };
    let whole = stream([10, 90 * KIB, 80 * KIB]).collect().await.unwrap();
    assert_eq!(whole.to_bytes().len(), 10 + 170 * KIB);

    let mut unread = stream([10, 90 * KIB, 1]);
    for _ in 0..2 {
        unread.frame().await.unwrap().unwrap();
    }
    assert_eq!(taken(&answers, 1), (176, 176));
    let ended = stream([10, 20 * KIB, 1]).collect().await.unwrap();
    assert_eq!(reason(ended.trailers().unwrap()), "OVERLOADED");
    assert_eq!(ended.to_bytes().len(), 10);
    drop(unread);
    assert_eq!(taken(&answers, 1), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_piece_by_piece_but_too_slowly_is_dropped() {
    let answers = answers(1024, 2048);
    let stop = CancellationToken::new();
    let running = tokio::spawn(answers.clone().run(stop.clone()));
    let began = Instant::now();
    // Ten seconds at the least rate, beside the stall limit of 30 s.
    let mut body = keep(&answers, 1, 640 * KIB).await.into_body();
    let trailers = loop {
        let frame = body.frame().await.unwrap().unwrap();
        match frame.into_trailers() {
            Ok(trailers) => break trailers,
            Err(_) => tokio::time::sleep(Duration::from_secs(9)).await,
        }
    };
    assert_eq!(reason(&trailers), "SLOW_CONSUMER");
    assert!((40..=50).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(answers.bytes.state(1), (0, 0, 0));
    stop.cancel();
    running.await.unwrap();
}

/// A form that tells a cut from an end: as HTTP has it.
static TOLD_APART: AnswerForm = AnswerForm {
    refused: |_| Response::new(Body::empty()),
    cut: |_| Err(Status::aborted("cut")),
    ended: |_| Ok(Frame::data(Bytes::from_static(b"end"))),
};

#[tokio::test(start_paused = true)]
async fn within_a_message_a_stream_is_cut_and_between_two_it_ends() {
    let answers = Answers::limited((1024 * KIB, 1024 * KIB), (2, 3), &TOLD_APART);
    let running = tokio::spawn(answers.clone().run(CancellationToken::new()));
    let message = || futures::stream::iter([Ok::<_, Status>(Frame::data(Bytes::from(vec![7; 20 * KIB])))]);
    let stream = |error: futures::channel::oneshot::Receiver<Error>| {
        let rest = futures::StreamExt::chain(message(), futures::stream::pending());
        let body = Response::new(Body::new(http_body_util::StreamBody::new(rest)));
        let ends = async move { error.await.unwrap() };
        answers.keep_stream(1, crate::front::early_end::ends_with(ends, &TOLD_APART, body)).into_body()
    };
    // Revoked within a message: the message is whole, and the end stands behind it.
    let (revokes, revoked) = futures::channel::oneshot::channel();
    let mut body = stream(revoked);
    let mut read = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    revokes.send(not_read()).unwrap();
    while read < 20 * KIB {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "end");
    assert!(body.frame().await.is_none());
    // Not read any more within a message.
    let (_never, revoked) = futures::channel::oneshot::channel();
    let mut body = stream(revoked);
    body.frame().await.unwrap().unwrap();
    tokio::time::sleep(STALL_LIMIT * 2).await;
    assert_eq!(body.frame().await.unwrap().unwrap_err().message(), "cut");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_room_others_wait_for_is_dropped_once_nothing_of_it_is_taken_for_a_second() {
    let answers = answers(2048, 2048);
    let running = tokio::spawn(answers.clone().run(CancellationToken::new()));
    let room = answers.message_room();
    // One message each, with the room that it has taken of all that the key may have.
    let stream = |mib: usize, key: u64| {
        let taken = room.try_take(key, mib * KIB * KIB).unwrap();
        let frames = futures::stream::unfold((taken, 0), |(taken, sent)| async move {
            if sent > 0 {
                drop(taken);
                return std::future::pending().await;
            }
            let frame = Ok::<_, Status>(Frame::data(Bytes::from(vec![7; 64 * KIB])));
            Some((frame, (taken, 1)))
        });
        let mut response = Response::new(Body::new(http_body_util::StreamBody::new(frames)));
        response.extensions_mut().insert(RoomTaken);
        answers.keep_stream(key, response).into_body()
    };
    let [mut stalled, mut read, mut of_other] = [stream(14, 1), stream(2, 1), stream(2, 2)];
    let mut answer = keep(&answers, 1, 64 * KIB).await.into_body();
    for body in [&mut stalled, &mut read, &mut of_other, &mut answer] {
        body.frame().await.unwrap().unwrap();
    }
    // Nobody waits: nobody must read.
    tokio::time::sleep(STALL_LIMIT.mul_f64(0.4)).await;
    read.frame().await.unwrap().unwrap();
    let began = Instant::now();
    let reading = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            read.frame().await.unwrap().unwrap();
        }
    };
    let held = tokio::select! {
        held = room.wait_for(1, 4 * KIB * KIB) => held,
        () = reading => unreachable!(),
    };
    assert!(began.elapsed() < STALL_LIMIT_IN_SHORTAGE, "the room of who had stalled for long is had at once");
    let ended = stalled.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(reason(&ended), "SLOW_CONSUMER");
    // Only messages of that key were dropped, and not what is read.
    for body in [&mut read, &mut of_other, &mut answer] {
        body.frame().await.unwrap().unwrap().into_data().unwrap();
    }
    // Whose message has just come has a second.
    drop(held);
    let fresh = stream(13, 1);
    let (began, mut fresh) = (Instant::now(), fresh);
    fresh.frame().await.unwrap().unwrap();
    read.frame().await.unwrap().unwrap();
    room.wait_for(1, 4 * KIB * KIB).await;
    assert!((1_000..1_300).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    running.abort();
}
