//! The TLS certificate of new connections: read at the start, replaceable while the server runs.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use prompt_ledger_runtime::config::Tls;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// ALPN protocol id of HTTP/2, which gRPC requires.
pub const ALPN_H2: &[u8] = b"h2";
/// That of HTTP/1.1.
pub const ALPN_HTTP_1: &[u8] = b"http/1.1";

/// After a failure the files are read once more after this time: the two may be in the middle of being replaced.
const REPLACING: Duration = Duration::from_secs(1);
/// A failure that lasts is logged again after this time.
const REMINDER: Duration = Duration::from_secs(3_600);

/// A certificate and its key, from files that may be replaced at run time.
#[derive(Debug)]
pub struct Certificates {
    files: Tls,
    /// Held from reading the files until the result is stored, so that the latest read wins.
    reloading: tokio::sync::Mutex<()>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads both files. An error names the setting, the file and the reason.
    pub fn load(files: &Tls) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(Arc::new(read(files, &provider)?));
        Ok(Self { files: files.clone(), reloading: tokio::sync::Mutex::default(), provider, current })
    }

    /// Speaks TLS 1.2 and 1.3, with the certificate that is current when a connection comes. `protocols` are offered
    /// by ALPN; a client that negotiates none is accepted too.
    pub fn acceptor(self: &Arc<Self>, protocols: &[&[u8]]) -> Result<TlsAcceptor, rustls::Error> {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again: whether the certificate has changed. On an error the current one stays. Blocks.
    fn reload(&self) -> Result<bool, String> {
        let found = Arc::new(read(&self.files, &self.provider)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let differs = current.cert != found.cert;
        *current = found;
        Ok(differs)
    }

    async fn reload_apart(self: &Arc<Self>) -> Result<bool, String> {
        let _reloading = self.reloading.lock().await;
        let again = || {
            let this = Arc::clone(self);
            async move {
                tokio::task::spawn_blocking(move || this.reload()).await.unwrap_or_else(|error| Err(error.to_string()))
            }
        };
        again.retry(ConstantBuilder::new().with_delay(REPLACING).with_max_times(1)).await
    }

    /// Reloads the files, and logs the outcome.
    pub async fn reload_as_asked(self: Arc<Self>) {
        self.tell(&self.reload_apart().await);
    }

    /// Reloads the files every `interval` until `stop`. A change is logged once, a failure that lasts once an hour.
    pub async fn watch(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        let (mut before, mut told) = (Ok(false), Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let came = self.reload_apart().await;
            if came != Ok(false) && (came != before || told.elapsed() > REMINDER) {
                self.tell(&came);
                told = Instant::now();
            }
            before = came;
        }
    }

    fn tell(&self, came: &Result<bool, String>) {
        let certificate = self.files.certificate.display();
        match came {
            Ok(true) => tracing::info!(%certificate, "new connections are shown the new certificate"),
            Ok(false) => tracing::info!(%certificate, "the certificate is still the same"),
            Err(error) => tracing::error!(error, "the certificate cannot be reloaded; the one before stays in use"),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let (certificate, key) = (contents("TLS_CERT", &files.certificate)?, contents("TLS_KEY", &files.key)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| format!("TLS_CERT: {}: {error}", files.certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("TLS_CERT: {} holds no certificate in PEM form", files.certificate.display()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| format!("TLS_KEY: {} holds no private key in PEM form: {error}", files.key.display()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => format!(
            "TLS_KEY: the key in {} is not that of the certificate in {}",
            files.key.display(),
            files.certificate.display()
        ),
        error => format!("TLS_CERT, TLS_KEY: {} and {}: {error}", files.certificate.display(), files.key.display()),
    })
}

fn contents(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{setting}: cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        folder: tempfile::TempDir,
        tls: Tls,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let tls = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
            let files = Self { folder, tls };
            files.renew();
            files
        }

        fn renew(&self) {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&self.tls.certificate, made.cert.pem()).unwrap();
            std::fs::write(&self.tls.key, made.signing_key.serialize_pem()).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_setting_and_file() {
        let files = Files::new();
        let other = Files::new();
        let nowhere = files.folder.path().join("nowhere.pem");
        let text = files.folder.path().join("text.pem");
        std::fs::write(&text, "no PEM").unwrap();
        let damaged = files.folder.path().join("damaged.pem");
        std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n").unwrap();
        let of = |certificate: &Path, key: &Path| Tls { certificate: certificate.to_owned(), key: key.to_owned() };
        let (certificate, key) = (&files.tls.certificate, &files.tls.key);
        for (tls, setting, path) in [
            (of(&nowhere, key), "TLS_CERT: ", &nowhere),
            (of(certificate, &nowhere), "TLS_KEY: ", &nowhere),
            (of(&text, key), "TLS_CERT: ", &text),
            (of(&damaged, key), "TLS_CERT: ", &damaged),
            (of(key, key), "TLS_CERT: ", key),
            (of(certificate, &text), "TLS_KEY: ", &text),
            (of(certificate, certificate), "TLS_KEY: ", certificate),
            (of(certificate, &other.tls.key), "TLS_KEY: ", &other.tls.key),
        ] {
            let said = Certificates::load(&tls).unwrap_err();
            assert!(said.starts_with(setting) && said.contains(&path.display().to_string()), "{said}");
        }
    }

    #[test]
    fn a_new_pair_is_taken_and_a_broken_one_leaves_the_old() {
        let files = Files::new();
        let certificates = Certificates::load(&files.tls).unwrap();
        let current = || Arc::clone(&certificates.current.read().unwrap());
        let first = current();
        assert_eq!(certificates.reload(), Ok(false));
        files.renew();
        assert_eq!(certificates.reload(), Ok(true));
        let second = current();
        assert_ne!(first.cert, second.cert);
        std::fs::write(&files.tls.key, std::fs::read(&Files::new().tls.key).unwrap()).unwrap();
        assert!(certificates.reload().unwrap_err().contains("is not that of the certificate"));
        assert_eq!(current().cert, second.cert);
    }
}
