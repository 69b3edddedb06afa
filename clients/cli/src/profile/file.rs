//! The file of profiles, which `ledgerctl` and the clients of all languages share.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use prompt_ledger_client::{open_profiles, profiles_path};
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

use super::profiles_lock::ProfilesLock;
use crate::failure::CommandError;
use crate::symbolic_links::followed;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// A profile: a server, and what it is called with.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct StoredProfile {
    pub(super) server: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) project: Option<String>,
    pub(super) tls_ca: Option<String>,
    pub(super) tls_cert: Option<String>,
    pub(super) tls_key: Option<String>,
}

impl StoredProfile {
    fn fields(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("server", &self.server),
            ("api_key", &self.api_key),
            ("project", &self.project),
            ("tls_ca", &self.tls_ca),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
        ]
    }
}

/// The file, as it is edited: comments and order stay.
pub(super) struct ProfileFile {
    pub(super) path: PathBuf,
    document: DocumentMut,
    /// Absent: it is only read, or its folder is not there.
    _lock: Option<ProfilesLock>,
}

/// Where the file is. `variable`: of the environment, without what is empty.
pub(super) fn path(variable: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, CommandError> {
    let nowhere = || CommandError::refused("there is no place for profiles: set LEDGER_CONFIG to a file, or HOME");
    profiles_path(variable).ok_or_else(nowhere)
}

impl ProfileFile {
    /// Reads the file for a change, which no other `ledgerctl` makes meanwhile. Where its folder is not there, there is nothing to change.
    pub(super) async fn open_to_change(path: PathBuf) -> Result<Self, CommandError> {
        let target = followed(&path).map_err(|error| cannot_write(&path, &error))?;
        let lock = if folder(&target).is_dir() { Some(ProfilesLock::take(&target).await?) } else { None };
        Ok(Self { _lock: lock, ..Self::open(path)? })
    }

    /// As [`ProfileFile::open_to_change`], where profiles are to be added: makes the folder.
    pub(super) async fn open_to_add(path: PathBuf) -> Result<Self, CommandError> {
        let made = followed(&path).and_then(|target| made(folder(&target)));
        made.map_err(|error| cannot_write(&path, &error))?;
        Self::open_to_change(path).await
    }

    /// Reads the file; one that is not there has no profiles.
    pub(super) fn open(path: PathBuf) -> Result<Self, CommandError> {
        let wrong = |problem: String| CommandError::refused(format!("{}: {problem}", path.display()));
        let mut text = String::new();
        if let Some(file) = open_profiles(&path).map_err(CommandError::refused)? {
            let read = file.take(LARGEST + 1).read_to_string(&mut text);
            read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        }
        if text.len() as u64 > LARGEST {
            return Err(wrong("it has more than 1 MiB, so it is no file of profiles".to_owned()));
        }
        // What the parser quotes may be a key: only where it stands is told.
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let line =
                error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
            let place = line.map(|line| format!(" in line {line}")).unwrap_or_default();
            wrong(format!("it is no TOML{place}: mend it, or move it away"))
        })?;
        let file = Self { path, document, _lock: None };
        file.check().map_err(|problem| CommandError::refused(format!("{}: {problem}", file.path.display())))?;
        Ok(file)
    }

    /// What the clients would refuse.
    fn check(&self) -> Result<(), String> {
        let has = "it may hold [profiles.NAME] with server, api_key, project, tls_ca, tls_cert and tls_key";
        let known = StoredProfile::default().fields().map(|(name, _)| name);
        if let Some((name, _)) = self.document.iter().find(|(name, _)| *name != "profiles") {
            return Err(format!("`{name}` is nothing that the clients know; {has}"));
        }
        let Some(profiles) = self.document.get("profiles") else { return Ok(()) };
        for (profile, item) in profiles.as_table_like().ok_or_else(|| format!("`profiles` is no table; {has}"))?.iter()
        {
            let fields = item.as_table_like().ok_or_else(|| format!("profile `{profile}` is no table; {has}"))?;
            let odd = fields.iter().find(|(name, value)| !known.contains(name) || value.as_str().is_none());
            if let Some((name, _)) = odd {
                return Err(format!("profile `{profile}`: `{name}` is no text that the clients know; {has}"));
            }
        }
        Ok(())
    }

    fn profiles(&self) -> Option<&dyn TableLike> {
        self.document.get("profiles")?.as_table_like()
    }

    /// The profiles' names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.profiles().into_iter().flat_map(|profiles| profiles.iter()).map(|(name, _)| name.to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The profile of this name. An empty text counts as none.
    pub(super) fn get(&self, name: &str) -> Option<StoredProfile> {
        let fields = self.profiles()?.get(name)?.as_table_like()?;
        let text =
            |name: &str| fields.get(name).and_then(Item::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        Some(StoredProfile {
            server: text("server"),
            api_key: text("api_key"),
            project: text("project"),
            tls_ca: text("tls_ca"),
            tls_cert: text("tls_cert"),
            tls_key: text("tls_key"),
        })
    }

    /// Writes a profile in place of the one of this name, if any.
    pub(super) fn set(&mut self, name: &str, profile: &StoredProfile) {
        let profiles = self.document.entry("profiles").or_insert_with(|| {
            let mut profiles = Table::new();
            profiles.set_implicit(true);
            Item::Table(profiles)
        });
        let Some(profiles) = profiles.as_table_like_mut() else { return };
        let entry = profiles.entry(name).or_insert_with(|| Item::Table(Table::new()));
        let Some(fields) = entry.as_table_like_mut() else { return };
        for (name, text) in profile.fields() {
            match text {
                None => drop(fields.remove(name)),
                Some(text) if fields.get(name).and_then(Item::as_str) == Some(text) => {}
                Some(text) => drop(fields.insert(name, value(text))),
            }
        }
    }

    /// Whether there was one of this name.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let profiles = self.document.get_mut("profiles").and_then(Item::as_table_like_mut);
        profiles.and_then(|profiles| profiles.remove(name)).is_some()
    }

    /// Writes the file whole or not at all, for its user alone. A symbolic link in its place stays: what it leads to is written.
    pub(super) fn save(&self) -> Result<(), CommandError> {
        self.written().map_err(|error| cannot_write(&self.path, &error))
    }

    fn written(&self) -> io::Result<()> {
        let path = followed(&self.path)?;
        let folder = folder(&path);
        // Readable by its user alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(self.document.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        #[cfg(unix)]
        fs::File::open(folder)?.sync_all()?;
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, error: &io::Error) -> CommandError {
    CommandError::refused(format!("cannot write {}: {error}", path.display()))
}

/// Makes a folder, for its user alone.
fn made(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# Ours\n[profiles.default]\nserver = \"https://a.example\" # main\napi_key = \"pl_a\"\n\n\
                       [profiles.\"odd name\"]\nserver = \"https://b.example\"\n";

    fn file(folder: &Path, text: &str) -> Result<ProfileFile, String> {
        let path = folder.join("config.toml");
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        ProfileFile::open(path).map_err(|error| error.to_string())
    }

    fn profile(server: &str) -> StoredProfile {
        StoredProfile { server: Some(server.into()), ..StoredProfile::default() }
    }

    #[test]
    fn profiles_are_changed_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(folder.path(), TWO).unwrap();
        assert_eq!(file.names(), ["default", "odd name"]);
        let old = file.get("default").unwrap();
        file.set("default", &StoredProfile { project: Some("shop".into()), api_key: None, ..old });
        file.set("new.one", &profile("http://127.0.0.1:1"));
        assert!(file.remove("odd name") && !file.remove("odd name"));
        file.save().unwrap();
        let expected = "# Ours\n[profiles.default]\nserver = \"https://a.example\" # main\nproject = \"shop\"\n\n\
                        [profiles.\"new.one\"]\nserver = \"http://127.0.0.1:1\"\n";
        assert_eq!(fs::read_to_string(&file.path).unwrap(), expected);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_its_user_may_read_it_and_a_link_is_written_through() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("config.toml");
        symlink("real/profiles.toml", &link).unwrap();
        let mut file = ProfileFile::open_to_add(link.clone()).await.unwrap();
        file.set("default", &profile("http://127.0.0.1:1"));
        file.save().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((mode(&link), mode(&folder.path().join("real"))), (0o600, 0o700));
        assert_eq!(ProfileFile::open(link.clone()).unwrap().names(), ["default"]);
        fs::set_permissions(&link, fs::Permissions::from_mode(0o660)).unwrap();
        let refused = ProfileFile::open(link.clone()).err().unwrap().to_string();
        assert!(refused.contains(&format!("chmod 600 {}", link.display())), "{refused}");
    }

    #[test]
    fn an_empty_text_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let fields = StoredProfile::default().fields().map(|(name, _)| format!("{name} = \"\"\n")).concat();
        let file = file(folder.path(), &format!("[profiles.a]\n{fields}")).unwrap();
        assert!(file.get("a").unwrap() == StoredProfile::default());
    }

    #[test]
    fn a_file_that_the_clients_refuse_is_refused_without_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("[profiles.a]\napi_key = pl_secret\n", "line 2"),
            ("[profiles.a]\nkey = \"pl_secret\"\n", "`key`"),
            ("[profiles.a]\nserver = 1\n", "`server`"),
            ("current = \"pl_secret\"\n", "`current`"),
            ("profiles = 1\n", "`profiles`"),
            ("[profiles]\na = \"pl_secret\"\n", "`a`"),
        ] {
            let refused = file(folder.path(), text).err().unwrap();
            assert!(refused.contains(said) && !refused.contains("pl_secret"), "{text}: {refused}");
        }
        let long = "#".repeat((1 << 20) + 1);
        assert!(file(folder.path(), &long).err().unwrap().contains("1 MiB"));
    }

    #[test]
    fn where_it_is_follows_the_environment() {
        let at = |variables: &[(&str, &str)]| {
            let value =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
            path(&value).map(|path| path.display().to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(at(&[("LEDGER_CONFIG", "/a"), ("HOME", "/h")]).unwrap(), "/a");
        assert_eq!(at(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).unwrap(), "/x/prompt-ledger/config.toml");
        assert_eq!(at(&[("HOME", "/h")]).unwrap(), "/h/.config/prompt-ledger/config.toml");
        assert!(at(&[]).unwrap_err().contains("LEDGER_CONFIG"));
    }
}
