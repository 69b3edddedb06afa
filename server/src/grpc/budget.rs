//! How many bytes of requests that are still arriving are held at once: by the process, for one connection and for one
//! key. What is refused here is one request; those that have their bytes go on.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    /// Anyone without a key.
    Anonymous,
    /// The holder of a key, by the number that stands for it.
    Key(u64),
}

impl Sender {
    /// The part of the process's bytes that one sender may take: a quarter for a key, so that no two keys take the place
    /// of all others; a sixteenth for everyone without a key together.
    fn share(self) -> usize {
        match self {
            Self::Anonymous => 16,
            Self::Key(_) => 4,
        }
    }

    /// As errors name it.
    fn named(self) -> &'static str {
        match self {
            Self::Anonymous => "callers without a key",
            Self::Key(_) => "this key",
        }
    }
}

/// The part of the process's bytes that one connection may take.
const CONNECTION_SHARE: usize = 8;

/// The bytes of a process that may be held for requests that are still arriving.
pub(super) struct RequestBudget {
    bytes: usize,
    held: Mutex<HeldBytes>,
}

/// What is held now. Only who holds something has an entry.
#[derive(Default)]
struct HeldBytes {
    bytes: usize,
    connections: HashMap<SocketAddr, usize>,
    senders: HashMap<Sender, usize>,
}

impl RequestBudget {
    /// A budget of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, held: Mutex::default() }
    }

    fn take(&self, connection: Option<SocketAddr>, sender: Sender, bytes: usize) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.bytes + bytes > self.bytes {
            return Err(full("all callers of this server together", self.bytes));
        }
        let of_sender = self.bytes / sender.share();
        if held.senders.get(&sender).unwrap_or(&0) + bytes > of_sender {
            return Err(full(sender.named(), of_sender));
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
        Ok(())
    }

    fn give_back(&self, connection: Option<SocketAddr>, sender: Sender, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes -= bytes;
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

/// OVERLOADED: whose bytes are taken.
fn full(whose: &str, bytes: usize) -> Error {
    let message = format!(
        "there is no memory left for this request: of those that are still arriving, {whose} may have at most {bytes} bytes \
         at once; try again, with fewer or smaller requests at once"
    );
    Error::new(Reason::Overloaded, message).retry_after(Duration::from_secs(1))
}

/// The bytes of one request. They are given back when it is dropped.
pub(super) struct BytesLease {
    budget: Arc<RequestBudget>,
    connection: Option<SocketAddr>,
    sender: Sender,
    bytes: usize,
}

impl BytesLease {
    /// Nothing yet, for a request from this connection.
    pub(super) fn new(budget: &Arc<RequestBudget>, connection: Option<SocketAddr>, sender: Sender) -> Self {
        Self { budget: Arc::clone(budget), connection, sender, bytes: 0 }
    }

    /// Nothing yet, for another message of the same sender.
    pub(super) fn another(&self) -> Self {
        Self::new(&self.budget, self.connection, self.sender)
    }

    /// Takes as many bytes as it lacks to this many; OVERLOADED where there are none.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let more = bytes.saturating_sub(self.bytes);
        self.budget.take(self.connection, self.sender, more)?;
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
        let mut held = Vec::new();
        // Two connections of each of four keys.
        for port in 0..8 {
            let key = u64::from(port / 2);
            let mut one = lease(port, Sender::Key(key));
            one.grow_to(200).unwrap();
            let too_much = refused(one.grow_to(201));
            let said = match port {
                7 => "all callers of this server together may have at most 1600 bytes",
                1 | 3 | 5 => "this key may have at most 400 bytes",
                _ => "this connection may have at most 200 bytes",
            };
            assert!(too_much.contains(said), "{port}: {too_much}");
            held.push(one);
            if port == 0 {
                assert!(refused(lease(0, Sender::Key(9)).grow_to(1)).contains("this connection"));
                let mut anonymous = lease(9, Sender::Anonymous);
                anonymous.grow_to(100).unwrap();
                assert!(refused(anonymous.grow_to(101)).contains("callers without a key may have at most 100 bytes"));
                assert!(refused(lease(99, Sender::Key(9)).grow_to(201)).contains("this connection"));
                assert!(!budget.held.lock().unwrap().connections.contains_key(&connection(99).unwrap()));
            }
        }
        assert!(refused(lease(20, Sender::Key(9)).grow_to(1)).contains("all callers of this server together"));
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
