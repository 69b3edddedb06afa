//! Accepts connections of both front doors: within limits, with TLS where there is a certificate, and only those that
//! open HTTP in time.

pub mod descriptors;
pub mod limit;
pub mod serve;
mod socket;
pub mod tls;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_observe::LevelHold;
use prompt_ledger_observe::front::{self, DoorLabel};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};
use tonic::transport::server::{Connected, TcpConnectInfo};

use self::limit::{ConnectionLimit, Permit, Refusal};
use self::socket::{PeerWatch, Socket};

/// The connection preface of HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long accepting pauses after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct Incoming {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limit: ConnectionLimit,
    door: DoorLabel,
    handshake_timeout: Duration,
    stall_limit: Duration,
    /// Present after a failure to accept; nothing is accepted until it ends.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// With TLS where there is an acceptor. Each connection must open HTTP/2, or begin a request of HTTP/1.1, within
    /// `handshake_timeout` of being accepted, its TLS handshake included. Streams that are not read end after
    /// `stall_limit`; their connections live at least as long.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        limit: ConnectionLimit,
        door: DoorLabel,
        handshake_timeout: Duration,
        stall_limit: Duration,
    ) -> Self {
        Self { listener, tls, limit, door, handshake_timeout, stall_limit, pause: None }
    }

    /// The next connection within the limit. Those beyond it are closed at once: left alone they would fill the
    /// listener's backlog while their clients wait in vain.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, Permit)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => match self.limit.admit(peer.ip()) {
                    Ok(permit) => return Poll::Ready((stream, permit)),
                    Err(refusal) => refused(refusal),
                },
                // Most likely out of file descriptors: an immediate retry would only burn the processor.
                Err(error) => {
                    let cause = chain(&error);
                    tracing::warn!(cause, "connections could not be accepted; are there no file descriptors left?");
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

fn refused(refusal: Refusal) {
    let cause = match refusal {
        Refusal::Total => "there are as many connections as MAX_CONNECTIONS allows",
        Refusal::Address => "their address has as many connections as MAX_CONNECTIONS_PER_ADDRESS allows",
    };
    front::connection_refused(refusal == Refusal::Address);
    tracing::warn!(cause, "new connections are closed at once");
}

impl Stream for Incoming {
    type Item = io::Result<AcceptedConnection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (stream, permit) = ready!(self.poll_accept(cx));
        let client = stream.connect_info();
        let socket = Socket::new(stream, self.stall_limit);
        let timeout = Box::pin(tokio::time::sleep(self.handshake_timeout));
        Poll::Ready(Some(Ok(AcceptedConnection {
            client,
            watch: socket.watch(),
            transport: match &self.tls {
                Some(tls) => Transport::Handshake(Box::new(tls.accept(socket))),
                None => Transport::Plain(socket),
            },
            opening: Some(Opening { timeout, missing: PREFACE }),
            _permit: permit,
            _open: front::connection(self.door),
        })))
    }
}

/// A connection, which fails where it does not open HTTP in time. Its TLS handshake runs within its own reads and
/// writes, so that it delays no other connection.
pub struct AcceptedConnection {
    client: TcpConnectInfo,
    watch: PeerWatch,
    transport: Transport,
    opening: Option<Opening>,
    _permit: Permit,
    /// Counts it for operators.
    _open: LevelHold,
}

enum Transport {
    Plain(Socket),
    Handshake(Box<Accept<Socket>>),
    Tls(Box<TlsStream<Socket>>),
    /// The TLS handshake failed.
    Closed,
}

/// State of a connection that has not opened HTTP yet.
struct Opening {
    timeout: Pin<Box<Sleep>>,
    /// What has not arrived of the preface of HTTP/2. A connection that sends something else has begun a request of
    /// HTTP/1.1, whose own time-out applies from there on.
    missing: &'static [u8],
}

impl Opening {
    /// Whether HTTP is open once these bytes have come.
    fn ends_with(&mut self, read: &[u8]) -> bool {
        let common = read.len().min(self.missing.len());
        let (expected, rest) = self.missing.split_at(common);
        self.missing = rest;
        rest.is_empty() || read.get(..common) != Some(expected)
    }
}

trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

impl AcceptedConnection {
    /// The transport, ready once its TLS handshake is done.
    fn poll_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Bytes>>> {
        if let Transport::Handshake(handshake) = &mut self.transport {
            let Poll::Ready(done) = Pin::new(handshake).poll(cx) else { return self.poll_timeout(cx).map(Err) };
            // A handshake that is done must not be polled again.
            self.transport = Transport::Closed;
            self.transport = Transport::Tls(Box::new(done?));
        }
        Poll::Ready(match &mut self.transport {
            Transport::Plain(stream) => Ok(Pin::new(stream)),
            Transport::Tls(stream) => Ok(Pin::new(stream.as_mut())),
            Transport::Handshake(_) | Transport::Closed => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// TimedOut where HTTP was not opened in time; pending for ever once it was.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        let said = "the connection did not open HTTP in time";
        opening.timeout.as_mut().poll(cx).map(|()| io::Error::new(io::ErrorKind::TimedOut, said))
    }
}

impl AsyncRead for AcceptedConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Poll::Ready(read) = ready!(self.poll_transport(cx))?.poll_read(cx, buf) else {
            return self.poll_timeout(cx).map(Err);
        };
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if self.opening.as_mut().is_some_and(|opening| opening.ends_with(bytes)) {
            self.opening = None;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for AcceptedConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_transport(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_transport(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_transport(cx))?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_transport(cx))?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        // Both transports do.
        true
    }
}

impl Connected for AcceptedConnection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.client.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn http_is_open_with_the_whole_preface_or_the_first_other_byte() {
        for (pieces, open) in [
            (&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]][..], true),
            (&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\n\0\0"], true),
            (&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"], false),
            (&[b"P", b"R"], false),
            (&[b"P", b"OST"], true),
            (&[b"GET / HTTP/1.1\r\n"], true),
            (&[b""], false),
        ] {
            let timeout = Box::pin(tokio::time::sleep(Duration::ZERO));
            let mut opening = Opening { timeout, missing: PREFACE };
            assert_eq!(pieces.iter().any(|piece| opening.ends_with(piece)), open, "{pieces:?}");
        }
    }
}
