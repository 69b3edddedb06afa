//! Settings of the store and the brokers.

use std::fmt;

use prompt_ledger_domain::secret::Secret;
use url::Url;

use super::database_url;
use super::env::{Env, Setting};
use super::settings::{AMQP_URL, BROKER_PREFIX, DATABASE_CONNECTIONS, DATABASE_URL, REDIS_URL};

#[derive(Clone, Debug)]
pub struct BackendConfig {
    /// Postgres; absent where DATABASE_URL is not set.
    pub database: Option<ServiceUrl>,
    /// Upper bound of the connection pool.
    pub database_connections: u32,
    /// Redis; absent where REDIS_URL is not set.
    pub redis: Option<ServiceUrl>,
    /// RabbitMQ; absent where AMQP_URL is not set.
    pub amqp: Option<ServiceUrl>,
    /// Prefix of all names in the brokers: up to 64 of `A-Z a-z 0-9 . _ -`.
    pub broker_prefix: String,
}

/// The URL of a service, which may hold a password. `Display` and `Debug` show scheme, host and port only, or a socket.
#[derive(Clone)]
pub struct ServiceUrl {
    url: Secret,
    shown: String,
}

impl ServiceUrl {
    /// `shown` takes the place of the URL where it is printed.
    pub(super) fn new(url: Secret, shown: String) -> Self {
        Self { url, shown }
    }

    /// The whole URL, with its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose()
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl BackendConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let mut place = |setting: &Setting, schemes: &[&str]| {
            env.read(setting, |value| match Url::parse(value) {
                Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => {
                    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                    let shown = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
                    Ok(ServiceUrl { url: Secret::new(value), shown })
                }
                _ => Err(format!("is no URL that begins with {}://HOST", schemes.join(":// or "))),
            })
        };
        Self {
            redis: place(&REDIS_URL, &["redis", "rediss"]),
            amqp: place(&AMQP_URL, &["amqp", "amqps"]),
            database: env.read(&DATABASE_URL, database_url::read),
            database_connections: env.number(&DATABASE_CONNECTIONS),
            broker_prefix: env
                .read(&BROKER_PREFIX, |value| {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                    match value.len() <= 64 && value.chars().all(plain) {
                        true => Ok(value.to_owned()),
                        false => Err(format!("`{value}` is not {}", BROKER_PREFIX.range)),
                    }
                })
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_never_shows_its_password() {
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://ada:hunter2@db.internal:5433/ledger".to_owned()),
            "AMQP_URL" => Some("amqp://guest:hunter2@mq/%2f".to_owned()),
            _ => None,
        };
        let mut env = Env::new(&lookup);
        let config = BackendConfig::read(&mut env);
        env.finish(()).unwrap();
        assert_eq!(config.database.as_ref().unwrap().to_string(), "postgres://db.internal:5433");
        assert!(config.database.as_ref().unwrap().expose().contains("hunter2"));
        assert!(config.amqp.is_some() && config.redis.is_none());
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn odd_values_are_mistakes_that_show_no_secret() {
        let lookup = |name: &str| {
            let odd = match name {
                "DATABASE_URL" => "mysql://ada:hunter2@db/ledger",
                "REDIS_URL" => "hunter2",
                "DATABASE_CONNECTIONS" => "12",
                "BROKER_PREFIX" => "a b",
                _ => return None,
            };
            Some(odd.to_owned())
        };
        let mut env = Env::new(&lookup);
        BackendConfig::read(&mut env);
        let said = env.finish(()).unwrap_err().to_string();
        for name in ["DATABASE_URL: is no URL that begins with postgres://", "REDIS_URL", "DATABASE_CONNECTIONS: `12`"]
        {
            assert!(said.contains(name), "{said}");
        }
        assert!(said.contains("BROKER_PREFIX") && !said.contains("hunter2"), "{said}");
    }
}
