//! The listener of a server: exposure, TLS certificate, connection limits.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_observe::front::DoorLabel;
use prompt_ledger_runtime::config::{Config, ListenAddr, ServerConfig};
use prompt_ledger_runtime::listen;
use tokio::net::TcpListener;

use super::StartError;
use crate::net::limit::ConnectionLimit;
use crate::net::tls::Certificates;
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

pub(super) async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    Ok(TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?)
}

/// The listener of the HTTP front; absent where it is off.
pub(super) async fn listen_http(addr: ListenAddr) -> Result<Option<TcpListener>, StartError> {
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

/// The certificate of TLS_CERT and TLS_KEY; absent where they are not set, which means plain text.
pub(super) fn certificates(config: &ServerConfig) -> Result<Option<Arc<Certificates>>, StartError> {
    Ok(config.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new))
}

/// The limit on the connections of both front doors together, by the configuration and by the process's file descriptors.
pub(super) fn connection_limit(config: &Config) -> ConnectionLimit {
    let server = &config.server;
    let fit = descriptors::connections_that_fit(server.max_connections, config.backends.database_connections);
    ConnectionLimit::new(fit, server.max_connections_per_address)
}

/// The connections of a listener. With a certificate they speak TLS, and these protocols are offered.
pub(super) fn incoming(
    config: &Config,
    listener: TcpListener,
    certificates: Option<&Arc<Certificates>>,
    protocols: &[&[u8]],
    limit: ConnectionLimit,
    door: DoorLabel,
) -> Result<Incoming, StartError> {
    let tls = certificates.map(|certificates| certificates.acceptor(protocols)).transpose()?;
    Ok(Incoming::new(listener, tls, limit, door, config.server.handshake_timeout, config.watch.stall_limit))
}
