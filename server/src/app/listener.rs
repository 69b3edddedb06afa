//! The listeners of a server: exposure, TLS certificate, connection limits.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_health::HealthListener;
use prompt_ledger_observe::front::DoorLabel;
use prompt_ledger_runtime::config::{Config, ListenAddr};
use prompt_ledger_runtime::listen;
use tokio::net::TcpListener;

use super::StartError;
use crate::net::limit::ConnectionLimit;
use crate::net::tls::{ALPN_H2, ALPN_HTTP_1, Certificates};
use crate::net::{Incoming, descriptors};

/// Refuses plain text off loopback, at either front door, unless ALLOW_PLAINTEXT is set: it would show keys and prompts to the network.
pub(super) fn check_exposure(config: &Config, addr: SocketAddr) -> Result<(), StartError> {
    let Some(addr) = [Some(addr), config.http.addr.addr()].into_iter().flatten().find(|addr| !addr.ip().is_loopback())
    else {
        return Ok(());
    };
    if config.server.tls.is_some() {
        return Ok(());
    }
    if !config.server.allow_plaintext {
        return Err(format!(
            "{addr} can be reached from other machines, and without TLS_CERT and TLS_KEY this server speaks plain text; \
             set them, listen on 127.0.0.1, or set ALLOW_PLAINTEXT=true where something in front of it speaks TLS"
        )
        .into());
    }
    tracing::warn!(%addr, "serving plain text off loopback, as ALLOW_PLAINTEXT says");
    Ok(())
}

/// What a server listens on, bound before anything else of it starts.
pub(super) struct Listeners {
    pub(super) addr: SocketAddr,
    /// Absent where the HTTP front is off.
    pub(super) http_addr: Option<SocketAddr>,
    pub(super) grpc: Incoming,
    pub(super) http: Option<Incoming>,
    /// HEALTH_ADDR; absent where it is not set.
    pub(super) health: Option<HealthListener>,
    /// Of both front doors; absent without TLS_CERT and TLS_KEY, which means plain text.
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Listeners {
    /// Binds the gRPC front at `addr`, and what the configuration names. Both fronts share the limit on connections.
    pub(super) async fn bind(config: &Config, addr: SocketAddr) -> Result<Self, StartError> {
        let grpc = TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        let addr = grpc.local_addr()?;
        let certificates = config.server.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let http = listen_http(config.http.addr).await?;
        let http_addr = http.as_ref().map(TcpListener::local_addr).transpose()?;
        let limit = connection_limit(config);
        let incoming = |listener, protocols: &[&[u8]], door| {
            let tls = certificates.as_ref().map(|certificates| certificates.acceptor(protocols)).transpose()?;
            let (handshake, stall) = (config.server.handshake_timeout, config.watch.stall_limit);
            Ok::<_, StartError>(Incoming::new(listener, tls, limit.clone(), door, handshake, stall))
        };
        let grpc = incoming(grpc, &[ALPN_H2], DoorLabel::Grpc)?;
        let http = http.map(|http| incoming(http, &[ALPN_H2, ALPN_HTTP_1], DoorLabel::Http)).transpose()?;
        let health = match config.health_addr {
            Some(addr) => Some(HealthListener::bind(addr).await?),
            None => None,
        };
        Ok(Self { addr, http_addr, grpc, http, health, certificates })
    }

    /// Whether only this machine can reach the fronts.
    pub(super) fn are_loopback(&self) -> bool {
        self.addr.ip().is_loopback() && self.http_addr.is_none_or(|addr| addr.ip().is_loopback())
    }
}

/// The listener of the HTTP front; absent where it is off.
async fn listen_http(addr: ListenAddr) -> Result<Option<TcpListener>, StartError> {
    let Some(wanted) = addr.addr() else { return Ok(None) };
    let failed = |error| format!("HTTP_ADDR: cannot listen on {wanted}: {error}");
    if let ListenAddr::Configured(_) = addr {
        return Ok(Some(TcpListener::bind(wanted).await.map_err(failed)?));
    }
    let bound = listen::near(wanted).await.map_err(failed)?.ok_or_else(|| {
        format!(
            "HTTP_ADDR: {wanted} is taken, and so are the ports behind it; set HTTP_ADDR to another address, or to off"
        )
    })?;
    let addr = bound.local_addr()?;
    if addr != wanted {
        tracing::warn!(default = %wanted, %addr, "HTTP_ADDR: the default is taken; HTTP is served elsewhere");
    }
    Ok(Some(bound))
}

/// The limit on the connections of both front doors together, by the configuration and by the process's file descriptors.
fn connection_limit(config: &Config) -> ConnectionLimit {
    let server = &config.server;
    let fit = descriptors::connections_that_fit(server.max_connections, config.backends.database_connections);
    ConnectionLimit::new(fit, server.max_connections_per_address)
}
