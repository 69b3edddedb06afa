//! Provider instances: their protocols, and what a request may ask of one.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::error::{Error, Reason, Result, Violation};
use crate::execution::Params;

/// The protocol of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Repeats its input, within this process.
    Echo,
}

/// The limit on tokens that is sent to Anthropic, which requires one, where neither the request nor the model's
/// registration has one. Every model allows it.
pub const ANTHROPIC_MAX_TOKENS: i32 = 4096;

/// What a request may ask of an instance. Known without a call, so also of instances that only other processes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTraits {
    /// Absent where a later release told of a protocol that this one does not know: every parameter is then accepted,
    /// and the process that calls it checks them.
    pub kind: Option<ProviderKind>,
    /// Whether its base URL is not the maker's: its models need no registration, and every parameter is sent.
    pub is_own_place: bool,
}

impl ProviderTraits {
    /// Refuses parameters that the provider does not support, with INVALID_FIELD at `params.NAME`. They are never
    /// dropped silently.
    pub fn check(&self, params: &Params) -> Result<()> {
        let (maker, given) = match self.kind {
            _ if self.is_own_place => return Ok(()),
            None | Some(ProviderKind::Echo) => return Ok(()),
            Some(ProviderKind::OpenAi) => ("OpenAI", [("top_k", params.top_k.is_some()), repetition_penalty(params)]),
            Some(ProviderKind::Anthropic) => ("Anthropic", [("top_k", false), repetition_penalty(params)]),
        };
        let unknown: Vec<_> = given
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| Violation {
                field: format!("params.{name}"),
                description: format!("{maker} does not know {name}: leave it out"),
            })
            .collect();
        if unknown.is_empty() { Ok(()) } else { Err(Error::violations(Reason::InvalidField, unknown)) }
    }

    /// The parameters that are sent in place of these to a model with this registered `max_tokens`: with a limit, where
    /// the provider requires one.
    #[must_use]
    pub fn completed(&self, params: Params, max_tokens: Option<i32>) -> Params {
        match self.kind {
            Some(ProviderKind::Anthropic) => {
                let limit = params.max_new_tokens.or(max_tokens).unwrap_or(ANTHROPIC_MAX_TOKENS);
                Params { max_new_tokens: Some(limit), ..params }
            }
            Some(ProviderKind::OpenAi | ProviderKind::Echo) | None => params,
        }
    }
}

fn repetition_penalty(params: &Params) -> (&'static str, bool) {
    ("repetition_penalty", params.repetition_penalty.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Option<ProviderKind>; 4] =
        [Some(ProviderKind::OpenAi), Some(ProviderKind::Anthropic), Some(ProviderKind::Echo), None];

    fn maker(kind: Option<ProviderKind>) -> ProviderTraits {
        ProviderTraits { kind, is_own_place: false }
    }

    #[test]
    fn kinds_are_words() {
        for (kind, word) in
            [(ProviderKind::OpenAi, "openai"), (ProviderKind::Anthropic, "anthropic"), (ProviderKind::Echo, "echo")]
        {
            assert_eq!((<&str>::from(kind), word.parse::<ProviderKind>().ok()), (word, Some(kind)));
        }
        assert_eq!("sung".parse::<ProviderKind>().ok(), None);
    }

    #[test]
    fn makers_refuse_what_they_do_not_know_and_servers_of_ones_own_nothing() {
        let all = Params { top_k: Some(4), repetition_penalty: Some(1.1), ..Params::default() };
        let refused: [&[&str]; 4] =
            [&["params.top_k", "params.repetition_penalty"], &["params.repetition_penalty"], &[], &[]];
        for (kind, refused) in KINDS.into_iter().zip(refused) {
            let wrong = maker(kind).check(&all).err().map(|error| error.parts().violations.clone());
            let fields: Vec<_> = wrong.iter().flatten().map(|violation| violation.field.as_str()).collect();
            assert_eq!(fields, refused, "{kind:?}");
            assert!(maker(kind).check(&Params::default()).is_ok());
            assert!(ProviderTraits { kind, is_own_place: true }.check(&all).is_ok());
        }
    }

    #[test]
    fn a_limit_is_sent_where_one_is_required() {
        let given = Params { max_new_tokens: Some(7), ..Params::default() };
        for (kind, expected) in KINDS.into_iter().zip([[None, None], [Some(4096), Some(9)], [None, None], [None, None]])
        {
            for (registered, expected) in [None, Some(9)].into_iter().zip(expected) {
                assert_eq!(maker(kind).completed(Params::default(), registered).max_new_tokens, expected, "{kind:?}");
                assert_eq!(maker(kind).completed(given, registered), given);
            }
        }
    }
}
