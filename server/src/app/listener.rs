//! The listener of a server: exposure, TLS certificate, connection limits.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_runtime::config::{Config, HttpAddr, ServerConfig};
use tokio::net::TcpListener;

use super::StartError;
use crate::net::limit::ConnectionLimit;
use crate::net::tls::Certificates;
use crate::net::{Incoming, descriptors};

/// Refuses plain text off loopback, at either front door, unless ALLOW_PLAINTEXT is set: it would show keys and prompts to the network.
pub(super) fn check_exposure(config: &Config, addr: SocketAddr) -> Result<(), StartError> {
    let http = match config.http.addr {
        HttpAddr::Off => None,
        HttpAddr::Configured(addr) | HttpAddr::Default(addr) => Some(addr),
    };
    let Some(addr) = [Some(addr), http].into_iter().flatten().find(|addr| !addr.ip().is_loopback()) else {
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

/// How many ports are tried for the HTTP front, from the default one on.
const HTTP_PORTS: u16 = 16;

/// The listener of the HTTP front; absent where it is off.
pub(super) async fn listen_http(addr: HttpAddr) -> Result<Option<TcpListener>, StartError> {
    match addr {
        HttpAddr::Off => Ok(None),
        HttpAddr::Configured(addr) => {
            let bound = TcpListener::bind(addr).await;
            Ok(Some(bound.map_err(|error| format!("HTTP_ADDR: cannot listen on {addr}: {error}"))?))
        }
        HttpAddr::Default(first) => {
            for port in first.port()..=first.port().saturating_add(HTTP_PORTS - 1) {
                let addr = SocketAddr::new(first.ip(), port);
                match TcpListener::bind(addr).await {
                    Ok(bound) => {
                        if port != first.port() {
                            tracing::warn!(default = %first, %addr, "HTTP_ADDR: the default is taken; HTTP is served elsewhere");
                        }
                        return Ok(Some(bound));
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                    Err(error) => return Err(format!("HTTP_ADDR: cannot listen on {addr}: {error}").into()),
                }
            }
            Err(format!(
                "HTTP_ADDR: {first} is taken, and so are the ports behind it; set HTTP_ADDR to another address, or to \
                 off"
            )
            .into())
        }
    }
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
) -> Result<Incoming, StartError> {
    let tls = certificates.map(|certificates| certificates.acceptor(protocols)).transpose()?;
    Ok(Incoming::new(listener, tls, limit, config.server.handshake_timeout, config.watch.stall_limit))
}
