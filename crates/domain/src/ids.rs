//! A newtype per kind of id. New ids are UUIDv7; outside this process they have the hyphenated text form.

use std::fmt;

use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses a UUID of any version. INVALID_FIELD names `field`, its path in the request.
            pub fn parse(field: &str, text: &str) -> Result<Self> {
                Uuid::try_parse(text).map(Self).map_err(|_| {
                    let shown = crate::text::cut(text, 64);
                    Error::invalid(field, format!("`{shown}` is not an id; send a UUID such as one answered before"))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// A project: every prompt, execution and project key belongs to one.
    ProjectId,
    /// A prompt; kept when it is archived or changes its mode.
    PromptId,
    /// A version of a prompt; its number is unique within the prompt only.
    VersionId,
    /// An execution, with all its attempts.
    ExecutionId,
    /// The record of an API key.
    KeyId,
    /// A price of a model; executions refer to the one that their cost is computed with.
    PriceId,
    /// One call that claims executions. Rows carry it, so that a claim whose answer was lost can be read again.
    ClaimId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn an_id_reads_and_prints_its_text_form() {
        let text = "018f3f5e-0000-7000-8000-000000000001";
        let id = ExecutionId::parse("execution_id", text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{id:?}"), text);
    }

    #[test]
    fn what_is_not_an_id_is_an_invalid_field() {
        let error = PromptId::parse("prompt_id", "nonsense").unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidField);
        assert_eq!(error.parts().violations[0].field, "prompt_id");
    }
}
