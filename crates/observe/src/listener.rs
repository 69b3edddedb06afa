//! METRICS_ADDR: `/metrics` in the text form of Prometheus, in plain text and without a key. It shows no id, key or text.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use prompt_ledger_runtime::config::ListenAddr;
use prompt_ledger_runtime::listen;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// Connections at once; further ones wait until one of these ends.
pub(crate) const CONNECTIONS: usize = 16;
/// The longest life of a connection: none of them can keep others out for good. Longer than a usual interval of scraping.
const LONGEST: Duration = Duration::from_secs(150);
/// For the headers of a request, and between two of them.
const HEADERS: Duration = Duration::from_secs(75);
/// What a connection buffers of a request's headers, in bytes: the least that hyper takes.
const BUFFER_BYTES: usize = 8 * 1024;
/// How long a text is shown again: whoever asks for more costs little more.
const REUSED: Duration = Duration::from_secs(1);
/// How long accepting pauses after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct MetricsListener {
    listener: TcpListener,
    addr: SocketAddr,
    shown: Arc<Shown>,
}

/// What is shown, written at most once a second, however many ask.
#[derive(Default)]
struct Shown {
    registry: Registry,
    /// The last text, and when it was written.
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Shown {
    async fn text(&self) -> Result<Bytes, String> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < REUSED
        {
            return Ok(text.clone());
        }
        let registry = self.registry.clone();
        // It reads files of the system, and all series.
        let written = spawn_blocking(move || TextEncoder::new().encode_to_string(&registry.gather())).await;
        let text = Bytes::from(written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?);
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

impl MetricsListener {
    /// Binds METRICS_ADDR; absent where it is off, and where the default and the ports behind it are taken, which keeps no
    /// process from its work.
    pub(crate) async fn bind(addr: ListenAddr) -> Result<Option<Self>, String> {
        let Some(wanted) = addr.addr() else { return Ok(None) };
        let failed = |error| format!("METRICS_ADDR: cannot listen on {wanted}: {error}");
        let bound = match addr {
            ListenAddr::Off => None,
            ListenAddr::Configured(_) => Some(TcpListener::bind(wanted).await.map_err(failed)?),
            ListenAddr::Default(_) => listen::near(wanted).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "METRICS_ADDR: the default cannot be listened on");
                None
            }),
        };
        let Some(listener) = bound else {
            tracing::warn!(default = %wanted, "METRICS_ADDR: the default cannot be had, nor can the ports behind it; metrics are served nowhere");
            return Ok(None);
        };
        let addr = listener.local_addr().map_err(failed)?;
        let taken = (wanted.port() != 0 && addr != wanted).then(|| tracing::field::display(wanted));
        tracing::info!(%addr, taken, "metrics are served");
        Ok(Some(Self { listener, addr, shown: Arc::default() }))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What reads the instruments for each request.
    pub(crate) fn reader(&self) -> Result<PrometheusExporter, String> {
        let exporter = opentelemetry_prometheus::exporter().with_registry(self.shown.registry.clone());
        exporter.scope_info_enabled(false).build().map_err(|error| format!("metrics cannot be shown: {error}"))
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        // Dropped with this future: what is left of them then is aborted.
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                while connections.try_join_next().is_some() {}
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let shown = Arc::clone(&self.shown);
                        connections.spawn(async move {
                            let _place = place;
                            let _ = tokio::time::timeout(LONGEST, one(stream, shown)).await;
                        });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection to METRICS_ADDR could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accepting).await;
    }
}

/// Serves one connection until its peer closes it.
async fn one(stream: TcpStream, shown: Arc<Shown>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (shown, method, path) = (Arc::clone(&shown), request.method().clone(), request.uri().path().to_owned());
        async move { Ok::<_, Infallible>(answer(&method, &path, &shown).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(BUFFER_BYTES);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to METRICS_ADDR ended early");
    }
}

async fn answer(method: &Method, path: &str, shown: &Shown) -> Response<Full<Bytes>> {
    let told = |status: StatusCode, text: Bytes| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    };
    if path != "/metrics" {
        return told(StatusCode::NOT_FOUND, Bytes::from_static(b"/metrics is all there is\n"));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = told(StatusCode::METHOD_NOT_ALLOWED, Bytes::from_static(b"GET it\n"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match shown.text().await {
        Ok(text) => {
            let mut response = told(StatusCode::OK, text);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
            response
        }
        Err(error) => {
            tracing::error!(cause = error, "metrics cannot be written as text");
            told(StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(b"metrics cannot be written as text\n"))
        }
    }
}
