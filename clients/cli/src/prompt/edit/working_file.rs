//! The file that is edited.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::CommandError;
use crate::prompt_content::ContentTemplate;
use crate::prompt_file::{self, PromptFile};

/// A prompt in a file that only its owner can read, in a folder of its own. It is removed with this value, unless it is kept.
pub(super) struct WorkingFile {
    folder: TempDir,
    path: PathBuf,
    /// What it held at first.
    original: String,
    /// Whether the text at first ended without a line feed.
    is_open_ended: bool,
}

impl WorkingFile {
    pub(super) fn create(prompt: &PromptFile) -> Result<Self, CommandError> {
        let cannot = |error| {
            CommandError::refused(format!("cannot write a temporary file: {error}. TMPDIR names another folder"))
        };
        let folder = tempfile::Builder::new().prefix("ledgerctl-").tempdir().map_err(cannot)?;
        let path = folder.path().join(format!("{}.{}", file_name(&prompt.name), prompt_file::extension(prompt)));
        let original = prompt_file::write(prompt);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(cannot)?;
        file.write_all(original.as_bytes()).map_err(cannot)?;
        let is_open_ended = matches!(&prompt.content.template, ContentTemplate::Text(text) if !text.ends_with('\n'));
        Ok(Self { folder, path, original, is_open_ended })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds now. Many editors end each file with a line feed: where the text had none at its end, one is not taken for a part
    /// of it.
    pub(super) fn read(&self) -> Result<PromptFile, CommandError> {
        let mut prompt = PromptFile::read(&self.path)?;
        if let ContentTemplate::Text(text) = &mut prompt.content.template
            && self.is_open_ended
            && text.ends_with('\n')
        {
            text.pop();
        }
        Ok(prompt)
    }

    /// How many lines stand above the text of a prompt that was read; 0 for a chat.
    pub(super) fn lines_above(&self, prompt: &PromptFile) -> usize {
        let ContentTemplate::Text(text) = &prompt.content.template else { return 0 };
        let file = fs::read_to_string(&self.path).unwrap_or_default();
        // A line feed at the end may be the editor's.
        let lines = |text: &str| text.trim_end_matches('\n').matches('\n').count();
        lines(&file).saturating_sub(lines(text))
    }

    /// Keeps it where something was written; its path. Absent where it is as it was, or gone.
    pub(super) fn keep(self) -> Option<PathBuf> {
        let written = fs::read(&self.path).ok().filter(|bytes| *bytes != self.original.as_bytes());
        written.map(|_| {
            let _ = self.folder.keep();
            self.path
        })
    }
}

/// The prompt's name, of which a server may say what it likes, as one that stays in its folder.
fn file_name(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain: String = name.chars().filter(is_plain).take(128).collect();
    match plain.trim_start_matches('.') {
        "" => "prompt".to_owned(),
        plain => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt_content::PromptContent;

    fn text(prompt: &PromptFile) -> &str {
        match &prompt.content.template {
            ContentTemplate::Text(text) => text,
            ContentTemplate::Chat(_) => unreachable!(),
        }
    }

    fn working(text: &str) -> WorkingFile {
        WorkingFile::create(&PromptFile::new("shop.greet", PromptContent::text(text))).unwrap()
    }

    fn append(file: &WorkingFile, text: &str) {
        fs::OpenOptions::new().append(true).open(file.path()).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn it_is_the_owners_alone_and_reads_as_it_was_written() {
        let file = working("Hi");
        let read = file.read().unwrap();
        assert_eq!((&*read.name, text(&read)), ("shop.greet", "Hi"));
        assert!(file.path().ends_with("shop.greet.hbs"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn it_stays_in_its_folder_whatever_the_prompt_is_called() {
        for (name, file) in [("shop.greet", "shop.greet"), ("../../etc/x", "etcx"), ("..", "prompt"), ("", "prompt")] {
            assert_eq!(file_name(name), file);
        }
    }

    #[test]
    fn the_line_feed_that_editors_add_is_no_change() {
        let file = working("Hi");
        append(&file, "\n");
        assert_eq!(text(&file.read().unwrap()), "Hi");
        append(&file, "\n");
        assert_eq!(text(&file.read().unwrap()), "Hi\n");
        let file = working("Hi\n");
        append(&file, "\n");
        assert_eq!(text(&file.read().unwrap()), "Hi\n\n");
    }

    #[test]
    fn the_lines_above_a_text_are_those_of_its_front_matter() {
        let file = working("a\nb");
        assert_eq!(file.lines_above(&file.read().unwrap()), 3);
        append(&file, "\nc\n");
        assert_eq!(file.lines_above(&file.read().unwrap()), 3);
    }

    #[test]
    fn it_is_kept_only_where_something_was_written() {
        let file = working("Hi");
        let path = file.path().to_owned();
        assert_eq!(file.keep(), None);
        assert!(!path.exists());
        let file = working("Hi");
        append(&file, "!");
        let kept = file.keep().unwrap();
        assert!(fs::read_to_string(&kept).unwrap().ends_with("Hi!"));
        fs::remove_dir_all(kept.parent().unwrap()).unwrap();
    }
}
