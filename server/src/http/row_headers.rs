//! The headers of a row beside its query and body: which conditions it takes, and what the description says about headers.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method};
use prompt_ledger_domain::{Error, Result};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Header, HeaderBuilder, Required, Response, ResponseBuilder};

use super::row::text;

/// Which conditions a row takes. One that a write does not take is refused: who sends it would believe the write guarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    None,
    /// `If-Match` with a prompt's etag.
    Matching,
    /// The same, and `If-None-Match: *`.
    MatchingOrNew,
    /// A read that answers 304 to `If-None-Match`.
    Changed,
}

impl Conditions {
    fn takes(self, name: &HeaderName) -> bool {
        match self {
            Self::None => false,
            Self::Matching => name == IF_MATCH,
            Self::MatchingOrNew => true,
            Self::Changed => name == IF_NONE_MATCH,
        }
    }

    /// INVALID_FIELD for a write with a condition that it does not take. A read answers whatever its conditions are.
    pub(super) fn check(self, method: &Method, headers: &HeaderMap) -> Result<()> {
        let sent = [IF_MATCH, IF_NONE_MATCH].into_iter().filter(|name| headers.contains_key(name));
        match sent.into_iter().find(|name| !self.takes(name)) {
            Some(name) if !matches!(*method, Method::GET | Method::HEAD) => {
                let problem = "is not taken by this call, which does not depend on what is there; leave it out";
                Err(Error::invalid(name.as_str().to_owned(), problem))
            }
            _ => Ok(()),
        }
    }

    /// Whether its answers have an etag.
    fn tells(self) -> bool {
        self != Self::None
    }
}

const PROJECT: (&str, &str) = ("X-Ledger-Project", "The project, for a key of the whole system.");
const KEY: (&str, &str) =
    ("Idempotency-Key", "Makes the request safe to repeat; the same as `idempotency_key`. It must not be empty.");
const LAST_EVENT: (&str, &str) = ("Last-Event-ID", "The `id:` of the last event that the caller has.");
const MATCH: (&str, &str) = ("If-Match", "The etag, in quotes, that the prompt must have; 412 where it has another.");
const NEW: (&str, &str) = ("If-None-Match", "`*`: the prompt must not exist yet.");
const CHANGED: (&str, &str) = ("If-None-Match", "The etags that the caller has; 304 where the prompt has one of them.");

/// The headers that a row reads.
pub(super) fn parameters(operation: &str, conditions: Conditions) -> impl Iterator<Item = Parameter> {
    let executes = ["runExecution", "submitExecution", "streamExecution", "executeCodePrompt"];
    let told = [
        (PROJECT, true),
        (KEY, executes.iter().any(|start| operation.starts_with(start))),
        (LAST_EVENT, operation.starts_with("watch")),
        (MATCH, conditions.takes(&IF_MATCH)),
        (NEW, conditions == Conditions::MatchingOrNew),
        (CHANGED, conditions == Conditions::Changed),
    ];
    told.into_iter().filter(|(_, read)| *read).map(|((name, description), _)| {
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        header.description(Some(description)).schema(Some(text())).build()
    })
}

/// The headers that a row's answer has.
pub(super) fn answered(operation: &str, conditions: Conditions) -> Vec<(&'static str, Header)> {
    let header = |description| HeaderBuilder::new().schema(Some(text())).description(Some(description)).build();
    let mut told = Vec::new();
    if conditions.tells() {
        told.push(("ETag", header("Changes whenever the prompt does.")));
    }
    if operation == "listVersions" {
        told.push(("Link", header("The address of the next page, as `rel=\"next\"`; absent: this was the last.")));
    }
    told
}

/// The answer to a caller that has what it asks for; absent where the row has no such answer.
pub(super) fn unchanged(conditions: Conditions) -> Option<(&'static str, Response)> {
    let response = || ResponseBuilder::new().description("The caller has it.").build();
    (conditions == Conditions::Changed).then(|| ("304", response()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_write_refuses_a_condition_that_it_does_not_take_and_a_read_answers() {
        for name in [IF_MATCH, IF_NONE_MATCH] {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("\"a\""))]);
            for (method, is_good) in [(Method::GET, true), (Method::HEAD, true), (Method::DELETE, false)] {
                assert_eq!(Conditions::None.check(&method, &headers).is_ok(), is_good, "{method} {name}");
            }
        }
    }
}
