//! What providers over HTTP share: sending, reading, and classifying failures.

mod answer;
mod body;
mod budget;
mod calls;
mod clients;
mod coding;
mod counts;
mod endpoint;
mod finish;
mod form;
mod frames;
pub(crate) mod json;
mod outcome;
mod prose;
mod read;
mod redact;
mod refusal;
mod repair;
mod retry_after;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use prompt_ledger_domain::error::Result;
use prompt_ledger_domain::execution::{CallTimeout, ErrorType, Input};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::trace::TraceParent;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response};
use url::Url;

use crate::{Answer, Call, CallDetails, CallError, TextSink};

pub(crate) use self::answer::{AnswerSoFar, ReadDocument};
use self::body::{ResponseBody, Silence};
pub use self::budget::BodyBudget;
use self::budget::BodyRoom;
use self::clients::Clients;
pub(crate) use self::counts::PromptCount;
pub use self::endpoint::Endpoint;
use self::form::Forms;
pub(crate) use self::form::RequestForm;
use self::outcome::CallFault;
use self::read::AnswerReader;
use self::redact::Redactor;
pub(crate) use self::refusal::told as told_error;

/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How a protocol is spoken.
pub(crate) struct Protocol {
    pub(crate) read: ReadDocument,
    pub(crate) prompt_count: PromptCount,
    /// The form that is tried first.
    pub(crate) form: RequestForm,
    /// Whether a limit has two names.
    pub(crate) has_limit_names: bool,
    /// The header that the key is sent in, and what stands before the key there.
    pub(crate) key: (HeaderName, &'static str),
}

/// The connections to one provider.
#[derive(Debug)]
pub(crate) struct Http {
    clients: Clients,
    url: Url,
    /// Sent with every call.
    headers: HeaderMap,
    /// `host` or `host:port`, for messages.
    place: Arc<str>,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
    bodies: BodyBudget,
    redactor: Arc<Redactor>,
    forms: Forms,
    read: ReadDocument,
    prompt_count: PromptCount,
    has_limit_names: bool,
}

/// Writes the body of a request in a form; the flag asks for a stream.
pub(crate) type WriteBody<'w> = &'w (dyn Fn(RequestForm, bool) -> serde_json::Result<Vec<u8>> + Send + Sync);

impl Http {
    pub(crate) fn new(url: Url, endpoint: Endpoint, protocol: Protocol) -> Result<Self> {
        let mut headers = endpoint.all_headers(protocol.key.0, protocol.key.1)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Without it, RFC 9110 lets a server choose any coding.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let place = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, None) => host.to_owned(),
            (host, Some(port)) => format!("{host}:{port}"),
        };
        let others = endpoint.headers.iter().map(|(_, value)| value);
        let redactor = Arc::new(Redactor::new(endpoint.api_key.as_ref(), others));
        Ok(Self {
            clients: Clients::new(endpoint.clone(), url.clone())?,
            url,
            headers,
            place: place.into(),
            first_byte_timeout: endpoint.first_byte_timeout,
            idle_timeout: endpoint.idle_timeout,
            bodies: endpoint.bodies,
            redactor,
            forms: Forms::new(protocol.form),
            read: protocol.read,
            prompt_count: protocol.prompt_count,
            has_limit_names: protocol.has_limit_names,
        })
    }

    /// Adds a header to every call, unless the endpoint has one of that name.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.entry(name).or_insert(value);
        self
    }

    /// `host` or `host:port`.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Makes a call within its timeout. The answer's text is pushed into the sink as it arrives. A failure keeps what
    /// came before it.
    pub(crate) async fn call(
        &self,
        call: Call<'_>,
        sink: Option<&mut dyn TextSink>,
        write: WriteBody<'_>,
    ) -> Result<Answer, CallError> {
        let mut so_far = AnswerSoFar::new(self.prompt_count);
        let asking = self.ask(&call, sink, &mut so_far, write);
        let asked = tokio::time::timeout(call.timeout.limit(), asking).await.unwrap_or_else(|_| {
            let message = format!("the provider had not answered after {:?}", call.timeout.limit());
            // Only the end of the answer had not come.
            if so_far.is_all_told() { Ok(()) } else { Err(CallFault::new(ErrorType::Timeout, message)) }
        });
        let asked = asked.map_err(|fault| match so_far.refused_with {
            // It was refused, only the reason did not come.
            Some((status, retry_after)) if fault.error_type == ErrorType::Timeout => {
                CallFault { retry_after, ..refusal::classify(status, None) }
            }
            _ => fault,
        });
        let latency = so_far.began.elapsed();
        let finish_reason = so_far.finish_reason();
        let CallDetails { usage, request_id, response_model, requests, refused } = so_far.details(&self.redactor);
        let text = so_far.prose.finish();
        let (tool_calls, lacks_calls) = so_far.calls.finish(text.len());
        let truncated = so_far.prose.is_truncated() || lacks_calls;
        match asked {
            Ok(()) => Ok(Answer {
                text,
                truncated,
                tool_calls,
                refused,
                usage,
                finish_reason,
                request_id,
                response_model,
                requests,
                latency,
            }),
            Err(fault) => Err(CallError {
                error_type: fault.error_type,
                message: self.shown(fault.message, call.request.input).await,
                retry_after: fault.retry_after,
                request_id,
                response_model,
                requests,
                usage,
                text,
                truncated,
                tool_calls,
                refused,
                latency: (requests > 0).then_some(latency),
            }),
        }
    }

    /// A provider's message about an input, redacted. Where either is long, that runs off the runtime.
    async fn shown(&self, message: String, input: &Input) -> String {
        let (redactor, input) = (Arc::clone(&self.redactor), input.clone());
        let length = message.len() + input.bytes();
        let redacting = move || redactor.message(&message, &input);
        self.bodies.parse(length, redacting).await.unwrap_or_else(|fault| fault.message)
    }

    /// Asks once; where the server refuses a field that we added, once more in the other form. Only a form that was
    /// answered is remembered: a refusal may name fields because it repeats what was sent.
    async fn ask(
        &self,
        call: &Call<'_>,
        mut sink: Option<&mut dyn TextSink>,
        so_far: &mut AnswerSoFar,
        write: WriteBody<'_>,
    ) -> Result<(), CallFault> {
        let wants_stream = sink.is_some() && !call.whole;
        let has_limit = self.has_limit_names && call.request.params.max_new_tokens.is_some();
        let usual = self.forms.of(call.model);
        let streams = wants_stream && usual.streams;
        let first = sink.as_mut().map(|sink| &mut **sink as &mut dyn TextSink);
        let asked = self.ask_in(usual, streams, call, first, so_far, write).await;
        let refused = asked.as_ref().err().map(|fault| &*fault.refused_fields).unwrap_or_default();
        let Some(other) = usual.without(refused, has_limit, streams) else { return asked };
        so_far.begin_again();
        self.ask_in(other, wants_stream && other.streams, call, sink, so_far, write).await?;
        self.forms.learn(call.model, other);
        Ok(())
    }

    async fn ask_in(
        &self,
        form: RequestForm,
        streams: bool,
        call: &Call<'_>,
        mut sink: Option<&mut dyn TextSink>,
        so_far: &mut AnswerSoFar,
        write: WriteBody<'_>,
    ) -> Result<(), CallFault> {
        let body =
            write(form, streams).map_err(|error| CallFault::new(ErrorType::InvalidRequest, error.to_string()))?;
        let client = self.clients.one().await;
        so_far.requests += 1;
        if let Some(sink) = &mut sink {
            sink.told(so_far.details(&self.redactor));
        }
        let silence = if streams { self.silence(call.timeout, Instant::now()) } else { None };
        let opening = self.open(&client, body, call.trace, silence, so_far);
        let (body, retry_after) = match silence {
            Some(silence) => silence.first(opening).await?,
            None => opening.await?,
        };
        if let Some(sink) = &mut sink {
            sink.told(so_far.details(&self.redactor));
        }
        let reader = AnswerReader::new(body, self.bodies.clone());
        let read = reader.read(sink, so_far, &self.redactor, self.read).await;
        read.map_err(|fault| CallFault { retry_after, ..fault })
    }

    /// The bounds of a stream's silence: none where the caller asked for a timeout, which bounds it then.
    fn silence(&self, timeout: CallTimeout, began: Instant) -> Option<Silence> {
        let silence = Silence { began, first: self.first_byte_timeout, idle: self.idle_timeout };
        (!timeout.is_asked()).then_some(silence)
    }

    /// Sends a request once; returns the body of a successful response as it begins, and the wait that it asks for all the
    /// same, since an error may stand in it. The transport repeats it only where
    /// it knows that the server has not begun to work on it: where no byte was written, where the stream was refused, or
    /// where the connection's end says that it was not looked at.
    async fn open(
        &self,
        client: &Client,
        body: Vec<u8>,
        trace: Option<TraceParent>,
        silence: Option<Silence>,
        so_far: &mut AnswerSoFar,
    ) -> Result<(ResponseBody, Option<Duration>), CallFault> {
        let mut request = Request::new(Method::POST, self.url.clone());
        self.headers.clone_into(request.headers_mut());
        // One that the settings have goes before it.
        if let Some(value) = trace.and_then(|trace| HeaderValue::try_from(trace.to_string()).ok()) {
            request.headers_mut().entry(TRACEPARENT).or_insert(value);
        }
        *request.body_mut() = Some(body.into());
        let response = client.execute(request).await.map_err(|error| {
            // Nothing was sent where there was no connection.
            so_far.requests -= i32::from(error.is_connect());
            broken(&self.place, &error)
        })?;
        so_far.tell_head_id(id_header(response.headers()));
        let retry_after = retry_after::wish(response.headers(), SystemTime::now);
        if response.status().is_success() {
            return Ok((ResponseBody::new(response, Arc::clone(&self.place), silence)?, retry_after));
        }
        so_far.refused_with = Some((response.status(), retry_after));
        let fault = self.refusal(response).await;
        so_far.refused_with = None;
        Err(CallFault { retry_after, ..fault })
    }

    async fn refusal(&self, response: Response) -> CallFault {
        let status = response.status();
        let mut fault = None;
        if let Some((body, room)) = self.refusal_body(response).await {
            let length = body.len();
            let classifying = move || {
                let fault = refusal::classify(status, Some(&body));
                // In this order: the body occupies its room until it is dropped.
                drop(body);
                drop(room);
                fault
            };
            fault = self.bodies.parse(length, classifying).await.ok();
        }
        fault.unwrap_or_else(|| refusal::classify(status, None))
    }

    /// The body of an unsuccessful response with its share of the budget; absent where it cannot be read or is too long.
    async fn refusal_body(&self, response: Response) -> Option<(Vec<u8>, BodyRoom)> {
        let mut body = ResponseBody::new(response, Arc::clone(&self.place), None).ok()?;
        let (mut text, mut room) = (Vec::new(), BodyRoom::new(&self.bodies));
        while let Some(piece) = body.piece().await.ok()? {
            let length = text.len() + piece.len();
            if length > limits::PROVIDER_REFUSAL_BYTES {
                return None;
            }
            room.reserve(&mut text, length, limits::PROVIDER_REFUSAL_BYTES).await;
            text.extend_from_slice(&piece);
        }
        Some((text, room))
    }
}

fn broken(place: &str, error: &reqwest::Error) -> CallFault {
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => CallFault::new(ErrorType::Timeout, format!("connecting to {place} took too long")),
        (true, false) => CallFault::new(ErrorType::Timeout, format!("the connection to {place} went silent")),
        (false, true) => {
            let root = root(error);
            let advice = match root.contains("invalid peer certificate") {
                true => "; the CA that signed the certificate must stand in the file of PROVIDER_<NAME>_CA",
                false => "",
            };
            CallFault::new(ErrorType::Connection, format!("cannot connect to {place}: {root}{advice}"))
        }
        (false, false) => {
            CallFault::new(ErrorType::Connection, format!("the connection to {place} broke: {}", root(error)))
        }
    }
}

/// The innermost cause; it names neither the URL nor what was sent.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
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
