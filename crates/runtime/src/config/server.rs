//! How a server serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prompt_ledger_domain::secret::Secret;

use super::env::{Env, Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting { name: "LISTEN_ADDR", default: "127.0.0.1:50051", meaning: "where it listens" },
    Setting { name: "API_KEY", default: "none", meaning: "a system key, beside those made by `keys create`" },
    Setting { name: "REFLECTION", default: "open", meaning: "who may use gRPC reflection: open, key or off" },
    Setting { name: "SHUTDOWN_GRACE", default: "10s", meaning: "from SIGTERM to the end, at most" },
    Setting { name: "ALLOW_PLAINTEXT", default: "false", meaning: "serve without TLS off loopback" },
    Setting { name: "TLS_CERT", default: "none", meaning: "the certificate chain, a file in PEM form" },
    Setting { name: "TLS_KEY", default: "none", meaning: "its private key, a file in PEM form" },
    Setting { name: "QUEUE_DEPTH_LIMIT", default: "100000", meaning: "queued executions, beyond which submits wait" },
    Setting { name: "MAX_INFLIGHT_SUBMITS", default: "1024", meaning: "submits of one server at once" },
    Setting { name: "MAX_STREAMS", default: "1000", meaning: "concurrent calls of one connection" },
    Setting { name: "HANDSHAKE_TIMEOUT", default: "5s", meaning: "how long a new connection may stay silent" },
    Setting { name: "REQUEST_READ_TIMEOUT", default: "30s", meaning: "how long a request may take to arrive whole" },
    Setting { name: "REQUEST_BUFFER_MIB", default: "256", meaning: "MiB held at most for requests still arriving" },
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
    /// Submits of this server that may be under way at once.
    pub max_inflight_submits: usize,
    /// Queued executions of the deployment, beyond which submits are refused.
    pub queue_depth_limit: usize,
    /// The certificate and its key, as files in PEM form; absent means plain text.
    pub tls: Option<Tls>,
    /// How long a new connection may stay silent.
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
                if value.len() < 16 {
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
            max_inflight_submits: env.number("MAX_INFLIGHT_SUBMITS", 1_024, 1, 1_000_000),
            queue_depth_limit: env.number("QUEUE_DEPTH_LIMIT", 100_000, 1, 100_000_000),
            tls,
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
        assert_eq!((config.request_read_timeout.as_secs(), config.request_buffer), (120, 64 << 20));
        assert_eq!(config.log, "debug");
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
