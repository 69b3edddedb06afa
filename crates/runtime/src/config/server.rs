//! How a server serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prompt_ledger_domain::secret::Secret;

use super::env::{Env, Setting};

/// The key that `prompt-ledger dev` takes on loopback without its being made. Everyone knows it.
pub const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";

pub(super) const SETTINGS: &[Setting] = &[
    Setting { name: "LISTEN_ADDR", default: "127.0.0.1:50051", meaning: "where it listens" },
    Setting {
        name: "API_KEY",
        default: "none",
        meaning: "a system key, beside those of `keys create`: 16 characters or more",
    },
    Setting { name: "REFLECTION", default: "open", meaning: "who may use gRPC reflection: open, key or off" },
    Setting { name: "SHUTDOWN_GRACE", default: "10s", meaning: "from SIGTERM to the end, at most" },
    Setting { name: "ALLOW_PLAINTEXT", default: "false", meaning: "serve without TLS off loopback" },
    Setting { name: "TLS_CERT", default: "none", meaning: "the certificate chain, a file in PEM form" },
    Setting { name: "TLS_KEY", default: "none", meaning: "its private key, a file in PEM form" },
    Setting { name: "TLS_RELOAD_INTERVAL", default: "1m", meaning: "how often both are looked at for new ones" },
    Setting {
        name: "QUEUE_DEPTH_LIMIT",
        default: "100000",
        meaning: "queued executions, beyond which submits are refused",
    },
    Setting { name: "MAX_INFLIGHT_SUBMITS", default: "1024", meaning: "submits of one server at once" },
    Setting { name: "MAX_STREAMS", default: "1000", meaning: "concurrent calls of one connection" },
    Setting { name: "MAX_CONNECTIONS", default: "10000", meaning: "connections at once; others are closed" },
    Setting {
        name: "MAX_CONNECTIONS_PER_ADDRESS",
        default: "0",
        meaning: "those of one IPv4 address or IPv6 /64; 0 is no limit, as a load balancer in front of it needs",
    },
    Setting {
        name: "HANDSHAKE_TIMEOUT",
        default: "5s",
        meaning: "until a new connection has opened HTTP/2, TLS included",
    },
    Setting { name: "REQUEST_READ_TIMEOUT", default: "30s", meaning: "how long a request may take to arrive whole" },
    Setting {
        name: "REQUEST_BUFFER_MIB",
        default: "256",
        meaning: "MiB held at most for requests that arrive or are at work",
    },
    Setting { name: "LOG", default: "info", meaning: "what is logged, e.g. debug or prompt_ledger_server=debug" },
];

/// Who may ask what the server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflection {
    /// Anyone.
    Open,
    /// Who has a key.
    Key,
    /// Nobody.
    Off,
}

/// What TLS needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How a server serves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen_addr: SocketAddr,
    /// A system key.
    pub api_key: Option<Secret>,
    /// Who may use reflection.
    pub reflection: Reflection,
    /// From signal to exit.
    pub shutdown_grace: Duration,
    /// Whether plain text may leave loopback.
    pub allow_plaintext: bool,
    /// Concurrent calls of one connection.
    pub max_streams: u32,
    /// Connections at once, fewer where the process has not the descriptors.
    pub max_connections: usize,
    /// Connections of one IPv4 address or IPv6 network of 64 bits; absent means no limit of their own.
    pub max_connections_per_address: Option<usize>,
    /// Submits of this server that may be under way at once.
    pub max_inflight_submits: usize,
    /// Queued executions of the deployment, beyond which submits are refused.
    pub queue_depth_limit: usize,
    /// The certificate and its key, as files in PEM form; absent means plain text.
    pub tls: Option<Tls>,
    /// How often the files of the certificate and its key are read again.
    pub tls_reload_interval: Duration,
    /// How long a new connection may take to open HTTP/2, its TLS handshake included.
    pub handshake_timeout: Duration,
    /// From a request's headers to its last byte, at most.
    pub request_read_timeout: Duration,
    /// Bytes that are held at most for requests that are still arriving.
    pub request_buffer: usize,
    /// What is logged.
    pub log: String,
}

impl ServerConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let second = Duration::from_secs(1);
        let (certificate, key) = (env.text("TLS_CERT"), env.text("TLS_KEY"));
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => env.mistake("TLS_KEY", "is not set, and TLS_CERT is; they go together"),
            (None, Some(_)) => env.mistake("TLS_CERT", "is not set, and TLS_KEY is; they go together"),
        };
        Self {
            listen_addr: env.read("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 50051)), |value| {
                value.parse().map_err(|_| format!("`{value}` is no address; write IP:PORT, e.g. 127.0.0.1:50051"))
            }),
            api_key: env.read("API_KEY", None, |value| {
                if value == DEVELOPMENT_KEY {
                    Err("is the development key, which everyone knows; choose another".into())
                } else if value.len() < 16 {
                    Err("is shorter than 16 characters".into())
                } else {
                    Ok(Some(Secret::new(value)))
                }
            }),
            reflection: env.read("REFLECTION", Reflection::Open, |value| match value {
                "open" => Ok(Reflection::Open),
                "key" => Ok(Reflection::Key),
                "off" => Ok(Reflection::Off),
                _ => Err(format!("`{value}` is none of open, key, off")),
            }),
            shutdown_grace: env.duration("SHUTDOWN_GRACE", 10 * second, second, 3600 * second),
            allow_plaintext: env.flag("ALLOW_PLAINTEXT"),
            max_streams: env.number("MAX_STREAMS", 1_000, 1, 1_000_000),
            max_connections: env.number("MAX_CONNECTIONS", 10_000, 1, 1_000_000),
            max_connections_per_address: match env.number("MAX_CONNECTIONS_PER_ADDRESS", 0, 0, 1_000_000) {
                0 => None,
                most => Some(most),
            },
            max_inflight_submits: env.number("MAX_INFLIGHT_SUBMITS", 1_024, 1, 1_000_000),
            queue_depth_limit: env.number("QUEUE_DEPTH_LIMIT", 100_000, 1, 100_000_000),
            tls,
            tls_reload_interval: env.duration("TLS_RELOAD_INTERVAL", 60 * second, second / 10, 86_400 * second),
            handshake_timeout: env.duration("HANDSHAKE_TIMEOUT", 5 * second, second / 10, 60 * second),
            request_read_timeout: env.duration("REQUEST_READ_TIMEOUT", 30 * second, second / 10, 3600 * second),
            // One connection may take an eighth of it, and must be able to send the largest request.
            request_buffer: env.number("REQUEST_BUFFER_MIB", 256, 64, 65_536) * 1024 * 1024,
            log: env.text("LOG").unwrap_or_else(|| "info".into()),
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
                "ALLOW_PLAINTEXT" => "true",
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
        for name in ["LISTEN_ADDR", "API_KEY", "REFLECTION", "SHUTDOWN_GRACE", "ALLOW_PLAINTEXT", "MAX_STREAMS"] {
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
