//! Prompts that live in code.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::versioning::Registration;
use prompt_ledger_proto::v1;

use super::{content, prompt};
use crate::service::registry::{Carried, Code, RegisteredCode};

/// A batch for the service. What cannot be converted is noted in it, because a mode mismatch takes precedence.
#[must_use]
pub fn code(sent: v1::RegisterCodePromptsRequest, key: AskingKey) -> Code {
    let mut violations = Violations::default();
    let one = |(place, prompt)| carried(place, prompt, &mut violations);
    let prompts = sent.prompts.into_iter().enumerate().map(one).collect();
    let source = sent.source.unwrap_or_default();
    Code {
        prompts,
        set_active: sent.set_active.unwrap_or(true),
        dry_run: sent.dry_run,
        created_by: sent.created_by,
        repository: source.repository,
        commit: source.commit,
        key,
        violations,
    }
}

fn carried(place: usize, sent: v1::CodePrompt, violations: &mut Violations) -> Carried {
    let at = format!("prompts[{place}]");
    let content = content::carried(&at, sent.template, sent.config, violations).unwrap_or_else(|| {
        violations.note(Error::invalid("template", "is missing; send it").within(&at));
        VersionContent::text("")
    });
    let template_format =
        content::format(&format!("prompts[{place}].template_format"), sent.template_format, violations);
    Carried {
        name: sent.name,
        content,
        template_format,
        template_hash: sent.template_hash,
        description: sent.description,
        owner_team: sent.owner_team,
        path: sent.path,
        note: sent.note,
        labels: sent.labels,
    }
}

#[must_use]
pub fn registered(registered: RegisteredCode) -> v1::RegisteredPrompt {
    let RegisteredCode { name, checksum_hash, warnings, outcome } = registered;
    v1::RegisteredPrompt {
        name,
        mode: prompt::mode(prompt_ledger_domain::prompt::Mode::Tracking).into(),
        version: outcome.version,
        change_detected: outcome.action.is_change(),
        previous_version: outcome.previous_version,
        action: action(outcome.action).into(),
        warnings,
        checksum_hash,
    }
}

fn action(action: Registration) -> v1::RegistrationAction {
    match action {
        Registration::New => v1::RegistrationAction::New,
        Registration::Updated => v1::RegistrationAction::Updated,
        Registration::Reactivated => v1::RegistrationAction::Reactivated,
        Registration::Unchanged => v1::RegistrationAction::Unchanged,
    }
}
