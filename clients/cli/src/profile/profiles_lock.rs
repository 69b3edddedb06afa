//! One `ledgerctl` at a time changes the file of profiles.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::CommandError;

/// How long another one may take: it holds the lock while it reads and writes the file, and while nothing else.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends when it is dropped, or with the process.
#[derive(Debug)]
pub(super) struct ProfilesLock {
    _file: File,
}

impl ProfilesLock {
    /// Locks the file at `profiles`, by a file beside it that stays: the file itself is replaced by each change.
    pub(super) async fn take(profiles: &Path) -> Result<Self, CommandError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(profiles.file_name().unwrap_or_default());
        name.push(".lock");
        let path = profiles.with_file_name(name);
        let wrong = |problem: &dyn std::fmt::Display| {
            CommandError::refused(format!("{}: cannot be locked: {problem}", path.display()))
        };
        let mut options = File::options();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| wrong(&error))?;
        let until = Instant::now() + WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(CommandError::NotNow(format!(
                        "another ledgerctl changes {} for more than 10 s: end it, and run this again",
                        profiles.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(wrong(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_told_and_who_comes_later_is_next() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = folder.path().join("config.toml");
        let first = ProfilesLock::take(&profiles).await.unwrap();
        let late = ProfilesLock::take(&profiles).await.unwrap_err();
        assert!(matches!(&late, CommandError::NotNow(said) if said.contains("config.toml")), "{late}");
        drop(first);
        ProfilesLock::take(&profiles).await.unwrap();
        let nowhere = ProfilesLock::take(&folder.path().join("nowhere/config.toml")).await.unwrap_err();
        assert!(nowhere.to_string().contains("cannot be locked"), "{nowhere}");
    }
}
