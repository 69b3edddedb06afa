//! Labels, metadata and the change log.

use std::sync::atomic::{AtomicI64, Ordering};

use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::label;
use prompt_ledger_domain::spec::SpecSelector;
use prompt_ledger_domain::{Reason, Result, field, limits, page};
use prompt_ledger_proto::v1;
use prompt_ledger_store::{Changed, PromptChange, Walked};

use super::RegistryApi;
use crate::grpc::convert::{prompt, prompt_log};
use crate::service::registry::WrittenBy;
use crate::service::{Caller, PageReader};

/// The most names of one BatchGetPrompts.
const BATCH: usize = 100;

impl RegistryApi {
    pub(crate) async fn set_label_to(
        &self,
        caller: &Caller,
        sent: v1::SetLabelRequest,
    ) -> Result<v1::SetLabelResponse> {
        let mut wrong = Violations::default();
        let label = wrong.keep(label::check_name("label", &sent.label))?;
        let number = wrong.keep(prompt::version_number(sent.version_number))?;
        let by = wrong.keep(written_by(caller, sent.created_by))?;
        let change =
            wrong.finish(label.zip(number)).map(|(label, number)| PromptChange::SetLabel(label.into_string(), number));
        let by = by.unwrap_or_default();
        let changed = self.registry.change_prompt(caller.project.id, &sent.name, sent.etag, change, by).await?;
        let Changed { prompt: of, version, previous_version, revision } = changed;
        Ok(v1::SetLabelResponse {
            version: version.map(|version| prompt::version(version, &of)),
            prompt: Some(prompt::prompt(of)),
            previous_version,
            revision,
        })
    }

    pub(crate) async fn remove_label_of(
        &self,
        caller: &Caller,
        sent: v1::RemoveLabelRequest,
    ) -> Result<v1::RemoveLabelResponse> {
        let mut wrong = Violations::default();
        let label = wrong.keep(label::check_name("label", &sent.label))?;
        let by = wrong.keep(written_by(caller, sent.created_by))?;
        let (label, by) = wrong.finish(label.zip(by))?;
        let change = Ok(PromptChange::RemoveLabel(label.into_string()));
        let changed = self.registry.change_prompt(caller.project.id, &sent.name, sent.etag, change, by).await?;
        Ok(v1::RemoveLabelResponse {
            prompt: Some(prompt::prompt(changed.prompt)),
            previous_version: changed.previous_version.unwrap_or_default(),
            revision: changed.revision,
        })
    }

    pub(crate) async fn describe(
        &self,
        caller: &Caller,
        sent: v1::UpdatePromptRequest,
    ) -> Result<v1::UpdatePromptResponse> {
        let mut wrong = Violations::default();
        let by = wrong.keep(written_by(caller, sent.created_by))?;
        let (mut description, mut owner_team, mut tags) = (None, None, None);
        let paths = sent.update_mask.unwrap_or_default().paths;
        if paths.is_empty() {
            wrong.add("update_mask".into(), || "names nothing; name description, owner_team or tags".into());
        }
        for (i, path) in paths.iter().enumerate() {
            let at = |name: &str| format!("update_mask.paths[{i}]{name}");
            match path.as_str() {
                "description" => {
                    let text = field::text("description", sent.description.clone(), limits::DESCRIPTION_BYTES);
                    description = wrong.keep(text)?;
                }
                "owner_team" => {
                    let text = field::text("owner_team", sent.owner_team.clone(), limits::SHORT_TEXT_BYTES);
                    owner_team = wrong.keep(text)?;
                }
                "tags" => tags = wrong.keep(field::tags("tags", sent.tags.clone().unwrap_or_default().values))?,
                other => {
                    let other = field::shown(other);
                    wrong.add(at(""), || format!("is `{other}`; there are description, owner_team and tags"));
                }
            }
        }
        let by = wrong.finish(by)?;
        let change = Ok(PromptChange::Describe { description, owner_team, tags });
        let changed = self.registry.change_prompt(caller.project.id, &sent.name, sent.etag, change, by).await?;
        Ok(v1::UpdatePromptResponse { prompt: Some(prompt::prompt(changed.prompt)), revision: changed.revision })
    }

    pub(crate) async fn batch(
        &self,
        caller: &Caller,
        sent: v1::BatchGetPromptsRequest,
    ) -> Result<v1::BatchGetPromptsResponse> {
        let (project, names) = (caller.project.id, sent.names);
        if !(1..=BATCH).contains(&names.len()) {
            return Err(Error::invalid("names", format!("are {}; send 1 to {BATCH}", names.len())));
        }
        let mut wrong = Violations::default();
        for (i, name) in names.iter().enumerate() {
            let field = format!("names[{i}]");
            wrong.keep(Name::parse(&field, name))?;
            if names[..i].contains(name) {
                wrong.add(field, || format!("`{}` stands twice", field::shown(name)));
            }
        }
        wrong.finish(Some(()))?;
        let selector = (!sent.label.is_empty()).then_some(SpecSelector::Label(sent.label));
        let mut answer = v1::BatchGetPromptsResponse { revision: i64::MAX, ..v1::BatchGetPromptsResponse::default() };
        let mut bytes = 0;
        for name in names {
            if bytes >= limits::PAGE_BYTES {
                answer.left_out.push(name);
                continue;
            }
            let entry = match self.registry.get(project, &name, sent.min_revision).await {
                Ok(entry) => entry,
                Err(error) if error.reason() == Reason::PromptNotFound => {
                    answer.missing.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let of = &entry.found.prompt;
            answer.revision = answer.revision.min(entry.found.revision);
            let version = self.registry.version(project, &name, selector.as_ref(), None).await;
            let version = match version {
                Ok(resolved) => Some(prompt::version(resolved.found.version, of)),
                Err(error) if is_absent(error.reason()) => None,
                Err(error) => return Err(error),
            };
            let found = v1::FoundPrompt { version, prompt: Some(prompt::prompt(of.clone())) };
            bytes += prost::Message::encoded_len(&found);
            answer.found.push(found);
        }
        if answer.found.is_empty() {
            answer.revision = self.registry.revision(project);
        }
        Ok(answer)
    }

    pub(crate) async fn change_log(
        &self,
        caller: &Caller,
        sent: v1::ListPromptChangesRequest,
    ) -> Result<v1::ListPromptChangesResponse> {
        let project = caller.project.id;
        let kinds = prompt_log::kinds(&sent.kinds)?;
        let words = kinds.iter().map(<&str>::from).collect::<Vec<_>>().join(",");
        let scope = ["changes", &caller.project.name, &sent.name, &words];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token)?;
        if !sent.name.is_empty() {
            self.registry.get(project, &sent.name, None).await?;
        }
        let read_at = &AtomicI64::new(i64::MAX);
        let fetch = async |after: Option<String>, limit| {
            let before = after.map(|key| position(&key).ok_or_else(page::foreign)).transpose()?;
            let (found, revision) = self.registry.changes(project, &sent.name, &kinds, before, limit).await?;
            read_at.fetch_min(revision, Ordering::Relaxed);
            let stopped = found.stopped.map(|(revision, position)| token_key(revision, position));
            Ok(Walked { rows: found.rows.into_iter().map(prompt_log::entry).collect(), stopped })
        };
        let key = |entry: &v1::PromptChangeEntry| token_key(entry.revision, entry.position);
        let (changes, next_page_token) = asked.walk(fetch, prost::Message::encoded_len, key).await?;
        Ok(v1::ListPromptChangesResponse { changes, next_page_token, revision: read_at.load(Ordering::Relaxed) })
    }
}

/// Whether a prompt has no version by the label that was asked for.
fn is_absent(reason: Reason) -> bool {
    matches!(reason, Reason::NoActiveVersion | Reason::VersionNotFound | Reason::LabelNotFound)
}

/// A position in the change log as a page token's key names it.
fn token_key(revision: i64, position: i32) -> String {
    format!("{revision}.{position}")
}

/// The position that a page token's key names; absent where the key is malformed.
fn position(key: &str) -> Option<(i64, i32)> {
    let (revision, position) = key.split_once('.')?;
    Some((revision.parse().ok()?, position.parse().ok()?))
}

/// Who writes, as the request names them, and by which key.
fn written_by(caller: &Caller, created_by: String) -> Result<WrittenBy> {
    let created_by = field::text("created_by", created_by, limits::SHORT_TEXT_BYTES)?;
    Ok(WrittenBy::new(caller, created_by))
}
