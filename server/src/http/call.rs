//! What a handler is given, and what it answers: the parts of a request, read once, and a reply in JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use prompt_ledger_domain::{Error, Result, text};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{HttpError, respond};
use super::gate::PassedRequest;
use super::note::HttpObject;
use super::scan;
use crate::front::answers::{Told, Turn};
use crate::front::arriving::peer;
use crate::grpc::inline_call::InlineCall;
use crate::grpc::request_limits::RequestLimits;
use crate::grpc::{counts, rpcs};
use crate::service::{Caller, CpuPool};

/// The longest value of a header that is told in an error, in bytes.
const SHOWN_BYTES: usize = 64;
/// The longest text of the JSON library in an error, in bytes: it may repeat what was sent.
const MISREAD_BYTES: usize = 256;
/// What a byte of a text takes at most in JSON, in bytes: `\u0001`.
const ESCAPED_BYTES: usize = 6;
/// The parameters of paths that name what a call is about.
const NAMING: [&str; 4] = ["name", "id", "provider", "model"];
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call: everything of its request but query and body.
pub(crate) struct HttpCall {
    pub(crate) caller: Arc<Caller>,
    pub(crate) turn: Turn,
    pub(crate) headers: HeaderMap,
    /// The peer's address, which identifies the connection; absent where there is none.
    pub(crate) connection: Option<SocketAddr>,
    /// Where what it is about is told.
    pub(super) object: HttpObject,
    uri: Uri,
    /// The values of the path's parameters, decoded, by name.
    path: Vec<(String, String)>,
}

impl HttpCall {
    /// The call of a request that has passed the gate, and its body.
    pub(super) async fn of(passed: PassedRequest) -> Result<(Self, Body)> {
        let PassedRequest { request, caller, turn, object } = passed;
        let (mut parts, body) = request.into_parts();
        let named = RawPathParams::from_request_parts(&mut parts, &()).await;
        let named = named.map_err(|_| Error::invalid("path", "is not UTF-8 once its percent signs are decoded"))?;
        let path: Vec<_> = named.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // A client whose variable is unset means no other resource.
        if let Some((name, _)) = path.iter().find(|(_, value)| value.is_empty()) {
            return Err(Error::invalid(name.clone(), "is empty in the path; send it between its slashes"));
        }
        let call = Self {
            caller,
            turn,
            connection: peer(&parts.extensions),
            object,
            headers: parts.headers,
            uri: parts.uri,
            path,
        };
        call.object.tell(|| {
            let names = call.path.iter().filter(|(of, _)| NAMING.contains(&&**of)).map(|(_, name)| &**name);
            names.collect::<Vec<_>>().join("/")
        });
        Ok((call, body))
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The parameter of the path that has this name.
    pub(crate) fn part(&self, name: &str) -> String {
        self.path.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The name of the prompt; empty where the path has none.
    pub(crate) fn name(&self) -> String {
        self.part("name")
    }

    /// The last part of a path that has no parameters.
    pub(crate) fn last_part(&self) -> String {
        self.uri.path().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The number of the version; INVALID_FIELD where it is none.
    pub(crate) fn number(&self) -> Result<i32> {
        let sent = self.part("number");
        let wrong = || {
            let sent = text::cut(&sent, SHOWN_BYTES);
            Error::invalid("version_number", format!("is `{sent}`; versions are counted from 1"))
        };
        sent.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
    }

    /// This call as one that executes: who holds it hangs up by dropping it.
    pub(crate) fn inline(&self) -> InlineCall {
        InlineCall::new(Arc::clone(&self.caller), None, self.connection)
    }

    /// The only value of a header; INVALID_FIELD where it was sent twice, or is not visible ASCII.
    pub(super) fn header(&self, name: &HeaderName) -> Result<Option<&str>> {
        let mut values = self.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Error::invalid(name.as_str(), "was sent more than once; send it once"));
        }
        let value = value.to_str().map_err(|_| Error::invalid(name.as_str(), "holds more than visible ASCII"))?;
        Ok(Some(value.trim()))
    }

    /// The etag that the prompt must have; absent for any.
    pub(crate) fn if_match(&self) -> Result<Option<String>> {
        let Some(sent) = self.header(&IF_MATCH)? else { return Ok(None) };
        // A weak one never matches, as HTTP has it.
        let inner = if sent.starts_with("W/") { Some(sent) } else { unquoted(sent) };
        let wrong = || {
            let sent = text::cut(sent, SHOWN_BYTES);
            Error::invalid("if-match", format!("is `{sent}`; send one etag in quotes, as the header ETag has it"))
        };
        inner.map(|etag| Some(etag.to_owned())).ok_or_else(wrong)
    }

    /// Whether the prompt must not exist yet; `If-None-Match: *` says so.
    pub(crate) fn create_only(&self) -> Result<bool> {
        match self.header(&IF_NONE_MATCH)? {
            None => Ok(false),
            Some("*") => Ok(true),
            Some(_) => Err(Error::invalid("if-none-match", "is not `*`; a write takes no other")),
        }
    }

    /// Whether the caller has what has this etag.
    pub(crate) fn has(&self, etag: &str) -> Result<bool> {
        let Some(sent) = self.header(&IF_NONE_MATCH)? else { return Ok(false) };
        let matches = |one: &str| one == "*" || unquoted(one.strip_prefix("W/").unwrap_or(one)) == Some(etag);
        Ok(sent.split(',').any(|one| matches(one.trim())))
    }

    /// The idempotency key, from the header or the body; INVALID_FIELD where they differ, or where one is sent and empty: who
    /// sends it wants to be safe, and without a key a repeat pays twice.
    pub(crate) fn idempotency_key(&self, body: Option<String>) -> Result<Option<String>> {
        let empty = |name: &'static str| Error::invalid(name, "is empty; send a key, or leave it out");
        if self.header(&IDEMPOTENCY_KEY)?.is_some_and(str::is_empty) {
            return Err(empty("idempotency-key"));
        }
        if body.as_ref().is_some_and(|body| body.trim().is_empty()) {
            return Err(empty("idempotency_key"));
        }
        match (self.header(&IDEMPOTENCY_KEY)?, body) {
            (Some(header), Some(body)) if header != body => {
                let problem = "differs from the header `Idempotency-Key`; send one of them";
                Err(Error::invalid("idempotency_key", problem))
            }
            (Some(header), _) => Ok(Some(header.to_owned())),
            (None, body) => Ok(body),
        }
    }

    /// The address of the next page, for the header `Link`.
    pub(crate) fn next_page(&self, page_size: i32, page_token: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("page_size", &page_size.to_string()).append_pair("page_token", page_token);
        format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.finish())
    }
}

/// The text in quotes; absent where it is not in quotes, or is several.
fn unquoted(sent: &str) -> Option<&str> {
    sent.strip_prefix('"')?.strip_suffix('"').filter(|etag| !etag.contains('"'))
}

/// INVALID_FIELD for a body or query that does not have the form of its call. `path` is where, `said` what serde says.
pub(super) fn misread(path: &str, said: &str) -> Error {
    // What is unknown or missing is named by the text only, or by the path too.
    let quoted = |of: &str| said.strip_prefix(of).and_then(|rest| rest.split('`').next());
    let named = ["unknown field `", "missing field `", "duplicate field `"].into_iter().find_map(quoted);
    let path = match (path, named) {
        ("." | "?", None) => "body".to_owned(),
        ("." | "?", Some(named)) => named.to_owned(),
        (path, Some(named)) if path != named && !path.ends_with(&format!(".{named}")) => format!("{path}.{named}"),
        (path, _) => path.to_owned(),
    };
    Error::invalid(text::cut(&path, MISREAD_BYTES), text::cut(said, MISREAD_BYTES))
}

/// The body as JSON, decoded off the runtime where it is large. No body is an empty object.
pub(super) async fn body<B: DeserializeOwned + Send + 'static>(
    cpu: &CpuPool,
    call: &HttpCall,
    body: Body,
    limits: RequestLimits,
) -> Result<B, HttpError> {
    let bytes = to_bytes(body, prompt_ledger_domain::limits::REQUEST_BYTES).await;
    let bytes = bytes.map_err(|_| Error::invalid("body", "ends before it is whole"))?;
    let kind = call.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    if !bytes.is_empty() && !kind.is_none_or(is_json) {
        let sent = text::cut(kind.unwrap_or_default(), SHOWN_BYTES);
        let error = Error::invalid("content-type", format!("is `{sent}`; send JSON, as `application/json`"));
        return Err(HttpError::from(error).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let size = bytes.len();
    cpu.run(call.caller.project.id, size, move |_| Ok(decoded(&bytes, &limits))).await?.map_err(HttpError::from)
}

fn decoded<B: DeserializeOwned>(bytes: &[u8], limits: &RequestLimits) -> Result<B> {
    let bytes = if bytes.is_empty() { &b"{}"[..] } else { bytes.trim_ascii_start() };
    // A list would be read as the fields in their order.
    if bytes.first() != Some(&b'{') {
        return Err(misread(".", "is no JSON object; send one"));
    }
    let most = limits.bytes.saturating_mul(ESCAPED_BYTES);
    if bytes.len() > most {
        return Err(crate::front::errors::too_large(bytes.len(), most));
    }
    scan::check(bytes, limits.counts)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json);
    let read = read.map_err(|error| misread(&error.path().to_string(), &error.inner().to_string()))?;
    json.end().map_err(|error| misread(".", &error.to_string()))?;
    Ok(read)
}

/// Whether a content type is JSON's, or one that is written in JSON.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The request of an RPC, if it holds no more than the RPC takes.
pub(crate) fn bounded<R: prost::Message>(rpc: &str, request: R) -> Result<R> {
    let limits = rpcs::of(rpc).limits;
    let encoded = request.encode_to_vec();
    if encoded.len() > limits.bytes {
        return Err(crate::front::errors::too_large(encoded.len(), limits.bytes));
    }
    counts::check(&encoded, limits.counts).map_err(|error| error.renamed(&[("spec", "")]))?;
    Ok(request)
}

/// What a handler answers.
pub(crate) struct Reply<A> {
    pub(super) content: ReplyContent<A>,
    pub(super) status: StatusCode,
    headers: HeaderMap,
    /// The execution that the answer is about; absent where it is about none.
    told: Option<Told>,
}

pub(super) enum ReplyContent<A> {
    Json(A),
    /// What the caller has already.
    Same,
    Stream(Response),
}

impl<A> From<A> for Reply<A> {
    fn from(body: A) -> Self {
        Self { content: ReplyContent::Json(body), status: StatusCode::OK, headers: HeaderMap::new(), told: None }
    }
}

impl<A> Reply<A> {
    /// A stream of events, in place of JSON.
    pub(crate) fn stream(response: Response) -> Self {
        Self { content: ReplyContent::Stream(response), status: StatusCode::OK, headers: HeaderMap::new(), told: None }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn with_etag(self, etag: &str) -> Self {
        self.with_header(ETAG, &format!("\"{etag}\""))
    }

    pub(crate) fn with_link(self, link: &str) -> Self {
        self.with_header(LINK, link)
    }

    /// About this execution: an error in place of the answer names it.
    pub(crate) fn about(self, execution_id: &str) -> Self {
        Self { told: Some(Told(execution_id.to_owned())), ..self }
    }

    /// 304 in place of the answer where the caller has it.
    pub(crate) fn unless(self, has: bool) -> Self {
        match has {
            true => Self { content: ReplyContent::Same, status: StatusCode::NOT_MODIFIED, ..self },
            false => self,
        }
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        // Etags and addresses are visible ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl<A: Serialize> Reply<A> {
    pub(super) fn into_response(self) -> Response {
        let mut response = match self.content {
            ReplyContent::Stream(response) => return response,
            ReplyContent::Same => self.status.into_response(),
            ReplyContent::Json(body) => match serde_json::to_vec(&body) {
                Ok(json) => {
                    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    (self.status, [kind], json).into_response()
                }
                Err(error) => return respond(Error::internal(error)),
            },
        };
        response.headers_mut().extend(self.headers);
        if let Some(told) = self.told {
            response.extensions_mut().insert(told);
        }
        response
    }
}
