//! What a write to the registry comes to, decided from what was read: pure, and the same for every database. The database
//! reads under a lock, asks here, and writes what it is told.

pub mod code;

use prompt_ledger_domain::error::Operation;
use prompt_ledger_domain::ids::PromptId;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content};
use prompt_ledger_domain::{Error, Result, Timestamp};

use crate::{Changed, NewPrice, PutModel, PutPrompt, PutResult};

/// What is to be written, and what is then answered.
pub struct Plan<T> {
    /// Whether the prompt changes, and with it the project's revision.
    pub prompt: bool,
    /// What becomes of the version.
    pub version: VersionWrite,
    /// With the prompt and the version as they become.
    pub answer: T,
}

/// What becomes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionWrite {
    /// It stays as it is.
    Nothing,
    /// It is new.
    Add,
    /// It has another status.
    Status,
}

/// A project as a write finds it.
#[derive(Clone, Debug)]
pub struct ProjectState {
    /// Its name.
    pub name: String,
    /// The number of its last registry change.
    pub revision: i64,
}

/// Registering a content: `before` is the prompt of that name, `known` its version of that content.
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
    let content = versioning::content(prompt.latest_version, found, TemplateFormat::Handlebars)?;
    let (Content::New(number) | Content::Known(number)) = content;
    let activated = put.set_active && prompt.active_version != Some(number);
    if activated {
        prompt.active_version = Some(number);
    }
    let (version, write) = match (content, known) {
        (Content::Known(_), Some(mut known)) => {
            let status = if activated { VersionStatus::Active } else { known.status };
            let write = if known.status == status { VersionWrite::Nothing } else { VersionWrite::Status };
            known.status = status;
            (known, write)
        }
        (Content::New(_) | Content::Known(_), _) => {
            prompt.latest_version = number;
            (version(&prompt, number, put, now), VersionWrite::Add)
        }
    };
    let moved = before != Some(&prompt);
    let revision = counted(&mut prompt, project.revision, moved, now);
    let answer = PutResult { prompt, version, version_change: write == VersionWrite::Add, activated, revision };
    Ok(Plan { prompt: moved, version: write, answer })
}

/// Moving the active pointer to this version.
pub fn activate(
    (mut prompt, version, revision): (Prompt, Option<Version>, i64),
    number: i32,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Plan<Changed>> {
    let mut version = writable(&prompt, version, number, etag)?;
    if version.template_format == TemplateFormat::Opaque {
        return Err(prompt.opaque(number));
    }
    let moved = prompt.active_version != Some(number) || version.status != VersionStatus::Active;
    let write = if version.status == VersionStatus::Active { VersionWrite::Nothing } else { VersionWrite::Status };
    prompt.active_version = Some(number);
    version.status = VersionStatus::Active;
    let revision = counted(&mut prompt, revision, moved, now);
    Ok(Plan { prompt: moved, version: write, answer: Changed { prompt, version: Some(version), revision } })
}

/// Giving this version another status.
pub fn set_status(
    (mut prompt, version, revision): (Prompt, Option<Version>, i64),
    number: i32,
    wanted: VersionStatus,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Plan<Changed>> {
    let mut version = writable(&prompt, version, number, etag)?;
    let status = versioning::set_status(&prompt, &version, wanted)?;
    let moved = version.status != status;
    let write = if moved { VersionWrite::Status } else { VersionWrite::Nothing };
    version.status = status;
    let revision = counted(&mut prompt, revision, moved, now);
    Ok(Plan { prompt: moved, version: write, answer: Changed { prompt, version: Some(version), revision } })
}

/// Archiving a prompt, or bringing it back.
pub fn archive(
    (mut prompt, _, revision): (Prompt, Option<Version>, i64),
    archived: bool,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Plan<Changed>> {
    prompt.check_etag(etag)?;
    let moved = prompt.archived_at.is_some() != archived;
    if moved {
        prompt.archived_at = archived.then_some(now);
    }
    let revision = counted(&mut prompt, revision, moved, now);
    Ok(Plan { prompt: moved, version: VersionWrite::Nothing, answer: Changed { prompt, version: None, revision } })
}

/// Moving a prompt to another mode, with all its versions.
pub fn migrate(
    (mut prompt, active, revision): (Prompt, Option<Version>, i64),
    mode: Mode,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Plan<Changed>> {
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    let moved = versioning::migrates(&prompt, active.as_ref(), mode)?;
    prompt.mode = mode;
    let revision = counted(&mut prompt, revision, moved, now);
    Ok(Plan { prompt: moved, version: VersionWrite::Nothing, answer: Changed { prompt, version: None, revision } })
}

/// Registering or changing a model: how it becomes, and the price to add; nothing where nothing changes.
pub fn put_model(before: Option<&Model>, put: &PutModel, now: Timestamp) -> Option<(Model, Option<Price>)> {
    let mut model = before.cloned().unwrap_or_else(|| discovered(&put.id, now));
    model.discovered = false;
    model.max_tokens = put.max_tokens.or(model.max_tokens);
    model.supports_streaming = put.supports_streaming.unwrap_or(model.supports_streaming);
    let price = new_price(&model, put, now);
    if price.is_none() && before == Some(&model) {
        return None;
    }
    model.updated_at = now;
    Some((model, price))
}

/// A model as its first use registers it.
pub fn discovered(id: &ModelRef, now: Timestamp) -> Model {
    Model {
        id: id.clone(),
        max_tokens: None,
        supports_streaming: true,
        prices: Vec::new(),
        discovered: true,
        created_at: now,
        updated_at: now,
    }
}

/// The price to add: nothing where one of these amounts holds at that moment already.
fn new_price(model: &Model, put: &PutModel, at: Timestamp) -> Option<Price> {
    let NewPrice { id, input, cached_input, output, valid_from } = put.price.clone()?;
    let valid_from = valid_from.unwrap_or(at);
    let same = |held: &Price| (held.input, held.cached_input, held.output) == (input, cached_input, output);
    let held_already = model.price_at(valid_from).is_some_and(same);
    (!held_already).then_some(Price { id, input, cached_input, output, valid_from })
}

/// The project's revision after the write; a prompt that changes takes it.
fn counted(prompt: &mut Prompt, revision: i64, moved: bool, now: Timestamp) -> i64 {
    if !moved {
        return revision;
    }
    prompt.revision = revision + 1;
    prompt.updated_at = now;
    prompt.revision
}

/// The version of that number, of a prompt in full mode that may be written.
fn writable(prompt: &Prompt, version: Option<Version>, number: i32, etag: Option<&str>) -> Result<Version> {
    prompt.check_mode(Mode::Full, Operation::Write)?;
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    version.ok_or_else(|| Error::version_not_found(&prompt.name, &Selector::Number(number)))
}

/// What forbids the write, in the order of the contract.
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

/// What a write says of a prompt beside its content.
struct PromptMetadata<'a> {
    /// Should it be new.
    id: PromptId,
    name: &'a str,
    /// Should it be new.
    mode: Mode,
    description: Option<&'a str>,
    owner_team: Option<&'a str>,
    tags: Option<&'a [String]>,
}

/// The prompt with the metadata that was sent, a new one where there was none.
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
        template_source: put.template_source.clone(),
        template_format: TemplateFormat::Handlebars,
        checksum: put.checksum.clone(),
        variables: put.variables.clone(),
        created_by: put.created_by.clone(),
        created_at: now,
        source: Source::default(),
    }
}
