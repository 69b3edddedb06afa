//! The listener of a server: exposure, TLS certificate, connection limits.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_runtime::config::{Config, ServerConfig};
use tokio::net::TcpListener;

use super::StartError;
use crate::net::limit::ConnectionLimit;
use crate::net::tls::{ALPN_H2, Certificates};
use crate::net::{Incoming, descriptors};

/// Refuses plain text off loopback unless ALLOW_PLAINTEXT is set: it would show keys and prompts to the network.
pub(super) fn check_exposure(config: &Config, addr: SocketAddr) -> Result<(), StartError> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
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

/// The certificate of TLS_CERT and TLS_KEY; absent where they are not set, which means plain text.
pub(super) fn certificates(config: &ServerConfig) -> Result<Option<Arc<Certificates>>, StartError> {
    Ok(config.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new))
}

/// The connections of a listener, limited by the configuration and by the process's file descriptors.
pub(super) fn incoming(
    config: &Config,
    listener: TcpListener,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Incoming, StartError> {
    let tls = certificates.map(|certificates| certificates.acceptor(&[ALPN_H2])).transpose()?;
    let server = &config.server;
    let fit = descriptors::connections_that_fit(server.max_connections, config.backends.database_connections);
    let limit = ConnectionLimit::new(fit, server.max_connections_per_address);
    Ok(Incoming::new(listener, tls, limit, server.handshake_timeout))
}
