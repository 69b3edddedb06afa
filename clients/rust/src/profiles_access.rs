//! Who may read and change the file of profiles: keys stand in it, and where they go.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::options::OptionsError;

/// Opens the file of profiles; absent where there is none. Shared by all that read it, so that all refuse the same.
///
/// # Errors
///
/// Where it cannot be read, and where other users of this machine could read or change it (a mode other than 0600 and less), or own it.
/// Root may own it.
pub fn open_profiles(path: &Path) -> Result<Option<File>, OptionsError> {
    let wrong = |problem: String| OptionsError::File { path: path.display().to_string(), problem };
    // Asked before it is opened, which may wait where it is a pipe.
    let opened = match std::fs::metadata(path) {
        Ok(about) if !about.is_file() => return Err(wrong("it is no file".to_owned())),
        Ok(_) => File::open(path),
        Err(error) => Err(error),
    };
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| wrong(error.to_string()))?,
    };
    only_ours(&file, path).map_err(wrong)?;
    Ok(Some(file))
}

#[cfg(unix)]
fn only_ours(file: &File, path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let about = file.metadata().map_err(|error| error.to_string())?;
    let user = rustix::process::geteuid().as_raw();
    refusal(about.uid(), user, about.mode(), path).map_or(Ok(()), Err)
}

#[cfg(not(unix))]
fn only_ours(_: &File, _: &Path) -> Result<(), String> {
    Ok(())
}

/// Why a file of this owner and mode is not this user's alone; absent where it is.
#[cfg(unix)]
fn refusal(owner: u32, user: u32, mode: u32, path: &Path) -> Option<String> {
    if owner != user && owner != 0 {
        return Some(format!(
            "it belongs to another user (uid {owner}), who can change where keys and prompts go: run this as that user, or name a file \
             of your own by LEDGER_CONFIG"
        ));
    }
    let may = match mode & 0o077 {
        0 => return None,
        others if others & 0o033 == 0 => "read its keys",
        _ => "change where its keys and prompts go",
    };
    Some(format!("other users of this machine may {may}: chmod 600 {}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), folder.path()] {
            let error = open_profiles(path).unwrap_err();
            assert!(error.to_string().contains("it is no file"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_its_users_alone_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = open_profiles(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        let told = |owner, user, mode| refusal(owner, user, mode, Path::new("/c"));
        for (owner, user, mode) in [(7, 7, 0o100_600), (7, 7, 0o400), (0, 7, 0o600), (0, 0, 0o600)] {
            assert_eq!(told(owner, user, mode), None, "{owner} {user} {mode:o}");
        }
        for (owner, user, mode, said) in [
            (7, 7, 0o640, "read its keys: chmod 600 /c"),
            (0, 7, 0o604, "read its keys: chmod 600 /c"),
            (7, 7, 0o622, "change where"),
            (7, 7, 0o610, "change where"),
            (0, 0, 0o666, "change where"),
            (8, 7, 0o600, "another user (uid 8)"),
            (8, 0, 0o600, "LEDGER_CONFIG"),
        ] {
            assert!(told(owner, user, mode).is_some_and(|told| told.contains(said)), "{owner} {user} {mode:o}");
        }
    }
}
