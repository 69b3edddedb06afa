//! Verification of an execution: renders its version again and compares the bytes with what was sent.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::Interrupted;
use crate::content::{ParsedTemplate, RenderedTemplate};
use prompt_ledger_domain::chat::canonical_messages;
use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::prompt::{TemplateFormat, Version};
use prompt_ledger_domain::versioning::checksum;

/// The result of a verification. Hashes are sha-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether what was sent is what is rendered now, byte for byte.
    pub verdict: Verdict,
    /// Hash of the version's content as it is stored now.
    pub content: String,
    /// Hash of the prompt that was sent, of a chat in canonical form; absent where ready messages were.
    pub sent: Option<String>,
    /// Hash of the prompt rendered now, of a chat in canonical form; absent where nothing was rendered.
    pub rendered: Option<String>,
    /// Offset of the first byte at which the two prompts differ; absent where they do not, or one is absent.
    pub first_difference: Option<usize>,
}

/// Whether an execution's input follows from its version and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The prompt rendered now has the bytes that were sent.
    Match,
    /// It does not, cannot be rendered, or the version's content has changed; the text says which.
    Mismatch(String),
    /// Ready messages were sent: there is nothing to compare.
    NotRendered,
}

/// What an execution was sent with, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct SentInput<'a> {
    /// The prompt or the messages.
    pub input: &'a Input,
    /// Whether the messages were rendered from a chat, and not given.
    pub is_rendered_chat: bool,
    /// The variables: JSON.
    pub variables: &'a str,
}

/// Renders `version` again, with the variables of an execution, and compares the result with what was sent.
///
/// A version whose content no longer has its hash is a mismatch, whatever it renders to.
///
/// # Errors
/// [`Interrupted`] where `go_on` returns false, as in [`ParsedTemplate::render`].
pub fn verify(
    execution: SentInput<'_>,
    version: &Version,
    go_on: &dyn Fn() -> bool,
) -> Result<Verification, Interrupted> {
    let content = version.content.checksum().unwrap_or_default();
    let mut verification =
        Verification { verdict: Verdict::NotRendered, sent: None, rendered: None, first_difference: None, content };
    if let Some(sent) = comparable(execution) {
        verification.sent = Some(checksum(&sent));
        verification.verdict = match render(execution.variables, version, go_on)? {
            Ok(rendered) => {
                verification.rendered = Some(checksum(&rendered));
                verification.first_difference = first_difference(&sent, &rendered);
                match verification.first_difference {
                    None => Verdict::Match,
                    Some(at) => Verdict::Mismatch(format!("the text rendered now differs from byte {at} on")),
                }
            }
            Err(problem) => Verdict::Mismatch(format!("the version does not render any more: {problem}")),
        };
    }
    // Content that has changed proves nothing, even where it renders to the same text.
    if verification.content != version.checksum_hash {
        let number = version.number;
        verification.verdict = Verdict::Mismatch(format!(
            "the stored content of version {number} no longer has the hash of its registration"
        ));
    }
    Ok(verification)
}

/// The text to compare: a prompt as it is, a rendered chat in canonical form; `None` where the messages were given.
fn comparable(execution: SentInput<'_>) -> Option<Cow<'_, str>> {
    match execution.input {
        Input::Prompt(sent) => Some(Cow::Borrowed(sent)),
        Input::Messages(messages) if execution.is_rendered_chat => canonical_messages(messages).ok().map(Cow::Owned),
        Input::Messages(_) => None,
    }
}

/// The rendered prompt, or why there is none.
fn render(variables: &str, version: &Version, go_on: &dyn Fn() -> bool) -> Result<Result<String, String>, Interrupted> {
    let (template, variables) = match readable(variables, version) {
        Ok(readable) => readable,
        Err(problem) => return Ok(Err(problem)),
    };
    let rendered = template.render(&variables, go_on)?;
    let text = rendered.and_then(|rendered| match rendered {
        RenderedTemplate::Text(rendered) => Ok(rendered.text),
        RenderedTemplate::Chat(messages) => canonical_messages(&messages),
    });
    Ok(text.map_err(|error| error.to_string()))
}

fn readable(variables: &str, version: &Version) -> Result<(ParsedTemplate, Map<String, Value>), String> {
    if version.template_format == TemplateFormat::Opaque {
        return Err("it is opaque".to_owned());
    }
    let variables = serde_json::from_str(variables).map_err(|_| "the stored variables are not JSON".to_owned())?;
    let template = ParsedTemplate::parse_stored(&version.content.template).map_err(|error| error.to_string())?;
    Ok((template, variables))
}

/// Offset of the first differing byte; the shorter length where one text is a prefix of the other.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    if one == other {
        return None;
    }
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    Some(same.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_domain::chat::{ChatTemplate, ChatTemplateEntry};
    use prompt_ledger_domain::config::VersionConfig;
    use prompt_ledger_domain::content::{PromptTemplate, VersionContent};
    use prompt_ledger_domain::execution::ChatMessage;
    use prompt_ledger_domain::ids::{PromptId, VersionId};
    use prompt_ledger_domain::limits;
    use prompt_ledger_domain::prompt::{Source, VersionStatus};
    use uuid::Uuid;

    fn version(source: &str) -> Version {
        Version {
            id: VersionId(Uuid::nil()),
            prompt_id: PromptId(Uuid::nil()),
            number: 3,
            status: VersionStatus::Active,
            content: VersionContent::text(source),
            template_format: TemplateFormat::Handlebars,
            checksum_hash: checksum(source),
            variables: vec![],
            created_by: String::new(),
            created_at: Timestamp(0),
            source: Source::default(),
            note: String::new(),
        }
    }

    fn sent(text: &str) -> Input {
        Input::Prompt(text.into())
    }

    fn verify(input: &Input, variables: &str, version: &Version) -> Verification {
        super::verify(SentInput { input, is_rendered_chat: false, variables }, version, &|| true).unwrap()
    }

    /// A version that is a chat of an instruction and a question.
    fn chat() -> Version {
        let entry = |role, text| ChatTemplateEntry::Message(ChatMessage::text(role, text));
        let entries = vec![entry("system", "Be brief."), entry("user", "Hi {{name}}")];
        let template = PromptTemplate::Chat(ChatTemplate { entries });
        let content = VersionContent { template, config: VersionConfig::default() };
        Version { checksum_hash: content.checksum().unwrap(), content, ..version("") }
    }

    fn verify_chat(messages: Vec<ChatMessage>, is_rendered_chat: bool) -> Verification {
        let (input, variables) = (Input::Messages(messages), r#"{"name":"Ada"}"#);
        super::verify(SentInput { input: &input, is_rendered_chat, variables }, &chat(), &|| true).unwrap()
    }

    #[test]
    fn a_chat_is_compared_in_its_canonical_form() {
        let sent = |text| vec![ChatMessage::text("system", "Be brief."), ChatMessage::text("user", text)];
        let found = verify_chat(sent("Hi Ada"), true);
        assert_eq!((&found.verdict, found.first_difference), (&Verdict::Match, None));
        let canonical = r#"[{"content":"Be brief.","role":"system"},{"content":"Hi Ada","role":"user"}]"#;
        assert_eq!((found.sent, found.rendered), (Some(checksum(canonical)), Some(checksum(canonical))));
        let found = verify_chat(sent("Hi Bob"), true);
        assert_mismatch(&found, "from byte");
        assert_eq!(found.first_difference, canonical.find("Ada"));
        let given = verify_chat(sent("Hi Bob"), false);
        assert_eq!((given.verdict, given.sent, given.rendered), (Verdict::NotRendered, None, None));
    }

    #[track_caller]
    fn assert_mismatch(found: &Verification, why: &str) {
        assert!(matches!(&found.verdict, Verdict::Mismatch(said) if said.contains(why)), "{found:?}");
    }

    #[test]
    fn the_same_bytes_match() {
        let found = verify(&sent("Hi Ada, 3"), r#"{"n":3,"name":"Ada"}"#, &version("Hi {{name}}, {{n}}"));
        assert_eq!(found.verdict, Verdict::Match);
        assert_eq!((found.sent.clone(), found.first_difference), (found.rendered, None));
        assert_eq!(found.sent, Some(checksum("Hi Ada, 3")));
        assert_eq!(found.content, checksum("Hi {{name}}, {{n}}"));
    }

    #[test]
    fn a_text_is_cut_alike() {
        let long = "é".repeat(limits::PROMPT_BYTES);
        let cut = &long[..limits::PROMPT_BYTES];
        let found = verify(&sent(cut), &format!(r#"{{"x":"{long}"}}"#), &version("{{x}}"));
        assert_eq!(found.verdict, Verdict::Match);
    }

    #[test]
    fn the_first_byte_that_differs_is_told() {
        for (text, at) in [("Hi Bob", 3), ("Hi Ada!", 6), ("Hi Ad", 5), ("", 0)] {
            let found = verify(&sent(text), r#"{"name":"Ada"}"#, &version("Hi {{name}}"));
            assert_mismatch(&found, &format!("from byte {at} on"));
            assert_eq!(found.first_difference, Some(at));
            assert_ne!(found.sent, found.rendered);
        }
    }

    #[test]
    fn what_does_not_render_any_more_is_a_mismatch() {
        let opaque = Version { template_format: TemplateFormat::Opaque, ..version("Hi") };
        for (variables, version, why) in [
            ("{}", version("Hi {{name}}"), "VARIABLES_MISSING"),
            ("{}", version("Hi {{name"), "TEMPLATE_INVALID"),
            ("[", version("Hi"), "not JSON"),
            ("{}", opaque, "opaque"),
        ] {
            let found = verify(&sent("Hi"), variables, &version);
            assert_mismatch(&found, why);
            assert_eq!((found.rendered, found.first_difference), (None, None));
        }
    }

    #[test]
    fn a_content_that_lost_its_hash_is_a_mismatch_even_where_the_text_is_the_same() {
        let tampered = Version { checksum_hash: checksum("Hi {{name}}"), ..version("Hi Ada") };
        let messages = Input::Messages(vec![ChatMessage::text("user", "Hi Ada")]);
        for input in [sent("Hi Ada"), messages] {
            let found = verify(&input, "{}", &tampered);
            assert_mismatch(&found, "version 3 no longer has the hash");
            assert_eq!((found.first_difference, found.content), (None, checksum("Hi Ada")));
        }
    }

    #[test]
    fn a_rendering_that_was_interrupted_says_nothing_of_the_version() {
        let variables = format!(r#"{{"list":[{}0]}}"#, "0,".repeat(20_000));
        let found = super::verify(
            SentInput { input: &sent(""), is_rendered_chat: false, variables: &variables },
            &version("{{#each list}}{{/each}}"),
            &|| false,
        );
        assert_eq!(found, Err(Interrupted));
    }

    #[test]
    fn ready_messages_are_not_rendered() {
        let messages = Input::Messages(vec![ChatMessage::text("user", "Hi")]);
        let found = verify(&messages, "{}", &version("{% jinja %}"));
        assert_eq!((found.verdict, found.sent, found.rendered), (Verdict::NotRendered, None, None));
    }
}
