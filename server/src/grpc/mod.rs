//! The wire: converts a request, calls a service, converts its answer. Nothing is decided here.

pub mod analytics;
mod call_note;
pub mod code_registration;
pub mod convert;
pub(crate) mod counts;
pub mod deadline;
pub mod execution;
pub mod gate;
pub(crate) mod inline_call;
pub mod receive;
pub mod registry;
pub(crate) mod request_limits;
pub(crate) mod rpcs;
pub mod status;
pub(crate) mod streaming;

use std::sync::Arc;

use prompt_ledger_domain::{Error, Result};
use tonic::{Extensions, Request, Response, Status};

use crate::service::Caller;

/// The caller, which the gate puts into the extensions.
fn caller(extensions: &Extensions) -> Result<Arc<Caller>> {
    extensions.get::<Arc<Caller>>().cloned().ok_or_else(|| Error::internal("a call came in past the gate"))
}

fn into_parts<T>(request: Request<T>) -> Result<(Arc<Caller>, T), Status> {
    let caller = caller(request.extensions()).map_err(status::status)?;
    Ok((caller, request.into_inner()))
}

fn respond<T>(result: Result<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status::status)
}
