//! Where a program connects to whose code does not say: the environment, a file, or the server of `prompt-ledger dev`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};

use crate::options::{ClientIdentity, Options, OptionsError};
use crate::profiles_access::open_profiles;
use crate::server_address::{is_address, is_plain_http, without_user};

/// The key that `prompt-ledger dev` accepts on loopback without any setting.
const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A server, and what it is called with. Taken whole: nothing of one is mixed with another's.
#[derive(Default, Deserialize)]
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
    /// Each is a [`ConnectionProfile`]; only the one that is used is looked at.
    #[serde(default)]
    profiles: HashMap<String, toml::Value>,
}

impl Options {
    /// What the environment says: `LEDGER_SERVER` with `LEDGER_API_KEY`, `LEDGER_PROJECT`, `LEDGER_TLS_CA`, `LEDGER_TLS_CERT` and
    /// `LEDGER_TLS_KEY`. Without `LEDGER_SERVER`, the profile `LEDGER_PROFILE` (`default`) of the file `LEDGER_CONFIG`
    /// (`prompt-ledger/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`); without that, the server of `prompt-ledger dev` on
    /// this machine, with its key. What the other has is not used then.
    ///
    /// # Errors
    ///
    /// Where a file that is named cannot be read, holds something else, or lacks the profile; where that names no server, or no address of
    /// one, or a key or a project that cannot be sent; where others may read the file; where settings of TLS stand beside an `http` address. None shows what stands in
    /// the file, or in the variables but for an address.
    pub fn from_environment() -> Result<Self, OptionsError> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    /// What the profile of this name says, of the file that [`Options::from_environment`] reads; `LEDGER_SERVER` is not used.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, holds something else, or lacks the profile; where that names no server, or no address of one, or a
    /// key or a project that cannot be sent; where others may read the file; where settings of TLS stand beside an `http` address. None shows what stands in the file.
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
        if !is_address(&without_user(&url)) {
            let problem = "it is no address of a server; write http://HOST:PORT or https://HOST:PORT";
            return Err(origin.wrong("server", problem));
        }
        if self.project.as_deref().is_some_and(|project| project.parse::<MetadataValue<Ascii>>().is_err()) {
            return Err(origin.wrong("project", "it is no name of a project"));
        }
        if self.api_key.as_deref().is_some_and(|key| key.parse::<MetadataValue<Ascii>>().is_err()) {
            let problem = "it holds characters that no key has; was it copied whole, without line breaks?";
            return Err(origin.wrong("api_key", problem));
        }
        let read = |field: &str, path: Option<PathBuf>| {
            path.map(|path| content(&path)).transpose().map_err(|problem| origin.wrong(field, &problem))
        };
        let identity = match (read("tls_cert", self.tls_cert)?, read("tls_key", self.tls_key)?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key: key.into() }),
            _ => return Err(OptionsError::Tls("a client's certificate and its key are given together".into())),
        };
        Ok(Options {
            url,
            api_key: self.api_key.unwrap_or_default().into(),
            project: self.project,
            ca: read("tls_ca", self.tls_ca)?,
            identity,
            ..Options::default()
        })
    }
}

impl ProfileOrigin<'_> {
    /// Settings by the names that the user wrote; `fields`: as in files.
    fn named(&self, fields: &[&str]) -> String {
        match self {
            Self::Environment => fields.iter().map(|field| variable(field)).collect::<Vec<_>>().join(", "),
            Self::File { path, name } => format!("{} of the profile `{name}` of {}", fields.join(", "), path.display()),
        }
    }

    /// What is wrong with a setting, without its value: a key may stand in a wrong place.
    fn wrong(&self, field: &str, problem: &str) -> OptionsError {
        match self {
            Self::Environment => OptionsError::File { path: variable(field), problem: problem.to_owned() },
            Self::File { path, name } => {
                let problem = format!("{field} of the profile `{name}`: {problem}");
                OptionsError::File { path: path.display().to_string(), problem }
            }
        }
    }
}

/// The variable of the environment that says what this field of a profile does.
fn variable(field: &str) -> String {
    format!("LEDGER_{}", field.to_uppercase())
}

/// The profile of this name in a file; absent where the file has none.
fn profile(path: &Path, name: &str) -> Result<Option<ConnectionProfile>, OptionsError> {
    let wrong = |problem: String| OptionsError::File { path: path.display().to_string(), problem };
    let Some(opened) = open_profiles(path)? else { return Ok(None) };
    // What the parser quotes may be a key: only where it stands is told.
    let mut file: ProfilesFile = toml::from_str(&text(opened).map_err(wrong)?).map_err(|error| {
        let place = error.span().map(|span| format!(" (byte {})", span.start)).unwrap_or_default();
        wrong(format!("it holds something else than tables [profiles.NAME]{place}"))
    })?;
    let Some(found) = file.profiles.remove(name) else { return Ok(None) };
    let found = ConnectionProfile::deserialize(found).map_err(|_| {
        wrong(format!("the profile `{name}` has something else than texts for server, api_key, project, tls_ca, tls_cert and tls_key"))
    })?;
    let found = found.without_empty();
    if found.server.is_empty() {
        return Err(OptionsError::NoServer { name: name.to_owned(), path: path.display().to_string() });
    }
    Ok(Some(found))
}

/// What a file of TLS holds, or a sentence without its path.
fn content(path: &Path) -> Result<String, String> {
    let read = File::open(path).map_err(|error| error.to_string()).and_then(text);
    read.map_err(|problem| format!("it is the path of a file in PEM form, and that cannot be used: {problem}"))
}

/// What a file holds, or what is wrong with it.
fn text(file: File) -> Result<String, String> {
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err("it has more than 1 MiB: is it the right file?".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
