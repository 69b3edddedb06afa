//! A request's bytes while they arrive: each counted in the budget before it is held, and all of them in time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Extensions;
use prompt_ledger_domain::{Error, Reason, Result};
use tokio::time::Instant;
use tonic::transport::server::TcpConnectInfo;

use super::budget::BytesLease;

/// First capacity of a buffer, unless its request is smaller, in bytes. Requests of at most this size are not counted in
/// the budget: the streams per connection and the receive timeout bound them, and so small requests do not depend on
/// others.
pub(crate) const FIRST_BUFFER: usize = 16 * 1024 + 5;

/// Bytes that arrive in pieces. Capacity beyond [`FIRST_BUFFER`] is leased before it is allocated.
pub(crate) struct LeasedBuffer {
    bytes: Vec<u8>,
    lease: BytesLease,
}

impl LeasedBuffer {
    pub(crate) fn new(lease: BytesLease) -> Self {
        Self { bytes: Vec::new(), lease }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a piece of what is `size` bytes in all, or at most.
    pub(crate) fn push(&mut self, piece: &[u8], size: usize) -> Result<()> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).max(FIRST_BUFFER).min(size).max(needed);
            if capacity > FIRST_BUFFER {
                self.lease.grow_to(capacity)?;
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    pub(crate) fn finish(self) -> (Bytes, BytesLease) {
        (self.bytes.into(), self.lease)
    }
}

/// DEADLINE_EXCEEDED where what is to arrive has not done so within `timeout` from `since` on.
pub(crate) async fn in_time<T>(
    since: Instant,
    timeout: Duration,
    arriving: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout_at(since + timeout, arriving).await.unwrap_or_else(|_| {
        let message =
            format!("the request was not whole within {timeout:?}; send it, and the end of its stream, at once");
        Err(Error::new(Reason::DeadlineExceeded, message))
    })
}

/// The peer's address, which identifies a connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr)
}
