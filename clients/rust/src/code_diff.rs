//! What a registration would change, as unified diffs for people and an exit code for CI.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use prompt_ledger_proto::{FILE_DESCRIPTOR_SET, v1};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use similar::TextDiff;
use tonic::Code;

use crate::client::Client;
use crate::ledger_error::LedgerError;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// How long the shortest difference of two contents is looked for; afterwards a longer one is shown.
const SEARCH_AT_MOST: Duration = Duration::from_millis(500);
/// How many versions are fetched at once.
const FETCHED_AT_ONCE: usize = 8;

/// What a registration would come to.
#[derive(Clone, Debug, PartialEq)]
pub struct CodePromptsDryRun {
    /// Each prompt, in the order of the request; its `action` says what would be done with it.
    pub registered: Vec<v1::RegisteredPrompt>,
    /// For people: how contents in code differ from those in the ledger, as unified diffs; empty where none does.
    pub diff: String,
}

impl CodePromptsDryRun {
    /// Whether a content would be written, or made the active one.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.registered.iter().any(|prompt| prompt.action() != v1::RegistrationAction::Unchanged)
    }

    /// For CI: 0 where nothing is changed, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.is_changed().into()
    }
}

impl Client {
    /// Says what [`register_code_prompts`](Self::register_code_prompts) would do with this request, and shows how the contents differ. Nothing
    /// is written, whatever the request's `dry_run` is.
    ///
    /// # Errors
    ///
    /// What the server refuses, such as `TEMPLATE_INVALID`, or that it cannot be reached.
    pub async fn dry_run_code_prompts(
        &self,
        mut request: v1::RegisterCodePromptsRequest,
    ) -> Result<CodePromptsDryRun, LedgerError> {
        request.dry_run = true;
        let registered = self.register_code_prompts(request.clone()).await?.registered;
        let words = Arc::new(computed(ContentWords::new).await?);
        let changed = request.prompts.into_iter().zip(&registered);
        let changed = changed.filter(|(_, told)| told.action() != v1::RegistrationAction::Unchanged);
        let changed: Vec<_> =
            changed.map(|(prompt, told)| self.clone().difference(Arc::clone(&words), prompt, told)).collect();
        let diffs: Vec<String> = stream::iter(changed).buffered(FETCHED_AT_ONCE).try_collect().await?;
        Ok(CodePromptsDryRun { registered, diff: diffs.concat() })
    }

    async fn difference(
        self,
        words: Arc<ContentWords>,
        prompt: v1::CodePrompt,
        told: &v1::RegisteredPrompt,
    ) -> Result<String, LedgerError> {
        let before = match told.previous_version {
            None => None,
            Some(number) => {
                let selector = Some(v1::get_version_request::Selector::VersionNumber(number));
                let request = v1::GetVersionRequest { name: prompt.name.clone(), selector, min_revision: None };
                self.prompts().version(request).await?.version
            }
        };
        let action = told.action();
        computed(move || words.difference(&prompt, action, before.as_ref())).await
    }
}

/// What this computes, beside the runtime's threads: comparing two contents may take as long as [`SEARCH_AT_MOST`].
async fn computed<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T, LedgerError> {
    let computing = tokio::task::spawn_blocking(compute).await;
    computing
        .map_err(|error| LedgerError::local(Code::Internal, format!("the contents could not be compared: {error}")))
}

/// Writes contents as people read them.
struct ContentWords(Option<DescriptorPool>);

impl ContentWords {
    fn new() -> Self {
        Self(DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok())
    }

    fn difference(
        &self,
        prompt: &v1::CodePrompt,
        action: v1::RegistrationAction,
        before: Option<&v1::PromptVersion>,
    ) -> String {
        use v1::{code_prompt::Template as InCode, prompt_version::Template as Stored};
        let new = match &prompt.template {
            Some(InCode::TemplateSource(text)) => self.text(text, None, prompt.config.as_ref()),
            Some(InCode::ChatTemplate(chat)) => self.text("", Some(chat), prompt.config.as_ref()),
            None => self.text("", None, prompt.config.as_ref()),
        };
        let old = before.map(|version| match &version.template {
            Some(Stored::TemplateSource(text)) => self.text(text, None, version.config.as_ref()),
            Some(Stored::ChatTemplate(chat)) => self.text("", Some(chat), version.config.as_ref()),
            None => self.text("", None, version.config.as_ref()),
        });
        let from = before
            .map_or("/dev/null".to_owned(), |version| format!("{} (version {})", prompt.name, version.version_number));
        let word = action.as_str_name().trim_start_matches("REGISTRATION_ACTION_").to_lowercase();
        let to = format!("{} (code, {word})", prompt.name);
        let old = old.unwrap_or_default();
        let diff = TextDiff::configure().timeout(SEARCH_AT_MOST).diff_lines(&old, &new);
        diff.unified_diff().context_radius(CONTEXT).header(&from, &to).to_string()
    }

    fn text(&self, template: &str, chat: Option<&v1::ChatTemplate>, config: Option<&v1::VersionConfig>) -> String {
        let mut text = template.to_owned();
        for entry in chat.map(|chat| &*chat.entries).unwrap_or_default() {
            match &entry.entry {
                Some(v1::chat_template_entry::Entry::Message(message)) => {
                    text.push_str(&self.json("promptledger.v1.ChatMessage", message));
                }
                Some(v1::chat_template_entry::Entry::Placeholder(name)) => {
                    text.push_str(&format!("placeholder: {name}\n"));
                }
                None => {}
            }
        }
        if let Some(config) = config {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str("config: ");
            text.push_str(&self.json("promptledger.v1.VersionConfig", config));
        }
        text
    }

    /// A message of this type as JSON, with the names of `proto/`.
    fn json(&self, name: &str, message: &(impl Message + std::fmt::Debug)) -> String {
        let read = self.0.as_ref().and_then(|pool| pool.get_message_by_name(name));
        let read = read.and_then(|kind| DynamicMessage::decode(kind, message.encode_to_vec().as_slice()).ok());
        let options = SerializeOptions::new().use_proto_field_name(true);
        let value = read.and_then(|read| read.serialize_with_options(serde_json::value::Serializer, &options).ok());
        let text = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
        text.unwrap_or_else(|| format!("{message:#?}")) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::RegistrationAction as Action;
    use v1::{chat_template_entry::Entry, code_prompt, prompt_version};

    fn in_code(text: &str) -> v1::CodePrompt {
        let template = Some(code_prompt::Template::TemplateSource(text.into()));
        v1::CodePrompt { name: "ask".into(), template, ..v1::CodePrompt::default() }
    }

    fn stored(text: &str) -> v1::PromptVersion {
        let template = Some(prompt_version::Template::TemplateSource(text.into()));
        v1::PromptVersion { version_number: 3, template, ..v1::PromptVersion::default() }
    }

    #[test]
    fn a_difference_is_shown_as_diff_shows_it() {
        for (old, new, expected) in [
            ("a\nb\n", "a\nb\n", ""),
            ("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
            ("a\n", "a\nb\n", "@@ -1 +1,2 @@\n a\n+b\n"),
            ("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        ] {
            let diff = ContentWords::new().difference(&in_code(new), Action::Updated, Some(&stored(old)));
            let header = if expected.is_empty() { "" } else { "--- ask (version 3)\n+++ ask (code, updated)\n" };
            assert_eq!(diff, format!("{header}{expected}"));
        }
        let diff = ContentWords::new().difference(&in_code("a\n"), Action::New, None);
        assert!(diff.starts_with("--- /dev/null\n+++ ask (code, new)\n@@ ") && diff.ends_with("+a\n"), "{diff}");
    }

    #[test]
    fn the_runtimes_thread_stays_free_while_contents_are_compared() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            // Nothing can run beside the runtime's thread until it is let go.
            let (let_go, held) = std::sync::mpsc::channel::<()>();
            let _holding = tokio::task::spawn_blocking(move || held.recv());
            let told = v1::RegisteredPrompt { action: Action::New.into(), ..v1::RegisteredPrompt::default() };
            let client = Client::connect(crate::Options::default()).unwrap();
            let words = Arc::new(ContentWords::new());
            let mut difference = std::pin::pin!(client.difference(words, in_code("a\n"), &told));
            assert!(futures::poll!(&mut difference).is_pending());
            let_go.send(()).unwrap();
            assert!(difference.await.unwrap().ends_with("+a\n"));
        });
    }

    #[test]
    fn chats_and_configs_are_shown_as_people_read_them() {
        let message = v1::ChatMessage { role: "user".into(), content: "{{q}}".into(), ..v1::ChatMessage::default() };
        let entries = [Entry::Message(message), Entry::Placeholder("history".into())];
        let entries = entries.map(|entry| v1::ChatTemplateEntry { entry: Some(entry) }).into();
        let model = v1::ModelRef { provider: "echo".into(), model_name: "echo".into() };
        let prompt = v1::CodePrompt {
            template: Some(code_prompt::Template::ChatTemplate(v1::ChatTemplate { entries })),
            config: Some(v1::VersionConfig { model: Some(model), ..v1::VersionConfig::default() }),
            ..in_code("")
        };
        let diff = ContentWords::new().difference(&prompt, Action::Updated, Some(&stored("{{q}}")));
        for part in [
            "-{{q}}\n",
            "+  \"content\": \"{{q}}\",\n",
            "+placeholder: history\n",
            "+config: {\n",
            "+    \"model_name\": \"echo\"",
        ] {
            assert!(diff.contains(part), "no {part} in\n{diff}");
        }
    }
}
