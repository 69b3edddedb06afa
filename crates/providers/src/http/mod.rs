//! What the providers that are reached over HTTP share: one way to send, one to read, one to classify what went wrong.

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

/// Idle connections that are kept for the next calls.
const IDLE_CONNECTIONS: usize = 64;

/// Where a provider is, and the key for it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its key; a local server may need none.
    pub api_key: Option<Secret>,
    /// Where it is, when not at its maker's: `http://127.0.0.1:11434/v1`.
    pub base_url: Option<Url>,
    /// How long connecting may take; 10 seconds by default. A call's own timeout bounds it too.
    pub connect_timeout: Duration,
    /// How long a stream's first event may take from the request on; 60 seconds by default. A call's own timeout bounds
    /// it too.
    pub first_token_timeout: Duration,
    /// How long a stream that has begun may be silent; 30 seconds by default. A call's own timeout bounds it too.
    pub idle_timeout: Duration,
    /// What the bodies that it answers with share with those of the process's other instances; one of its own by
    /// default.
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
    /// Whether calls go to a place of one's own, and not to the maker's host, however that was written.
    pub(crate) fn is_own_place(&self, makers_host: &str) -> bool {
        self.base_url.as_ref().is_some_and(|url| url.host_str() != Some(makers_host))
    }

    /// The key as a header's value behind `prefix`, marked so that it is not logged.
    pub(crate) fn key_header(&self, prefix: &str) -> Result<Option<HeaderValue>> {
        let Some(key) = &self.api_key else { return Ok(None) };
        let value = HeaderValue::from_str(&format!("{prefix}{}", key.expose())).map_err(|_| {
            Error::invalid("api_key", "holds a character that no HTTP header may hold, such as a newline")
        })?;
        Ok(Some(sensitive(value)))
    }

    /// Its base URL, or the maker's.
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

/// A successful answer to a call that asked for a stream.
#[derive(Debug)]
enum Came {
    /// It came at once all the same.
    Whole(Received),
    /// It has begun.
    EventReader(Box<EventReader>),
}

impl Http {
    pub(crate) fn new(base: &Url, endpoint: Endpoint) -> Result<Self> {
        // The process may have chosen its provider of TLS already; then that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(endpoint.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(Duration::from_secs(90))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            // A key and a prompt go to the place that was configured, and nowhere else.
            .redirect(Policy::none())
            .no_proxy();
        if base.scheme() == "http" {
            // No certificate is ever checked: so a machine without any must do.
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

    /// The client, for building requests.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What hides the key in what the provider says.
    fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// What the provider said of an input, fit for a record. Where either is long it is looked through off the runtime.
    async fn shown(&self, message: String, input: &Input) -> String {
        let (redactor, input) = (Arc::clone(&self.redactor), input.clone());
        let length = message.len() + input.bytes();
        let redacting = move || redactor.message(&message, &input);
        self.bodies.parse(length, redacting).await.unwrap_or_else(|failed| failed.message)
    }

    /// Sends a request with a JSON body once. With a sink the answer is read as events, also into the sink, unless the
    /// server answers at once all the same; without one it is read whole.
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

    /// Sends a request for a stream once, and waits until it begins. A server that cannot stream answers JSON: that is
    /// read to its end.
    async fn send_for_events(&self, request: Request) -> Result<Came, CallFault> {
        let patience = ReadTimeouts::begin(self.first_token_timeout, self.idle_timeout);
        let begin = async {
            let body = self.open(request).await?;
            let media_type = media_type(body.response.headers());
            if media_type.ends_with("json") {
                return Ok(Came::Whole(body.whole().await?));
            }
            let is_declared = media_type == "text/event-stream";
            let redactor = Arc::clone(&self.redactor);
            Ok(Came::EventReader(Box::new(EventReader::new(body, is_declared, patience, redactor))))
        };
        patience.first(begin).await
    }

    /// Sends a request once; its answer has begun, and is a success.
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
            // The status says enough when the body cannot be read.
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

/// What lies under the wrapping; it names neither the URL nor what was sent.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The first header that holds an id; empty when none does.
fn id_header(headers: &HeaderMap) -> String {
    let values = ["x-request-id", "request-id"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    values.into_iter().find(|id| outcome::is_request_id(id)).unwrap_or_default().to_owned()
}

/// What the body is, in lower case and without parameters; empty when the header does not say.
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
