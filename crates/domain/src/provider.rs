//! Provider instances: their protocols, and what a request may ask of one.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::capabilities::{ModelCapabilities, ModelRequest};
use crate::error::Result;
use crate::params::Params;

mod anthropic;
mod unsupported;

use unsupported::Unsupported;

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
    /// Refuses what the provider does not support, the request format cannot express, or the model is known not to do.
    /// Nothing is ever dropped silently. INVALID_FIELD has paths such as `params.top_k`, `tools[0].strict` and
    /// `messages[1].name`.
    pub fn check(&self, request: &ModelRequest<'_>, model: &ModelCapabilities) -> Result<()> {
        model.check(request)?;
        match self.kind {
            None | Some(ProviderKind::Echo) => Ok(()),
            Some(ProviderKind::OpenAi) if self.is_own_place => Ok(()),
            Some(ProviderKind::OpenAi) => {
                let mut wrong = Unsupported::new("OpenAI", request);
                wrong.parameters(&["top_k", "repetition_penalty"]);
                wrong.vendors_images();
                wrong.finish()
            }
            Some(ProviderKind::Anthropic) if self.is_own_place => anthropic::form(request).finish(),
            Some(ProviderKind::Anthropic) => anthropic::vendor(request, model.reasoning == Some(true)),
        }
    }

    /// The same before a call. What its model can do was looked at before the execution was recorded.
    pub fn check_call(&self, request: &ModelRequest<'_>) -> Result<()> {
        self.check(request, &ModelCapabilities { reasoning: Some(true), ..ModelCapabilities::default() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Input;

    const KINDS: [Option<ProviderKind>; 4] =
        [Some(ProviderKind::OpenAi), Some(ProviderKind::Anthropic), Some(ProviderKind::Echo), None];

    fn maker(kind: Option<ProviderKind>) -> ProviderTraits {
        ProviderTraits { kind, is_own_place: false }
    }

    /// What is said to these parameters, of a model of which nothing is known.
    fn asked(traits: ProviderTraits, params: &Params) -> Result<()> {
        let input = Input::Prompt("hi".into());
        traits.check(&ModelRequest::plain(&input, params), &ModelCapabilities::default())
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
            let wrong = asked(maker(kind), &all).err().map(|error| error.parts().violations.clone());
            let fields: Vec<_> = wrong.iter().flatten().map(|violation| violation.field.as_str()).collect();
            assert_eq!(fields, refused, "{kind:?}");
            assert!(asked(maker(kind), &Params::default()).is_ok());
            assert!(asked(ProviderTraits { kind, is_own_place: true }, &all).is_ok());
        }
    }

    #[test]
    fn a_limit_is_sent_where_one_is_required() {
        let given = Params { max_new_tokens: Some(7), ..Params::default() };
        for (kind, expected) in KINDS.into_iter().zip([[None, None], [Some(4096), Some(9)], [None, None], [None, None]])
        {
            for (registered, expected) in [None, Some(9)].into_iter().zip(expected) {
                assert_eq!(maker(kind).completed(Params::default(), registered).max_new_tokens, expected, "{kind:?}");
                assert_eq!(maker(kind).completed(given.clone(), registered), given);
            }
        }
    }
}
