//! A row of the table of routes: where it is served, and its description, both made from its handler; the description only
//! where it is asked for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, StatusCode};
use prompt_ledger_domain::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, Ref, Schema};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, RefOr, Required, ResponseBuilder};
use utoipa::{ToSchema, schema};

use super::call::{HttpCall, Reply, body};
use super::error::{HttpError, respond};
use super::gate::{GateRow, PassedRequest};
use super::query::{self, Query};
use super::row_headers::{self, Conditions};
use super::{Api, V1State, events, prompt_events};
use crate::grpc::rpcs::limits_of_operation;

/// A row: its path, its handler for one method, and its description.
pub(crate) struct Row {
    pub(super) path: &'static str,
    pub(super) route: MethodRouter<Arc<V1State>>,
    pub(super) method: HttpMethod,
    pub(super) describe: Box<dyn FnOnce() -> RowDescription>,
}

/// What a row does, and the schemas that it names.
pub(super) struct RowDescription {
    pub(super) operation: Operation,
    pub(super) schemas: Schemas,
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// What a row is, in words.
#[derive(Clone, Copy)]
pub(crate) struct RowText {
    path: &'static str,
    /// The RPC that the row is.
    rpc: &'static str,
    summary: &'static str,
    conditions: Conditions,
}

pub(crate) fn told(path: &'static str, rpc: &'static str, summary: &'static str) -> RowText {
    RowText { path, rpc, summary, conditions: Conditions::None }
}

impl RowText {
    pub(crate) fn on(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
    }
}

/// What a row answers with.
#[derive(Clone, Copy)]
pub(crate) enum RowAnswer {
    Json,
    /// 202.
    Accepted,
    /// 200, or 202 where it is put into the queue; both in one form, which has one of two shapes. 200 may be a stream too.
    Either,
    /// `text/event-stream`, about executions.
    Stream,
    /// The same about prompts.
    PromptStream,
}

/// A row whose request has a query and no body.
pub(crate) fn reads<H, F, Q, A>(method: &Method, told: RowText, answers: RowAnswer, handler: H) -> Row
where
    H: Fn(Arc<Api>, HttpCall, Q) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply<A>>> + Send + 'static,
    Q: Query + 'static,
    A: Serialize + ToSchema + 'static,
{
    let gated = GateRow::new(method, told.path);
    let serve = move |State(v1): State<Arc<V1State>>, request: Request| async move {
        let serve = async |passed: PassedRequest| {
            let answered = async {
                told.conditions.check(passed.request.method(), passed.request.headers())?;
                let (call, _) = HttpCall::of(passed).await?;
                let query = query::read(call.query())?;
                handler(Arc::clone(&v1.api), call, query).await
            };
            answered.await.map_or_else(respond, Reply::into_response)
        };
        v1.gate.pass(gated, request, serve).await
    };
    let describe = move || {
        let parameters = Q::into_params(|| Some(ParameterIn::Query));
        RowDescription { operation: operation::<A>(&told, answers, parameters, None), schemas: schemas::<A>(answers) }
    };
    row(method, told.path, on(filter(method), serve), describe)
}

/// A row whose request has a body and no query.
pub(crate) fn writes<H, F, B, A>(method: &Method, told: RowText, answers: RowAnswer, handler: H) -> Row
where
    H: Fn(Arc<Api>, HttpCall, B) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply<A>>> + Send + 'static,
    B: DeserializeOwned + ToSchema + Send + 'static,
    A: Serialize + ToSchema + 'static,
{
    let gated = GateRow::new(method, told.path);
    let limits = limits_of_operation(told.rpc);
    let serve = move |State(v1): State<Arc<V1State>>, request: Request| async move {
        let serve = async |passed: PassedRequest| {
            let answered = async {
                told.conditions.check(passed.request.method(), passed.request.headers())?;
                let (call, sent) = HttpCall::of(passed).await?;
                query::read::<query::NoQuery>(call.query())?;
                let body = body(&v1.api.cpu, &call, sent, limits).await?;
                Ok::<_, HttpError>(handler(Arc::clone(&v1.api), call, body).await?)
            };
            answered.await.map_or_else(HttpError::into_response, Reply::into_response)
        };
        v1.gate.pass(gated, request, serve).await
    };
    let describe = move || {
        let mut schemas = schemas::<A>(answers);
        schemas.push((B::name().into_owned(), B::schema()));
        B::schemas(&mut schemas);
        let json = ContentBuilder::new().schema(Some(reference::<B>())).build();
        let sent = RequestBodyBuilder::new().content("application/json", json).build();
        RowDescription { operation: operation::<A>(&told, answers, Vec::new(), Some(sent)), schemas }
    };
    row(method, told.path, on(filter(method), serve), describe)
}

fn row(
    method: &Method,
    path: &'static str,
    route: MethodRouter<Arc<V1State>>,
    describe: impl FnOnce() -> RowDescription + 'static,
) -> Row {
    Row { path, route, method: described(method), describe: Box::new(describe) }
}

fn operation<A: ToSchema>(
    told: &RowText,
    answers: RowAnswer,
    query: Vec<Parameter>,
    sent: Option<RequestBody>,
) -> Operation {
    let (status, kind, schema) = match answers {
        RowAnswer::Json | RowAnswer::Either => (StatusCode::OK, "application/json", reference::<A>().into()),
        RowAnswer::Accepted => (StatusCode::ACCEPTED, "application/json", reference::<A>().into()),
        RowAnswer::Stream => (StatusCode::OK, "text/event-stream", RefOr::from(event(events::described().0))),
        RowAnswer::PromptStream => {
            (StatusCode::OK, "text/event-stream", RefOr::from(event(prompt_events::described().0)))
        }
    };
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let answer = ResponseBuilder::new().description("The answer.").content(kind, content);
    let headers = row_headers::answered(told.rpc, told.conditions).into_iter();
    let mut answer = headers.fold(answer, |answer, (name, header)| answer.header(name, header)).build();
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    let error = ResponseBuilder::new()
        .description("An error; `error.code` names it.")
        .content("application/json", error)
        .header("Retry-After", HeaderBuilder::new().schema(Some(text())).description(Some("In seconds.")).build());
    let in_path = names(told.path).map(|name| {
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).schema(Some(text()))
    });
    let headers = row_headers::parameters(told.rpc, told.conditions);
    let mut operation = OperationBuilder::new();
    if matches!(answers, RowAnswer::Either) {
        operation = operation.response(StatusCode::ACCEPTED.as_str(), answer.clone());
        let stream = ContentBuilder::new().schema(Some(RefOr::from(event(events::described().0)))).build();
        answer.content.insert("text/event-stream".to_owned(), stream.into());
    }
    if let Some((status, unchanged)) = row_headers::unchanged(told.conditions) {
        operation = operation.response(status, unchanged);
    }
    operation
        .tag(tag(told.path))
        .summary(Some(told.summary))
        .operation_id(Some(told.rpc))
        .parameters(Some(in_path.map(Into::into).chain(query).chain(headers)))
        .request_body(sent)
        .response(status.as_str(), answer)
        .response("default", error)
        .build()
}

/// The schemas that an answer names.
fn schemas<A: ToSchema>(answers: RowAnswer) -> Schemas {
    if let RowAnswer::Stream = answers {
        return events::described().1;
    }
    if let RowAnswer::PromptStream = answers {
        return prompt_events::described().1;
    }
    let mut schemas = vec![(A::name().into_owned(), A::schema())];
    A::schemas(&mut schemas);
    if let RowAnswer::Either = answers {
        schemas.extend(events::described().1);
    }
    schemas
}

/// The data of an event, which is of one of these types.
fn event(names: Vec<String>) -> Schema {
    let kinds = names.into_iter().fold(AnyOfBuilder::new(), |kinds, name| kinds.item(Ref::from_schema_name(name)));
    let kinds = kinds.item(Ref::from_schema_name("Error"));
    kinds.description(Some("The `data:` of each event; of `failure` it is an error.")).build().into()
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

pub(super) fn text() -> RefOr<Schema> {
    schema!(String).into()
}

/// The names of a path's parameters.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

/// What the description groups a path under.
fn tag(path: &'static str) -> &'static str {
    path.split(['/', ':']).nth(2).unwrap_or_default()
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

fn described(method: &Method) -> HttpMethod {
    match *method {
        Method::PUT => HttpMethod::Put,
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
