//! Prompts in code, as a program has them: texts by their names, or a folder of files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::code_prompt::Template;

/// Most bytes of a file. A template has at most 200 KB: this bounds what is read before the ledger says so.
const MOST_BYTES: u64 = 1024 * 1024;
/// Most files and folders that are looked at.
const MOST_ENTRIES: usize = 100_000;
/// Most prompts of a folder; a registration takes fewer.
const MOST_PROMPTS: usize = 10_000;
/// Deepest level of folders; the folder itself is the first.
const MOST_LEVELS: usize = 32;

/// A folder of prompts that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
#[non_exhaustive]
pub struct CodeFolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl CodeFolderError {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(path, format!("cannot be read: {error}"))
    }
}

/// Prompts of texts by their names, as a map or an array of pairs has them, for
/// [`Client::register_code_prompts`](crate::Client::register_code_prompts).
pub fn code_prompts_from_texts<N: Into<String>, T: Into<String>>(
    texts: impl IntoIterator<Item = (N, T)>,
) -> Vec<v1::CodePrompt> {
    let prompt = |(name, text): (N, T)| v1::CodePrompt {
        name: name.into(),
        template: Some(Template::TemplateSource(text.into())),
        ..v1::CodePrompt::default()
    };
    texts.into_iter().map(prompt).collect()
}

/// Prompts of the files below a folder, by their paths, for [`Client::register_code_prompts`](crate::Client::register_code_prompts):
/// `shop/greeting.hbs` is `shop.greeting`. Files end in `.hbs`, `.md` or `.txt` (templates), or in `.j2` or `.jinja` (opaque texts), and
/// are taken as they stand, line ends included. Other files, hidden ones, and links to folders are passed over.
///
/// # Errors
///
/// Where a file cannot be read, is not in UTF-8 or has more than 1 MiB; two files are of one name; or the folder has more than 10,000
/// prompts, 100,000 files or 32 levels.
pub fn code_prompts_from_folder(folder: impl AsRef<Path>) -> Result<Vec<v1::CodePrompt>, CodeFolderError> {
    let folder = folder.as_ref();
    let mut walk = CodeFolderWalk { files: Vec::new(), entries: 0 };
    walk.enter(folder, 1)?;
    walk.files.sort();
    let mut prompts = Vec::with_capacity(walk.files.len());
    for (inside, format) in walk.files.iter().map(|(file, format)| (file.strip_prefix(folder).unwrap_or(file), format))
    {
        let file = folder.join(inside);
        let parts = inside.with_extension("");
        let parts: Option<Vec<&str>> = parts.iter().map(|part| part.to_str()).collect();
        let parts = parts.ok_or_else(|| CodeFolderError::new(&file, "its path is not in UTF-8: rename it"))?;
        let name = parts.join(".");
        let path = inside.iter().filter_map(|part| part.to_str()).collect::<Vec<_>>().join("/");
        let template = Some(Template::TemplateSource(text(&file)?));
        let template_format = (*format).into();
        prompts.push(v1::CodePrompt { name, path, template, template_format, ..v1::CodePrompt::default() });
    }
    prompts.sort_by(|a, b| a.name.cmp(&b.name));
    match prompts.array_windows().find(|[first, second]| first.name == second.name) {
        Some([first, second]) => Err(CodeFolderError::new(
            &folder.join(&second.path),
            format!("is the prompt `{}`, as {} is: rename one of them", second.name, first.path),
        )),
        None => Ok(prompts),
    }
}

struct CodeFolderWalk {
    files: Vec<(PathBuf, v1::TemplateFormat)>,
    /// All that were looked at.
    entries: usize,
}

impl CodeFolderWalk {
    fn enter(&mut self, folder: &Path, level: usize) -> Result<(), CodeFolderError> {
        let too_much = |bound: &str| {
            Err(CodeFolderError::new(
                folder,
                format!("there are more than {bound}: name the folder of the prompts alone"),
            ))
        };
        if level > MOST_LEVELS {
            return too_much("32 levels of folders");
        }
        for entry in fs::read_dir(folder).map_err(|error| CodeFolderError::unreadable(folder, &error))? {
            let entry = entry.map_err(|error| CodeFolderError::unreadable(folder, &error))?;
            let path = entry.path();
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return too_much("100,000 files");
            }
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(|error| CodeFolderError::unreadable(&path, &error))?;
            if kind.is_dir() {
                self.enter(&path, level + 1)?;
            } else if let Some(format) = format_of(&path)
                && fs::metadata(&path).map_err(|error| CodeFolderError::unreadable(&path, &error))?.is_file()
            {
                self.files.push((path, format));
            }
            if self.files.len() > MOST_PROMPTS {
                return too_much("10,000 prompts");
            }
        }
        Ok(())
    }
}

fn format_of(path: &Path) -> Option<v1::TemplateFormat> {
    match path.extension()?.to_str()? {
        "hbs" | "md" | "txt" => Some(v1::TemplateFormat::Handlebars),
        "j2" | "jinja" => Some(v1::TemplateFormat::Opaque),
        _ => None,
    }
}

fn text(path: &Path) -> Result<String, CodeFolderError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(CodeFolderError::new(path, "is not in UTF-8: save it so, or give it another extension"))
        }
        Err(error) => Err(CodeFolderError::unreadable(path, &error)),
        Ok(_) if text.len() as u64 > MOST_BYTES => {
            Err(CodeFolderError::new(path, "has more than 1 MiB; a template has at most 200 KB"))
        }
        Ok(_) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &[u8])]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn refused(files: &[(&str, &[u8])]) -> String {
        code_prompts_from_folder(folder(files).path()).unwrap_err().to_string()
    }

    #[test]
    fn each_file_is_a_prompt_by_its_path_and_taken_as_it_stands() {
        let files = folder(&[
            ("shop/greeting.hbs", b"Hi\r\n"),
            ("shop/deep/a.b.md", b""),
            ("old.jinja", b"{% if %}"),
            (".hidden.md", b"x"),
            (".git/x.md", b"x"),
            ("notes.rst", b"x"),
            ("folder.md/in.txt", b"x"),
        ]);
        let read = code_prompts_from_folder(files.path()).unwrap();
        let text = |prompt: &v1::CodePrompt| match &prompt.template {
            Some(Template::TemplateSource(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
        let told: Vec<_> = read.iter().map(|p| (&*p.name, &*p.path, text(p), p.template_format())).collect();
        let handlebars = v1::TemplateFormat::Handlebars;
        assert_eq!(
            told,
            [
                ("folder.md.in", "folder.md/in.txt", "x".into(), handlebars),
                ("old", "old.jinja", "{% if %}".into(), v1::TemplateFormat::Opaque),
                ("shop.deep.a.b", "shop/deep/a.b.md", String::new(), handlebars),
                ("shop.greeting", "shop/greeting.hbs", "Hi\r\n".into(), handlebars),
            ]
        );
    }

    #[test]
    fn what_cannot_be_a_prompt_is_told_by_its_path() {
        let two = refused(&[("a/b.hbs", b"x"), ("a.b.md", b"x")]);
        assert!(two.contains("a/b.hbs") && two.contains("a.b.md") && two.contains("`a.b`"), "{two}");
        assert!(refused(&[("a.md", b"\xff")]).contains("a.md: is not in UTF-8"));
        let large = vec![b'x'; 1024 * 1024 + 1];
        assert!(refused(&[("a.md", &large)]).contains("a.md: has more than 1 MiB"));
        assert!(refused(&[(&format!("{}x.md", "d/".repeat(40)), b"x")]).contains("32 levels"));
        let missing = code_prompts_from_folder("/nowhere/at/all").unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/at/all: cannot be read"), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_do_not_lead_around_in_circles() {
        let files = folder(&[("a.md", b"x"), ("below/b.md", b"y")]);
        std::os::unix::fs::symlink(files.path(), files.path().join("below/again")).unwrap();
        std::os::unix::fs::symlink(files.path().join("a.md"), files.path().join("c.md")).unwrap();
        let names: Vec<_> = code_prompts_from_folder(files.path()).unwrap().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["a", "below.b", "c"]);
    }

    #[test]
    fn texts_are_prompts_by_their_names() {
        let [welcome, farewell] = &code_prompts_from_texts([("WELCOME", "Hi"), ("FAREWELL", "Bye")])[..] else {
            panic!()
        };
        assert_eq!((&*welcome.name, &*farewell.name), ("WELCOME", "FAREWELL"));
        assert_eq!(farewell.template, Some(Template::TemplateSource("Bye".into())));
    }
}
