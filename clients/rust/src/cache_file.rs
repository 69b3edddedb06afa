//! The file in which a cache of prompts keeps what it holds, for the next process to begin with.
//!
//! It has [`MAGIC`], 32 bytes that say what it is kept of, the milliseconds since 1970 at which nothing was missing (8 bytes,
//! big-endian), each prompt as a `PromptChange` behind its length, and 32 bytes of SHA-256 over all before them.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prompt_ledger_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::options::ClientKey;
use crate::prompt_table::PromptState;

const MAGIC: &[u8; 22] = b"prompt-ledger cache 1\n";
const HASH_BYTES: usize = 32;
/// A larger file is neither read nor written: it is in memory while it is read.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Why the file of a cache could not be read or written. The cache works without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheFileError {
    /// The system refused to read or to write it.
    #[error("the cache's file `{}`: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// It is not as it was written, or is no file of a cache.
    #[error("the cache's file `{}` is damaged, or is another kind of file", .0.display())]
    Damaged(PathBuf),
    /// It was kept of other prompts, with another key, of another project, or of another server.
    #[error("the cache's file `{}` was kept of other prompts, with another key, of another project or of another server", .0.display())]
    OfOthers(PathBuf),
    /// It is no file, or belongs to or can be written by another user, who could say what the prompts are.
    #[error("the cache's file `{}` is no file, or belongs to or can be written by another user", .0.display())]
    OfAnotherUser(PathBuf),
    /// It takes more than 256 MiB.
    #[error("the cache's file `{}` takes more than 256 MiB", .0.display())]
    TooLarge(PathBuf),
}

/// What a file holds.
#[derive(Debug, PartialEq)]
pub(crate) struct KeptPrompts {
    pub(crate) states: Vec<PromptState>,
    /// Nothing was missing then.
    pub(crate) current_at: SystemTime,
}

/// A file, and what it is kept of.
#[derive(Clone, Debug)]
pub(crate) struct CacheFile {
    path: PathBuf,
    of: [u8; HASH_BYTES],
    /// The most bytes that it may take.
    most: u64,
}

impl CacheFile {
    /// The file of a cache of what this filter selects, at this server and in this project (empty: the key's own).
    ///
    /// The key stands for its project, whose name is not known here. It cannot be found from the hash: a key is long and random.
    pub(crate) fn new(
        path: PathBuf,
        url: &str,
        project: &str,
        key: &ClientKey,
        filter: &v1::WatchPromptsRequest,
    ) -> Self {
        let mut of = Sha256::new();
        for part in [url.as_bytes(), project.as_bytes(), key.0.as_bytes(), &filter.encode_to_vec()] {
            of.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            of.update(part);
        }
        Self { path, of: of.finalize().into(), most: MOST_BYTES }
    }

    pub(crate) fn io(&self, error: &std::io::Error) -> CacheFileError {
        CacheFileError::Io { path: self.path.clone(), cause: error.to_string() }
    }

    fn damaged(&self) -> CacheFileError {
        CacheFileError::Damaged(self.path.clone())
    }

    /// What it holds; absent where there is no file.
    pub(crate) fn read(&self) -> Result<Option<KeptPrompts>, CacheFileError> {
        // Asked before it is opened, which may wait where it is a pipe.
        let opened = match std::fs::metadata(&self.path) {
            Ok(about) if !about.is_file() => return Err(CacheFileError::OfAnotherUser(self.path.clone())),
            Ok(_) => File::open(&self.path),
            Err(error) => Err(error),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(&error)),
        };
        if !is_ours(&file).map_err(|error| self.io(&error))? {
            return Err(CacheFileError::OfAnotherUser(self.path.clone()));
        }
        let mut bytes = Vec::new();
        file.take(self.most + 1).read_to_end(&mut bytes).map_err(|error| self.io(&error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > self.most {
            return Err(CacheFileError::TooLarge(self.path.clone()));
        }
        self.kept(&bytes).map(Some)
    }

    fn kept(&self, bytes: &[u8]) -> Result<KeptPrompts, CacheFileError> {
        let damaged = || self.damaged();
        let (content, hash) = bytes.split_last_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
        let found: [u8; HASH_BYTES] = Sha256::digest(content).into();
        if found != *hash {
            return Err(damaged());
        }
        let content = content.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (of, content) = content.split_first_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
        if *of != self.of {
            return Err(CacheFileError::OfOthers(self.path.clone()));
        }
        let (millis, mut content) = content.split_first_chunk::<8>().ok_or_else(damaged)?;
        let current_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*millis)));
        let mut states = Vec::new();
        while !content.is_empty() {
            let change = v1::PromptChange::decode_length_delimited(&mut content).map_err(|_| damaged())?;
            states.push(PromptState::new(change.prompt.ok_or_else(damaged)?, change.labelled_versions));
        }
        Ok(KeptPrompts { states, current_at: current_at.ok_or_else(damaged)? })
    }

    /// Puts a file with these in its place, which only its owner may read. The earlier one stays until the new one is whole
    /// and on the disk.
    pub(crate) fn write(&self, kept: &KeptPrompts) -> Result<(), CacheFileError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Readable by its owner only; deleted where the end is not reached.
        let file = NamedTempFile::new_in(folder).map_err(|error| self.io(&error))?;
        let mut hashed = HashedFile { to: BufWriter::new(file), hash: Sha256::new(), bytes: 0, most: self.most };
        self.write_to(&mut hashed, kept).map_err(|error| match hashed.bytes > self.most {
            true => CacheFileError::TooLarge(self.path.clone()),
            false => self.io(&error),
        })?;
        let file = hashed.to.into_inner().map_err(|error| self.io(error.error()))?;
        file.as_file().sync_all().map_err(|error| self.io(&error))?;
        file.persist(&self.path).map_err(|error| self.io(&error.error))?;
        Ok(())
    }

    fn write_to(&self, file: &mut HashedFile, kept: &KeptPrompts) -> std::io::Result<()> {
        let at = kept.current_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        file.write_all(MAGIC)?;
        file.write_all(&self.of)?;
        file.write_all(&u64::try_from(at.as_millis()).unwrap_or(u64::MAX).to_be_bytes())?;
        for PromptState { prompt, versions } in &kept.states {
            let change = v1::PromptChange {
                prompt: Some((**prompt).clone()),
                labelled_versions: versions.iter().map(|version| (**version).clone()).collect(),
                ..v1::PromptChange::default()
            };
            file.write_all(&change.encode_length_delimited_to_vec())?;
        }
        let hash = file.hash.clone().finalize();
        file.write_all(&hash)
    }
}

/// Writes at most so many bytes, and hashes them.
struct HashedFile {
    to: BufWriter<NamedTempFile>,
    hash: Sha256,
    bytes: u64,
    most: u64,
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        match self.bytes > self.most {
            true => Err(ErrorKind::FileTooLarge.into()),
            false => Ok(written),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Whether it belongs to the user of this process, and nobody else may write it.
#[cfg(unix)]
fn is_ours(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let about = file.metadata()?;
    Ok(about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_ours(_: &File) -> std::io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, url: &str, prefix: &str) -> CacheFile {
        let filter = v1::WatchPromptsRequest { name_prefix: prefix.into(), ..v1::WatchPromptsRequest::default() };
        CacheFile::new(folder.path().join("prompts"), url, "", &"pl_a".into(), &filter)
    }

    fn kept(count: i32) -> KeptPrompts {
        let state = |number: i32| {
            let prompt =
                v1::Prompt { name: format!("p{number}"), active_version_number: Some(number), ..v1::Prompt::default() };
            let version = |version_number| v1::PromptVersion { version_number, ..v1::PromptVersion::default() };
            PromptState::new(prompt, vec![version(number), version(number + 1)])
        };
        let current_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123);
        KeptPrompts { states: (1..=count).map(state).collect(), current_at }
    }

    #[test]
    fn what_was_written_is_read_and_the_last_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder, "http://here", "");
        assert_eq!(file.read().unwrap(), None);
        for count in [3, 0, 200] {
            file.write(&kept(count)).unwrap();
            assert_eq!(file.read().unwrap().unwrap(), kept(count));
        }
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["prompts"], "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder, "http://here", "");
        // Also in the place of one that others may read.
        std::fs::write(&file.path, "").unwrap();
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        file.write(&kept(1)).unwrap();
        assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn what_another_user_may_have_written_is_not_taken() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder, "http://here", "");
        for (mode, is_taken) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            file.write(&kept(1)).unwrap();
            std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = file.read();
            assert_eq!(read.is_ok(), is_taken, "{mode:o}: {read:?}");
        }
        // As root alone can a test give a file away.
        file.write(&kept(1)).unwrap();
        if std::os::unix::fs::chown(&file.path, Some(rustix::process::geteuid().as_raw() + 1), None).is_ok() {
            assert_eq!(file.read().unwrap_err(), CacheFileError::OfAnotherUser(file.path.clone()));
        }
        let a_folder = CacheFile { path: folder.path().to_owned(), ..file };
        assert!(matches!(a_folder.read(), Err(CacheFileError::OfAnotherUser(_))));
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_damaged_wherever_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder, "http://here", "");
        file.write(&kept(2)).unwrap();
        let whole = std::fs::read(&file.path).unwrap();
        let mut wrong: Vec<_> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            wrong.push(flipped);
        }
        wrong.push([&*whole, b"\0"].concat());
        for bytes in wrong {
            std::fs::write(&file.path, bytes).unwrap();
            assert_eq!(file.read().unwrap_err(), CacheFileError::Damaged(file.path.clone()));
        }
    }

    #[test]
    fn a_file_of_other_prompts_or_of_another_server_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder, "http://here", "a").write(&kept(2)).unwrap();
        for other in
            [file(&folder, "http://there", "a"), file(&folder, "http://here", "b"), file(&folder, "http://herea", "")]
        {
            assert!(matches!(other.read(), Err(CacheFileError::OfOthers(path)) if path == other.path));
        }
        assert!(file(&folder, "http://here", "a").read().is_ok());
    }

    #[test]
    fn a_file_of_another_key_is_not_taken_and_no_key_stands_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let filter = v1::WatchPromptsRequest::default();
        let of = |project: &str, key: &str| {
            CacheFile::new(folder.path().join("prompts"), "http://here", project, &key.into(), &filter)
        };
        of("", "pl_secret").write(&kept(2)).unwrap();
        let bytes = std::fs::read(folder.path().join("prompts")).unwrap();
        assert!(!bytes.windows(9).any(|bytes| bytes == b"pl_secret"));
        for (project, key) in [("", "pl_other"), ("", ""), ("shop", "pl_secret"), ("pl_secret", "")] {
            assert!(matches!(of(project, key).read(), Err(CacheFileError::OfOthers(_))), "{project} {key}");
        }
        assert!(of("", "pl_secret").read().is_ok());
    }

    #[test]
    fn what_is_too_large_or_cannot_be_written_is_refused_and_leaves_the_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let whole = file(&folder, "http://here", "");
        whole.write(&kept(2)).unwrap();
        let bytes = std::fs::metadata(&whole.path).unwrap().len();
        let small = CacheFile { most: bytes, ..whole.clone() };
        assert_eq!(small.write(&kept(3)).unwrap_err(), CacheFileError::TooLarge(whole.path.clone()));
        assert_eq!(small.read().unwrap().unwrap(), kept(2));
        let smaller = CacheFile { most: bytes - 1, ..whole.clone() };
        assert_eq!(smaller.read().unwrap_err(), CacheFileError::TooLarge(whole.path.clone()));
        let nowhere = CacheFile { path: folder.path().join("missing").join("prompts"), ..whole };
        let said = nowhere.write(&kept(1)).unwrap_err().to_string();
        assert!(said.contains("missing") && nowhere.read().unwrap().is_none(), "{said}");
    }
}
