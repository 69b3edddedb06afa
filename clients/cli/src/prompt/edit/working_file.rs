//! The file that is edited.

use std::fs;
use std::io::{ErrorKind, Write as _};
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
        let mut builder = tempfile::Builder::new();
        builder.prefix("ledgerctl-");
        // Editors write copies beside the file, with permissions of their own.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir().map_err(cannot)?;
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
            // Of an editor that ends lines with CR LF.
            if text.ends_with('\r') && !self.original.contains('\r') {
                text.pop();
            }
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

    /// Keeps it where something was written, into the file or beside it, as editors do that are killed: the path of the file, or of its
    /// folder. Absent where the file is as it was, or gone.
    pub(super) fn keep(self) -> Option<PathBuf> {
        let is_original = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == self.original.as_bytes());
        let is_gone = fs::symlink_metadata(&self.path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let kept = if is_gone || is_original(&self.path) {
            let mut beside = fs::read_dir(self.folder.path()).ok()?.filter_map(Result::ok).map(|entry| entry.path());
            beside.any(|path| path != self.path && !is_original(&path)).then(|| self.folder.path().to_owned())
        } else {
            Some(self.path.clone())
        };
        kept.inspect(|_| drop(self.folder.keep()))
    }

    /// Keeps it whatever it holds: an editor is open that may still write to it.
    pub(super) fn keep_open(self) -> PathBuf {
        drop(self.folder.keep());
        self.path
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
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(file.path()), mode(file.folder.path())), (0o600, 0o700));
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
        let file = working("Hi");
        append(&file, "\r\n");
        assert_eq!(text(&file.read().unwrap()), "Hi");
        let file = working("a\r\nHi\r");
        append(&file, "\n");
        assert_eq!(text(&file.read().unwrap()), "a\r\nHi\r");
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
    #[test]
    fn what_an_editor_left_beside_it_is_kept() {
        for (beside, is_file_gone) in [(".shop.greet.hbs.swp", false), ("shop.greet.hbs.new", true)] {
            let file = working("Hi");
            fs::write(file.folder.path().join(beside), "unsaved").unwrap();
            if is_file_gone {
                fs::remove_file(file.path()).unwrap();
            }
            let kept = file.keep().unwrap();
            assert_eq!(fs::read_to_string(kept.join(beside)).unwrap(), "unsaved");
            fs::remove_dir_all(kept).unwrap();
        }
        // A backup of what there was.
        let file = working("Hi");
        fs::copy(file.path(), file.folder.path().join("shop.greet.hbs~")).unwrap();
        assert_eq!(file.keep(), None);
    }
}
