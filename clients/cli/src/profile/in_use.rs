//! Which server the commands call now, and why.

use prompt_ledger_client::without_user;

use crate::connection::ConnectionArgs;

/// Where the server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerSource {
    /// `--server`.
    Argument(String),
    /// `LEDGER_SERVER`.
    Environment(String),
    /// A profile, and what named it.
    Profile { name: String, named_by: &'static str },
    /// The server of `prompt-ledger dev`.
    Development,
}

/// Decides as the clients do. `variable`: the environment, without what is empty; `names`: the profiles that there are.
pub(super) fn source(
    arguments: &ConnectionArgs,
    variable: &dyn Fn(&str) -> Option<String>,
    names: &[String],
) -> ServerSource {
    if let Some(server) = &arguments.server {
        return ServerSource::Argument(without_user(server));
    }
    if let Some(name) = &arguments.profile {
        return ServerSource::Profile { name: name.clone(), named_by: "--profile" };
    }
    if let Some(server) = variable("LEDGER_SERVER") {
        return ServerSource::Environment(without_user(&server));
    }
    if let Some(name) = variable("LEDGER_PROFILE") {
        return ServerSource::Profile { name, named_by: "LEDGER_PROFILE" };
    }
    let has_default = names.iter().any(|name| name == "default");
    // A file that is asked for must have it.
    if has_default || variable("LEDGER_CONFIG").is_some() {
        return ServerSource::Profile { name: "default".to_owned(), named_by: "nothing names another" };
    }
    ServerSource::Development
}

impl ServerSource {
    /// In a sentence; `is_there` says whether a profile of this name exists.
    pub(super) fn told(&self, is_there: impl Fn(&str) -> bool) -> String {
        match self {
            Self::Argument(server) => format!("used now: {server}, by --server; no profile is"),
            Self::Environment(server) => {
                format!("used now: {server}, by LEDGER_SERVER; no profile is, unless --profile names one")
            }
            Self::Profile { name, named_by } if is_there(name) => format!("used now: profile `{name}` ({named_by})"),
            Self::Profile { name, named_by } => {
                format!(
                    "used now: profile `{name}` ({named_by}), which is not there: ledgerctl profile add {name} makes it"
                )
            }
            Self::Development => {
                "used now: the server of `prompt-ledger dev` on this machine, as nothing names another".to_owned()
            }
        }
    }

    /// The profile that is used; absent where none is.
    pub(super) fn profile(&self) -> Option<&str> {
        match self {
            Self::Profile { name, .. } => Some(name),
            Self::Argument(_) | Self::Environment(_) | Self::Development => None,
        }
    }

    /// In a word, for scripts.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Argument(_) => "arguments",
            Self::Environment(_) => "environment",
            Self::Profile { .. } => "profile",
            Self::Development => "development",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_names_a_server_decides() {
        let told = |arguments: ConnectionArgs, variables: &[(&str, &str)], names: &[&str]| {
            let value =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let source = source(&arguments, &value, &names);
            (source.word(), source.profile().map(str::to_owned), source.told(|name| names.contains(&name.to_owned())))
        };
        let none = ConnectionArgs::default;
        let server = ConnectionArgs { server: Some("http://a".into()), ..none() };
        let profile = ConnectionArgs { profile: Some("shop".into()), ..none() };
        let all = [("LEDGER_SERVER", "http://b"), ("LEDGER_PROFILE", "other")];
        assert_eq!(told(server, &all, &["default"]).0, "arguments");
        assert_eq!(told(profile, &all, &["default"]).1.as_deref(), Some("shop"));
        assert_eq!(told(none(), &all, &["default"]).0, "environment");
        let (_, name, sentence) = told(none(), &all[1..], &["default"]);
        assert!(name.as_deref() == Some("other") && sentence.contains("profile add other"), "{sentence}");
        assert_eq!(told(none(), &[], &["default"]).2, "used now: profile `default` (nothing names another)");
        assert_eq!(told(none(), &[], &["shop"]).0, "development");
        assert_eq!(told(none(), &[("LEDGER_CONFIG", "/f")], &["shop"]).1.as_deref(), Some("default"));
    }
}
