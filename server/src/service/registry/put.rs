//! Registers a content under a name.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::label;
use prompt_ledger_domain::prompt::{Mode, TemplateFormat};
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::{Result, limits};
use prompt_ledger_store::{PutPrompt, PutResult};
use prompt_ledger_template::content::ParsedTemplate;

use super::compared::Compared;
use super::{GoOn, RegistryService};

/// A PutPrompt request, of which nothing was checked yet.
#[derive(Clone, Debug, Default)]
pub struct Put {
    pub name: String,
    /// Absent where none was sent, which is INVALID_FIELD.
    pub content: Option<VersionContent>,
    /// Absent keeps the stored one.
    pub description: Option<String>,
    /// Absent keeps the stored one.
    pub owner_team: Option<String>,
    /// Absent keeps the stored ones.
    pub tags: Option<Vec<String>>,
    /// As the caller states it.
    pub created_by: String,
    /// Why the version is, as the caller states it.
    pub note: String,
    /// Whether the content becomes the active version.
    pub set_active: bool,
    /// Labels for the version that has the content.
    pub labels: Vec<String>,
    /// Whether an existing prompt of that name is an error.
    pub create_only: bool,
    /// The etag that the prompt must still have; absent: any.
    pub etag: Option<String>,
    /// The key that asks.
    pub key: AskingKey,
    /// What could not be converted from the request; reported with what else is wrong in its fields.
    pub violations: Violations,
}

impl RegistryService {
    /// Registers a content under a name; the second part of the result are warnings about it.
    pub async fn put(&self, project: ProjectId, put: Put) -> Result<(PutResult, Vec<String>)> {
        self.check_modes(project, &[&put.name], Mode::Full).await?;
        let content = put.content.ok_or_else(|| Error::invalid("template", "is missing; send it"))?;
        if let Some(source) = content.source() {
            field::size("template", source.len(), limits::TEMPLATE_BYTES)?;
        }
        let mut wrong = put.violations;
        wrong.keep(Name::parse("name", &put.name))?;
        let short = |name: &str, value: String| field::text(name, value, limits::SHORT_TEXT_BYTES);
        let description = wrong
            .keep(put.description.map(|d| field::text("description", d, limits::DESCRIPTION_BYTES)).transpose())?;
        let owner_team = wrong.keep(put.owner_team.map(|team| short("owner_team", team)).transpose())?;
        let tags = wrong.keep(put.tags.map(|tags| field::tags("tags", tags)).transpose())?;
        let created_by = wrong.keep(short("created_by", put.created_by))?;
        let note = wrong.keep(field::text("note", put.note, limits::NOTE_BYTES))?;
        wrong.keep(label::check_names("labels", &put.labels))?;
        let read = self.read_content(project, content, wrong).await?;
        let ReadContent { content, checksum_hash, variables, mut warnings, compared } = read;
        let put = PutPrompt {
            name: put.name,
            checksum_hash,
            content,
            variables,
            description: description.flatten(),
            owner_team: owner_team.flatten(),
            tags: tags.flatten(),
            created_by: created_by.unwrap_or_default(),
            note: note.unwrap_or_default(),
            set_active: put.set_active,
            labels: put.labels,
            create_only: put.create_only,
            etag: put.etag,
            prompt_id: PromptId(prompt_ledger_runtime::new_id()),
            version_id: VersionId(prompt_ledger_runtime::new_id()),
            key: put.key,
        };
        let result = self.store.put_prompt(project, put).await?;
        self.note(project, &result.prompt, result.revision);
        let PutResult { prompt, version, previous_version, .. } = &result;
        warnings.extend(self.compared(project, &prompt.name, *previous_version, version.number, compared).await);
        Ok((result, warnings))
    }

    /// Checks and reads a content, of which `wrong` is known already.
    async fn read_content(
        &self,
        project: ProjectId,
        content: VersionContent,
        mut wrong: Violations,
    ) -> Result<ReadContent> {
        let bytes = content.bytes();
        let read = move |_: GoOn<'_>| {
            let checked = wrong.keep(content.check(TemplateFormat::Handlebars));
            Ok(checked.and_then(|_| wrong.finish(Some(()))).and_then(|()| ReadContent::of(content)))
        };
        self.cpu.run(project, bytes, read).await?
    }
}

/// A content with what is stored and told of it.
struct ReadContent {
    content: VersionContent,
    checksum_hash: String,
    /// The names of its variables.
    variables: Vec<String>,
    warnings: Vec<String>,
    compared: Compared,
}

impl ReadContent {
    /// Of a content that was checked.
    fn of(content: VersionContent) -> Result<Self> {
        let (variables, warnings) = read_template(&content)?;
        let compared = Compared::of(&content);
        Ok(Self { checksum_hash: content.checksum()?, variables, warnings, compared, content })
    }
}

/// The names of a template's variables, and warnings about it.
pub(super) fn read_template(content: &VersionContent) -> Result<(Vec<String>, Vec<String>)> {
    let template = ParsedTemplate::parse(&content.template)?;
    let variables = template.variables().iter().map(|variable| variable.name.clone()).collect();
    Ok((variables, ParsedTemplate::warnings(&content.template)))
}
