//! All prompts below a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::fault::FileFault;
use super::{FileKind, PromptFile};
use crate::failure::CommandError;

/// The most prompts of a folder.
const MAX_FILES: usize = 10_000;
/// The most files and folders that are looked at, prompts or not.
const MAX_ENTRIES: usize = 200_000;
/// The most bytes of all prompts together.
const MAX_TOTAL: usize = 256 * 1024 * 1024;
/// The deepest level of folders; the folder itself is the first.
const MAX_LEVELS: usize = 32;

/// Reads all prompts below a folder, ordered by path; names count from `base`, the folder itself or one above it. The empty path is the current folder. Passed over are hidden files and folders, files with other extensions, and links
/// to folders.
///
/// # Errors
///
/// What is wrong with the first file that is no prompt, a link that leads out of the folder, two files with one name, and more than
/// the bounds.
pub(crate) fn read_folder(folder: &Path, base: &Path) -> Result<Vec<PromptFile>, CommandError> {
    let root = opened(folder).canonicalize().map_err(|error| cannot_read(folder, &error))?;
    let mut walk = FolderWalk { root, found: Vec::new(), entries: 0 };
    walk.enter(folder, 1)?;
    walk.found.sort();
    let (mut prompts, mut total) = (Vec::with_capacity(walk.found.len()), 0);
    for path in &walk.found {
        let prompt = PromptFile::read_below(path, base)?;
        total += prost::Message::encoded_len(&prompt.content.draft());
        if total > MAX_TOTAL {
            return Err(too_many(folder, "256 MiB of prompts"));
        }
        prompts.push(prompt);
    }
    distinct(&prompts)?;
    Ok(prompts)
}

/// Refuses two prompts of one name.
pub(crate) fn distinct(prompts: &[PromptFile]) -> Result<(), CommandError> {
    let mut paths = BTreeMap::new();
    for prompt in prompts {
        if let Some(first) = paths.insert(&prompt.name, &prompt.path) {
            return Err(CommandError::refused(format!(
                "{} and {} are both the prompt `{}`: rename one, or give it another `name`",
                first.display(),
                prompt.path.display(),
                prompt.name
            )));
        }
    }
    Ok(())
}

struct FolderWalk {
    /// Without links.
    root: PathBuf,
    found: Vec<PathBuf>,
    /// All that were looked at.
    entries: usize,
}

impl FolderWalk {
    fn enter(&mut self, folder: &Path, level: usize) -> Result<(), CommandError> {
        if level > MAX_LEVELS {
            return Err(too_many(&self.root, "32 levels of folders"));
        }
        let entries = fs::read_dir(opened(folder)).map_err(|error| cannot_read(folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| cannot_read(folder, &error))?;
            let path = folder.join(entry.file_name());
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(too_many(&self.root, "200,000 files"));
            }
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(|error| cannot_read(&path, &error))?;
            if kind.is_dir() {
                self.enter(&path, level + 1)?;
            } else if FileKind::of(&path).is_some() && self.is_file(&path, kind)? {
                self.found.push(path);
            }
            if self.found.len() > MAX_FILES {
                return Err(too_many(&self.root, "10,000 prompts"));
            }
        }
        Ok(())
    }

    fn is_file(&self, path: &Path, kind: fs::FileType) -> Result<bool, CommandError> {
        if !kind.is_symlink() {
            return Ok(kind.is_file());
        }
        let target = path.canonicalize().map_err(|error| cannot_read(path, &error))?;
        if target.is_dir() {
            return Ok(false);
        }
        if !target.starts_with(&self.root) {
            let wrong =
                format!("is a link that leads out of the folder, to {}: copy the file instead", target.display());
            return Err(FileFault::whole(wrong).of(path));
        }
        Ok(target.is_file())
    }
}

/// The empty path is the current folder.
fn opened(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::refused(format!("{}: cannot be read: {error}", path.display()))
}

fn too_many(folder: &Path, bound: &str) -> CommandError {
    CommandError::refused(format!("{}: has more than {bound}: name the folder of the prompts alone", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &TempDir) -> Vec<String> {
        read_folder(folder.path(), folder.path()).unwrap().into_iter().map(|prompt| prompt.name).collect()
    }

    #[test]
    fn each_file_is_a_prompt_by_its_path() {
        let files = folder(&[
            ("shop/greeting.hbs", "Hi"),
            ("shop/deep/a.b.md", "Hi"),
            ("chat.yaml", "messages: [{placeholder: history}]"),
            ("own.txt", "---\nname: named.so\n---\n"),
            ("old.jinja", "{% if %}"),
            (".hidden.md", "---"),
            (".git/x.md", "---"),
            ("notes.rst", "x"),
            ("Makefile", "x"),
        ]);
        assert_eq!(names(&files), ["chat", "old", "named.so", "shop.deep.a.b", "shop.greeting"]);
        assert_eq!(names(&folder(&[])), [""; 0]);
    }

    #[test]
    fn two_files_of_one_name_are_both_named() {
        for other in ["shop/greeting.md", "x.yml"] {
            let chat = "name: shop.greeting\nmessages: []";
            let files = folder(&[("shop/greeting.hbs", "Hi"), (other, if other == "x.yml" { chat } else { "Hi" })]);
            let said = read_folder(files.path(), files.path()).unwrap_err().to_string();
            assert!(
                said.contains("greeting.hbs") && said.contains(other) && said.contains("`shop.greeting`"),
                "{said}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out_of_the_folder() {
        use std::os::unix::fs::symlink;
        let outside = folder(&[("secret.md", "secret"), ("more/x.md", "x")]);
        let files = folder(&[("a.md", "Hi"), ("below/c.md", "Hi")]);
        symlink(files.path().join("a.md"), files.path().join("b.md")).unwrap();
        symlink(files.path(), files.path().join("below/again")).unwrap();
        symlink(outside.path().join("more"), files.path().join("more")).unwrap();
        assert_eq!(names(&files), ["a", "b", "below.c"]);
        symlink(outside.path().join("secret.md"), files.path().join("d.md")).unwrap();
        let said = read_folder(files.path(), files.path()).unwrap_err().to_string();
        assert!(said.contains("d.md") && said.contains("leads out of the folder"), "{said}");
        let gone = folder(&[]);
        symlink("nowhere.md", gone.path().join("e.md")).unwrap();
        assert!(read_folder(gone.path(), gone.path()).unwrap_err().to_string().contains("e.md: cannot be read"));
    }

    #[test]
    fn folders_are_bounded() {
        let files = folder(&[(&format!("{}x.md", "d/".repeat(40)), "Hi")]);
        assert!(read_folder(files.path(), files.path()).unwrap_err().to_string().contains("32 levels"));
        assert!(
            read_folder(Path::new("/nowhere"), Path::new("/"))
                .unwrap_err()
                .to_string()
                .contains("/nowhere: cannot be read")
        );
    }
}
