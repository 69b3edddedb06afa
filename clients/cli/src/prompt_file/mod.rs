//! Prompts in files.
//!
//! A text stands in a file of its own: `.hbs`, `.md`, `.txt` or `.prompt` for a Handlebars template, `.j2` or `.jinja` for a text that the
//! ledger does not parse. It may begin with front matter, YAML between two lines `---`; what follows the second one, or else the whole
//! file, is the template, byte for byte. The line end behind the last line is part of it: a text without a config has the hash that
//! `sha256sum` shows, and that the clients in other languages register of the same file. A chat stands in a `.yaml` or `.yml` file, as `messages` beside the keys of front matter.

mod contract_yaml;
mod fault;
mod folder;
mod header;
mod json_text;
mod yaml;
mod yaml_text;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use prompt_ledger_client::v1;

use self::fault::FileFault;
pub(crate) use self::folder::{distinct, read_folder};
use self::header::Header;
use self::yaml::{YamlNode, YamlValue};
use crate::failure::CommandError;
use crate::prompt_content::{ContentTemplate, PromptContent};

/// The most MiB of a text's file, whose template has at most 200 KB.
const TEXT_MIB: u64 = 1;
/// The most MiB of a chat's file, whose images have at most 768 KiB, in base64 a third more.
const CHAT_MIB: u64 = 2;

/// A prompt as a file says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PromptFile {
    /// As the key `name` says, else the path below the folder, with dots and without its extension: `shop.greeting`.
    pub(crate) name: String,
    /// Where it was read. Empty: standard input, or no file.
    pub(crate) path: PathBuf,
    pub(crate) content: PromptContent,
    /// How the template is read: Handlebars or opaque.
    pub(crate) format: v1::TemplateFormat,
    /// Absent: the file does not say; what the ledger has stays.
    pub(crate) description: Option<String>,
    /// Absent: the file does not say.
    pub(crate) owner_team: Option<String>,
    /// Absent: the file does not say.
    pub(crate) tags: Option<Vec<String>>,
    /// To be set to the version with this content.
    pub(crate) labels: Vec<String>,
    /// Why the version is. Empty: not told.
    pub(crate) note: String,
}

/// What a file holds, as its extension says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Text(v1::TemplateFormat),
    Chat,
}

impl FileKind {
    /// Absent: the extension is none of a prompt.
    fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "hbs" | "md" | "txt" | "prompt" => Self::Text(v1::TemplateFormat::Handlebars),
            "j2" | "jinja" => Self::Text(v1::TemplateFormat::Opaque),
            "yaml" | "yml" => Self::Chat,
            _ => return None,
        })
    }
}

impl PromptFile {
    /// A prompt with nothing but its content.
    pub(crate) fn new(name: impl Into<String>, content: PromptContent) -> Self {
        Self {
            name: name.into(),
            path: PathBuf::new(),
            content,
            format: v1::TemplateFormat::Handlebars,
            description: None,
            owner_team: None,
            tags: None,
            labels: Vec::new(),
            note: String::new(),
        }
    }

    /// Reads a file; the name is that of the file where it does not say another.
    ///
    /// # Errors
    ///
    /// With file, line and key, and what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        Self::read_below(path, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a file below a folder, from which its name counts.
    ///
    /// # Errors
    ///
    /// With file, line and key, and what to do.
    pub(crate) fn read_below(path: &Path, folder: &Path) -> Result<Self, CommandError> {
        let Some(kind) = FileKind::of(path) else {
            if let Err(error) = std::fs::metadata(path) {
                return Err(FileFault::whole(format!("cannot be read: {error}")).of(path));
            }
            let wrong = "has an extension that is none of a prompt: .hbs, .md, .txt or .prompt is a template, .j2 or .jinja an opaque text, \
                         .yaml or .yml a chat";
            return Err(FileFault::whole(wrong).of(path));
        };
        let read = || {
            let text = text_of(path, if kind == FileKind::Chat { CHAT_MIB } else { TEXT_MIB })?;
            let name = name_of(path.strip_prefix(folder).unwrap_or(path));
            let read = Self { path: path.to_owned(), ..Self::parse(&text, kind, name.as_deref())? };
            Ok(read)
        };
        read().map_err(|fault: FileFault| fault.of(path))
    }

    /// Reads a text with front matter, or without, from standard input. `name`: where the front matter says none.
    ///
    /// # Errors
    ///
    /// With line and key, and what to do.
    pub(crate) fn read_input(input: impl Read, name: Option<&str>) -> Result<Self, CommandError> {
        let read = bounded(input, TEXT_MIB)
            .and_then(|text| Self::parse(&text, FileKind::Text(v1::TemplateFormat::Handlebars), name));
        read.map_err(|fault| fault.of(Path::new("standard input")))
    }

    fn parse(text: &str, kind: FileKind, name: Option<&str>) -> Result<Self, FileFault> {
        let (header, template, format) = match kind {
            FileKind::Text(format) => {
                let (front_matter, template) = split(text)?;
                let header = front_matter.map(|text| Header::read(&text, false)).transpose()?.unwrap_or_default();
                let format = header.format.unwrap_or(format);
                (header, ContentTemplate::Text(template.to_owned()), format)
            }
            FileKind::Chat => {
                let mut header = Header::read(text, true)?;
                let chat = header.messages.take().ok_or_else(|| {
                    FileFault::whole("has no `messages`, so it is no chat; a text stands in a file that ends in .hbs, .md, .txt or .prompt")
                })?;
                (header, ContentTemplate::Chat(chat), v1::TemplateFormat::Handlebars)
            }
        };
        let name = header.name.or_else(|| name.map(str::to_owned));
        let name = name.ok_or_else(|| {
            FileFault::whole("has no name: write `name: shop.greeting` between two lines `---` at its top")
        })?;
        if !is_name(&name) {
            return Err(FileFault::whole(format!(
                "would be the prompt `{name}`, which is no name: rename the file, or give it a `name` of letters, digits, `.`, `_` and `-` \
                 that begins with a letter or a digit, at most 128"
            )));
        }
        Ok(Self {
            name,
            path: PathBuf::new(),
            content: PromptContent { template, config: header.config },
            format,
            description: header.description,
            owner_team: header.owner_team,
            tags: header.tags,
            labels: header.labels,
            note: header.note,
        })
    }
}

/// The file, such that reading it gives the same prompt.
pub(crate) fn write(prompt: &PromptFile) -> String {
    let header = header::write(prompt);
    match &prompt.content.template {
        ContentTemplate::Text(text) => format!("---\n{header}---\n{text}"),
        ContentTemplate::Chat(_) => header,
    }
}

/// The extension of the file that [`write`](fn@write) makes.
pub(crate) fn extension(prompt: &PromptFile) -> &'static str {
    match (&prompt.content.template, prompt.format) {
        (ContentTemplate::Chat(_), _) => "yaml",
        (_, v1::TemplateFormat::Opaque) => "jinja",
        _ => "hbs",
    }
}

fn text_of(path: &Path, most_mib: u64) -> Result<String, FileFault> {
    let cannot = |error| FileFault::whole(format!("cannot be read: {error}"));
    // A pipe would be waited for.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(FileFault::whole("is no file that holds a prompt"));
    }
    bounded(File::open(path).map_err(cannot)?, most_mib)
}

/// All of it, where it is not more.
fn bounded(input: impl Read, most_mib: u64) -> Result<String, FileFault> {
    let (mut bytes, most) = (Vec::new(), most_mib * 1024 * 1024);
    let read = input.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| FileFault::whole(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(FileFault::whole(format!(
            "has more than {most_mib} MiB, and a template at most 200 KB: is it a prompt?"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        FileFault::at(line, "", "is not UTF-8: save it in that encoding")
    })
}

/// The name of a path below a folder. Absent: it is not Unicode.
fn name_of(path: &Path) -> Option<String> {
    let path = path.with_extension("");
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("."))
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`
fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    first && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The front matter, behind an empty line that stands for the `---` above it, and what follows it. Absent: the file has none.
fn split(text: &str) -> Result<(Option<String>, &str), FileFault> {
    let is_fence = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.strip_prefix('\u{feff}').is_some_and(is_fence) {
        return Err(FileFault::at(1, "", "begins with a byte order mark: save the file as UTF-8 without one"));
    }
    if !is_fence(first) {
        return Ok((None, text));
    }
    let mut end = first.len();
    for line in lines {
        if is_fence(line) {
            let front_matter = text.get(first.len()..end).unwrap_or_default();
            return Ok((Some(format!("\n{front_matter}")), text.get(end + line.len()..).unwrap_or_default()));
        }
        end += line.len();
    }
    Err(FileFault::at(
        1,
        "",
        "begins front matter that no second line `---` ends: add it; or, where the template itself begins so, put two lines `---` above it",
    ))
}

#[cfg(test)]
mod tests;
