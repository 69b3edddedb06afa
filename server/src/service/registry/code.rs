//! Registering the prompts that application code carries.

use std::collections::HashSet;

use prompt_ledger_domain::error::{Error, Violation, Violations};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::prompt::{Mode, TemplateFormat};
use prompt_ledger_domain::template::Template;
use prompt_ledger_domain::{Reason, Result, limits, versioning};
use prompt_ledger_store::{CodePrompt, RegisterCode, RegisteredPrompt};

use super::RegistryService;

/// What RegisterCodePrompts asks for, unchecked.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The prompts.
    pub prompts: Vec<Carried>,
    /// Whether the contents become the active versions.
    pub set_active: bool,
    /// Whether to write nothing.
    pub dry_run: bool,
    /// Who, as they say.
    pub created_by: String,
    /// Where the code comes from.
    pub repository: String,
    /// At which commit.
    pub commit: String,
    /// What could not be brought into this shape.
    pub violations: Violations,
}

/// A prompt as code carries it.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Its name.
    pub name: String,
    /// The template.
    pub template_source: String,
    /// How it is read.
    pub template_format: TemplateFormat,
    /// What the caller takes for the template's hash; empty where it is not to be checked.
    pub template_hash: String,
    /// Absent keeps.
    pub description: Option<String>,
    /// Absent keeps.
    pub owner_team: Option<String>,
    /// The file that holds it.
    pub path: String,
}

/// What registering one prompt came to.
#[derive(Clone, Debug)]
pub struct RegisteredCode {
    /// Its name.
    pub name: String,
    /// The hash of its content.
    pub checksum: String,
    /// What looks wrong in it.
    pub warnings: Vec<String>,
    /// What was done, or would be.
    pub outcome: RegisteredPrompt,
}

impl RegistryService {
    /// Registers a batch, all or none: one answer for each prompt, in order, and the project's revision.
    pub async fn register_code(&self, project: ProjectId, code: Code) -> Result<(Vec<RegisteredCode>, i64)> {
        let names: Vec<_> = code.prompts.iter().map(|prompt| &*prompt.name).collect();
        self.check_modes(project, &names, Mode::Tracking).await?;
        check_count(code.prompts.len())?;
        check_fields(&code)?;
        let checksums = checksums(&code.prompts).await?;
        let mut prompts = Vec::with_capacity(code.prompts.len());
        let mut told = Vec::with_capacity(code.prompts.len());
        for (place, (carried, checksum)) in code.prompts.into_iter().zip(checksums).enumerate() {
            let name = carried.name.clone();
            let (prompt, warnings) =
                parsed(carried, checksum).map_err(|e| e.within(&at(place)).with("prompt", &name))?;
            told.push((name, prompt.checksum.clone(), warnings));
            prompts.push(prompt);
            others_turn().await;
        }
        let Code { set_active, dry_run, created_by, repository, commit, .. } = code;
        let batch = RegisterCode { prompts, set_active, dry_run, created_by, repository, commit };
        let registered = self.store.register_code(project, batch).await?;
        self.cache(project).apply(registered.revision);
        let one = |((name, checksum, warnings), outcome)| RegisteredCode { name, checksum, warnings, outcome };
        Ok((told.into_iter().zip(registered.prompts).map(one).collect(), registered.revision))
    }
}

/// Where a prompt stands in the request.
fn at(place: usize) -> String {
    format!("prompts[{place}]")
}

fn check_count(prompts: usize) -> Result<()> {
    match prompts {
        1..=limits::BATCH_PROMPTS => Ok(()),
        _ => Err(Error::invalid("prompts", format!("are {prompts}; send 1 to {} at once", limits::BATCH_PROMPTS))),
    }
}

/// Every field but the templates: sizes first, then all that is wrong at once.
fn check_fields(code: &Code) -> Result<()> {
    for (place, prompt) in code.prompts.iter().enumerate() {
        let size = field::size("template", prompt.template_source.len(), limits::TEMPLATE_BYTES);
        size.map_err(|error| error.within(&at(place)).with("prompt", field::shown(&prompt.name)))?;
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
    }
    wrong.finish(Some(()))
}

/// A batch is up to 4 MiB of templates: after each, others get their turn.
async fn others_turn() {
    tokio::task::yield_now().await;
}

/// Each template's hash; TEMPLATE_HASH_MISMATCH where one that was sent is another, with the computed ones.
async fn checksums(prompts: &[Carried]) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    let mut first = None;
    let mut checksums = Vec::with_capacity(prompts.len());
    for (place, prompt) in prompts.iter().enumerate() {
        let computed = versioning::checksum(&prompt.template_source);
        if !prompt.template_hash.is_empty() && computed != prompt.template_hash {
            let sent = field::shown(&prompt.template_hash);
            let description = format!("of `{}` is `{sent}`, but the sha256 of the template is {computed}", prompt.name);
            violations.push(Violation { field: format!("{}.template_hash", at(place)), description });
            first.get_or_insert((&prompt.name, computed.clone()));
        }
        checksums.push(computed);
        others_turn().await;
    }
    match first {
        None => Ok(checksums),
        Some((name, computed)) => Err(Error::violations(Reason::TemplateHashMismatch, violations)
            .with("prompt", name)
            .with("computed_hash", computed)
            .about("prompt", name)),
    }
}

/// A prompt as it is stored, and what looks wrong in it.
fn parsed(carried: Carried, checksum: String) -> Result<(CodePrompt, Vec<String>)> {
    let source = &carried.template_source;
    let (variables, warnings) = match carried.template_format {
        TemplateFormat::Handlebars => {
            let template = Template::parse(source)?;
            let variables = template.variables().iter().map(|variable| variable.name.clone()).collect();
            (variables, Template::warnings(source))
        }
        TemplateFormat::Opaque if source.is_empty() => {
            return Err(Error::invalid("template_source", "is empty; send the template's text"));
        }
        TemplateFormat::Opaque => {
            field::no_nul("template_source", source)?;
            (Vec::new(), Vec::new())
        }
    };
    let prompt = CodePrompt {
        name: carried.name,
        checksum,
        template_source: carried.template_source,
        template_format: carried.template_format,
        variables,
        description: carried.description,
        owner_team: carried.owner_team,
        path: carried.path,
        prompt_id: PromptId(prompt_ledger_runtime::new_id()),
        version_id: VersionId(prompt_ledger_runtime::new_id()),
    };
    Ok((prompt, warnings))
}
