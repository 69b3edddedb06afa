//! Reads processes from rows, and writes what they can call as JSON: an object of provider instances by name.

use std::collections::BTreeMap;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
use serde::{Deserialize, Serialize};

use super::LedgerRow;
use crate::rows as row;
use crate::{ProcessKind, SeenProcess};

/// An instance as it is stored. A reader ignores unknown fields: processes of neighbouring releases run side by side.
#[derive(Serialize, Deserialize)]
struct StoredInstance {
    kind: String,
    own_place: bool,
}

/// The JSON that [`seen`] reads.
pub fn providers(of: &BTreeMap<String, ProviderTraits>) -> Result<String> {
    let stored = |(name, traits): (&String, &ProviderTraits)| {
        let kind = traits.kind.map_or("", <&str>::from).to_owned();
        (name.clone(), StoredInstance { kind, own_place: traits.is_own_place })
    };
    row::to_json(&of.iter().map(stored).collect::<BTreeMap<_, _>>())
}

/// A process. Its kind and the protocols of its providers are open lists: a later release may have more.
pub fn seen<D, R: LedgerRow<D>>(row: &R) -> Result<SeenProcess> {
    let providers: BTreeMap<String, StoredInstance> = row::json(row, "providers")?;
    let traits = |stored: StoredInstance| ProviderTraits {
        kind: stored.kind.parse::<ProviderKind>().ok(),
        is_own_place: stored.own_place,
    };
    let kind = row::text(row, "kind")?;
    Ok(SeenProcess {
        id: row::text(row, "id")?,
        takes_queued: [ProcessKind::Worker, ProcessKind::Dev].iter().any(|taking| taking.as_str() == kind),
        providers: providers.into_iter().map(|(name, stored)| (name, traits(stored))).collect(),
        release: row::text(row, "release")?,
        age: row::micros(row, "age")?,
        has_left: row::value(row, "has_left")?,
    })
}
