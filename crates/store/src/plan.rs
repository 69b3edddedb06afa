//! Decides what a registry write changes, from what was read: pure functions, the same for every database. The database
//! reads under a lock, calls `plan`, and writes the result.

mod change;
mod code;
mod import;
mod log;

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::label::{self, LabelTarget};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::ChangeEntry;
use prompt_ledger_domain::versioning::{self, Content};
use prompt_ledger_domain::{Error, Result, Timestamp};

use self::log::LoggedWrite;
use crate::{NewPrice, PutModel, PutPrompt, PutResult};

pub use change::{ChangedState, change};
pub use code::{FoundPrompt, Known, register};
pub use import::import;

/// The rows that a write changes, and its result.
pub struct Plan<T> {
    /// Prompts to write, in their new state; each has taken the project's next revision.
    pub prompts: Vec<Prompt>,
    /// Versions to insert.
    pub added: Vec<Version>,
    /// Existing versions that get another status.
    pub statuses: Vec<(VersionId, VersionStatus)>,
    /// Entries of the change log.
    pub log: Vec<ChangeEntry>,
    /// The result for the caller, in the state after the write.
    pub answer: T,
}

impl<T> Plan<T> {
    fn nothing(answer: T) -> Self {
        Self { prompts: Vec::new(), added: Vec::new(), statuses: Vec::new(), log: Vec::new(), answer }
    }

    /// Whether there is nothing to write. A version changes only together with its prompt. The result of an idle plan
    /// contains no time of this write.
    pub fn is_idle(&self) -> bool {
        self.prompts.is_empty()
    }
}

/// A project as read by a write.
#[derive(Clone, Debug)]
pub struct ProjectState {
    /// Unique in the deployment; copied into [`Prompt::project`].
    pub name: String,
    /// Number of its last registry change; 0 before the first.
    pub revision: i64,
}

/// Plans [`PutPrompt`]. `before` is the prompt with that name, `known` its version with that content.
pub fn put(
    project: &ProjectState,
    before: Option<&Prompt>,
    known: Option<Version>,
    put: &PutPrompt,
    now: Timestamp,
) -> Result<Plan<PutResult>> {
    check(before, put)?;
    let metadata = PromptMetadata {
        id: put.prompt_id,
        name: &put.name,
        mode: Mode::Full,
        description: put.description.as_deref(),
        owner_team: put.owner_team.as_deref(),
        tags: put.tags.as_deref(),
    };
    let mut prompt = described(before.cloned(), &project.name, &metadata, now);
    let found = known.as_ref().map(|known| (known.number, known.template_format));
    let was = known.as_ref().map(|known| known.status);
    let content = versioning::content(prompt.latest_version, found, TemplateFormat::Handlebars)?;
    let (Content::New(number) | Content::Known(number)) = content;
    let activated = put.set_active && prompt.active_version != Some(number);
    if activated {
        prompt.active_version = Some(number);
    }
    let (mut added, mut statuses) = (Vec::new(), Vec::new());
    let version = match (content, known) {
        (Content::Known(_), Some(known)) => {
            let status = if activated { VersionStatus::Active } else { known.status };
            if known.status != status {
                statuses.push((known.id, status));
            }
            Version { status, ..known }
        }
        (Content::New(_) | Content::Known(_), _) => {
            prompt.latest_version = number;
            let version = version(&prompt, number, put, now);
            added.push(version.clone());
            version
        }
    };
    let target = LabelTarget { number, status: version.status, format: version.template_format };
    for (i, label) in put.labels.iter().enumerate() {
        let pointed = label::point(&mut prompt, label, target, now, &put.created_by);
        pointed.map_err(|error| error.at(&format!("labels[{i}]")))?;
    }
    let moved = before != Some(&prompt);
    let revision = counted(&mut prompt, project.revision, moved, now);
    let write = LoggedWrite { key: &put.key, created_by: &put.created_by, added: &added, now };
    let known = was.map(|status| (number, status));
    let log = write.log(before, known, &prompt, Some((number, version.status)));
    let prompts = if moved { vec![prompt.clone()] } else { Vec::new() };
    let previous_version = before.and_then(|before| before.active_version);
    let version_change = !added.is_empty();
    let answer = PutResult { prompt, version, version_change, activated, previous_version, revision };
    Ok(Plan { prompts, added, statuses, log, answer })
}

/// Plans [`PutModel`]: the new state of the model, and the price to add; nothing where nothing changes.
pub fn put_model(before: Option<&Model>, put: &PutModel, now: Timestamp) -> Option<(Model, Option<Price>)> {
    let mut model = before.cloned().unwrap_or_else(|| discovered(&put.id, now));
    model.discovered = false;
    model.max_tokens = put.max_tokens.or(model.max_tokens);
    model.supports_streaming = put.supports_streaming.unwrap_or(model.supports_streaming);
    model.capabilities = model.capabilities.with(put.capabilities);
    let price = new_price(&model, put, now);
    if price.is_none() && before == Some(&model) {
        return None;
    }
    model.updated_at = now;
    Some((model, price))
}

/// A model as its first use registers it: streaming, without limit and prices.
pub fn discovered(id: &ModelRef, now: Timestamp) -> Model {
    Model {
        id: id.clone(),
        max_tokens: None,
        supports_streaming: true,
        capabilities: ModelCapabilities::default(),
        prices: Vec::new(),
        discovered: true,
        created_at: now,
        updated_at: now,
    }
}

/// The price to add; nothing where the same amounts are in force at its `valid_from`.
fn new_price(model: &Model, put: &PutModel, at: Timestamp) -> Option<Price> {
    let NewPrice { id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from } = put.price.clone()?;
    let valid_from = valid_from.unwrap_or(at);
    let price = Price { id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from };
    let same = |held: &Price| Price { id, valid_from, ..held.clone() } == price;
    let held_already = model.price_at(valid_from).is_some_and(same);
    (!held_already).then_some(price)
}

/// The project's revision after the write; a changed prompt takes the next one.
fn counted(prompt: &mut Prompt, revision: i64, moved: bool, now: Timestamp) -> i64 {
    if !moved {
        return revision;
    }
    prompt.revision = revision + 1;
    prompt.updated_at = now;
    prompt.revision
}

/// Fails where the write is not allowed. The order of the checks is part of the API.
fn check(before: Option<&Prompt>, put: &PutPrompt) -> Result<()> {
    let Some(prompt) = before else {
        if put.etag.is_none() {
            return Ok(());
        }
        return Err(Error::etag_without_prompt(&put.name));
    };
    prompt.check_mode(Mode::Full, Operation::Write)?;
    if put.create_only {
        return Err(Error::prompt_exists(&put.name));
    }
    prompt.check_not_archived()?;
    prompt.check_etag(put.etag.as_deref())
}

/// The fields of a prompt that a write sends besides the content.
struct PromptMetadata<'a> {
    /// Used only if the prompt is created.
    id: PromptId,
    name: &'a str,
    /// Used only if the prompt is created.
    mode: Mode,
    description: Option<&'a str>,
    owner_team: Option<&'a str>,
    tags: Option<&'a [String]>,
}

/// The prompt with the metadata that was sent; a new one if there was none.
fn described(before: Option<Prompt>, project: &str, sent: &PromptMetadata<'_>, now: Timestamp) -> Prompt {
    let mut prompt = before.unwrap_or_else(|| Prompt {
        id: sent.id,
        project: project.to_owned(),
        name: sent.name.to_owned(),
        mode: sent.mode,
        description: String::new(),
        owner_team: String::new(),
        tags: Vec::new(),
        active_version: None,
        latest_version: 0,
        revision: 0,
        created_at: now,
        updated_at: now,
        archived_at: None,
        labels: Vec::new(),
    });
    for (field, sent) in [(&mut prompt.description, sent.description), (&mut prompt.owner_team, sent.owner_team)] {
        if let Some(sent) = sent {
            sent.clone_into(field);
        }
    }
    if let Some(tags) = sent.tags {
        prompt.tags = tags.to_vec();
    }
    prompt
}

fn version(prompt: &Prompt, number: i32, put: &PutPrompt, now: Timestamp) -> Version {
    Version {
        id: put.version_id,
        prompt_id: prompt.id,
        number,
        status: if put.set_active { VersionStatus::Active } else { VersionStatus::Draft },
        content: put.content.clone(),
        template_format: TemplateFormat::Handlebars,
        checksum_hash: put.checksum_hash.clone(),
        variables: put.variables.clone(),
        created_by: put.created_by.clone(),
        created_at: now,
        source: Source::default(),
        note: put.note.clone(),
    }
}
