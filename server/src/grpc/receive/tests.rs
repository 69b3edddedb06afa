use super::super::rpcs;
use super::*;
use futures::channel::mpsc;
use prompt_ledger_proto::v1;
use prost::Message as _;
use std::task::Poll;
use tonic::transport::server::TcpConnectInfo;

const MIB: usize = 1024 * 1024;
const CALL: &str = "/promptledger.v1.RegistryService/GetPrompt";
const RENDER: &str = "/promptledger.v1.RegistryService/RenderPrompt";
const REGISTER: &str = "/promptledger.v1.CodeRegistrationService/RegisterCodePrompts";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// An unknown field, of so many bytes in all.
fn filler(bytes: usize) -> Vec<u8> {
    let mut message = vec![0xa2, 0x06];
    prost::encode_length_delimiter(bytes - 6, &mut message).unwrap();
    message.resize(bytes, 0);
    message
}

type Sending = mpsc::UnboundedSender<Result<Frame<Bytes>, tonic::Status>>;

/// A request whose body the test sends piece by piece.
fn open(path: &str) -> (Sending, Request<Body>) {
    let (sending, frames) = mpsc::unbounded();
    (sending, Request::builder().uri(path).body(Body::new(StreamBody::new(frames))).unwrap())
}

fn piece(sending: &Sending, bytes: &[u8]) {
    sending.unbounded_send(Ok(Frame::data(Bytes::copy_from_slice(bytes)))).unwrap();
}

/// A request whose body is these pieces, complete.
fn sent(path: &str, pieces: &[&[u8]]) -> Request<Body> {
    let (sending, request) = open(path);
    pieces.iter().for_each(|bytes| piece(&sending, bytes));
    request
}

fn intake() -> Arc<Intake> {
    Arc::new(Intake::new(Arc::new(RequestBudget::new(64 * MIB)), Duration::from_secs(30)))
}

async fn receive(intake: &Intake, request: Request<Body>, sender: Sender) -> Result<(Request<Body>, BytesLease)> {
    let rpc = rpcs::of(request.uri().path());
    intake.receive(request, rpc, sender, Instant::now()).await
}

async fn received(intake: &Arc<Intake>, request: Request<Body>) -> Result<Bytes> {
    if request.uri().path() == REFLECT {
        return streamed(intake, request).await;
    }
    let (request, _lease) = receive(intake, request, Sender::Key(1)).await?;
    Ok(request.into_body().collect().await.unwrap().to_bytes())
}

/// All bytes of a stream of requests, or the error that ends its response.
async fn streamed(intake: &Arc<Intake>, request: Request<Body>) -> Result<Bytes> {
    let (request, failed) = intake.stream(request, Sender::Key(1), Instant::now())?;
    match request.into_body().collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(_) => Err(failed.await),
    }
}

fn reason(result: Result<Bytes>) -> Reason {
    result.unwrap_err().reason()
}

#[tokio::test]
async fn a_message_arrives_as_it_was_sent_however_it_was_cut() {
    let message = framed(&filler(300));
    for size in [1, 3, 5, 6, 7, 100, 305] {
        let pieces: Vec<_> = message.chunks(size).collect();
        assert_eq!(received(&intake(), sent(CALL, &pieces)).await.unwrap(), message, "pieces of {size}");
    }
    let large = framed(&filler(4 * MIB));
    let pieces: Vec<_> = large.chunks(16 * 1024).collect();
    assert_eq!(received(&intake(), sent(REGISTER, &pieces)).await.unwrap(), large);
    assert_eq!(received(&intake(), sent(HEALTH, &[&framed(b"")])).await.unwrap(), framed(b""));
}

#[tokio::test]
async fn a_request_over_its_limit_is_refused_by_its_header() {
    for (path, most) in [(CALL, 64 * 1024), (REGISTER, 4 * MIB), (HEALTH, 1024), (REFLECT, 64 * 1024)] {
        let fits = framed(&filler(most));
        assert!(received(&intake(), sent(path, &[&fits])).await.is_ok(), "{path}");
        let header = &framed(&filler(most + 1))[..HEADER];
        let (sending, request) = open(path);
        piece(&sending, header);
        let error = received(&intake(), request).await.unwrap_err();
        let said =
            format!("TOO_LARGE: the request is {} bytes; this call takes at most {most}: send less at once", most + 1);
        assert_eq!(error.to_string(), said);
    }
}

#[tokio::test]
async fn a_request_holds_one_whole_message() {
    let message = framed(&filler(300));
    for pieces in [vec![], vec![&message[..0]], vec![&message[..3]], vec![&message[..100], &message[100..304]]] {
        let error = received(&intake(), sent(CALL, &pieces)).await.unwrap_err();
        assert_eq!(error.to_string(), status::cut_off().to_string());
    }
    for pieces in [vec![&message[..], &message[..]], vec![&*[&message[..], &[0]].concat()]] {
        let error = received(&intake(), sent(CALL, &pieces)).await.unwrap_err();
        assert!(error.to_string().contains("goes on after its message"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_in_time_ends() {
    let message = framed(&filler(300));
    for path in [CALL, HEALTH, REFLECT] {
        for some in [0, 3, 304] {
            let (sending, request) = open(path);
            piece(&sending, &message[..some]);
            assert_eq!(
                reason(received(&intake(), request).await),
                Reason::DeadlineExceeded,
                "{path} after {some} bytes"
            );
        }
    }
    let (sending, request) = open(CALL);
    piece(&sending, &message);
    assert_eq!(reason(received(&intake(), request).await), Reason::DeadlineExceeded, "its end did not come");
}

#[tokio::test]
async fn bytes_are_counted_until_their_request_is_answered() {
    let intake = Arc::new(Intake::new(Arc::new(RequestBudget::new(256 * MIB)), Duration::from_secs(30)));
    let large = framed(&filler(4 * MIB));
    // Without a connection's address its share does not count. The key's is 32 MiB, and each takes 4 MiB and 5 bytes.
    let hold = || {
        let (sending, request) = open(REGISTER);
        large[..large.len() - 1].chunks(64 * 1024).for_each(|bytes| piece(&sending, bytes));
        (sending, Box::pin(receive(&intake, request, Sender::Key(1))))
    };
    let mut held: Vec<_> = (0..6).map(|_| hold()).collect();
    for (_, receiving) in &mut held {
        assert!(futures::poll!(receiving).is_pending());
    }
    // Room for one more request, and for none beside it.
    let (whole, lease) = receive(&intake, sent(REGISTER, &[&large[..9], &large[9..]]), Sender::Key(1)).await.unwrap();
    let refused = received(&intake, sent(REGISTER, &[&large[..9], &large[9..]])).await;
    assert_eq!(reason(refused), Reason::Overloaded);
    // Another key has a share of its own.
    drop(receive(&intake, sent(REGISTER, &[&large[..9], &large[9..]]), Sender::Key(2)).await.unwrap());
    received(&intake, sent(CALL, &[&framed(&filler(300))])).await.unwrap();
    // The bytes of a request are given back once its lease is dropped, not when its body is read; those of an
    // unfinished one when its call is dropped.
    drop(whole.into_body().collect().await.unwrap());
    assert_eq!(reason(received(&intake, sent(REGISTER, &[&large[..9], &large[9..]])).await), Reason::Overloaded);
    drop(lease);
    received(&intake, sent(REGISTER, &[&large[..9], &large[9..]])).await.unwrap();
    held.truncate(1);
    for _ in 0..3 {
        let mut again: Vec<_> = (0..6).map(|_| hold()).collect();
        for (_, receiving) in &mut again {
            assert!(futures::poll!(receiving).is_pending());
        }
    }
}

#[tokio::test]
async fn a_message_that_waits_for_its_end_is_counted_where_it_is_large() {
    let intake = Arc::new(Intake::new(Arc::new(RequestBudget::new(64)), Duration::from_secs(30)));
    for (path, bytes, counted) in
        [(CALL, 16 * 1024, false), (CALL, 16 * 1024 + 1, true), (REGISTER, 16 * 1024 + 1, true), (HEALTH, 1024, false)]
    {
        for pieces in [1, 2] {
            let message = framed(&filler(bytes));
            let (sending, request) = open(path);
            message.chunks(message.len().div_ceil(pieces)).for_each(|bytes| piece(&sending, bytes));
            let received = futures::poll!(Box::pin(received(&intake, request)));
            match counted {
                false => assert!(received.is_pending(), "{path} {bytes} {received:?}"),
                true => assert!(matches!(received, Poll::Ready(Err(_))), "{path} {bytes} {received:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_was_taken_before_counts() {
    let (_sending, request) = open(CALL);
    let arrived = Instant::now();
    tokio::time::advance(Duration::from_secs(29)).await;
    let error = intake().receive(request, rpcs::of(CALL), Sender::Key(1), arrived).await.unwrap_err();
    assert_eq!((error.reason(), arrived.elapsed()), (Reason::DeadlineExceeded, Duration::from_secs(30)));
}

#[tokio::test]
async fn what_holds_too_much_is_refused_before_it_is_decoded() {
    let error = received(&intake(), sent(REGISTER, &[&framed(&[0x0a, 0x00].repeat(40_000))])).await.unwrap_err();
    assert_eq!(error.to_string(), "INVALID_FIELD: prompts: has more than 1000 entries; send fewer at once");
    let mut compressed = framed(&[0xff; 20]);
    compressed[0] = 1;
    received(&intake(), sent(REGISTER, &[&compressed])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_requests_goes_on_as_long_as_they_come() {
    let intake = intake();
    let (sending, request) = open(REFLECT);
    let message = framed(&filler(300));
    piece(&sending, &[&message[..], &message[..7]].concat());
    let (request, failed) = intake.stream(request, Sender::Anonymous, Instant::now()).unwrap();
    let mut body = request.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), message);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(9)).await;
        piece(&sending, &[&message[7..], &message[..7]].concat());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), message);
    }
    body.frame().await.unwrap().unwrap_err();
    let late = failed.await;
    assert!(late.to_string().contains("was not whole within"), "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_requests_ends_by_its_age_however_often_they_come() {
    let intake = intake();
    let began = Instant::now();
    let (sending, request) = open(REFLECT);
    let (request, failed) = intake.stream(request, Sender::Anonymous, began).unwrap();
    let mut body = request.into_body();
    let asking = async {
        loop {
            piece(&sending, &framed(b""));
            body.frame().await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = asking => {}
        error = failed => assert!(error.to_string().contains("ends after 60s; open another one"), "{error}"),
    }
    assert_eq!(began.elapsed(), REFLECTION_AGE);
}

#[tokio::test]
async fn what_a_request_takes_once_it_is_decoded_is_counted_until_it_is_answered() {
    // The key's share is 2 MiB.
    let intake = Arc::new(Intake::new(Arc::new(RequestBudget::new(16 * MIB)), Duration::from_secs(30)));
    let numbers = |count| {
        let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(1.0)) };
        let list = prost_types::ListValue { values: vec![number; count] };
        let list = prost_types::Value { kind: Some(prost_types::value::Kind::ListValue(list)) };
        let variables = Some(prost_types::Struct { fields: [("a".to_owned(), list)].into() });
        framed(&v1::RenderPromptRequest { variables, ..Default::default() }.encode_to_vec())
    };
    for (values, fit) in [(10_000, 1), (1_000, 18)] {
        let message = numbers(values);
        let receive = || receive(&intake, sent(RENDER, &message.chunks(16 * 1024).collect::<Vec<_>>()), Sender::Key(1));
        let mut held = Vec::new();
        let refused = loop {
            match receive().await {
                Ok((request, lease)) => {
                    drop(request.into_body().collect().await.unwrap());
                    held.push(lease);
                }
                Err(error) => break error,
            }
        };
        assert_eq!((held.len(), refused.reason()), (fit, Reason::Overloaded), "{values} values");
        held.pop();
        receive().await.unwrap();
    }
    // Requests that are small once they are decoded are not counted.
    let small = numbers(100);
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(receive(&intake, sent(RENDER, &[&small]), Sender::Key(1)).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn health_must_come_sooner_than_what_has_a_key() {
    let began = Instant::now();
    let (_sending, request) = open(HEALTH);
    assert_eq!(reason(received(&intake(), request).await), Reason::DeadlineExceeded);
    assert_eq!(began.elapsed(), HEALTH_TIMEOUT);
}

#[tokio::test]
async fn watches_of_health_are_few_for_each_connection() {
    let intake = intake();
    let watch = || intake.health_watch(&sent(HEALTH, &[]));
    let mut open: Vec<_> = (0..16).map(|_| watch().unwrap()).collect();
    let refused = watch().unwrap_err();
    assert_eq!(refused.reason(), Reason::Overloaded);
    assert!(refused.to_string().contains("16 watches of health of this connection are open"), "{refused}");
    open.pop();
    watch().unwrap();
}

#[tokio::test]
async fn a_stream_of_requests_is_there_before_its_first_and_what_ends_well_does_not_end_the_response() {
    let intake = intake();
    let (sending, request) = open(REFLECT);
    let (request, failed) = intake.stream(request, Sender::Anonymous, Instant::now()).unwrap();
    let mut body = request.into_body();
    assert!(futures::poll!(body.frame()).is_pending());
    drop(sending);
    assert!(body.frame().await.is_none());
    assert!(futures::poll!(Box::pin(failed)).is_pending());
}

#[tokio::test]
async fn streams_of_requests_are_few_for_each_connection_and_in_all_until_their_responses_end() {
    let intake = intake();
    let start = |port| {
        let mut request = sent(REFLECT, &[&framed(b"")]);
        let remote_addr = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        intake.stream(request, Sender::Anonymous, Instant::now()).map(|(_, failed)| failed)
    };
    let refused = |port| start(port).err().unwrap().to_string();
    let mut open = Vec::new();
    for place in 0..100 {
        if place == 4 {
            assert!(refused(0).contains("4 reflection streams of this connection"));
        }
        open.push(start(place / 4).unwrap());
    }
    assert!(refused(99).contains("100 reflection streams of this server"));
    let with_a_key = intake.stream(sent(REFLECT, &[]), Sender::Key(1), Instant::now());
    assert!(with_a_key.is_ok(), "callers with a key have places of their own");
    open.pop();
    drop(start(99).unwrap());
}
