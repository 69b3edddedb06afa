//! The user's editor.

use std::path::Path;
use std::process::Stdio;

use crate::failure::CommandError;

/// What runs where neither VISUAL nor EDITOR is set.
const DEFAULT: &str = "vi";
/// What a shell ends with where it does not find a command.
const NOT_FOUND: i32 = 127;

/// A command of the shell that gets a file's path as its last argument.
#[derive(Clone, Debug)]
pub(super) struct EditorCommand(String);

impl EditorCommand {
    /// That of VISUAL or EDITOR, or vi.
    pub(super) fn of_environment() -> Self {
        let set = |name| std::env::var(name).ok().filter(|command: &String| !command.trim().is_empty());
        Self(set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| DEFAULT.to_owned()))
    }

    #[cfg(test)]
    pub(super) fn of(command: &str) -> Self {
        Self(command.to_owned())
    }

    /// Runs it until it ends. Ctrl-C meanwhile is the editor's.
    pub(super) async fn edit(&self, path: &Path) -> Result<(), CommandError> {
        let mut command = tokio::process::Command::new("sh");
        // The trap keeps the shell from ending by a Ctrl-C that the editor takes as a key.
        command.arg("-c").arg(format!("trap : INT\n{} \"$@\"", self.0)).arg(&self.0).arg(path).stdin(Stdio::inherit());
        let cannot = |error| CommandError::refused(format!("the editor `{}` cannot be started: {error}", self.0));
        let mut editor = command.spawn().map_err(cannot)?;
        let ended = loop {
            tokio::select! {
                ended = editor.wait() => break ended.map_err(cannot)?,
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        match ended.code() {
            Some(0) => Ok(()),
            Some(NOT_FOUND) => Err(CommandError::refused(format!(
                "the editor `{}` was not found: set VISUAL or EDITOR to the command that starts yours, as EDITOR=nano",
                self.0
            ))),
            _ => Err(CommandError::refused(format!(
                "the editor `{}` failed ({ended}), so nothing is saved: run this again, or set VISUAL or EDITOR to another one",
                self.0
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn edited(command: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a file.txt");
        std::fs::write(&path, "a\n").unwrap();
        EditorCommand::of(command).edit(&path).await.map_err(|error| error.to_string())?;
        Ok(std::fs::read_to_string(&path).unwrap())
    }

    #[tokio::test]
    async fn the_command_is_one_of_the_shell_with_the_path_behind_it() {
        assert_eq!(edited("printf 'b\\n' >>").await.unwrap(), "a\nb\n");
        // Ctrl-C reaches the shell too.
        assert_eq!(edited("kill -INT $$; printf 'c\\n' >>").await.unwrap(), "a\nc\n");
        assert_eq!(edited("true --wait").await.unwrap(), "a\n");
    }

    #[tokio::test]
    async fn an_editor_that_is_missing_or_fails_says_what_to_set() {
        let missing = edited("no-such-editor-here").await.unwrap_err();
        assert!(missing.contains("`no-such-editor-here` was not found") && missing.contains("EDITOR"), "{missing}");
        let failed = edited("false").await.unwrap_err();
        assert!(failed.contains("`false` failed") && failed.contains("nothing is saved"), "{failed}");
    }
}
