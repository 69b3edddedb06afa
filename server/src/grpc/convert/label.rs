//! Labels.

use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_proto::v1;

use super::time::timestamp;

#[must_use]
pub fn label(label: PromptLabel) -> v1::PromptLabel {
    let PromptLabel { label, version_number, set_at, set_by } = label;
    v1::PromptLabel { label, version_number, set_at: Some(timestamp(set_at)), set_by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Timestamp;

    #[test]
    fn a_label_tells_all_that_is_stored() {
        let stored = PromptLabel {
            label: "production".into(),
            version_number: 3,
            set_at: Timestamp(2_000_000),
            set_by: "ada".into(),
        };
        let told = v1::PromptLabel {
            label: "production".into(),
            version_number: 3,
            set_at: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
            set_by: "ada".into(),
        };
        assert_eq!(label(stored), told);
    }
}
