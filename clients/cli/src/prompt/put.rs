use std::path::{Path, PathBuf};

use clap::Args;
use prompt_ledger_client::v1;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::created_by::CreatedByArgs;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::prompt_file::PromptFile;
use crate::style::Tone;
use crate::table::Cell;

/// Registers a prompt that the ledger holds.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt put greet --file greet.hbs --activate
  ledgerctl prompt put --file prompts/support.yaml --label staging --note shorter
  ledgerctl prompt put greet --file - --create-only
  ledgerctl prompt put greet --file greet.md --if-etag 11 --json | jq .version.version_number

A new version is made where none of the prompt's has this content. A text is a .hbs, .md, .txt or .prompt file, as it stands, line ends \
included. It may begin with front matter: YAML between two lines `---` with name, description, owner_team, tags, labels, note and config. A \
chat is a .yaml or .yml file with `messages` beside these keys. Prompts that live in code are registered by `ledgerctl register`.

Under --json and --jsonl the answer is a PutPromptResponse of the contract.")]
pub(crate) struct PutArgs {
    /// The prompt's name; absent: that of the file, as its front matter or its own name says
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The file; `-`: a text from standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Make the version the active one
    #[arg(long)]
    activate: bool,
    /// Set this label to the version, beside those of the file; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Why the version is, instead of what the file says
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// What the prompt is for, instead of what the file says; '' clears it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The team that answers for it, instead of what the file says; '' clears it
    #[arg(long, value_name = "TEAM")]
    owner_team: Option<String>,
    /// A word to find it by, instead of those of the file; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Refuse where the prompt exists already
    #[arg(long, conflicts_with = "if_etag")]
    create_only: bool,
    /// Refuse where the prompt was written since it had this etag, as `ledgerctl prompt get --json` shows it
    #[arg(long, value_name = "ETAG")]
    if_etag: Option<String>,
    #[command(flatten)]
    created_by: CreatedByArgs,
}

impl PutArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let file = match self.file == Path::new("-") {
            true => PromptFile::read_input(std::io::stdin().lock(), self.name.as_deref())?,
            false => PromptFile::read(&self.file)?,
        };
        let request = self.request(file)?;
        let labels = request.labels.clone();
        let answer = connection.client.prompts().put(request).await.map_err(|error| connection.failed(error))?;
        if output.format == AnswerFormat::Text {
            output.cells(&outcome(&answer, &labels))?;
        } else {
            output.json(&contract_json::write("PutPromptResponse", &answer))?;
        }
        for warning in &answer.warnings {
            output.note_as(Tone::Warning, &format!("ledgerctl: warning: {warning}"));
        }
        Ok(())
    }

    fn request(self, file: PromptFile) -> Result<v1::PutPromptRequest, CommandError> {
        if file.format == v1::TemplateFormat::Opaque {
            return Err(CommandError::refused(format!(
                "{} holds an opaque text, which only prompts in code have: ledgerctl register",
                self.file.display()
            )));
        }
        let tags = if self.tags.is_empty() { file.tags } else { Some(self.tags) };
        let mut labels = file.labels;
        labels.extend(self.labels);
        labels.dedup();
        Ok(v1::PutPromptRequest {
            name: self.name.unwrap_or(file.name),
            template: Some(file.content.put_template()),
            config: file.content.config,
            description: self.description.or(file.description),
            owner_team: self.owner_team.or(file.owner_team),
            tags: tags.map(|values| v1::Tags { values }),
            labels,
            note: self.note.unwrap_or(file.note),
            set_active: self.activate,
            create_only: self.create_only,
            etag: self.if_etag,
            created_by: self.created_by.name(),
        })
    }
}

/// `greet  version 3, new, active; labels staging`
fn outcome(answer: &v1::PutPromptResponse, labels: &[String]) -> Vec<Cell> {
    let prompt = answer.prompt.clone().unwrap_or_default();
    let number = answer.version.as_ref().map(|version| version.version_number);
    let found =
        if answer.version_change { Cell::new(Tone::Good, ", new") } else { Cell::from(", found: it has this content") };
    let active = match (answer.activated, prompt.active_version_number) {
        (true, _) => Cell::new(Tone::Good, ", active now"),
        (false, active) if active == number => Cell::from(", active"),
        (false, Some(active)) => Cell::new(Tone::Dim, format!("; active is version {active}")),
        (false, None) => Cell::new(Tone::Dim, "; no version is active"),
    };
    let labels = if labels.is_empty() { String::new() } else { format!("; labels {}", labels.join(", ")) };
    vec![
        Cell::new(Tone::Strong, prompt.name),
        format!("  version {}", number.unwrap_or_default()).into(),
        found,
        active,
        Cell::new(Tone::Accent, labels),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        put: PutArgs,
    }

    fn request(arguments: &[&str], file: &str) -> Result<v1::PutPromptRequest, CommandError> {
        let line = Line::try_parse_from(["put", "--file", "-", "--created-by", "ada"].iter().chain(arguments)).unwrap();
        let file = PromptFile::read_input(file.as_bytes(), line.put.name.as_deref())?;
        line.put.request(file)
    }

    const FILE: &str = "---\nname: greet\ndescription: a\nowner_team: b\ntags: [c]\nlabels: [d]\nnote: e\n---\nHi\n";

    #[test]
    fn flags_win_over_what_the_file_says() {
        let own = request(&[], FILE).unwrap();
        assert_eq!((own.name.as_str(), own.note.as_str(), own.created_by.as_str()), ("greet", "e", "ada"));
        assert_eq!((own.description.as_deref(), own.owner_team.as_deref()), (Some("a"), Some("b")));
        assert_eq!((own.tags.unwrap().values, own.labels), (vec!["c".to_owned()], vec!["d".to_owned()]));
        let flags = [
            "other",
            "--description",
            "",
            "--owner-team",
            "B",
            "--tag",
            "C",
            "--label",
            "D",
            "--note",
            "E",
            "--activate",
        ];
        let told = request(&flags, FILE).unwrap();
        assert_eq!((told.name.as_str(), told.note.as_str(), told.set_active), ("other", "E", true));
        assert_eq!((told.description.as_deref(), told.owner_team.as_deref()), (Some(""), Some("B")));
        assert_eq!(
            (told.tags.unwrap().values, told.labels),
            (vec!["C".to_owned()], vec!["d".to_owned(), "D".to_owned()])
        );
        let bare = request(&["greet", "--if-etag", "x"], "Hi").unwrap();
        assert_eq!((bare.description, bare.tags, bare.etag.as_deref()), (None, None, Some("x")));
    }

    #[test]
    fn an_opaque_text_belongs_in_code() {
        let said = request(&[], "---\nname: x\nformat: opaque\n---\n{% if %}").unwrap_err().to_string();
        assert!(said.contains("ledgerctl register"), "{said}");
    }
}
