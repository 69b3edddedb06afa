//! Settings of the HTTP front.

use super::ListenAddr;
use super::env::Env;
use super::settings as set;

#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Where it listens.
    pub addr: ListenAddr,
    /// Host names, in lower case and without a port, that it answers to beside its own.
    pub hosts: Vec<String>,
    /// Origins whose pages may call it; each in the form that browsers send.
    pub cors_origins: Vec<String>,
}

impl HttpConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        Self {
            addr: ListenAddr::read(env, &set::HTTP_ADDR),
            hosts: env.read(&set::HTTP_HOSTS, |value| each(value, host)).unwrap_or_default(),
            cors_origins: env.read(&set::CORS_ORIGINS, |value| each(value, origin)).unwrap_or_default(),
        }
    }
}

/// The entries of a list that is separated by commas.
fn each(value: &str, read: fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    value.split(',').map(|entry| read(entry.trim())).collect()
}

fn host(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // An IPv6 address, as it stands in a URL.
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let known = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(fits),
    };
    match known {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(format!("`{name}` is no host name; write names without scheme and port, e.g. ledger.example.com")),
    }
}

fn origin(origin: &str) -> Result<String, String> {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let (name, port) = match rest.map(|rest| (rest, rest.rsplit_once(':'))) {
        // The colons of an IPv6 address are not before a port.
        Some((rest, Some((name, port)))) if !rest.ends_with(']') => (name, Some(port)),
        Some((rest, _)) => (rest, None),
        None => ("", None),
    };
    // Browsers leave the port of the scheme out.
    let default = if origin.starts_with("https") { "443" } else { "80" };
    match host(name).is_ok() && port.is_none_or(|port| port != default && port.parse::<u16>().is_ok()) {
        true => Ok(origin.to_ascii_lowercase()),
        false => Err(format!(
            "`{origin}` is no origin; write SCHEME://HOST or SCHEME://HOST:PORT as browsers send it, without \
                     a path, and without the port of the scheme"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<HttpConfig, String> {
        let lookup = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut env = Env::new(&lookup);
        let config = HttpConfig::read(&mut env);
        env.finish(config).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn lists_are_read_and_every_entry_is_checked() {
        let config = read(&[
            ("HTTP_HOSTS", "Ledger.example.com, [fe80::1],10.0.0.1"),
            ("CORS_ORIGINS", "https://App.example.com,http://localhost:3000, http://[::1]:81,http://[::1]"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.hosts, ["ledger.example.com", "[fe80::1]", "10.0.0.1"]);
        let origins = ["https://app.example.com", "http://localhost:3000", "http://[::1]:81", "http://[::1]"];
        assert_eq!(config.cors_origins, origins);
        for (name, value) in [
            ("HTTP_ADDR", "8000"),
            ("HTTP_HOSTS", "https://a"),
            ("HTTP_HOSTS", "a:80"),
            ("HTTP_HOSTS", "a,,b"),
            ("HTTP_HOSTS", "[a]"),
            ("HTTP_HOSTS", "*"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "app.example.com"),
            ("CORS_ORIGINS", "https://app.example.com/"),
            ("CORS_ORIGINS", "https://a:port"),
            ("CORS_ORIGINS", "https://a:443"),
            ("CORS_ORIGINS", "http://a:80"),
            ("CORS_ORIGINS", "ftp://a"),
        ] {
            let said = read(&[(name, value)]).unwrap_err();
            assert!(said.starts_with(&format!("{name}: `")), "{said}");
        }
    }
}
