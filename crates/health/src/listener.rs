//! An address where a process tells its health and nothing else, in plain text and without a key: for probes that speak
//! no TLS, and for processes that serve nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// Connections at once; further ones wait until one of these ends.
const CONNECTIONS: usize = 64;
/// The longest life of a connection: none of them can keep others out for good.
const LONGEST: Duration = Duration::from_secs(60);
/// Calls of a connection at once, and the bytes of a call's headers and request.
const STREAMS: u32 = 16;
const HEADER_BYTES: u32 = 8 * 1024;
const REQUEST_BYTES: usize = 1024;
/// What a peer may send ahead for one call, and for a connection, in bytes.
const WINDOW: u32 = 64 * 1024;
/// How long accepting pauses after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct HealthListener(TcpListener);

impl HealthListener {
    /// Binds HEALTH_ADDR.
    pub async fn bind(addr: SocketAddr) -> Result<Self, String> {
        let bound =
            TcpListener::bind(addr).await.map_err(|error| format!("HEALTH_ADDR: cannot listen on {addr}: {error}"))?;
        tracing::info!(addr = %bound.local_addr().unwrap_or(addr), "health is told");
        Ok(Self(bound))
    }

    /// Tells the reporter's health until `stop`.
    pub async fn serve(self, reporter: HealthReporter, stop: CancellationToken) {
        let health = HealthServer::new(HealthService::from_health_reporter(reporter));
        let serving = Server::builder()
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_max_header_list_size(HEADER_BYTES)
            .add_service(health.max_decoding_message_size(REQUEST_BYTES))
            .serve_with_incoming(connections(self.0));
        if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
            tracing::error!(%error, "health is told no more");
        }
    }
}

fn connections(listener: TcpListener) -> impl futures::Stream<Item = io::Result<ProbeConnection>> {
    futures::stream::unfold((listener, Arc::new(Semaphore::new(CONNECTIONS))), |(listener, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::debug!(%error, "a probe could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        let connection = ProbeConnection { stream, end: Box::pin(tokio::time::sleep(LONGEST)), _place: place };
        Some((Ok(connection), (listener, places)))
    })
}

/// Fails when it has lived for [`LONGEST`].
struct ProbeConnection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl ProbeConnection {
    /// An error when it has lived for [`LONGEST`]; the task is woken then. For reads and writes both: of a peer that sends
    /// and does not read, only writes are polled.
    fn alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for ProbeConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.alive(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for ProbeConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.alive(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for ProbeConnection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tonic_health::server::health_reporter;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_ends_as_well() {
        use tokio::io::AsyncWriteExt as _;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let _peer = TcpStream::connect(addr).await.unwrap();
        let mut connections = Box::pin(connections(listener));
        let mut connection = futures::StreamExt::next(&mut connections).await.unwrap().unwrap();
        // Until the peer's window is full.
        let written = async { while connection.write_all(&[0; 1 << 16]).await.is_ok() {} };
        tokio::time::timeout(LONGEST * 2, written).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_keep_others_out_for_a_minute_at_most() {
        let listener = HealthListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let addr = listener.0.local_addr().unwrap();
        let (reporter, _) = health_reporter();
        let serving = tokio::spawn(listener.serve(reporter, CancellationToken::new()));
        let mut silent = Vec::new();
        for _ in 0..=CONNECTIONS {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        // The last one is accepted, and then ended too, once another one has ended.
        for mut stream in silent {
            let mut read = Vec::new();
            let _ = stream.read_to_end(&mut read).await;
        }
        serving.abort();
    }
}
