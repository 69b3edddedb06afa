//! Limits on connections: in total and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the connections of a server. Clones share the count.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    total: usize,
    per_address: Option<usize>,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Empty where addresses are not limited.
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many connections are open as the server allows.
    Total,
    /// As many are open from this address as one address may have.
    Address,
}

/// A connection's place in the count, released on drop.
#[derive(Debug)]
pub struct Permit {
    limit: ConnectionLimit,
    address: IpAddr,
}

impl ConnectionLimit {
    /// At most `total` connections, and `per_address` from one address; absent: no limit of its own.
    #[must_use]
    pub fn new(total: usize, per_address: Option<usize>) -> Self {
        Self { total, per_address, open: Arc::default() }
    }

    /// Counts a connection from `address`, where the limits allow one more.
    pub fn admit(&self, address: IpAddr) -> Result<Permit, Refusal> {
        let address = group(address);
        let mut open = self.open();
        if open.total >= self.total {
            return Err(Refusal::Total);
        }
        if let Some(most) = self.per_address {
            let count = open.by_address.entry(address).or_default();
            if *count >= most {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        open.total += 1;
        drop(open);
        Ok(Permit { limit: self.clone(), address })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.limit.open();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: of IPv6 the /64 network, all of which a single host may use. IPv4-mapped IPv6 is IPv4.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let limit = ConnectionLimit::new(2, None);
        let (first, _second) = (limit.admit(ip("10.0.0.1")).unwrap(), limit.admit(ip("10.0.0.1")).unwrap());
        assert_eq!(limit.admit(ip("10.0.0.2")).unwrap_err(), Refusal::Total);
        drop(first);
        assert!(limit.admit(ip("10.0.0.2")).is_ok());
    }

    #[test]
    fn an_address_has_its_own_limit_and_a_refusal_takes_no_place() {
        let limit = ConnectionLimit::new(3, Some(1));
        let first = limit.admit(ip("10.0.0.1")).unwrap();
        assert_eq!(limit.admit(ip("::ffff:10.0.0.1")).unwrap_err(), Refusal::Address);
        let _sixth = limit.admit(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(limit.admit(ip("2001:db8:0:1:ffff::2")).unwrap_err(), Refusal::Address);
        let _other = limit.admit(ip("2001:db8:0:2::1")).unwrap();
        assert_eq!(limit.admit(ip("10.0.0.2")).unwrap_err(), Refusal::Total);
        drop(first);
        let _again = limit.admit(ip("10.0.0.1")).unwrap();
        assert_eq!(limit.open().by_address.len(), 3);
    }

    #[test]
    fn nothing_is_kept_of_addresses_that_have_no_connection() {
        let limit = ConnectionLimit::new(3, Some(1));
        drop(limit.admit(ip("10.0.0.1")));
        assert!(limit.open().by_address.is_empty());
    }
}
