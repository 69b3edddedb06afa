//! The socket of a connection, which may be watched for its end while it is served.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// When a silent peer is probed, and how often then, so that the connection of one that is gone does not stay.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a peer may leave what was sent to it unread, or unacknowledged, where streams may not stall for longer. Peers
/// of HTTP/2 have less, by its pings.
#[cfg(target_os = "linux")]
const UNREAD_LIMIT: Duration = Duration::from_secs(60);
/// What the end of a stalled stream takes: it is told before its connection is cut.
#[cfg(target_os = "linux")]
const TELLING_TIME: Duration = Duration::from_secs(10);
/// How often a socket with unread bytes is polled for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Its reading half is tokio's: it fills buffers that nobody has zeroed, and knows after a short read that nothing is left.
pub(super) struct Socket {
    reads: OwnedReadHalf,
    writes: Arc<OwnedWriteHalf>,
}

/// Watches the socket of a connection that something else reads.
#[derive(Clone)]
pub(super) struct PeerWatch(Arc<OwnedWriteHalf>);

impl Socket {
    /// Sends small pieces at once, and notices a peer that is gone, or leaves what it is sent unread for longer than
    /// streams may stall.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "the limit is Linux's"))]
    pub(super) fn new(stream: TcpStream, stall_limit: Duration) -> Self {
        let socket = SockRef::from(&stream);
        let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_INTERVAL);
        let set = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&probes));
        #[cfg(target_os = "linux")]
        let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(UNREAD_LIMIT.max(stall_limit + TELLING_TIME))));
        if let Err(error) = set {
            tracing::debug!(%error, "a connection may be slow, or stay when its peer is gone");
        }
        let (reads, writes) = stream.into_split();
        Self { reads, writes: Arc::new(writes) }
    }

    pub(super) fn watch(&self) -> PeerWatch {
        PeerWatch(Arc::clone(&self.writes))
    }

    fn stream(&self) -> &TcpStream {
        (*self.writes).as_ref()
    }
}

impl PeerWatch {
    /// Resolves once the peer has closed its side, also where bytes are left to read.
    pub(super) async fn closed(self) {
        while let Ok(ready) = self.0.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reads).poll_read(cx, buf)
    }
}

impl Socket {
    fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(cx))?;
            match write(self.stream()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(self.stream()).shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}
