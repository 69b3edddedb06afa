//! The execution spec: one message for every RPC that executes.

use prompt_ledger_domain::error::{Error, Result, Violations};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::spec::Spec;
use prompt_ledger_proto::v1;
use serde_json::Map;

use super::prompt::spec_selector;
use super::{chat, config, required, structs, time};
use crate::service::Caller;
use crate::service::cpu_pool::CpuPool;

/// The spec as a domain type. What cannot be converted is noted in it, because mode and idempotency key take
/// precedence.
///
/// # Errors
/// INVALID_FIELD where it is absent; OVERLOADED where it has many variables and there is no processor time to read
/// them.
pub async fn spec(cpu: &CpuPool, caller: &Caller, sent: Option<v1::ExecutionSpec>) -> Result<Spec> {
    let mut sent = required("spec", sent)?;
    let variables_bytes = sent.variables.as_ref().map_or(0, prost::Message::encoded_len);
    // Variables beyond the limit are refused later, after the idempotency key was looked up: they are not converted.
    let (variables, mut violations) = match sent.variables.take() {
        Some(fields) if variables_bytes <= limits::VARIABLES_BYTES => {
            structs::read(cpu, caller.project.id, "variables", fields, variables_bytes).await?
        }
        Some(_) => {
            let mut violations = Violations::default();
            violations.note(Error::invalid("variables", format!("is {variables_bytes} bytes")));
            (Map::new(), violations)
        }
        None => Default::default(),
    };
    let timeout = sent.timeout.and_then(|value| noted(time::length("timeout", value), &mut violations));
    let expire_after = sent.expire_after.and_then(|value| noted(time::length("expire_after", value), &mut violations));
    let overrides = config::overrides(&mut sent, &mut violations);
    let messages = chat::messages("messages", sent.messages, &mut violations);
    Ok(Spec {
        prompt_name: sent.prompt_name,
        selector: sent.selector.map(spec_selector),
        environment: sent.environment,
        variables,
        variables_bytes,
        messages,
        overrides,
        correlation_id: sent.correlation_id,
        metadata: sent.metadata.into_iter().collect(),
        idempotency_key: sent.idempotency_key,
        timeout,
        expire_after,
        max_retries: sent.max_retries,
        stream_text: sent.stream_text.unwrap_or(false),
        retry_failed: sent.retry_failed,
        min_revision: sent.min_revision,
        violations,
    })
}

fn noted<T>(value: Result<T>, violations: &mut Violations) -> Option<T> {
    value.map_err(|error| violations.note(error)).ok()
}
