//! Registers the prompts that application code carries.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::label;
use prompt_ledger_domain::prompt::{Mode, TemplateFormat};
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::{Result, limits};
use prompt_ledger_store::{CodePrompt, RegisterCode, RegisteredPrompt};

use super::compared::Compared;
use super::put::read_template;
use super::{GoOn, RegistryService};

/// Number of versions that one registration reads at the same time.
const READ_AT_ONCE: usize = 4;
/// Bytes of contents that are processed in one turn of the CPU pool: some ten milliseconds at most.
const PORTION_BYTES: usize = 64 * 1024;

/// A RegisterCodePrompts request, of which nothing was checked yet.
#[derive(Clone, Debug, Default)]
pub struct Code {
    pub prompts: Vec<Carried>,
    /// Whether the contents become the active versions.
    pub set_active: bool,
    /// Whether to plan and report, but to write nothing.
    pub dry_run: bool,
    /// As the caller states it.
    pub created_by: String,
    /// The repository of the code, as the caller states it.
    pub repository: String,
    /// The commit of the code, as the caller states it.
    pub commit: String,
    /// The key that asks.
    pub key: AskingKey,
    /// What could not be converted from the request; reported with what else is wrong in its fields.
    pub violations: Violations,
}

/// A prompt as code carries it, unchecked.
#[derive(Clone, Debug)]
pub struct Carried {
    pub name: String,
    pub content: VersionContent,
    pub template_format: TemplateFormat,
    /// The hash of the content as the caller computed it; empty where it is not to be checked.
    pub template_hash: String,
    /// Absent keeps the stored one.
    pub description: Option<String>,
    /// Absent keeps the stored one.
    pub owner_team: Option<String>,
    /// The file that holds the prompt, as the caller states it.
    pub path: String,
    /// Why the version is, as the caller states it.
    pub note: String,
    /// Labels for the version that has the content.
    pub labels: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct RegisteredCode {
    pub name: String,
    /// `VersionContent::checksum` of the content.
    pub checksum_hash: String,
    /// Warnings about the template.
    pub warnings: Vec<String>,
    /// What was done, or would be done by a dry run.
    pub outcome: RegisteredPrompt,
}

impl RegistryService {
    /// Registers a batch, all or none. Returns a result for each prompt, in order, and the project's revision.
    pub async fn register_code(&self, project: ProjectId, code: Code) -> Result<(Vec<RegisteredCode>, i64)> {
        let names: Vec<_> = code.prompts.iter().map(|prompt| &*prompt.name).collect();
        self.check_modes(project, &names, Mode::Tracking).await?;
        check_count(code.prompts.len())?;
        check_fields(&code)?;
        let Code { prompts: carried, set_active, dry_run, created_by, repository, commit, key, .. } = code;
        let carried = Arc::new(carried);
        if carried.iter().any(|prompt| prompt.content.bare_text().is_none()) {
            self.of_each(project, &carried, |prompt| prompt.content.check(prompt.template_format)).await?;
        }
        let checksums = self.of_each(project, &carried, |prompt| prompt.content.checksum()).await?;
        check_hashes(&carried, &checksums)?;
        let compared = self.of_each(project, &carried, |prompt| Ok(Compared::of(&prompt.content))).await?;
        let read = self.of_each(project, &carried, read).await?;
        let mut prompts = Vec::with_capacity(carried.len());
        let mut told = Vec::with_capacity(carried.len());
        let carried = Arc::unwrap_or_clone(carried);
        for ((carried, checksum), (variables, warnings)) in carried.into_iter().zip(checksums).zip(read) {
            told.push((carried.name.clone(), checksum.clone(), warnings));
            prompts.push(carried.into_stored(checksum, variables));
        }
        let batch = RegisterCode { prompts, set_active, dry_run, created_by, repository, commit, key };
        let registered = self.store.register_code(project, batch).await?;
        self.held.of(project).apply(registered.revision);
        self.heads.wrote(project, registered.revision);
        let one =
            |((name, checksum_hash, warnings), outcome)| RegisteredCode { name, checksum_hash, warnings, outcome };
        let done = told.into_iter().zip(registered.prompts).map(one).zip(compared);
        let warned = done.map(|(one, compared)| self.warned(project, one, compared));
        Ok((futures::stream::iter(warned).buffered(READ_AT_ONCE).collect().await, registered.revision))
    }

    /// With a warning where the content differs from the version that was active in what nobody may have meant.
    async fn warned(&self, project: ProjectId, mut one: RegisteredCode, compared: Compared) -> RegisteredCode {
        let RegisteredPrompt { action, version, previous_version } = one.outcome;
        if action.is_change() {
            one.warnings.extend(self.compared(project, &one.name, previous_version, version, compared).await);
        }
        one
    }

    /// The results of `work` on each prompt, in order, or the first error, which names its prompt. The batch is
    /// processed portion by portion, so that other projects have their turns in between.
    async fn of_each<T: Send + 'static>(
        &self,
        project: ProjectId,
        prompts: &Arc<Vec<Carried>>,
        work: fn(&Carried) -> Result<T>,
    ) -> Result<Vec<T>> {
        let bytes = prompts.iter().map(|prompt| prompt.content.bytes()).sum();
        let mut done = Vec::with_capacity(prompts.len());
        while done.len() < prompts.len() {
            let (prompts, start) = (Arc::clone(prompts), done.len());
            let one = move |(place, prompt): (usize, &Carried)| {
                work(prompt).map_err(|error| error.within(&at(start + place)).of_prompt(&prompt.name))
            };
            let portion = move |_: GoOn<'_>| Ok(portion(&prompts[start..]).iter().enumerate().map(one).collect());
            let portion: Result<Vec<T>> = self.cpu.run(project, bytes, portion).await?;
            done.extend(portion?);
        }
        Ok(done)
    }
}

/// The path of a prompt in the request.
fn at(place: usize) -> String {
    format!("prompts[{place}]")
}

fn check_count(prompts: usize) -> Result<()> {
    match prompts {
        1..=limits::BATCH_PROMPTS => Ok(()),
        _ => Err(Error::invalid("prompts", format!("are {prompts}; send 1 to {} at once", limits::BATCH_PROMPTS))),
    }
}

/// Checks every field but the contents: sizes of texts first, then all other violations at once.
fn check_fields(code: &Code) -> Result<()> {
    for (place, prompt) in code.prompts.iter().enumerate() {
        let Some(source) = prompt.content.source() else { continue };
        let size = field::size("template", source.len(), limits::TEMPLATE_BYTES);
        size.map_err(|error| error.within(&at(place)).of_prompt(&field::shown(&prompt.name)))?;
    }
    let mut wrong = code.violations.clone();
    let short = |name: &str, value: &str| field::text(name, value.to_owned(), limits::SHORT_TEXT_BYTES);
    wrong.keep(short("created_by", &code.created_by))?;
    wrong.keep(short("source.repository", &code.repository))?;
    wrong.keep(short("source.commit", &code.commit))?;
    let mut names = HashSet::with_capacity(code.prompts.len());
    for (place, prompt) in code.prompts.iter().enumerate() {
        let mut keep = |checked: Result<()>| wrong.keep(checked.map_err(|error| error.within(&at(place))));
        keep(Name::parse("name", &prompt.name).map(drop))?;
        if !names.insert(&*prompt.name) {
            let name = field::shown(&prompt.name);
            keep(Err(Error::invalid("name", format!("`{name}` stands twice in the batch; send each prompt once"))))?;
        }
        if let Some(description) = &prompt.description {
            keep(field::text("description", description.clone(), limits::DESCRIPTION_BYTES).map(drop))?;
        }
        if let Some(team) = &prompt.owner_team {
            keep(short("owner_team", team).map(drop))?;
        }
        keep(short("path", &prompt.path).map(drop))?;
        keep(field::text("note", prompt.note.clone(), limits::NOTE_BYTES).map(drop))?;
        keep(label::check_names("labels", &prompt.labels))?;
    }
    wrong.finish(Some(()))
}

/// The first prompts whose contents have at most [`PORTION_BYTES`] together; at least one.
fn portion(prompts: &[Carried]) -> &[Carried] {
    let mut bytes = 0;
    let fits = prompts.iter().take_while(|prompt| {
        bytes += prompt.content.bytes();
        bytes <= PORTION_BYTES
    });
    &prompts[..fits.count().max(1)]
}

/// TEMPLATE_HASH_MISMATCH where a hash that was sent is not the computed one.
fn check_hashes(prompts: &[Carried], checksums: &[String]) -> Result<()> {
    let mut wrong = Violations::default();
    let mut first = None;
    for (place, (prompt, computed)) in prompts.iter().zip(checksums).enumerate() {
        if !prompt.template_hash.is_empty() && *computed != prompt.template_hash {
            let sent = field::shown(&prompt.template_hash);
            wrong.add(format!("{}.template_hash", at(place)), || {
                format!("of `{}` is `{sent}`, but that of the content is {computed}", prompt.name)
            });
            first.get_or_insert((&prompt.name, computed));
        }
    }
    match first {
        None => Ok(()),
        Some((name, computed)) => Err(Error::template_hash_mismatch(wrong, name, computed)),
    }
}

/// The names of a template's variables, and warnings about it; none of either where it is opaque.
fn read(prompt: &Carried) -> Result<(Vec<String>, Vec<String>)> {
    match (prompt.template_format, prompt.content.source()) {
        (TemplateFormat::Opaque, Some("")) => {
            Err(Error::invalid("template_source", "is empty; send the template's text"))
        }
        (TemplateFormat::Opaque, Some(source)) => {
            field::no_nul("template_source", source).map(|()| (Vec::new(), Vec::new()))
        }
        (TemplateFormat::Opaque | TemplateFormat::Handlebars, _) => read_template(&prompt.content),
    }
}

impl Carried {
    fn into_stored(self, checksum: String, variables: Vec<String>) -> CodePrompt {
        CodePrompt {
            name: self.name,
            checksum_hash: checksum,
            content: self.content,
            template_format: self.template_format,
            variables,
            description: self.description,
            owner_team: self.owner_team,
            path: self.path,
            note: self.note,
            labels: self.labels,
            prompt_id: PromptId(prompt_ledger_runtime::new_id()),
            version_id: VersionId(prompt_ledger_runtime::new_id()),
        }
    }
}
