//! Identities: a newtype each, UUIDv7 in text form outside.

use std::fmt;

use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the text form; what is not a UUID is INVALID_FIELD at `field`.
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
    /// A project: everything belongs to one.
    ProjectId,
    /// A prompt.
    PromptId,
    /// A version of a prompt.
    VersionId,
    /// An execution.
    ExecutionId,
    /// An API key.
    KeyId,
    /// A price of a model.
    PriceId,
    /// One claim of an execution: names whose write a row carries when an answer was lost.
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
