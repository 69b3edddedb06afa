//! Where a provider is, how it is reached, and the bounds of its calls.

use std::time::Duration;

use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, NoProxy, Proxy};
use url::Url;

use super::budget::BodyBudget;

/// Most idle connections that are kept.
const IDLE_CONNECTIONS: usize = 64;

/// Where a provider is, its key, and the bounds of its calls.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Absent where the server needs none, as a local one may.
    pub api_key: Option<Secret>,
    /// The header that the key is sent in, as it is; absent: as the protocol has it. For example Azure's `api-key`.
    pub key_header: Option<String>,
    /// Sent with every call: names and values.
    pub headers: Vec<(String, Secret)>,
    /// Absent: the vendor's own server. For example `http://127.0.0.1:11434/v1`.
    pub base_url: Option<Url>,
    /// The HTTP proxy for all calls, which may contain a user and a password; absent: none.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas, as in the variable NO_PROXY.
    pub no_proxy: String,
    /// The only certificates that servers are trusted by, in PEM form; absent: the system's.
    pub ca: Option<Vec<u8>>,
    /// Bounds connecting; 10 seconds by default. A call's own timeout bounds it too.
    pub connect_timeout: Duration,
    /// Bounds the time from the request to a stream's first byte, where no timeout was asked for; 60 seconds by
    /// default. A call whose timeout was asked for has that instead.
    pub first_byte_timeout: Duration,
    /// Bounds the silence within a stream that has begun, where no timeout was asked for; 30 seconds by default.
    pub idle_timeout: Duration,
    /// How long a connection without a call is kept; 4 seconds by default, since many servers close theirs after 5. Zero
    /// keeps none.
    pub idle_connections: Duration,
    /// Bounds the memory of response bodies, together with the other instances that share it; by default a budget of
    /// its own.
    pub bodies: BodyBudget,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            api_key: None,
            key_header: None,
            headers: Vec::new(),
            base_url: None,
            proxy: None,
            no_proxy: String::new(),
            ca: None,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            idle_connections: Duration::from_secs(4),
            bodies: BodyBudget::default(),
        }
    }
}

impl Endpoint {
    /// Whether the base URL's host is another than the vendor's.
    pub(crate) fn is_own_place(&self, makers_host: &str) -> bool {
        self.base_url.as_ref().is_some_and(|url| url.host_str() != Some(makers_host))
    }

    /// The base URL, or the vendor's.
    pub(crate) fn base(&self, makers: &str) -> Result<Url> {
        self.base_url.clone().map_or_else(|| Url::parse(makers).map_err(Error::internal), Ok)
    }

    /// The headers of every call. The key goes into `key_header`, else behind `prefix` into `usual`. All are marked as
    /// sensitive, so that none is logged.
    pub(super) fn all_headers(&self, usual: HeaderName, prefix: &str) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(header_name("headers", name)?, sensitive("headers", value.expose())?);
        }
        if let Some(key) = &self.api_key {
            let own = self.key_header.as_deref().map(|name| header_name("key_header", name)).transpose()?;
            let (name, prefix) = match own {
                Some(AUTHORIZATION) => (AUTHORIZATION, "Bearer "),
                Some(own) => (own, ""),
                None => (usual, prefix),
            };
            headers.insert(name, sensitive("api_key", &format!("{prefix}{}", key.expose()))?);
        }
        Ok(headers)
    }

    /// The connections to `base`. None is opened yet.
    pub(super) fn client(&self, base: &Url) -> Result<Client> {
        // The process may have installed a TLS provider already; then that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let keeps_idle = !self.idle_connections.is_zero();
        let mut builder = Client::builder()
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(if keeps_idle { IDLE_CONNECTIONS } else { 0 })
            .pool_idle_timeout(self.idle_connections)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            // The key and the prompt go to the configured server only: redirects are not followed, and of proxies only a
            // configured one is used.
            .redirect(Policy::none())
            .no_proxy();
        if let Some(proxy) = &self.proxy {
            let wrong = |_| Error::invalid("proxy", "is no URL of an HTTP proxy, e.g. http://proxy:3128");
            let proxy = Proxy::all(proxy.expose()).map_err(wrong)?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&self.no_proxy)));
        }
        match &self.ca {
            Some(pem) => {
                let wrong = || Error::invalid("ca", "holds no certificate in PEM form");
                let certificates = Certificate::from_pem_bundle(pem).map_err(|_| wrong())?;
                if certificates.is_empty() {
                    return Err(wrong());
                }
                builder = builder.tls_certs_only(certificates);
            }
            // No certificate is ever checked, so a machine without root certificates must do.
            None if base.scheme() == "http" => builder = builder.tls_certs_only([]),
            None => {}
        }
        builder.build().map_err(Error::internal)
    }
}

fn header_name(field: &str, name: &str) -> Result<HeaderName> {
    name.parse().map_err(|_| Error::invalid(field, format!("`{name}` is no name of an HTTP header")))
}

fn sensitive(field: &str, value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::invalid(field, "holds a character that no HTTP header may hold, such as a newline"))?;
    value.set_sensitive(true);
    Ok(value)
}
