//! Fields of the contract that this server does not offer yet: a request that has one is refused, so that none is ignored.

use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_proto::v1;

/// UNIMPLEMENTED, naming the first of the fields that is set.
fn refuse(fields: &[(&str, bool)]) -> Result<()> {
    match fields.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((field, _)) => {
            Err(Error::new(Reason::Unimplemented, format!("{field} is not offered by this server yet; leave it out")))
        }
    }
}

pub(super) fn list_executions(sent: &v1::ListExecutionsRequest) -> Result<()> {
    refuse(&[
        ("label", !sent.label.is_empty()),
        ("model", sent.model.is_some()),
        ("error_type", !sent.error_type.is_empty()),
        ("mode", sent.mode != 0),
        ("metadata", !sent.metadata.is_empty()),
    ])
}

pub(super) fn spec(sent: &v1::ExecutionSpec) -> Result<()> {
    refuse(&[("spec.metadata", !sent.metadata.is_empty())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_a_field_that_is_not_offered_is_refused_by_its_name() {
        spec(&v1::ExecutionSpec::default()).unwrap();
        let metadata = [("session".to_owned(), "7".to_owned())].into();
        let error = spec(&v1::ExecutionSpec { metadata, ..Default::default() }).unwrap_err();
        assert_eq!(error.reason(), Reason::Unimplemented);
        assert!(error.to_string().contains("spec.metadata"), "{error}");
    }
}
