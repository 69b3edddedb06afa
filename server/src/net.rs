//! Accepting connections: no delay on small packets, and no place for a connection that never says a word.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The bytes that open an HTTP/2 connection.
const PREFACE_BYTES: usize = 24;

/// How long nothing is accepted after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections that come in on a listener.
pub struct Incoming {
    listener: TcpListener,
    handshake_timeout: Duration,
    /// After a failure: until when nothing is accepted.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// Accepts from this listener; each connection must have opened HTTP/2 within `handshake_timeout`.
    #[must_use]
    pub fn new(listener: TcpListener, handshake_timeout: Duration) -> Self {
        Self { listener, handshake_timeout, pause: None }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => break stream,
                // Out of file descriptors, most likely: trying again at once would only burn the processor.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may be slow");
        }
        let patience = Box::pin(tokio::time::sleep(self.handshake_timeout));
        Poll::Ready(Some(Ok(Connection { stream, silent: Some(Silent { patience, missing: PREFACE_BYTES }) })))
    }
}

/// A connection, given up where it does not open HTTP/2 in time.
pub struct Connection {
    stream: TcpStream,
    silent: Option<Silent>,
}

/// A connection that has not said enough yet.
struct Silent {
    patience: Pin<Box<Sleep>>,
    missing: usize,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(silent) = &mut self.silent else { return read };
        match read {
            Poll::Ready(done) => {
                let came = buf.filled().len() - before;
                silent.missing = silent.missing.saturating_sub(came);
                if silent.missing == 0 {
                    self.silent = None;
                }
                Poll::Ready(done)
            }
            Poll::Pending => {
                ready!(silent.patience.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the connection did not open HTTP/2 in time")))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
