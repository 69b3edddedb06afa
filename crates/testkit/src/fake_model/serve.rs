//! Connections and requests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::body::{self, Body, Closed, Running, Step};
use super::exchange::Exchange;
use super::reply::{Reply, What};
use super::{Request, State, anthropic, openai};

/// Accepts connections until the task is aborted, which closes them too.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A peer may be gone before it is accepted.
                if let Ok((stream, _)) = accepted {
                    state.counts.connection_came();
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Without it a kept connection sometimes waits 40 ms for an acknowledgement.
    stream.set_nodelay(true).expect("no TCP_NODELAY");
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    // An error is a connection that was closed, by the script or by the peer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: hyper::Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(Closed) };
    let path = head.uri.path();
    let speaks_openai = path.ends_with("/chat/completions");
    if head.method != http::Method::POST || !(speaks_openai || path.ends_with("/v1/messages")) {
        return Ok(response(StatusCode::NOT_FOUND, "application/json", body::whole(Bytes::from_static(NOT_FOUND))));
    }
    let raw = body.to_bytes();
    let request = Request {
        path: path.to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: serde_json::from_slice(&raw).unwrap_or_default(),
        raw,
    };
    let streams = request.body["stream"] == true;
    let mut exchange = asked(&request.body);
    let reply = state.arrived(request);
    let running = Running::begin(Arc::clone(&state));
    exchange.number = running.number;

    // A timer of zero would take a millisecond.
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    if let Some(gate) = &reply.gate {
        gate.opened().await;
    }
    exchange.finish_reason.clone_from(&reply.finish_reason);
    exchange.tells_usage = reply.tells_usage;
    let mut answer = match &reply.what {
        What::Hang => return never(running).await,
        What::Close => {
            running.done();
            return Err(Closed);
        }
        What::Raw { status, body } => {
            running.done();
            let status = StatusCode::from_u16(*status).expect("a status has three digits");
            response(status, "application/json", body::whole(body.clone()))
        }
        What::Huge(bytes) => response(StatusCode::OK, "application/json", body::steps(huge(*bytes), running)),
        What::Events(pieces) => {
            response(StatusCode::OK, "text/event-stream", body::steps(played(pieces, &reply), running))
        }
        What::Echo => written(&exchange, &reply, speaks_openai, streams, running),
        What::Text(text) => {
            exchange.text.clone_from(text);
            written(&exchange, &reply, speaks_openai, streams, running)
        }
    };
    for (name, value) in &reply.headers {
        let name: HeaderName = name.parse().expect("no header name");
        answer.headers_mut().insert(name, value.parse().expect("no header value"));
    }
    Ok(answer)
}

const NOT_FOUND: &[u8] = br#"{"error":{"message":"the fake model does not know this path","code":"unknown_url"}}"#;

async fn never(running: Running) -> Result<Response<Body>, Closed> {
    let never: Infallible = std::future::pending().await;
    drop(running);
    match never {}
}

/// Parses a request; an echo answers with the last message's text.
fn asked(body: &Value) -> Exchange {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = || messages.iter().map(|message| message["content"].as_str().unwrap_or_default());
    Exchange {
        number: 0,
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        text: texts().next_back().unwrap_or_default().to_owned(),
        prompt_words: texts().map(|text| text.split_whitespace().count()).sum(),
        finish_reason: None,
        tells_usage: true,
        asks_for_usage: body["stream_options"]["include_usage"] == true,
    }
}

/// A model's text in its protocol, whole or streamed, or cut.
fn written(exchange: &Exchange, reply: &Reply, openai: bool, streams: bool, running: Running) -> Response<Body> {
    let mut answer = if streams {
        let parts = if openai { openai::stream(exchange) } else { anthropic::stream(exchange) };
        response(StatusCode::OK, "text/event-stream", body::steps(events(parts, reply), running))
    } else {
        let whole = if openai { openai::whole(exchange) } else { anthropic::whole(exchange) };
        let bytes = Bytes::from(whole.to_string());
        if reply.cut {
            let length = bytes.len();
            let half = vec![Step::Send(bytes.slice(..length / 2)), Step::Cut];
            let mut answer = response(StatusCode::OK, "application/json", body::steps(half, running));
            answer.headers_mut().insert(CONTENT_LENGTH, length.into());
            answer
        } else {
            running.done();
            response(StatusCode::OK, "application/json", body::whole(bytes))
        }
    };
    let (name, id) = if openai { ("x-request-id", "req-fake") } else { ("request-id", "req_fake") };
    let id = format!("{id}-{}", exchange.number);
    answer.headers_mut().insert(HeaderName::from_static(name), id.parse().expect("no header value"));
    answer
}

fn played(pieces: &[Bytes], reply: &Reply) -> Vec<Step> {
    let paced = |piece: &Bytes| [reply.pace.map(Step::Pause), Some(Step::Send(piece.clone()))];
    let mut steps: Vec<_> = pieces.iter().flat_map(paced).flatten().collect();
    if reply.cut {
        steps.push(Step::Cut);
    }
    if let Some((before, gate)) = &reply.hold {
        steps.insert((*before).min(steps.len()), Step::Wait(gate.clone()));
    }
    steps
}

fn events([begin, words, end]: [Vec<Bytes>; 3], reply: &Reply) -> Vec<Step> {
    let (begins, all) = (begin.len(), begin.len() + words.len() + end.len());
    if let Some(pace) = reply.pace {
        let words = words.into_iter().flat_map(|word| [Step::Pause(pace), Step::Stamp(word)]);
        let [begin, end] = [begin, end].map(|events| events.into_iter().map(Step::Send));
        return begin.chain(words).chain(end).collect();
    }
    let mut steps: Vec<_> = begin.into_iter().chain(words).chain(end).map(Step::Send).collect();
    if reply.cut {
        steps.truncate(all / 2);
        steps.push(Step::Cut);
    }
    if let Some((words, gate)) = &reply.hold {
        steps.insert((begins + words).min(steps.len()), Step::Wait(gate.clone()));
    }
    steps
}

/// A completion of exactly so many bytes, in pieces.
fn huge(bytes: usize) -> Vec<Step> {
    const PIECE: &[u8] = &[b'x'; 64 * 1024];
    const BEGIN: &[u8] = br#"{"id":"chatcmpl-huge","choices":[{"message":{"role":"assistant","content":""#;
    const END: &[u8] = br#""},"finish_reason":"stop"}]}"#;
    let mut left = bytes.checked_sub(BEGIN.len() + END.len()).expect("a huge answer has at least 200 bytes");
    let mut steps = vec![Step::Send(Bytes::from_static(BEGIN))];
    while left > 0 {
        let piece = left.min(PIECE.len());
        steps.push(Step::Send(Bytes::from_static(&PIECE[..piece])));
        left -= piece;
    }
    steps.push(Step::Send(Bytes::from_static(END)));
    steps
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
