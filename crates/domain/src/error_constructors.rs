//! Constructors of the errors that carry more than a message: metadata, a resource or a remedy.

use crate::error::{Error, Reason, Remedy, Violations};
use crate::execution::Status;
use crate::field::shown;
use crate::ids::ExecutionId;
use crate::mode::{Mode, Operation};
use crate::model::ModelRef;
use crate::prompt::Selector;
use crate::text;

impl Error {
    fn about_prompt(reason: Reason, message: String, name: &str) -> Self {
        Self::new(reason, message).of_prompt(name).about("prompt", name)
    }

    fn about_execution(reason: Reason, message: String, id: ExecutionId) -> Self {
        Self::new(reason, message).of_execution(id.to_string()).about("execution", id.to_string())
    }

    /// Adds the metadata `prompt`: the name of the prompt that was being handled.
    #[must_use]
    pub fn of_prompt(self, name: &str) -> Self {
        self.with("prompt", name)
    }

    /// Adds the metadata `execution_id`.
    #[must_use]
    pub fn of_execution(self, id: impl Into<String>) -> Self {
        self.with("execution_id", id)
    }

    /// Adds the metadata `last_sequence`: the sequence of the last event that the caller can have.
    #[must_use]
    pub fn at_sequence(self, last: i64) -> Self {
        self.with("last_sequence", last.to_string())
    }

    /// Adds the metadata `last_revision`: the last revision that the caller can have.
    #[must_use]
    pub fn at_revision(self, last: i64) -> Self {
        self.with("last_revision", last.to_string())
    }

    /// PROMPT_NOT_FOUND; `name` need not be checked.
    #[must_use]
    pub fn prompt_not_found(name: &str) -> Self {
        let name = shown(name);
        let message = format!("no prompt `{name}` in this project");
        Self::about_prompt(Reason::PromptNotFound, message, &name).remedied_by(Remedy::RegisterPrompt)
    }

    /// NO_ACTIVE_VERSION for [`Selector::Active`], VERSION_NOT_FOUND for any other selector.
    #[must_use]
    pub fn version_not_found(prompt: &str, selector: &Selector) -> Self {
        let missing = |message| Self::about_prompt(Reason::VersionNotFound, message, prompt);
        match selector {
            Selector::Active => {
                let message = format!("prompt `{prompt}` has no active version; activate one, or name a version");
                Self::about_prompt(Reason::NoActiveVersion, message, prompt)
            }
            Selector::Latest => missing(format!("prompt `{prompt}` has no version yet")),
            Selector::Number(number) => {
                missing(format!("prompt `{prompt}` has no version {number}")).remedied_by(Remedy::ListVersions)
            }
            Selector::Checksum(checksum) => {
                missing(format!("prompt `{prompt}` has no version with checksum `{}`", shown(checksum)))
            }
        }
    }

    /// LABEL_NOT_FOUND; `label` need not be checked.
    #[must_use]
    pub fn label_not_found(prompt: &str, label: &str) -> Self {
        let label = shown(label);
        let message = format!("prompt `{prompt}` has no label `{label}`; `active` and `latest` are built in");
        Self::new(Reason::LabelNotFound, message).of_prompt(prompt).about("label", label)
    }

    /// ETAG_MISMATCH for a prompt that was written after the etag was read.
    #[must_use]
    pub fn etag_mismatch(prompt: &str) -> Self {
        let message = format!("prompt `{prompt}` has changed since that etag was read; read it again and repeat");
        Self::about_prompt(Reason::EtagMismatch, message, prompt)
    }

    /// ETAG_MISMATCH for a prompt that does not exist.
    #[must_use]
    pub fn etag_without_prompt(name: &str) -> Self {
        let name = shown(name);
        let message = format!("prompt `{name}` does not exist, so no etag is its own; leave the etag out to create it");
        Self::about_prompt(Reason::EtagMismatch, message, &name)
    }

    /// PROMPT_EXISTS, for a write with `create_only`.
    #[must_use]
    pub fn prompt_exists(name: &str) -> Self {
        let name = shown(name);
        let message = format!("prompt `{name}` exists; leave create_only out to change it");
        Self::about_prompt(Reason::PromptExists, message, &name)
    }

    /// PROMPT_ARCHIVED, for a write or an execution.
    #[must_use]
    pub fn prompt_archived(name: &str) -> Self {
        let message = format!("prompt `{name}` is archived");
        Self::about_prompt(Reason::PromptArchived, message, name).remedied_by(Remedy::Unarchive)
    }

    /// MODE_MISMATCH for a prompt in `mode`; the remedy is the call that does `operation` in that mode.
    #[must_use]
    pub fn mode_mismatch(name: &str, mode: Mode, operation: Operation) -> Self {
        let message = format!("prompt `{name}` is managed in {mode} mode");
        Self::of_other_mode(message, name, mode, Remedy::Use(mode, operation))
    }

    /// MODE_MISMATCH for a request for the history that names another mode than the prompt's.
    #[must_use]
    pub fn mode_not_asked(name: &str, mode: Mode, asked: Mode) -> Self {
        let message =
            format!("prompt `{name}` is managed in {mode} mode, not {asked}; ask for {mode}, or name no mode");
        Self::of_other_mode(message, name, mode, Remedy::ReadHistory)
    }

    fn of_other_mode(message: String, name: &str, mode: Mode, remedy: Remedy) -> Self {
        Self::about_prompt(Reason::ModeMismatch, message, name).with("mode", <&str>::from(mode)).remedied_by(remedy)
    }

    /// TEMPLATE_OPAQUE; `mode` is the prompt's, and decides what the message advises.
    #[must_use]
    pub fn template_opaque(prompt: &str, mode: Mode, version: i32) -> Self {
        let advice = match mode {
            Mode::Tracking => "execute it by `messages`",
            Mode::Full => "only a tracking-mode prompt executes it, by `messages`",
        };
        let message = format!("version {version} of `{prompt}` is opaque and never rendered; {advice}");
        Self::about_prompt(Reason::TemplateOpaque, message, prompt)
    }

    /// An INVALID_FIELD with `field` in place of the field of its violation: a rule names the one that most requests have.
    #[must_use]
    pub fn at(self, field: &str) -> Self {
        match self.parts().violations.first() {
            Some(violation) => Self::invalid(field, violation.description.clone()),
            None => self,
        }
    }

    /// TEMPLATE_INVALID at a line and column, both counted from 1; they are also in the metadata.
    #[must_use]
    pub fn template_invalid(line: usize, column: usize, why: &str) -> Self {
        let message = format!("template: line {line}, column {column}: {why}");
        Self::new(Reason::TemplateInvalid, message).with("line", line.to_string()).with("column", column.to_string())
    }

    /// Puts the entry of a chat, counted from 0, before the message, and into the metadata.
    #[must_use]
    pub fn in_entry(self, entry: usize, field: &str) -> Self {
        self.within(&format!("chat_template.entries[{entry}].{field}")).with("entry", entry.to_string())
    }

    /// TEMPLATE_INVALID for a placeholder whose name a template reads too, at the second of them.
    #[must_use]
    pub fn placeholder_read(entry: usize, field: &str, name: &str) -> Self {
        let message =
            format!("`{name}` is a placeholder, which takes messages, and a template reads it too; rename one");
        Self::new(Reason::TemplateInvalid, message).in_entry(entry, field)
    }

    /// TEMPLATE_HASH_MISMATCH with one violation per wrong hash. `prompt` is the first prompt that has one, `computed`
    /// the hash of its text.
    #[must_use]
    pub fn template_hash_mismatch(wrong: Violations, prompt: &str, computed: &str) -> Self {
        let error = Self::counted(Reason::TemplateHashMismatch, wrong.kept, wrong.more);
        error.of_prompt(prompt).with("computed_hash", computed).about("prompt", prompt)
    }

    /// VERSION_IN_USE: `number` is the prompt's active version.
    #[must_use]
    pub fn version_in_use(prompt: &str, number: i32) -> Self {
        let message =
            format!("version {number} of `{prompt}` is the active one; activate another before deprecating it");
        Self::new(Reason::VersionInUse, message).of_prompt(prompt).about("version", number.to_string())
    }

    /// VERSION_IN_USE: `label` points at version `number`.
    #[must_use]
    pub fn version_labelled(prompt: &str, number: i32, label: &str) -> Self {
        let message =
            format!("label `{label}` points at version {number} of `{prompt}`; move it before deprecating the version");
        Self::new(Reason::VersionInUse, message).of_prompt(prompt).about("version", number.to_string())
    }

    /// PROJECT_NOT_FOUND; `name` need not be checked.
    #[must_use]
    pub fn project_not_found(name: &str) -> Self {
        let name = shown(name);
        let message =
            format!("no project `{name}` for this key; `prompt-ledger keys create --project {name}` makes one");
        Self::new(Reason::ProjectNotFound, message).about("project", name)
    }

    /// PROVIDER_NOT_FOUND; the message lists the `known` names.
    #[must_use]
    pub fn provider_not_found<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known = known.collect::<Vec<_>>().join(", ");
        let message = format!("no provider `{}`; there are: {known}", shown(name));
        Self::about_provider(Reason::ProviderNotFound, message, name)
    }

    /// PROVIDER_NOT_CONFIGURED; `remedy` names the settings that are missing.
    #[must_use]
    pub fn provider_not_configured(name: &str, remedy: &str) -> Self {
        let message = format!("the provider `{}` is not configured: {remedy}", shown(name));
        Self::about_provider(Reason::ProviderNotConfigured, message, name)
    }

    /// PROVIDER_NOT_CONFIGURED for a call that needs the provider in this process, while only others have it.
    #[must_use]
    pub fn provider_elsewhere(name: &str) -> Self {
        let remedy = "on this server, only in other processes; submit the execution, or give this server its settings";
        Self::provider_not_configured(name, remedy)
    }

    /// PROVIDER_NOT_CONFIGURED under REQUIRE_PROVIDER: no worker that runs has it.
    #[must_use]
    pub fn provider_without_worker(name: &str) -> Self {
        let remedy = "in any worker that runs, and REQUIRE_PROVIDER is set; start a worker with its settings";
        Self::provider_not_configured(name, remedy)
    }

    fn about_provider(reason: Reason, message: String, name: &str) -> Self {
        Self::new(reason, message).with("provider", shown(name)).about("provider", shown(name))
    }

    /// MODEL_NOT_FOUND; the remedy is to register it.
    #[must_use]
    pub fn model_not_found(id: &ModelRef) -> Self {
        Self::unregistered(id, "is not registered")
    }

    /// MODEL_NOT_FOUND for a model that its first use does not register, because `most` others were registered so.
    #[must_use]
    pub fn model_not_discovered(id: &ModelRef, most: usize) -> Self {
        let why = format!("is not registered, and {most} models were by their first use, the most there may be");
        Self::unregistered(id, &why)
    }

    fn unregistered(id: &ModelRef, why: &str) -> Self {
        let (provider, model) = (shown(&id.provider), shown(&id.model_name));
        let name = format!("{provider}/{model}");
        let error = Self::new(Reason::ModelNotFound, format!("model `{name}` {why}")).about("model", name);
        error.remedied_by(Remedy::RegisterModel { provider, model })
    }

    /// EXECUTION_NOT_FOUND, also for an execution of another project.
    #[must_use]
    pub fn execution_not_found(id: ExecutionId) -> Self {
        Self::about_execution(Reason::ExecutionNotFound, format!("no execution {id} in this project"), id)
    }

    /// EXECUTION_FINISHED for a cancellation request after the end; `status` is the final one.
    #[must_use]
    pub fn execution_finished(id: ExecutionId, status: Status) -> Self {
        let message = format!("execution {id} is finished (`{status}`) and cannot be canceled");
        Self::about_execution(Reason::ExecutionFinished, message, id).remedied_by(Remedy::ReadExecution)
    }

    /// SEQUENCE_AHEAD; `last` is the sequence of the execution's last event.
    #[must_use]
    pub fn sequence_ahead(id: ExecutionId, cursor: i64, last: i64) -> Self {
        let message = format!(
            "execution {id} has {last} events so far, and after_sequence is {cursor}; the cursor is the sequence of the \
             last event that you have, or 0"
        );
        Self::about_execution(Reason::SequenceAhead, message, id).at_sequence(last)
    }

    /// REVISION_AHEAD for the cursor of a watch; `last` is the project's revision.
    #[must_use]
    pub fn cursor_ahead(cursor: i64, last: i64) -> Self {
        let message = format!(
            "the project has come to revision {last}, and after_revision is {cursor}; a cursor beyond it is of another \
             ledger, or this one was restored from a backup: start again at 0, and drop what was not seen before `synced`"
        );
        Self::new(Reason::RevisionAhead, message).at_revision(last)
    }

    /// IDEMPOTENCY_KEY_REUSED; `id` is the execution that has the key.
    #[must_use]
    pub fn idempotency_key_reused(key: &str, id: ExecutionId) -> Self {
        let message = format!(
            "idempotency key `{}` belongs to another request, execution {id}; send a new key for a new request",
            text::cut(key, 64)
        );
        Self::about_execution(Reason::IdempotencyKeyReused, message, id)
    }

    /// TOO_MANY_WATCHERS; `whose` begins the message: `this key` or `this server`.
    #[must_use]
    pub fn too_many_watchers(whose: &str, count: usize, most: usize) -> Self {
        let message = format!("{whose} has {count} watching streams, and {most} is the limit");
        Self::new(Reason::TooManyWatchers, message).remedied_by(Remedy::WatchAll)
    }

    /// TOO_LARGE for a field; `bytes` were sent, `most` are allowed.
    #[must_use]
    pub fn too_large(field: &str, bytes: usize, most: usize) -> Self {
        let message = format!("{field} is {bytes} bytes; at most {most} are allowed: send less");
        Self::new(Reason::TooLarge, message).with("field", field)
    }

    /// INTERNAL for a failure that was logged under `error_id`, which is also in the metadata.
    #[must_use]
    pub fn logged(error_id: String) -> Self {
        let message = format!("an internal failure; the server's log has it under error_id {error_id}");
        Self::new(Reason::Internal, message).with("error_id", error_id)
    }
}

#[cfg(test)]
mod tests;
