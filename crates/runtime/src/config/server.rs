//! Settings of a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prompt_ledger_domain::secret::Secret;

use super::env::Env;
use super::settings as set;
use crate::telemetry;

/// The key that `prompt-ledger dev` accepts on loopback. It is public; API_KEY refuses it.
pub const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";

/// Who may use gRPC reflection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reflection {
    #[default]
    Open,
    /// Callers with a valid key.
    Key,
    Off,
}

/// Files in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub listen_addr: SocketAddr,
    /// A system key beside those of `keys create`, of 16 characters or more; absent where it is not set.
    pub api_key: Option<Secret>,
    pub reflection: Reflection,
    /// Bounds the time from the signal to the exit.
    pub shutdown_grace: Duration,
    /// Whether plain text may be served off loopback.
    pub allow_plaintext: bool,
    /// Most concurrent calls of one connection.
    pub max_streams: u32,
    /// Most connections at once; fewer where the process has too few file descriptors.
    pub max_connections: usize,
    /// Most connections of one IPv4 address or IPv6 /64 network; absent: no such limit.
    pub max_connections_per_address: Option<usize>,
    /// Most submits of this server that run at once.
    pub max_inflight_submits: usize,
    /// Queued executions of the deployment above which submits are refused.
    pub queue_depth_limit: usize,
    /// Whether submits are refused whose provider no running worker has.
    pub require_provider: bool,
    /// Absent: plain text.
    pub tls: Option<Tls>,
    /// How often the files of the certificate and its key are read again.
    pub tls_reload_interval: Duration,
    /// How long a new connection may take to open HTTP/2, its TLS handshake included.
    pub handshake_timeout: Duration,
    /// Bounds the time from a request's headers to its last byte.
    pub request_read_timeout: Duration,
    /// Most bytes held for requests that arrive or are processed.
    pub request_buffer: usize,
    /// A filter that [`telemetry::start`] takes.
    pub log: String,
}

impl ServerConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let tls = match (env.text(&set::TLS_CERT), env.text(&set::TLS_KEY)) {
            (Some(certificate), Some(key)) => Some(Tls { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => env.mistake(&set::TLS_KEY, "is not set, and TLS_CERT is; they go together"),
            (None, Some(_)) => env.mistake(&set::TLS_CERT, "is not set, and TLS_KEY is; they go together"),
        };
        let listen_addr = env.read(&set::LISTEN_ADDR, |value| {
            value.parse().map_err(|_| format!("`{value}` is no address; write IP:PORT, e.g. 127.0.0.1:50051"))
        });
        Self {
            listen_addr: listen_addr.unwrap_or(SocketAddr::from(([0; 4], 0))),
            api_key: env.read(&set::API_KEY, |value| {
                if value == DEVELOPMENT_KEY {
                    Err("is the development key, which everyone knows; choose another".into())
                } else if value.len() < 16 {
                    Err("is shorter than 16 characters".into())
                } else {
                    Ok(Secret::new(value))
                }
            }),
            reflection: env.word(&set::REFLECTION, |word| match word {
                "open" => Some(Reflection::Open),
                "key" => Some(Reflection::Key),
                "off" => Some(Reflection::Off),
                _ => None,
            }),
            shutdown_grace: env.duration(&set::SHUTDOWN_GRACE),
            allow_plaintext: env.word(&set::ALLOW_PLAINTEXT, |word| word.parse().ok()),
            max_streams: env.number(&set::MAX_STREAMS),
            max_connections: env.number(&set::MAX_CONNECTIONS),
            max_connections_per_address: match env.number(&set::MAX_CONNECTIONS_PER_ADDRESS) {
                0 => None,
                most => Some(most),
            },
            max_inflight_submits: env.number(&set::MAX_INFLIGHT_SUBMITS),
            queue_depth_limit: env.number(&set::QUEUE_DEPTH_LIMIT),
            require_provider: env.word(&set::REQUIRE_PROVIDER, |word| word.parse().ok()),
            tls,
            tls_reload_interval: env.duration(&set::TLS_RELOAD_INTERVAL),
            handshake_timeout: env.duration(&set::HANDSHAKE_TIMEOUT),
            request_read_timeout: env.duration(&set::REQUEST_READ_TIMEOUT),
            request_buffer: env.number::<usize>(&set::REQUEST_BUFFER_MIB) * 1024 * 1024,
            log: env.read(&set::LOG, |value| telemetry::check(value).map(|()| value.to_owned())).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_checked() {
        let lookup = |name: &str| {
            let value = match name {
                "LISTEN_ADDR" => "[::1]:0",
                "API_KEY" => "0123456789abcdef",
                "REFLECTION" => "key",
                "ALLOW_PLAINTEXT" | "REQUIRE_PROVIDER" => "true",
                "MAX_STREAMS" => "7",
                "MAX_CONNECTIONS" => "8",
                "MAX_CONNECTIONS_PER_ADDRESS" => "9",
                "REQUEST_READ_TIMEOUT" => "2m",
                "REQUEST_BUFFER_MIB" => "64",
                "LOG" => "debug",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut env = Env::new(&lookup);
        let config = ServerConfig::read(&mut env);
        env.finish(()).unwrap();
        assert_eq!(config.listen_addr.to_string(), "[::1]:0");
        assert_eq!(config.api_key.unwrap().expose(), "0123456789abcdef");
        assert_eq!((config.reflection, config.allow_plaintext, config.max_streams), (Reflection::Key, true, 7));
        assert_eq!((config.max_connections, config.max_connections_per_address), (8, Some(9)));
        assert!(config.require_provider);
        assert_eq!((config.request_read_timeout.as_secs(), config.request_buffer), (120, 64 << 20));
        assert_eq!(config.log, "debug");
        let default = ServerConfig::read(&mut Env::new(&|_| None));
        assert_eq!((default.max_connections, default.max_connections_per_address), (10_000, None));
    }

    #[test]
    fn odd_values_are_mistakes() {
        let lookup = |name: &str| Some(if name == "API_KEY" { "short-secret" } else { "odd" }.to_owned());
        let mut env = Env::new(&lookup);
        ServerConfig::read(&mut env);
        let said = env.finish(()).unwrap_err().to_string();
        for name in [
            "LISTEN_ADDR",
            "API_KEY",
            "REFLECTION",
            "SHUTDOWN_GRACE",
            "ALLOW_PLAINTEXT",
            "REQUIRE_PROVIDER",
            "MAX_STREAMS",
            "LOG",
        ] {
            assert!(said.contains(name), "{said}");
        }
        assert!(!said.contains("short-secret"));
    }

    #[test]
    fn the_development_key_is_no_api_key() {
        let lookup = |name: &str| (name == "API_KEY").then(|| DEVELOPMENT_KEY.to_owned());
        let mut env = Env::new(&lookup);
        ServerConfig::read(&mut env);
        let said = env.finish(()).unwrap_err().to_string();
        assert!(said.contains("API_KEY: is the development key"), "{said}");
    }

    #[test]
    fn a_certificate_and_its_key_go_together() {
        for (set, missing) in [("TLS_CERT", "TLS_KEY"), ("TLS_KEY", "TLS_CERT")] {
            let lookup = |name: &str| (name == set).then(|| "file.pem".to_owned());
            let mut env = Env::new(&lookup);
            ServerConfig::read(&mut env);
            let said = env.finish(()).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{missing}: is not set")), "{said}");
        }
        let both = |name: &str| name.starts_with("TLS_").then(|| "file.pem".to_owned());
        assert!(ServerConfig::read(&mut Env::new(&both)).tls.is_some());
    }

    #[test]
    fn off_is_off() {
        let lookup = |name: &str| (name == "REFLECTION").then(|| "off".to_owned());
        assert_eq!(ServerConfig::read(&mut Env::new(&lookup)).reflection, Reflection::Off);
        let lookup = |name: &str| (name == "REFLECTION").then(|| "open".to_owned());
        assert_eq!(ServerConfig::read(&mut Env::new(&lookup)).reflection, Reflection::Open);
    }
}
