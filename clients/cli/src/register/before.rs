//! What the ledger has before a registration.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::StreamExt as _;
use prompt_ledger_client::v1;

use crate::connection::LedgerConnection;
use crate::failure::CommandError;

/// The contract's bound of names in a call.
const AT_ONCE: usize = 100;

/// The prompts of these names, each with its active version, by name. Those that there are not are left out.
pub(super) async fn present(
    connection: &LedgerConnection,
    names: &[String],
) -> Result<BTreeMap<String, v1::FoundPrompt>, CommandError> {
    let mut present = BTreeMap::new();
    for names in names.chunks(AT_ONCE) {
        let asked = connection.client.prompts().batch_get(names.to_vec(), "").await;
        let (found, _) = asked.map_err(|error| connection.failed(error))?;
        for found in found {
            let name = found.prompt.as_ref().map(|prompt| prompt.name.clone()).unwrap_or_default();
            present.insert(name, found);
        }
    }
    Ok(present)
}

/// The names of prompts in code that the ledger serves, archived ones apart, and that are none of these.
pub(super) async fn served_without(
    connection: &LedgerConnection,
    names: &BTreeSet<&str>,
) -> Result<Vec<String>, CommandError> {
    let mut request = v1::ListPromptsRequest { page_size: 100, ..v1::ListPromptsRequest::default() };
    request.set_mode(v1::PromptMode::Tracking);
    let (mut prompts, mut others) = (connection.client.prompts().list(request), Vec::new());
    while let Some(prompt) = prompts.next().await {
        let name = prompt.map_err(|error| connection.failed(error))?.name;
        if !names.contains(name.as_str()) {
            others.push(name);
        }
    }
    Ok(others)
}
