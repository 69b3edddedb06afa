//! The change log of prompts.

use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_domain::{Error, Result, VariantArray as _};
use prompt_ledger_proto::v1;

use super::known;
use super::time::timestamp;

#[must_use]
pub fn entry(entry: ChangeEntry) -> v1::PromptChangeEntry {
    let what = entry.what;
    v1::PromptChangeEntry {
        prompt_name: entry.prompt_name,
        kind: kind(what.kind).into(),
        version_number: what.version,
        label: what.label,
        from_value: what.from,
        to_value: what.to,
        created_by: entry.created_by,
        key_id: entry.key.id,
        key_name: entry.key.name,
        revision: entry.revision,
        position: entry.position,
        at: Some(timestamp(entry.at)),
        note: entry.note,
    }
}

fn kind(kind: ChangeKind) -> v1::PromptChangeKind {
    match kind {
        ChangeKind::Created => v1::PromptChangeKind::Created,
        ChangeKind::VersionCreated => v1::PromptChangeKind::VersionCreated,
        ChangeKind::Activated => v1::PromptChangeKind::Activated,
        ChangeKind::Status => v1::PromptChangeKind::Status,
        ChangeKind::LabelSet => v1::PromptChangeKind::LabelSet,
        ChangeKind::LabelRemoved => v1::PromptChangeKind::LabelRemoved,
        ChangeKind::Metadata => v1::PromptChangeKind::Metadata,
        ChangeKind::Archived => v1::PromptChangeKind::Archived,
        ChangeKind::Unarchived => v1::PromptChangeKind::Unarchived,
        ChangeKind::ModeMigrated => v1::PromptChangeKind::ModeMigrated,
    }
}

/// The kinds of a filter, each once; INVALID_FIELD for one that is unspecified or not known.
pub fn kinds(sent: &[i32]) -> Result<Vec<ChangeKind>> {
    let mut kinds = Vec::new();
    for number in sent {
        let wanted: v1::PromptChangeKind = known("kinds", *number)?;
        let of = ChangeKind::VARIANTS.iter().copied().find(|of| kind(*of) == wanted);
        let of = of.ok_or_else(|| Error::invalid("kinds", "names no kind; leave it out for all"))?;
        if !kinds.contains(&of) {
            kinds.push(of);
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_domain::prompt_log::{AskingKey, WhatChanged};

    #[test]
    fn every_kind_has_its_value_and_is_found_by_it() {
        let sent: Vec<i32> = ChangeKind::VARIANTS.iter().map(|of| kind(*of).into()).collect();
        assert_eq!(sent, (1..=10).collect::<Vec<_>>());
        assert_eq!(kinds(&[sent.clone(), sent].concat()).unwrap(), ChangeKind::VARIANTS);
        for wrong in [0, 11, -1] {
            assert_eq!(kinds(&[wrong]).unwrap_err().parts().violations[0].field, "kinds");
        }
        for kind in ChangeKind::VARIANTS {
            let name = format!("PROMPT_CHANGE_KIND_{}", <&str>::from(*kind).to_uppercase());
            assert_eq!(super::kind(*kind).as_str_name(), name);
        }
    }

    #[test]
    fn an_entry_tells_all_that_is_stored() {
        let what = WhatChanged {
            kind: ChangeKind::LabelSet,
            version: Some(3),
            label: "production".into(),
            from: "2".into(),
            to: "3".into(),
        };
        let key = AskingKey { id: "id".into(), name: "deploys".into() };
        let stored = ChangeEntry {
            prompt_name: "greet".into(),
            what,
            created_by: "ada".into(),
            key,
            revision: 7,
            position: 1,
            at: Timestamp(1_000_000),
            note: "why".into(),
        };
        let told = entry(stored);
        let at = prost_types::Timestamp { seconds: 1, nanos: 0 };
        assert_eq!(
            told,
            v1::PromptChangeEntry {
                prompt_name: "greet".into(),
                kind: v1::PromptChangeKind::LabelSet.into(),
                version_number: Some(3),
                label: "production".into(),
                from_value: "2".into(),
                to_value: "3".into(),
                created_by: "ada".into(),
                key_id: "id".into(),
                key_name: "deploys".into(),
                revision: 7,
                position: 1,
                at: Some(at),
                note: "why".into(),
            }
        );
    }
}
