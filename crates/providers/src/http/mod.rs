//! What providers over HTTP share: sending, reading, and classifying failures.

mod body;
mod budget;
pub(crate) mod json;
mod outcome;
mod redact;
mod refusal;
mod retry_after;
mod sse;
mod stream;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::execution::{ErrorType, Input};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::secret::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, RequestBuilder};
use serde::Serialize;
use url::Url;

use crate::TextSink;

use self::body::{Received, ResponseBody};
pub use self::budget::BodyBudget;
pub(crate) use self::outcome::{CallFault, ReadAnswer, ToldSoFar, conclude, count, within};
use self::redact::Redactor;
pub(crate) use self::refusal::in_body;
pub(crate) use self::stream::Delta;
use self::stream::{EventReader, ReadTimeouts, at_once};

/// Most idle connections that are kept.
const IDLE_CONNECTIONS: usize = 64;

/// Where a provider is, its key, and the bounds of its calls.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Absent where the server needs none, as a local one may.
    pub api_key: Option<Secret>,
    /// Absent: the vendor's own server. For example `http://127.0.0.1:11434/v1`.
    pub base_url: Option<Url>,
    /// Bounds connecting; 10 seconds by default. A call's own timeout bounds it too.
    pub connect_timeout: Duration,
    /// Bounds the time from the request to a stream's first event; 60 seconds by default. A call's own timeout bounds
    /// it too.
    pub first_token_timeout: Duration,
    /// Bounds the silence within a stream that has begun; 30 seconds by default. A call's own timeout bounds it too.
    pub idle_timeout: Duration,
    /// Bounds the memory of response bodies, together with the other instances that share it; by default a budget of
    /// its own.
    pub bodies: BodyBudget,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            api_key: None,
            base_url: None,
            connect_timeout: Duration::from_secs(10),
            first_token_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            bodies: BodyBudget::default(),
        }
    }
}

impl Endpoint {
    /// Whether the base URL's host is another than the vendor's.
    pub(crate) fn is_own_place(&self, makers_host: &str) -> bool {
        self.base_url.as_ref().is_some_and(|url| url.host_str() != Some(makers_host))
    }

    /// The key as a header value behind `prefix`, marked as sensitive so that it is not logged.
    pub(crate) fn key_header(&self, prefix: &str) -> Result<Option<HeaderValue>> {
        let Some(key) = &self.api_key else { return Ok(None) };
        let value = HeaderValue::from_str(&format!("{prefix}{}", key.expose())).map_err(|_| {
            Error::invalid("api_key", "holds a character that no HTTP header may hold, such as a newline")
        })?;
        Ok(Some(sensitive(value)))
    }

    /// The base URL, or the vendor's.
    pub(crate) fn base(&self, makers: &str) -> Result<Url> {
        self.base_url.clone().map_or_else(|| Url::parse(makers).map_err(Error::internal), Ok)
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// A connection pool to one provider.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    /// `host` or `host:port`, for messages.
    place: Arc<str>,
    first_token_timeout: Duration,
    idle_timeout: Duration,
    bodies: BodyBudget,
    redactor: Arc<Redactor>,
}

/// A successful response to a call that asked for a stream.
#[derive(Debug)]
enum Came {
    /// A whole answer, from a server that does not stream.
    Whole(Received),
    /// A stream has begun.
    EventReader(Box<EventReader>),
}

impl Http {
    pub(crate) fn new(base: &Url, endpoint: Endpoint) -> Result<Self> {
        // The process may have installed a TLS provider already; then that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(endpoint.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(Duration::from_secs(90))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            // The key and the prompt must go to the configured server only: neither redirects nor proxies are followed.
            .redirect(Policy::none())
            .no_proxy();
        if base.scheme() == "http" {
            // No certificate is ever checked, so a machine without root certificates must do.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(Error::internal)?;
        let place = match (base.host_str().unwrap_or_default(), base.port()) {
            (host, None) => host.to_owned(),
            (host, Some(port)) => format!("{host}:{port}"),
        };
        Ok(Self {
            client,
            place: place.into(),
            first_token_timeout: endpoint.first_token_timeout,
            idle_timeout: endpoint.idle_timeout,
            bodies: endpoint.bodies,
            redactor: Arc::new(Redactor::new(endpoint.api_key.as_ref())),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Removes the key from the provider's texts.
    fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// A provider's message about an input, redacted. Where either is long, that runs off the runtime.
    async fn shown(&self, message: String, input: &Input) -> String {
        let (redactor, input) = (Arc::clone(&self.redactor), input.clone());
        let length = message.len() + input.bytes();
        let redacting = move || redactor.message(&message, &input);
        self.bodies.parse(length, redacting).await.unwrap_or_else(|failed| failed.message)
    }

    /// Sends a request with a JSON body once. With a sink the answer is read as events, and their text is pushed into
    /// the sink; a server that answers whole all the same is accepted. Without a sink it is read whole.
    pub(crate) async fn ask(
        &self,
        request: RequestBuilder,
        body: &(impl Serialize + Sync),
        sink: Option<&mut dyn TextSink>,
        told: &mut ToldSoFar,
        read_answer: fn(&[u8], &str) -> Result<ReadAnswer, CallFault>,
        read_event: impl FnMut(&str) -> Result<Delta, CallFault> + Send + 'static,
    ) -> Result<ReadAnswer, CallFault> {
        let body = serde_json::to_vec(body).map_err(|error| CallFault::unsent(error.to_string()))?;
        let request = request.header(CONTENT_TYPE, "application/json").body(body).build();
        let request = request.map_err(|error| CallFault::unsent(error.to_string()))?;
        let Some(sink) = sink else {
            return self.send(request).await?.read(told, read_answer).await;
        };
        match self.send_for_events(request).await? {
            Came::EventReader(events) => events.read(sink, told, read_event).await,
            Came::Whole(received) => Ok(at_once(received.read(told, read_answer).await?, sink)),
        }
    }

    /// Sends a request once and reads its answer, up to 16 MiB. Dropping the future closes the connection.
    async fn send(&self, request: Request) -> Result<Received, CallFault> {
        self.open(request).await?.whole().await
    }

    /// Sends a request for a stream once, and waits until the stream begins. Where the server answers with JSON
    /// instead, that is read to its end.
    async fn send_for_events(&self, request: Request) -> Result<Came, CallFault> {
        let timeouts = ReadTimeouts::begin(self.first_token_timeout, self.idle_timeout);
        let begin = async {
            let body = self.open(request).await?;
            let media_type = media_type(body.response.headers());
            if media_type.ends_with("json") {
                return Ok(Came::Whole(body.whole().await?));
            }
            let is_declared = media_type == "text/event-stream";
            let redactor = Arc::clone(&self.redactor);
            Ok(Came::EventReader(Box::new(EventReader::new(body, is_declared, timeouts, redactor))))
        };
        timeouts.first(begin).await
    }

    /// Sends a request once; returns the body of a successful response as it begins.
    async fn open(&self, request: Request) -> Result<ResponseBody, CallFault> {
        let response = self.client.execute(request).await.map_err(|error| broken(&self.place, &error))?;
        let (status, headers) = (response.status(), response.headers());
        let request_id = id_header(headers);
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| retry_after::parse(value, SystemTime::now()));
        let most = if status.is_success() { limits::PROVIDER_BODY_BYTES } else { limits::PROVIDER_REFUSAL_BYTES };
        let (place, budget) = (Arc::clone(&self.place), self.bodies.clone());
        let body = ResponseBody { response, request_id, place, budget, most, read: 0 };
        if status.is_success() {
            return Ok(body);
        }
        let request_id = body.request_id.clone();
        let failed = match body.whole().await {
            Ok(received) => received.parse(move |body| refusal::classify(status, body)).await?,
            // The status is enough when the body cannot be read.
            Err(_) => refusal::classify(status, b""),
        };
        Err(CallFault { retry_after, request_id, ..failed })
    }
}

fn broken(place: &str, error: &reqwest::Error) -> CallFault {
    let failed = match (error.is_timeout(), error.is_connect()) {
        (true, true) => CallFault::new(ErrorType::Timeout, format!("connecting to {place} took too long")),
        (true, false) => CallFault::new(ErrorType::Timeout, format!("the connection to {place} went silent")),
        (false, true) => CallFault::new(ErrorType::Connection, format!("cannot connect to {place}: {}", root(error))),
        (false, false) => {
            CallFault::new(ErrorType::Connection, format!("the connection to {place} broke: {}", root(error)))
        }
    };
    CallFault { sent: !error.is_connect(), ..failed }
}

/// The innermost cause; it names neither the URL nor what was sent.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The first header with a valid id; empty when there is none.
fn id_header(headers: &HeaderMap) -> String {
    let values = ["x-request-id", "request-id"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    values.into_iter().find(|id| outcome::is_request_id(id)).unwrap_or_default().to_owned()
}

/// The media type, in lower case and without parameters; empty when the header is missing.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_stands_and_says_nothing_is_not_one_that_was_never_made() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
        let http = Http::new(&url, Endpoint::default()).unwrap();
        let request = http.client().get(url).timeout(Duration::from_millis(50)).build().unwrap();
        let failed = http.send(request).await.unwrap_err();
        assert_eq!((failed.error_type, failed.sent), (ErrorType::Timeout, true));
        assert_eq!(failed.message, format!("the connection to {} went silent", silent.local_addr().unwrap()));
    }
}
