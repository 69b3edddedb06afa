//! Where a program connects to whose code does not say: the environment, a file, or the server of `prompt-ledger dev`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::options::{ClientIdentity, Options, OptionsError};
use crate::profiles_access::open_profiles;
use crate::server_address::is_plain_http;

/// The key that `prompt-ledger dev` accepts on loopback without any setting.
const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A server, and what it is called with. Taken whole: nothing of one is mixed with another's.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionProfile {
    /// Empty: the file has none, or an empty one.
    #[serde(default)]
    server: String,
    api_key: Option<String>,
    project: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// Where a profile stands, for messages.
enum ProfileOrigin<'a> {
    Environment,
    File { path: &'a Path, name: &'a str },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfilesFile {
    #[serde(default)]
    profiles: HashMap<String, ConnectionProfile>,
}

impl Options {
    /// What the environment says: `LEDGER_SERVER` with `LEDGER_API_KEY`, `LEDGER_PROJECT`, `LEDGER_TLS_CA`, `LEDGER_TLS_CERT` and
    /// `LEDGER_TLS_KEY`. Without `LEDGER_SERVER`, the profile `LEDGER_PROFILE` (`default`) of the file `LEDGER_CONFIG`
    /// (`prompt-ledger/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`); without that, the server of `prompt-ledger dev` on
    /// this machine, with its key. What the other has is not used then.
    ///
    /// # Errors
    ///
    /// Where a file that is named cannot be read, holds something else, or lacks the profile; where that names no server; where others may
    /// read the file; where settings of TLS stand beside an `http` address.
    pub fn from_environment() -> Result<Self, OptionsError> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    /// What the profile of this name says, of the file that [`Options::from_environment`] reads; `LEDGER_SERVER` is not used.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, holds something else, or lacks the profile; where that names no server; where others may read the
    /// file; where settings of TLS stand beside an `http` address.
    pub fn from_profile(name: &str) -> Result<Self, OptionsError> {
        if name.is_empty() {
            // As a variable it would count as none, and another server would be taken.
            let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            let path = profiles_path(&set).unwrap_or_default().display().to_string();
            return Err(OptionsError::Profile { name: String::new(), path });
        }
        Self::from_variables(&|variable| match variable {
            "LEDGER_SERVER" => None,
            "LEDGER_PROFILE" => Some(name.to_owned()),
            variable => std::env::var(variable).ok(),
        })
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, OptionsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(server) = variable("LEDGER_SERVER") {
            let path = |name| variable(name).map(PathBuf::from);
            let profile = ConnectionProfile {
                server,
                api_key: variable("LEDGER_API_KEY"),
                project: variable("LEDGER_PROJECT"),
                tls_ca: path("LEDGER_TLS_CA"),
                tls_cert: path("LEDGER_TLS_CERT"),
                tls_key: path("LEDGER_TLS_KEY"),
            };
            return profile.options(&ProfileOrigin::Environment);
        }
        let wanted = variable("LEDGER_PROFILE");
        let is_asked_for = variable("LEDGER_CONFIG").is_some() || wanted.is_some();
        let path = profiles_path(&variable);
        let wanted = wanted.unwrap_or_else(|| "default".to_owned());
        let found = path.as_deref().filter(|path| path.exists()).map(|path| profile(path, &wanted)).transpose()?;
        match (found.flatten(), path) {
            (Some(profile), Some(path)) => profile.options(&ProfileOrigin::File { path: &path, name: &wanted }),
            (_, path) if is_asked_for => {
                let path = path.unwrap_or_default().display().to_string();
                Err(OptionsError::Profile { name: wanted, path })
            }
            _ => Ok(Self { api_key: DEVELOPMENT_KEY.into(), ..Self::default() }),
        }
    }
}

/// Where the profiles are kept: `LEDGER_CONFIG`, or `prompt-ledger/config.toml` in `XDG_CONFIG_HOME`, or in `.config` of `HOME`; absent
/// where there is none of these. `variable`: of the environment, without what is empty.
#[must_use]
pub fn profiles_path(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let named = variable("LEDGER_CONFIG").map(PathBuf::from);
    named.or_else(|| {
        let base = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
        Some(base?.join("prompt-ledger/config.toml"))
    })
}

impl ConnectionProfile {
    /// An empty text counts as none, as an empty variable does.
    fn without_empty(mut self) -> Self {
        for text in [&mut self.api_key, &mut self.project] {
            text.take_if(|text| text.is_empty());
        }
        for path in [&mut self.tls_ca, &mut self.tls_cert, &mut self.tls_key] {
            path.take_if(|path| path.as_os_str().is_empty());
        }
        self
    }

    fn options(self, origin: &ProfileOrigin<'_>) -> Result<Options, OptionsError> {
        let url = self.server;
        let tls = [("tls_ca", &self.tls_ca), ("tls_cert", &self.tls_cert), ("tls_key", &self.tls_key)];
        let given: Vec<&str> = tls.iter().filter(|(_, path)| path.is_some()).map(|(name, _)| *name).collect();
        // Before the files are read, since what is wrong with one of them matters only with https.
        if !given.is_empty() && is_plain_http(&url) {
            return Err(OptionsError::TlsOverHttp(origin.named(&given)));
        }
        let read = |path: Option<PathBuf>| path.map(|path| content(&path)).transpose();
        let identity = match (read(self.tls_cert)?, read(self.tls_key)?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key: key.into() }),
            _ => return Err(OptionsError::Tls("a client's certificate and its key are given together".into())),
        };
        Ok(Options {
            url,
            api_key: self.api_key.unwrap_or_default().into(),
            project: self.project,
            ca: read(self.tls_ca)?,
            identity,
            ..Options::default()
        })
    }
}

impl ProfileOrigin<'_> {
    /// Settings by the names that the user wrote; `fields`: as in files.
    fn named(&self, fields: &[&str]) -> String {
        match self {
            Self::Environment => {
                let variables: Vec<String> =
                    fields.iter().map(|field| format!("LEDGER_{}", field.to_uppercase())).collect();
                variables.join(", ")
            }
            Self::File { path, name } => format!("{} of the profile `{name}` of {}", fields.join(", "), path.display()),
        }
    }
}

/// The profile of this name in a file; absent where the file has none.
fn profile(path: &Path, name: &str) -> Result<Option<ConnectionProfile>, OptionsError> {
    let wrong = |problem: String| OptionsError::File { path: path.display().to_string(), problem };
    let Some(opened) = open_profiles(path)? else { return Ok(None) };
    // What the parser quotes may be a key: only where it stands is told.
    let file: ProfilesFile = toml::from_str(&text(opened, path)?).map_err(|error| {
        let place = error.span().map(|span| format!(" (byte {})", span.start)).unwrap_or_default();
        wrong(format!(
            "it holds something else than profiles with server, api_key, project, tls_ca, tls_cert and tls_key{place}"
        ))
    })?;
    let Some(found) = file.profiles.get(name).cloned().map(ConnectionProfile::without_empty) else { return Ok(None) };
    if found.server.is_empty() {
        return Err(OptionsError::NoServer { name: name.to_owned(), path: path.display().to_string() });
    }
    Ok(Some(found))
}

fn content(path: &Path) -> Result<String, OptionsError> {
    let opened = File::open(path);
    text(
        opened.map_err(|error| OptionsError::File { path: path.display().to_string(), problem: error.to_string() })?,
        path,
    )
}

fn text(file: File, path: &Path) -> Result<String, OptionsError> {
    let wrong = |problem: String| OptionsError::File { path: path.display().to_string(), problem };
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > LARGEST {
        return Err(wrong("it has more than 1 MiB: is it the right file?".to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ClientKey;

    fn options(variables: &[(&str, &str)]) -> Result<Options, OptionsError> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Options::from_variables(&value)
    }

    fn written(folder: &Path, text: &str) -> String {
        let path = folder.join("prompt-ledger/config.toml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path.to_str().unwrap().to_owned()
    }

    const TWO: &str = "[profiles.default]\nserver = \"https://a.example\"\napi_key = \"pl_a\"\nproject = \"shop\"\n\
                       [profiles.other]\nserver = \"https://b.example\"\n";

    #[test]
    fn a_profile_without_a_name_is_none_and_no_other_is_taken() {
        let error = Options::from_profile("").unwrap_err();
        assert!(matches!(&error, OptionsError::Profile { name, .. } if name.is_empty()), "{error}");
    }

    #[test]
    fn the_environment_comes_first_and_is_taken_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), TWO);
        let given = options(&[("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_CONFIG", &file)]).unwrap();
        assert_eq!((&*given.url, given.api_key, given.project), ("http://127.0.0.1:1", ClientKey::default(), None));
        let given = [("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_API_KEY", "pl_b"), ("LEDGER_PROJECT", "p")];
        let given = options(&given).unwrap();
        assert_eq!((given.api_key, given.project.as_deref()), ("pl_b".into(), Some("p")));
    }

    #[test]
    fn a_profile_of_the_file_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), TWO);
        let home = folder.path().to_str().unwrap();
        for variables in [&[("LEDGER_CONFIG", &*file)][..], &[("XDG_CONFIG_HOME", home), ("LEDGER_API_KEY", "pl_c")]] {
            let given = options(variables).unwrap();
            assert_eq!((&*given.url, given.api_key), ("https://a.example", "pl_a".into()));
            assert_eq!(given.project.as_deref(), Some("shop"));
        }
        let other = options(&[("LEDGER_CONFIG", &file), ("LEDGER_PROFILE", "other")]).unwrap();
        assert_eq!((&*other.url, other.api_key), ("https://b.example", ClientKey::default()));
        for asked in [[("LEDGER_CONFIG", &*file), ("LEDGER_PROFILE", "third")], [("LEDGER_CONFIG", "/no"), ("A", "")]] {
            assert!(matches!(options(&asked), Err(OptionsError::Profile { .. })), "{asked:?}");
        }
    }

    #[test]
    fn where_nothing_is_said_it_is_the_server_of_this_machine() {
        let given = options(&[("HOME", "/nowhere"), ("LEDGER_API_KEY", "pl_c")]).unwrap();
        assert_eq!((&*given.url, given.api_key), ("http://127.0.0.1:50051", DEVELOPMENT_KEY.into()));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_without_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["api_key = \"pl_secret\"", "[profiles.default]\nserver = 1\napi_key = \"pl_secret\"", "pl_secret"]
        {
            let file = written(folder.path(), text);
            let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
            assert!(matches!(error, OptionsError::File { .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("pl_secret"), "{error}");
        }
        let one = options(&[("LEDGER_SERVER", "https://a.example"), ("LEDGER_TLS_CERT", "Cargo.toml")]).unwrap_err();
        assert!(matches!(one, OptionsError::Tls(_)), "{one:?}");
    }

    #[test]
    fn settings_of_tls_are_refused_with_http_by_the_names_that_the_user_wrote() {
        let folder = tempfile::tempdir().unwrap();
        for fields in [&["tls_ca"][..], &["tls_cert"], &["tls_key"], &["tls_cert", "tls_key"]] {
            let variables = fields.iter().map(|field| format!("LEDGER_{}", field.to_uppercase())).collect::<Vec<_>>();
            let mut given = vec![("LEDGER_SERVER", "http://127.0.0.1:1")];
            given.extend(variables.iter().map(|variable| (variable.as_str(), "missing.pem")));
            let error = options(&given).unwrap_err();
            assert_eq!(error, OptionsError::TlsOverHttp(variables.join(", ")));
            let text = fields.iter().map(|field| format!("{field} = \"missing.pem\"\n")).collect::<String>();
            let file = written(folder.path(), &format!("[profiles.default]\nserver = \"http://127.0.0.1:1\"\n{text}"));
            let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
            let named = format!("{} of the profile `default` of {file}", fields.join(", "));
            assert_eq!(error, OptionsError::TlsOverHttp(named));
        }
        let empty = [("LEDGER_SERVER", "http://127.0.0.1:1"), ("LEDGER_TLS_CA", "")];
        assert_eq!(options(&empty).unwrap().ca, None);
    }

    #[test]
    fn empty_texts_of_a_profile_count_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let fields = ["api_key", "project", "tls_ca", "tls_cert", "tls_key"].map(|field| format!("{field} = \"\"\n"));
        for server in ["http://127.0.0.1:1", "https://a.example"] {
            let text = format!("[profiles.default]\nserver = \"{server}\"\n{}", fields.concat());
            let given = options(&[("LEDGER_CONFIG", &written(folder.path(), &text))]).unwrap();
            assert_eq!((&*given.url, given.api_key, given.project), (server, ClientKey::default(), None));
            assert!(given.ca.is_none() && given.identity.is_none(), "{server}");
        }
    }

    #[test]
    fn a_profile_without_a_server_is_an_error_that_names_it_and_its_file() {
        let folder = tempfile::tempdir().unwrap();
        for server in ["", "server = \"\"\n"] {
            let text = format!("[profiles.default]\n{server}api_key = \"pl_secret\"\n");
            let file = written(folder.path(), &text.repeat(2).replacen("default", "other", 1));
            let home = folder.path().to_str().unwrap();
            for (variable, name) in [(("LEDGER_PROFILE", "other"), "other"), (("LEDGER_API_KEY", "pl_b"), "default")] {
                let error = options(&[("XDG_CONFIG_HOME", home), variable]).unwrap_err();
                assert_eq!(error, OptionsError::NoServer { name: name.into(), path: file.clone() });
                assert!(error.to_string().contains("write server = \"http://HOST:PORT\""), "{error}");
                assert!(!format!("{error} {error:?}").contains("pl_secret"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &format!("{TWO}#{}", "x".repeat(1 << 20)));
        let error = options(&[("LEDGER_CONFIG", &file)]).unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    }
}
