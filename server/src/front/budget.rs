//! Bounds the bytes of requests that are held at once, from their arrival until they are answered: per process,
//! connection and key. A request beyond a bound is refused; those that have their bytes go on.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_observe::front;

/// Whose share of the budget a request takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    /// All callers without a key, together.
    Anonymous,
    /// The holder of a key, by the first 64 bits of its hash.
    Key(u64),
}

impl Sender {
    /// The divisor for one sender's share of the budget: an eighth for a key, so that no few keys crowd out all
    /// others; a sixteenth for all callers without a key.
    fn share(self) -> usize {
        match self {
            Self::Anonymous => 16,
            Self::Key(_) => 8,
        }
    }

    fn named(self) -> &'static str {
        match self {
            Self::Anonymous => "callers without a key",
            Self::Key(_) => "this key",
        }
    }
}

/// The divisor for one connection's share of the budget.
const CONNECTION_SHARE: usize = 8;

/// The divisor for the part of the budget that is reserved for keys that hold nothing else, so that there is room for
/// a request of another key when many keys hold their shares.
const RESERVE: usize = 8;

/// The bytes that a process may hold for requests.
#[derive(Debug)]
pub struct RequestBudget {
    bytes: usize,
    held: Mutex<HeldBytes>,
}

/// The bytes that are held now. Those who hold none have no entry.
#[derive(Debug, Default)]
struct HeldBytes {
    bytes: usize,
    connections: HashMap<SocketAddr, usize>,
    senders: HashMap<Sender, usize>,
}

impl RequestBudget {
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes, held: Mutex::default() }
    }

    /// Takes so many more bytes for a request that holds `own` already; OVERLOADED where a share is exhausted.
    fn take(&self, connection: Option<SocketAddr>, sender: Sender, own: usize, bytes: usize) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held_by_sender = held.senders.get(&sender).copied().unwrap_or(0);
        let of_sender = self.bytes / sender.share();
        if held_by_sender + bytes > of_sender {
            return Err(full(sender.named(), of_sender));
        }
        let of_all = match sender {
            Sender::Key(_) if held_by_sender == own => self.bytes,
            _ => self.bytes - self.bytes / RESERVE,
        };
        if held.bytes + bytes > of_all {
            return Err(full("all callers of this server together", of_all));
        }
        if let Some(connection) = connection {
            let of_connection = self.bytes / CONNECTION_SHARE;
            if held.connections.get(&connection).unwrap_or(&0) + bytes > of_connection {
                return Err(full("this connection", of_connection));
            }
            *held.connections.entry(connection).or_default() += bytes;
        }
        *held.senders.entry(sender).or_default() += bytes;
        held.bytes += bytes;
        front::request_bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    fn give_back(&self, connection: Option<SocketAddr>, sender: Sender, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes -= bytes;
        front::request_bytes(i64::try_from(bytes).unwrap_or(i64::MAX).saturating_neg());
        reduce(&mut held.senders, &sender, bytes);
        if let Some(connection) = connection {
            reduce(&mut held.connections, &connection, bytes);
        }
    }
}

fn reduce<K: Hash + Eq>(held: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    if let Some(taken) = held.get_mut(key) {
        *taken -= bytes;
        if *taken == 0 {
            held.remove(key);
        }
    }
}

/// OVERLOADED; `whose` share of so many bytes is exhausted.
fn full(whose: &str, bytes: usize) -> Error {
    let message = format!(
        "there is no memory left for this request: of those that arrive or are being answered, {whose} may have at most \
         {bytes} bytes at once; try again, with fewer or smaller requests at once"
    );
    Error::new(Reason::Overloaded, message).retry_after(Duration::from_secs(1))
}

/// The bytes that one request holds, given back on drop.
#[derive(Debug)]
pub(crate) struct BytesLease {
    budget: Arc<RequestBudget>,
    connection: Option<SocketAddr>,
    sender: Sender,
    bytes: usize,
}

impl BytesLease {
    /// Holds nothing yet, for a request of this connection.
    pub(crate) fn new(budget: &Arc<RequestBudget>, connection: Option<SocketAddr>, sender: Sender) -> Self {
        Self { budget: Arc::clone(budget), connection, sender, bytes: 0 }
    }

    /// Holds nothing yet, for another message of the same sender.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.budget, self.connection, self.sender)
    }

    /// Grows to what the request takes once it is decoded, at most to its connection's whole share: a request that is
    /// alone there is never refused for that.
    pub(crate) fn grow_to_decoded(&mut self, bytes: usize) -> Result<()> {
        self.grow_to(bytes.min(self.budget.bytes / CONNECTION_SHARE))
    }

    /// Grows to so many bytes; OVERLOADED where they are not there.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let more = bytes.saturating_sub(self.bytes);
        self.budget.take(self.connection, self.sender, self.bytes, more)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for BytesLease {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.connection, self.sender, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn refused(result: Result<()>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Reason::Overloaded);
        assert!(error.parts().retry_after.is_some());
        error.to_string()
    }

    #[test]
    fn a_connection_a_key_and_the_process_each_have_their_share() {
        let budget = Arc::new(RequestBudget::new(1_600));
        let lease = |port, sender| BytesLease::new(&budget, connection(port), sender);
        let mut anonymous = lease(9, Sender::Anonymous);
        anonymous.grow_to(100).unwrap();
        assert!(refused(anonymous.grow_to(101)).contains("callers without a key may have at most 100 bytes"));
        drop(anonymous);
        // Of each key a request of one connection, and one of another.
        let mut held = Vec::new();
        for key in 0..7 {
            let (mut one, mut other) =
                (lease(1, Sender::Key(key)), lease(2 + u16::try_from(key).unwrap(), Sender::Key(key)));
            one.grow_to(20).unwrap();
            other.grow_to(180).unwrap();
            assert!(refused(other.grow_to(181)).contains("this key may have at most 200 bytes"));
            held.extend([one, other]);
        }
        let mut more = lease(1, Sender::Key(7));
        assert!(refused(more.grow_to(61)).contains("this connection may have at most 200 bytes"));
        assert!(!budget.held.lock().unwrap().senders.contains_key(&Sender::Key(7)));
        assert!(refused(lease(9, Sender::Anonymous).grow_to(1)).contains("all callers of this server together"));
    }

    #[test]
    fn a_key_that_holds_nothing_has_room_for_one_request_where_others_hold_all_of_theirs() {
        let budget = Arc::new(RequestBudget::new(1_600));
        let lease = |key| BytesLease::new(&budget, None, Sender::Key(key));
        let _held: Vec<_> = (0..14)
            .map(|key| {
                let mut lease = lease(key);
                lease.grow_to(100).unwrap();
                lease
            })
            .collect();
        assert!(
            refused(lease(0).grow_to(1)).contains("all callers of this server together may have at most 1400 bytes")
        );
        let mut first = lease(20);
        first.grow_to(50).unwrap();
        // The key holds nothing but this request.
        first.grow_to(150).unwrap();
        assert!(refused(lease(20).grow_to(1)).contains("all callers of this server together"));
        first.grow_to(200).unwrap();
        assert!(refused(lease(21).grow_to(1)).contains("at most 1600 bytes"));
    }

    #[test]
    fn what_is_decoded_to_more_than_there_is_for_one_takes_all_of_that() {
        let budget = Arc::new(RequestBudget::new(1_600));
        let mut lease = BytesLease::new(&budget, connection(1), Sender::Key(1));
        lease.grow_to(100).unwrap();
        lease.grow_to_decoded(5_000).unwrap();
        assert!(refused(BytesLease::new(&budget, None, Sender::Key(1)).grow_to(1)).contains("this key"));
    }

    #[test]
    fn what_is_dropped_is_given_back_and_leaves_nothing_behind() {
        let budget = Arc::new(RequestBudget::new(1_600));
        for _ in 0..100 {
            let mut lease = BytesLease::new(&budget, connection(1), Sender::Key(1));
            lease.grow_to(150).unwrap();
            assert!(lease.grow_to(201).is_err());
            lease.grow_to(200).unwrap();
            drop(lease.another());
        }
        let held = budget.held.lock().unwrap();
        assert_eq!((held.bytes, held.connections.len(), held.senders.len()), (0, 0, 0));
    }
}
