//! Serves HTTP/1.1 and HTTP/2 on accepted connections.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use http::{Method, Request, Version};
use hyper::body::Incoming as IncomingBody;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;

use super::{AcceptedConnection, Incoming};
use crate::http::HttpFront;

/// HTTP/2 flow-control windows of a call and of a connection, in bytes: what a peer may send ahead of what is read. It
/// is what one connection can pin in memory before its key is known; requests are read as soon as it is. A call's
/// window holds the largest template or set of messages; a batch of 4 MiB takes sixteen round trips.
pub const STREAM_WINDOW: u32 = 256 * 1024;
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Calls of a connection that were given up before they were accepted; more of them at once end it, as an attack. A client that
/// starts hundreds of calls and gives them up with the first answer is none.
pub const PENDING_RESETS: usize = 256;

/// The largest header list of a call, in bytes as HTTP/2 counts them: name, value and 32 for each header. gRPC clients
/// send under 2 KiB, browsers a little more.
pub const HEADER_BYTES: u32 = 8 * 1024;

/// A connection that has been silent for so long is asked whether its peer is still there, and closed where nothing comes
/// back in time. The timeout is gRPC's own default: a peer or a server whose processor is busy must not lose its calls.
pub const KEEPALIVE: Duration = Duration::from_secs(30);
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The most headers of a request over HTTP/1.1.
const HEADERS: usize = 100;
/// What a connection of HTTP/1.1 buffers of its peer's request line and headers, and of responses that its peer does not
/// read, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// What a call of HTTP/2 may have ready to be sent, in bytes: a response gives its room back as it is taken.
const SEND_BUFFER_BYTES: usize = 16 * 1024;
/// How long a connection may last that was accepted while the server drains: it comes to ask for health.
const DRAINING_CONNECTION: Duration = Duration::from_secs(5);

/// The course of a server's end.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Fires when new calls are refused. Connections close once their calls have ended; further ones are answered, by
    /// refusals and with health.
    pub draining: CancellationToken,
    /// Fires when the calls under way have ended. No connection is accepted any more.
    pub ended: CancellationToken,
}

/// Serves on these connections until the server ends. A request over HTTP/1.1 has `header_timeout` for its headers, from the
/// connection's opening or the last response on.
pub async fn serve(
    mut incoming: Incoming,
    front: HttpFront,
    max_streams: u32,
    header_timeout: Duration,
    ending: Ending,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(HEADERS)
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    // Dropped with this future: what is left of them then is aborted.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = ending.ended.cancelled() => break,
            accepted = incoming.next() => {
                let Some(accepted) = accepted else { break };
                let Ok(connection) = accepted else { continue };
                let (mut builder, front, ending) = (builder.clone(), front.clone(), ending.clone());
                connections.spawn(async move {
                    if !ending.draining.is_cancelled() {
                        return one(&builder, connection, front, ending.draining.cancelled_owned()).await;
                    }
                    builder.http1().keep_alive(false);
                    // Ends with the server, or in any case.
                    let soon = tokio::time::timeout(DRAINING_CONNECTION, ending.ended.cancelled_owned());
                    let served = one(&builder, connection, front, async { drop(soon.await) });
                    let _ = tokio::time::timeout(2 * DRAINING_CONNECTION, served).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(incoming);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until its peer closes it; once `closes` resolves, until its calls have ended.
async fn one(
    builder: &Builder<TokioExecutor>,
    connection: AcceptedConnection,
    front: HttpFront,
    closes: impl Future<Output = ()>,
) {
    let (client, watch) = (connection.connect_info(), connection.watch.clone());
    let service = hyper::service::service_fn(move |mut request: Request<IncomingBody>| {
        request.extensions_mut().insert(client.clone());
        // hyper sees the end of a peer only where nothing follows the request that is being answered.
        let hangs_up =
            (request.version() < Version::HTTP_2 && request.method() == Method::POST).then(|| watch.clone().closed());
        let answered = front.answer(request.map(Body::new));
        async move {
            let Some(hangs_up) = hangs_up else { return Ok(answered.await) };
            tokio::select! {
                // Polled first: an answer that is there is sent.
                biased;
                answer = answered => Ok(answer),
                () = hangs_up => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            }
        }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = closes => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "an HTTP connection ended early");
    }
}
