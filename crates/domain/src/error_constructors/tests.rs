//! Message, metadata, resource and remedy of each constructed error.

use uuid::Uuid;

use super::*;
use crate::error::Resource;

const ID: ExecutionId = ExecutionId(Uuid::nil());
const ID_TEXT: &str = "00000000-0000-0000-0000-000000000000";

fn model() -> ModelRef {
    ModelRef { provider: "openai".into(), model_name: "gpt-x".into() }
}

type Case = (Error, Reason, &'static str, Vec<(&'static str, &'static str)>, Option<(&'static str, &'static str)>);

fn cases() -> Vec<Case> {
    let prompt = || vec![("prompt", "greet")];
    let of_prompt = Some(("prompt", "greet"));
    let execution = || vec![("execution_id", ID_TEXT)];
    let of_execution = Some(("execution", ID_TEXT));
    let version = |selector| Error::version_not_found("greet", &selector);
    let mut wrong = Violations::default();
    wrong.add("prompts[0].template_hash".into(), || "is not it".into());
    vec![
        (
            Error::prompt_not_found("greet"),
            Reason::PromptNotFound,
            "no prompt `greet` in this project",
            prompt(),
            of_prompt,
        ),
        (
            version(Selector::Active),
            Reason::NoActiveVersion,
            "prompt `greet` has no active version; activate one, or name a version",
            prompt(),
            of_prompt,
        ),
        (version(Selector::Latest), Reason::VersionNotFound, "prompt `greet` has no version yet", prompt(), of_prompt),
        (version(Selector::Number(9)), Reason::VersionNotFound, "prompt `greet` has no version 9", prompt(), of_prompt),
        (
            version(Selector::Checksum("ab".into())),
            Reason::VersionNotFound,
            "prompt `greet` has no version with checksum `ab`",
            prompt(),
            of_prompt,
        ),
        (
            Error::label_not_found("greet", "prod"),
            Reason::LabelNotFound,
            "prompt `greet` has no label `prod`; `active` and `latest` are built in",
            prompt(),
            Some(("label", "prod")),
        ),
        (
            Error::version_labelled("greet", 3, "production"),
            Reason::VersionInUse,
            "label `production` points at version 3 of `greet`; move it before deprecating the version",
            prompt(),
            Some(("version", "3")),
        ),
        (
            Error::template_invalid(2, 5, "the tag is empty").in_entry(4, "message.content"),
            Reason::TemplateInvalid,
            "chat_template.entries[4].message.content: template: line 2, column 5: the tag is empty",
            vec![("line", "2"), ("column", "5"), ("entry", "4")],
            None,
        ),
        (
            Error::placeholder_read(1, "placeholder", "history"),
            Reason::TemplateInvalid,
            "chat_template.entries[1].placeholder: `history` is a placeholder, which takes messages, and a template reads \
             it too; rename one",
            vec![("entry", "1")],
            None,
        ),
        (
            Error::etag_mismatch("greet"),
            Reason::EtagMismatch,
            "prompt `greet` has changed since that etag was read; read it again and repeat",
            prompt(),
            of_prompt,
        ),
        (
            Error::etag_without_prompt("greet"),
            Reason::EtagMismatch,
            "prompt `greet` does not exist, so no etag is its own; leave the etag out to create it",
            prompt(),
            of_prompt,
        ),
        (
            Error::prompt_exists("greet"),
            Reason::PromptExists,
            "prompt `greet` exists; leave create_only out to change it",
            prompt(),
            of_prompt,
        ),
        (Error::prompt_archived("greet"), Reason::PromptArchived, "prompt `greet` is archived", prompt(), of_prompt),
        (
            Error::mode_mismatch("greet", Mode::Full, Operation::Run),
            Reason::ModeMismatch,
            "prompt `greet` is managed in full mode",
            vec![("prompt", "greet"), ("mode", "full")],
            of_prompt,
        ),
        (
            Error::mode_not_asked("greet", Mode::Full, Mode::Tracking),
            Reason::ModeMismatch,
            "prompt `greet` is managed in full mode, not tracking; ask for full, or name no mode",
            vec![("prompt", "greet"), ("mode", "full")],
            of_prompt,
        ),
        (
            Error::template_opaque("greet", Mode::Tracking, 2),
            Reason::TemplateOpaque,
            "version 2 of `greet` is opaque and never rendered; execute it by `messages`",
            prompt(),
            of_prompt,
        ),
        (
            Error::template_opaque("greet", Mode::Full, 2),
            Reason::TemplateOpaque,
            "version 2 of `greet` is opaque and never rendered; only a tracking-mode prompt executes it, by `messages`",
            prompt(),
            of_prompt,
        ),
        (
            Error::template_invalid(3, 7, "a tag is not closed"),
            Reason::TemplateInvalid,
            "template: line 3, column 7: a tag is not closed",
            vec![("line", "3"), ("column", "7")],
            None,
        ),
        (
            Error::template_hash_mismatch(wrong, "greet", "ab"),
            Reason::TemplateHashMismatch,
            "prompts[0].template_hash: is not it",
            vec![("prompt", "greet"), ("computed_hash", "ab")],
            of_prompt,
        ),
        (
            Error::version_in_use("greet", 2),
            Reason::VersionInUse,
            "version 2 of `greet` is the active one; activate another before deprecating it",
            prompt(),
            Some(("version", "2")),
        ),
        (
            Error::project_not_found("crm"),
            Reason::ProjectNotFound,
            "no project `crm` for this key; `prompt-ledger keys create --project crm` makes one",
            vec![],
            Some(("project", "crm")),
        ),
        (
            Error::provider_not_found("x", ["echo", "openai"].into_iter()),
            Reason::ProviderNotFound,
            "no provider `x`; there are: echo, openai",
            vec![("provider", "x")],
            Some(("provider", "x")),
        ),
        (
            Error::provider_not_configured("openai", "set OPENAI_API_KEY"),
            Reason::ProviderNotConfigured,
            "the provider `openai` is not configured: set OPENAI_API_KEY",
            vec![("provider", "openai")],
            Some(("provider", "openai")),
        ),
        (
            Error::provider_elsewhere("azure"),
            Reason::ProviderNotConfigured,
            "the provider `azure` is not configured: on this server, only in other processes; submit the execution, or \
             give this server its settings",
            vec![("provider", "azure")],
            Some(("provider", "azure")),
        ),
        (
            Error::provider_without_worker("azure"),
            Reason::ProviderNotConfigured,
            "the provider `azure` is not configured: in any worker that runs, and REQUIRE_PROVIDER is set; start a \
             worker with its settings",
            vec![("provider", "azure")],
            Some(("provider", "azure")),
        ),
        (
            Error::model_not_found(&model()),
            Reason::ModelNotFound,
            "model `openai/gpt-x` is not registered",
            vec![],
            Some(("model", "openai/gpt-x")),
        ),
        (
            Error::model_not_discovered(&model(), 1_000),
            Reason::ModelNotFound,
            "model `openai/gpt-x` is not registered, and 1000 models were by their first use, the most there may be",
            vec![],
            Some(("model", "openai/gpt-x")),
        ),
        (
            Error::execution_not_found(ID),
            Reason::ExecutionNotFound,
            "no execution 00000000-0000-0000-0000-000000000000 in this project",
            execution(),
            of_execution,
        ),
        (
            Error::execution_finished(ID, Status::Failed),
            Reason::ExecutionFinished,
            "execution 00000000-0000-0000-0000-000000000000 is finished (`failed`) and cannot be canceled",
            execution(),
            of_execution,
        ),
        (
            Error::sequence_ahead(ID, 9, 3),
            Reason::SequenceAhead,
            "execution 00000000-0000-0000-0000-000000000000 has 3 events so far, and after_sequence is 9; the cursor is \
             the sequence of the last event that you have, or 0",
            vec![("execution_id", ID_TEXT), ("last_sequence", "3")],
            of_execution,
        ),
        (
            Error::cursor_ahead(9, 3),
            Reason::RevisionAhead,
            "the project has come to revision 3, and after_revision is 9; a cursor beyond it is of another ledger, or this \
             one was restored from a backup: start again at 0, and drop what was not seen before `synced`",
            vec![("last_revision", "3")],
            None,
        ),
        (
            Error::idempotency_key_reused("k", ID),
            Reason::IdempotencyKeyReused,
            "idempotency key `k` belongs to another request, execution 00000000-0000-0000-0000-000000000000; send a new \
             key for a new request",
            execution(),
            of_execution,
        ),
        (
            Error::too_many_watchers("this key", 3, 3),
            Reason::TooManyWatchers,
            "this key has 3 watching streams, and 3 is the limit",
            vec![],
            None,
        ),
        (
            Error::too_large("template", 9, 8),
            Reason::TooLarge,
            "template is 9 bytes; at most 8 are allowed: send less",
            vec![("field", "template")],
            None,
        ),
        (
            Error::logged("7".into()),
            Reason::Internal,
            "an internal failure; the server's log has it under error_id 7",
            vec![("error_id", "7")],
            None,
        ),
    ]
}

#[test]
fn each_says_what_was_wrong_and_carries_what_a_program_reads() {
    for (error, reason, message, metadata, resource) in cases() {
        let parts = error.parts();
        assert_eq!((parts.reason, &*parts.message), (reason, message));
        let metadata: Vec<_> = metadata.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        assert_eq!(parts.metadata, metadata, "{message}");
        assert_eq!(parts.resource, resource.map(|(kind, name)| Resource { kind, name: name.into() }), "{message}");
    }
}

#[test]
fn what_another_call_remedies_says_which_kind_of_call() {
    let remedies: Vec<_> = cases().iter().filter_map(|(error, ..)| error.parts().remedy.clone()).collect();
    let register = || Remedy::RegisterModel { provider: "openai".into(), model: "gpt-x".into() };
    let expected = [
        Remedy::RegisterPrompt,
        Remedy::ListVersions,
        Remedy::Unarchive,
        Remedy::Use(Mode::Full, Operation::Run),
        Remedy::ReadHistory,
        register(),
        register(),
        Remedy::ReadExecution,
        Remedy::WatchAll,
    ];
    assert_eq!(remedies, expected);
}

#[test]
fn what_a_caller_sent_is_shown_short() {
    let long = "n".repeat(100);
    for error in [
        Error::prompt_not_found(&long),
        Error::label_not_found("greet", &long),
        Error::project_not_found(&long),
        Error::provider_not_configured(&long, "set it"),
        Error::idempotency_key_reused(&long, ID),
    ] {
        assert!(!error.to_string().contains(&long) && error.to_string().contains(&long[..64]), "{error}");
    }
}

#[test]
fn a_rule_may_name_the_field_of_another_request() {
    let moved = Error::invalid("version_number", "is deprecated").at("labels[2]");
    assert_eq!((moved.parts().violations[0].field.as_str(), moved.parts().violations.len()), ("labels[2]", 1));
    assert_eq!(moved.to_string(), "INVALID_FIELD: labels[2]: is deprecated");
    let opaque = Error::template_opaque("greet", Mode::Full, 2);
    assert_eq!(opaque.at("labels[2]").reason(), Reason::TemplateOpaque);
}
