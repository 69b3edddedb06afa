//! Settings of the model providers: `openai`, `anthropic`, `echo`, and any number of further instances.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::provider::ProviderKind;
use prompt_ledger_domain::secret::Secret;
use url::Url;

use super::env::{Env, Setting};
use super::settings::{
    ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, CA, HEADERS, HTTPS_PROXY, IDLE_CONNECTIONS, INSTANCE_API_KEY,
    INSTANCE_BASE_URL, INSTANCE_SETTINGS, KEY_HEADER, KIND, NO_PROXY, OPENAI_API_KEY, OPENAI_BASE_URL, PROXY,
    TIMEOUT_FIRST, TIMEOUT_IDLE,
};

/// The provider instances of a deployment.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// By name: `openai`, `anthropic`, `echo`, and those that the environment makes.
    pub instances: BTreeMap<String, InstanceConfig>,
}

/// One provider instance.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    pub kind: ProviderKind,
    /// Absent where it is not set; a configured base URL needs none.
    pub api_key: Option<Secret>,
    /// Absent: the vendor's own server.
    pub base_url: Option<Url>,
    /// Absent: the protocol's.
    pub key_header: Option<String>,
    /// Names and values.
    pub headers: Vec<(String, Secret)>,
    /// May contain a user and a password; absent: none.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: String,
    /// A file in PEM form; absent: the system's certificates.
    pub ca: Option<PathBuf>,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub idle_connections: Duration,
    /// What is to be set before it can be called.
    pub remedy: String,
}

impl InstanceConfig {
    /// A key or a base URL is enough; `echo` needs neither.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.kind == ProviderKind::Echo || self.api_key.is_some() || self.base_url.is_some()
    }
}

/// The instances that are always known, with the variables of their keys and base URLs.
const BUILT_IN: [(&str, ProviderKind, Option<[&Setting; 2]>); 3] = [
    ("openai", ProviderKind::OpenAi, Some([&OPENAI_API_KEY, &OPENAI_BASE_URL])),
    ("anthropic", ProviderKind::Anthropic, Some([&ANTHROPIC_API_KEY, &ANTHROPIC_BASE_URL])),
    ("echo", ProviderKind::Echo, None),
];

impl ProviderConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let proxy = env.read(&HTTPS_PROXY, proxy).map(Secret::new);
        let proxied = (proxy, env.text(&NO_PROXY).unwrap_or_default());
        let mut instances = BTreeMap::new();
        for (name, kind, own) in BUILT_IN {
            env.select(&name.to_ascii_uppercase());
            let instance =
                InstanceConfig::read(env, kind, own.unwrap_or([&INSTANCE_API_KEY, &INSTANCE_BASE_URL]), &proxied);
            instances.insert(name.to_owned(), instance);
        }
        for name in env.instances(INSTANCE_SETTINGS) {
            env.select(&name);
            let own_name = name.to_ascii_lowercase();
            let kind = env.read(&KIND, |word| {
                word.parse::<ProviderKind>().ok().ok_or_else(|| format!("`{word}` is none of {}", KIND.range))
            });
            match kind {
                _ if name.contains(|c: char| c.is_ascii_lowercase()) || Name::parse("name", &own_name).is_err() => {
                    env.mistake::<()>(&KIND, "an instance is named by A-Z, 0-9 and _ there");
                }
                _ if instances.contains_key(&own_name) => {
                    if kind.is_some_and(|kind| kind != instances[&own_name].kind) {
                        env.mistake::<()>(&KIND, &format!("`{own_name}` is built in and keeps its kind"));
                    }
                }
                Some(kind) => {
                    let settings = [&INSTANCE_API_KEY, &INSTANCE_BASE_URL];
                    instances.insert(own_name, InstanceConfig::read(env, kind, settings, &proxied));
                }
                None => {
                    if env.text(&KIND).is_none() {
                        env.mistake::<()>(&KIND, &format!("is to be set, to one of {}", KIND.range));
                    }
                }
            }
        }
        Self { instances }
    }
}

impl InstanceConfig {
    fn read(
        env: &mut Env<'_>,
        kind: ProviderKind,
        [key, url]: [&Setting; 2],
        (system_proxy, no_proxy): &(Option<Secret>, String),
    ) -> Self {
        let key_name = env.name(key);
        let base_url = env.read(url, |value| base_url(value, &key_name));
        let is_https = base_url.as_ref().is_none_or(|url| url.scheme() == "https");
        let (proxy, no_proxy) = match env.read(&PROXY, proxy) {
            Some(own) => (Some(Secret::new(own)), String::new()),
            None => (system_proxy.clone().filter(|_| is_https), no_proxy.clone()),
        };
        Self {
            kind,
            api_key: env.text(key).map(Secret::new),
            base_url,
            key_header: env.text(&KEY_HEADER),
            headers: env.read(&HEADERS, headers).unwrap_or_default(),
            proxy,
            no_proxy,
            ca: env.text(&CA).map(PathBuf::from),
            first_byte_timeout: env.duration(&TIMEOUT_FIRST),
            idle_timeout: env.duration(&TIMEOUT_IDLE),
            idle_connections: env.duration(&IDLE_CONNECTIONS),
            remedy: format!("set {key_name} or {}", env.name(url)),
        }
    }
}

fn base_url(value: &str, key: &str) -> Result<Url, String> {
    match Url::parse(value) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(format!("holds a user name or a password; what a server is to be shown goes into {key}"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("is no http or https URL, e.g. http://127.0.0.1:11434/v1".into()),
    }
}

fn proxy(value: &str) -> Result<String, String> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(value.to_owned()),
        _ => Err("is no http URL, e.g. http://proxy:3128".into()),
    }
}

/// `NAME=VALUE,NAME=VALUE`, values percent-decoded.
pub(super) fn headers(value: &str) -> Result<Vec<(String, Secret)>, String> {
    let wrong = || "is no list of headers, e.g. X-Team=blue,X-Stage=test".to_owned();
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = decoded(value.trim()).ok_or_else(wrong)?;
        Ok((name.trim().to_owned(), Secret::new(value)))
    };
    value.split(',').filter(|pair| !pair.trim().is_empty()).map(header).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte == b'%' {
            let digits;
            (digits, rest) = behind.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<ProviderConfig, String> {
        let lookup = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut env = Env::new(&lookup).with_names(vars.iter().map(|(name, _)| (*name).to_owned()));
        let config = ProviderConfig::read(&mut env);
        env.finish(config).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_key_or_a_place_configures_a_provider() {
        let config =
            read(&[("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"), ("ANTHROPIC_API_KEY", "sk-hunter2")]).unwrap();
        assert!(config.instances.values().all(InstanceConfig::is_configured));
        assert!(!format!("{config:?}").contains("hunter2"));
        let config = read(&[]).unwrap();
        let names: Vec<_> = config.instances.iter().map(|(name, own)| (name.as_str(), own.is_configured())).collect();
        assert_eq!(names, [("anthropic", false), ("echo", true), ("openai", false)]);
        assert_eq!(config.instances["openai"].remedy, "set OPENAI_API_KEY or OPENAI_BASE_URL");
        let openai = &config.instances["openai"];
        let timeouts = [openai.first_byte_timeout, openai.idle_timeout, openai.idle_connections];
        assert_eq!(timeouts, [60, 30, 4].map(Duration::from_secs));
    }

    #[test]
    fn any_number_of_instances_is_made_by_their_kinds() {
        let config = read(&[
            ("PROVIDER_AZURE_EU_KIND", "openai"),
            ("PROVIDER_AZURE_EU_BASE_URL", "https://eu.example/openai/deployments/gpt?api-version=1"),
            ("PROVIDER_AZURE_EU_API_KEY", "k"),
            ("PROVIDER_AZURE_EU_KEY_HEADER", "api-key"),
            ("PROVIDER_AZURE_EU_HEADERS", "X-Team=blue, X-List=a%2Cb=c,"),
            ("PROVIDER_AZURE_EU_CA", "/etc/ca.pem"),
            ("PROVIDER_AZURE_EU_TIMEOUT_IDLE", "2m"),
            ("PROVIDER_CLAUDE_KIND", "anthropic"),
            ("PROVIDER_TEST_KIND", "echo"),
            ("PROVIDER_OPENAI_TIMEOUT_FIRST", "90s"),
            ("PROVIDER_X_SERVICE_HOST", "10.0.0.1"),
        ])
        .unwrap();
        let names: Vec<_> = config.instances.keys().map(String::as_str).collect();
        assert_eq!(names, ["anthropic", "azure_eu", "claude", "echo", "openai", "test"]);
        let azure = &config.instances["azure_eu"];
        assert_eq!((azure.kind, azure.key_header.as_deref()), (ProviderKind::OpenAi, Some("api-key")));
        let headers: Vec<_> = azure.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("X-Team", "blue"), ("X-List", "a,b=c")]);
        assert_eq!((azure.idle_timeout, azure.ca.as_deref()), (Duration::from_secs(120), Some("/etc/ca.pem".as_ref())));
        let claude = &config.instances["claude"];
        assert!(!claude.is_configured() && config.instances["test"].is_configured());
        assert_eq!(claude.remedy, "set PROVIDER_CLAUDE_API_KEY or PROVIDER_CLAUDE_BASE_URL");
        assert_eq!(config.instances["openai"].first_byte_timeout, Duration::from_secs(90));
    }

    #[test]
    fn the_systems_proxy_is_for_https_and_an_own_one_for_all() {
        let config = read(&[
            ("HTTPS_PROXY", "http://user:secret@proxy:3128"),
            ("NO_PROXY", "10.0.0.0/8"),
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080"),
            ("PROVIDER_OWN_KIND", "openai"),
            ("PROVIDER_OWN_BASE_URL", "http://127.0.0.1:8080"),
            ("PROVIDER_OWN_PROXY", "http://other:3128"),
        ])
        .unwrap();
        let of = |name: &str| {
            let instance = &config.instances[name];
            (instance.proxy.as_ref().map(|proxy| proxy.expose().to_owned()), instance.no_proxy.clone())
        };
        assert_eq!(of("openai"), (Some("http://user:secret@proxy:3128".into()), "10.0.0.0/8".into()));
        assert_eq!(of("anthropic").0, None);
        assert_eq!(of("own"), (Some("http://other:3128".into()), String::new()));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn the_systems_proxy_is_read_in_lower_case_first() {
        let upper = [("HTTPS_PROXY", "http://upper:3128"), ("NO_PROXY", "upper.test")];
        let lower = [("https_proxy", "http://lower:3128"), ("no_proxy", "lower.test")];
        for (vars, case) in [(&upper[..], "upper"), (&lower[..], "lower"), (&[upper, lower].concat()[..], "lower")] {
            let openai = &read(vars).unwrap().instances["openai"];
            assert_eq!(openai.proxy.as_ref().unwrap().expose(), format!("http://{case}:3128"));
            assert_eq!(openai.no_proxy, format!("{case}.test"));
        }
    }

    #[test]
    fn each_mistake_is_told_by_its_variable_and_shows_no_secret() {
        for (vars, name, other) in [
            (
                &[("ANTHROPIC_BASE_URL", "https://user:hunter2@gateway/v1")][..],
                "ANTHROPIC_BASE_URL",
                "ANTHROPIC_API_KEY",
            ),
            (&[("ANTHROPIC_BASE_URL", "https://hunter2@gateway/v1")], "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
            (&[("ANTHROPIC_BASE_URL", "https://:hunter2@gateway/v1")], "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
            (&[("OPENAI_BASE_URL", "ftp://host/")], "OPENAI_BASE_URL", "http"),
            (&[("PROVIDER_X_API_KEY", "hunter2")], "PROVIDER_X_KIND", "is to be set"),
            (&[("PROVIDER_X_KIND", "gemini")], "PROVIDER_X_KIND", "`gemini` is none of openai, anthropic, echo"),
            (&[("PROVIDER_x_KIND", "openai")], "PROVIDER_x_KIND", "A-Z, 0-9 and _"),
            (&[("PROVIDER_OPENAI_KIND", "echo")], "PROVIDER_OPENAI_KIND", "built in"),
            (
                &[("PROVIDER_X_KIND", "openai"), ("PROVIDER_X_HEADERS", "hunter2")],
                "PROVIDER_X_HEADERS",
                "list of headers",
            ),
            (
                &[("PROVIDER_X_KIND", "openai"), ("PROVIDER_X_HEADERS", "a=hunter2%4")],
                "PROVIDER_X_HEADERS",
                "list of headers",
            ),
            (&[("PROVIDER_X_KIND", "openai"), ("PROVIDER_X_PROXY", "hunter2:3128")], "PROVIDER_X_PROXY", "http URL"),
            (&[("HTTPS_PROXY", "socks5://hunter2:3128")], "HTTPS_PROXY", "http URL"),
            // The whole call has two minutes where they count.
            (&[("PROVIDER_OPENAI_TIMEOUT_FIRST", "5m")], "PROVIDER_OPENAI_TIMEOUT_FIRST", "100ms to 2m is possible"),
            (&[("PROVIDER_OPENAI_TIMEOUT_IDLE", "5m")], "PROVIDER_OPENAI_TIMEOUT_IDLE", "100ms to 2m is possible"),
        ] {
            let said = read(vars).unwrap_err();
            assert!(said.starts_with(&format!("{name}: ")) && said.contains(other), "{said}");
            assert_eq!((said.lines().count(), said.contains("hunter2")), (1, false), "{said}");
        }
        assert!(read(&[("PROVIDER_OPENAI_KIND", "openai")]).is_ok());
    }
}
