//! Listeners at a default address that another process may have taken.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// How many ports are tried, from the default one on.
const PORTS: u16 = 16;

/// A listener at this address, or at the first port behind it that is free; absent where 16 of them are taken.
pub async fn near(first: SocketAddr) -> io::Result<Option<TcpListener>> {
    for port in first.port()..=first.port().saturating_add(PORTS - 1) {
        match TcpListener::bind(SocketAddr::new(first.ip(), port)).await {
            Ok(bound) => return Ok(Some(bound)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wanted = taken.local_addr().unwrap();
        if let Some(bound) = near(wanted).await.unwrap() {
            let port = bound.local_addr().unwrap().port();
            assert!(port > wanted.port() && port - wanted.port() < PORTS);
        }
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert!(near(elsewhere).await.is_err(), "an address of another machine");
    }
}
