//! Streams of events.

use axum::response::Response;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_proto::v1;

use super::Api;
use super::call::Call;

/// Executes a prompt of this mode, and streams its events and its text.
pub(super) async fn run(_: &Api, _: &Call, _: v1::ExecutionSpec, _: Mode) -> Result<Response> {
    Err(Error::new(Reason::Unimplemented, "streams are not offered yet"))
}
