use std::fmt;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::call_preparation::CallInterceptor;
use crate::server_address::{is_loopback, without_user};

/// HTTP/2 window of a stream, in bytes. What a reader leaves unread beyond it stays in the server, which thereby
/// detects slow readers.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Where a client connects to, with which credentials, and how long it waits.
#[derive(Clone)]
pub struct Options {
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a user or a password.
    pub url: String,
    /// Certificates in PEM form, one of which must vouch for that of an `https` server. Absent: the system's root
    /// certificates. Refused with `http`.
    pub ca: Option<String>,
    /// Shown to a server, or a proxy before it, that asks for a client's certificate. Absent: none is shown. Refused
    /// with `http`.
    pub identity: Option<ClientIdentity>,
    /// Sent as `x-api-key` with each call; empty: none is sent.
    pub api_key: ClientKey,
    /// Allows the key over plain `http` to another machine, where anyone on the way can read it: for a network that
    /// encrypts by itself, or a sidecar that speaks TLS. To a loopback address it is always allowed.
    pub allow_plaintext: bool,
    /// Sent as `x-ledger-project`; needed by system keys, which are valid for every project. Absent: the key's own
    /// project.
    pub project: Option<String>,
    /// See each call before it is sent, in this order; none by default.
    pub interceptors: Vec<CallInterceptor>,
    /// Bounds connecting; 10 s by default.
    pub connect_timeout: Duration,
    /// The deadline of calls that answer once, all attempts together; 30 s by default. Executions have one of their own, by
    /// their spec.
    pub timeout: Duration,
    /// About how many watches will be open at once, from 1 to 16,384; 64 by default. That many may be unread without
    /// delaying the others.
    pub watches: u16,
    /// How long a watch retries without progress before it gives up; 5 minutes by default.
    pub patience: Duration,
    /// How long a stream may be silent before it counts as broken; 45 s by default. Servers send a heartbeat every 15 s
    /// by default.
    pub silence: Duration,
}

impl Default for Options {
    /// A server on this machine, without a key.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:50051".to_owned(),
            ca: None,
            identity: None,
            api_key: ClientKey::default(),
            allow_plaintext: false,
            project: None,
            interceptors: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            watches: 64,
            patience: Duration::from_secs(300),
            silence: Duration::from_secs(45),
        }
    }
}

/// A user and a password in the URL are left out, as keys are.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &without_user(&self.url))
            .field("ca", &self.ca)
            .field("identity", &self.identity)
            .field("api_key", &self.api_key)
            .field("allow_plaintext", &self.allow_plaintext)
            .field("project", &self.project)
            .field("interceptors", &self.interceptors)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("watches", &self.watches)
            .field("patience", &self.patience)
            .field("silence", &self.silence)
            .finish()
    }
}

/// An API key. `Debug` shows `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientKey(pub(crate) String);

impl<T: Into<String>> From<T> for ClientKey {
    fn from(key: T) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A client's certificate and its key, in PEM form. `Debug` shows the certificate alone.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// With the certificates that lead to a known one, if any, behind it.
    pub certificate: String,
    /// The certificate's private key.
    pub key: ClientKey,
}

/// Returned by [`Client::connect`](crate::Client::connect) for invalid options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The URL cannot be parsed, or its scheme is neither `http` nor `https`.
    #[error("`{0}` is no address of a server; write http://HOST:PORT or https://HOST:PORT")]
    Url(String),
    /// The URL has a user or a password; the field is the URL without them.
    #[error(
        "the server's URL holds a user or a password, which a ledger does not ask for: write {0}, and give the key as `api_key`, \
         LEDGER_API_KEY or a profile's api_key"
    )]
    UserInfo(String),
    /// The key is no valid header value.
    #[error("the API key holds characters that no key has; was it copied whole, without line breaks?")]
    ApiKey,
    /// The key would be sent unencrypted to this host.
    #[error(
        "the API key would go to `{0}` unencrypted: write https://, or set `allow_plaintext` where the way is safe"
    )]
    Plaintext(String),
    /// Settings of TLS, which the field names, with an `http` URL: they would protect nothing.
    #[error("{0} cannot be used with http://, which is not encrypted: write https://, or leave the TLS settings out")]
    TlsOverHttp(String),
    /// The project is no valid header value.
    #[error("`{0}` is no name of a project")]
    Project(String),
    /// TLS could not be set up, for this reason.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
    /// The file of profiles, or what a profile or a variable of the environment says, cannot be used. What stands there is not shown.
    #[error("{path}: {problem}")]
    File {
        /// The file of profiles, or the variable, such as `LEDGER_TLS_KEY`.
        path: String,
        /// As a sentence; of a profile, it begins with the field and the profile's name.
        problem: String,
    },
    /// No file has the profile that was asked for.
    #[error("there is no profile `{name}` in `{path}` (LEDGER_PROFILE, LEDGER_CONFIG)")]
    Profile {
        /// The profile's name.
        name: String,
        /// The file's path.
        path: String,
    },
    /// A profile has no address, or an empty one.
    #[error(
        "the profile `{name}` of {path} names no server: write server = \"http://HOST:PORT\" or \"https://HOST:PORT\" there"
    )]
    NoServer {
        /// The profile's name.
        name: String,
        /// The file's path.
        path: String,
    },
}

impl Options {
    /// The connection that these options describe; nothing is sent yet.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, OptionsError> {
        let wrong = || OptionsError::Url(self.url.clone());
        // Before anything shows it.
        let bare = without_user(&self.url);
        if bare != self.url {
            return Err(OptionsError::UserInfo(bare));
        }
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| wrong())?;
        let secure = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        if !secure {
            self.without_tls()?;
        }
        if !secure && !self.api_key.0.is_empty() && !self.allow_plaintext && !is_loopback(endpoint.uri()) {
            return Err(OptionsError::Plaintext(endpoint.uri().host().unwrap_or_default().to_owned()));
        }
        let endpoint = endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            // Data of calls that were given up counts as an error once more of them are given up than are remembered; at a limit the
            // connection would be closed under all its calls.
            .http2_max_local_error_reset_streams(None)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW.saturating_mul(self.watches.clamp(1, 16_384).into()));
        match secure {
            true => endpoint.tls_config(self.tls()?).map_err(|error| OptionsError::Tls(error.to_string())),
            false => Ok(endpoint),
        }
    }

    /// Refuses what only an encrypted connection uses.
    fn without_tls(&self) -> Result<(), OptionsError> {
        let settings = [("`ca`", self.ca.is_some()), ("`identity`", self.identity.is_some())];
        let given: Vec<&str> = settings.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.is_empty() { Ok(()) } else { Err(OptionsError::TlsOverHttp(given.join(", "))) }
    }

    fn tls(&self) -> Result<ClientTlsConfig, OptionsError> {
        let tls = self.trust()?;
        Ok(match &self.identity {
            None => tls,
            Some(ClientIdentity { certificate, key }) => tls.identity(Identity::from_pem(certificate, &key.0)),
        })
    }

    /// Whom to trust.
    fn trust(&self) -> Result<ClientTlsConfig, OptionsError> {
        match &self.ca {
            None => Ok(ClientTlsConfig::new().with_native_roots()),
            Some(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => {
                Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
            }
            Some(_) => {
                Err(OptionsError::Tls("what is to vouch for the server holds no certificate in PEM form".into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &str) -> Options {
        Options { api_key: key.into(), project: Some("shop".into()), ..Options::default() }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_key() {
        for url in ["", "127.0.0.1:50051", "ftp://host", "/path", "http://two words"] {
            let options = Options { url: url.into(), ..Options::default() };
            assert_eq!(options.endpoint().unwrap_err(), OptionsError::Url(url.into()));
        }
    }

    #[test]
    fn a_user_or_a_password_in_the_url_is_refused_and_not_shown() {
        for (url, bare) in [
            ("https://ada:pl_secret@ledger.example.com", "https://ledger.example.com"),
            ("http://pl_secret@127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://localhost:pl_secret@ledger.example.com", "http://ledger.example.com"),
            ("https://ada:pl_se/cr@et@h:1/x", "https://h:1/x"),
            ("https://ada:pl_secret%40@h:1", "https://h:1"),
            ("https://@h:1", "https://h:1"),
            ("ada:pl_secret@h", "h"),
            ("ftp://ada:pl_secret@two words", "ftp://two words"),
        ] {
            for api_key in ["pl_key", ""] {
                let options = Options { url: url.into(), api_key: api_key.into(), ..Options::default() };
                let error = options.endpoint().unwrap_err();
                assert_eq!(error, OptionsError::UserInfo(bare.into()), "{url}");
                assert!(error.to_string().contains(&format!("write {bare}, ")), "{error}");
                assert!(!format!("{error} {error:?} {options:?}").contains("pl_se"), "{error:?} {options:?}");
            }
        }
    }

    #[test]
    fn what_is_no_certificate_vouches_for_nothing() {
        let https = |ca: &str| {
            let options = Options { url: "https://host".into(), ca: Some(ca.to_owned()), ..Options::default() };
            options.endpoint().unwrap_err()
        };
        for ca in ["", "hunter2", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(https(ca), OptionsError::Tls(_)), "{ca}");
        }
    }

    #[test]
    fn settings_of_tls_are_refused_with_http() {
        let identity = || Some(ClientIdentity { certificate: "pl_secret".into(), key: "pl_secret".into() });
        for (ca, identity, named) in [
            (Some("pl_secret"), None, "`ca`"),
            (Some(""), None, "`ca`"),
            (None, identity(), "`identity`"),
            (Some("pl_secret"), identity(), "`ca`, `identity`"),
        ] {
            let options = Options { ca: ca.map(str::to_owned), identity, ..with_key("pl_secret") };
            for url in ["http://127.0.0.1:50051", "HTTP://ledger.example.com"] {
                for allow_plaintext in [false, true] {
                    let options = Options { url: url.into(), allow_plaintext, ..options.clone() };
                    let error = options.endpoint().unwrap_err();
                    assert_eq!(error, OptionsError::TlsOverHttp(named.into()), "{url}");
                    let said = error.to_string();
                    assert!(said.contains("write https://") && !said.contains("pl_secret"), "{said}");
                }
            }
        }
    }

    #[test]
    fn both_schemes_are_taken() {
        for url in ["http://127.0.0.1:50051", "https://ledger.example.com"] {
            Options { url: url.into(), ..Options::default() }.endpoint().unwrap();
        }
    }
    #[test]
    fn a_key_goes_unencrypted_only_to_this_machine_unless_that_is_asked_for() {
        const HERE: [&str; 7] = [
            "http://localhost:50051",
            "http://LocalHost",
            "http://127.0.0.1:50051",
            "http://127.8.9.1",
            "http://[::1]:50051",
            "http://[::ffff:127.0.0.1]:1",
            "http://localhost:1/path",
        ];
        const ELSEWHERE: [(&str, &str); 8] = [
            ("http://ledger.example.com:50051", "ledger.example.com"),
            ("http://10.0.0.1:50051", "10.0.0.1"),
            ("http://128.0.0.1", "128.0.0.1"),
            ("http://0.0.0.0:50051", "0.0.0.0"),
            ("http://[::2]:50051", "[::2]"),
            ("http://[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]"),
            ("http://localhost.example.com", "localhost.example.com"),
            ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
        ];
        for url in HERE {
            Options { url: url.into(), ..with_key("pl_secret") }.endpoint().unwrap();
        }
        for (url, host) in ELSEWHERE {
            let options = Options { url: url.into(), ..with_key("pl_secret") };
            assert_eq!(options.endpoint().unwrap_err(), OptionsError::Plaintext(host.into()), "{url}");
            Options { api_key: ClientKey::default(), ..options.clone() }.endpoint().unwrap();
            Options { url: url.replace("http:", "https:"), ..options.clone() }.endpoint().unwrap();
            Options { allow_plaintext: true, ..options }.endpoint().unwrap();
        }
    }
}
