use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use prompt_ledger_client::{Client, Options, OptionsError, is_loopback};
use tonic::transport::Uri;

use crate::failure::CommandError;

/// The key that `prompt-ledger dev` accepts on loopback without any setting.
const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";

/// Which server, and as whom.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The server; https for one with TLS
    #[arg(long, global = true, value_name = "URL", env = "LEDGER_SERVER", default_value = "http://127.0.0.1:50051")]
    server: String,
    /// The API key, made by `prompt-ledger keys create`; on this machine the default is the key of `prompt-ledger dev`
    ///
    /// Better in the environment or in a file than on the command line, where other users of this machine can read it.
    #[arg(long, global = true, value_name = "KEY", env = "LEDGER_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The file of the API key
    #[arg(long, global = true, value_name = "FILE", env = "LEDGER_API_KEY_FILE", conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// The file of the certificates, in PEM form, that vouch for the server's; absent: the system's
    #[arg(long, global = true, value_name = "FILE", env = "LEDGER_CA")]
    ca: Option<PathBuf>,
    /// Send the key over http to another machine too, where anyone on the way can read it
    #[arg(long, global = true, env = "LEDGER_ALLOW_PLAINTEXT", value_parser = FalseyValueParser::new())]
    allow_plaintext: bool,
    /// The project; only for system keys, which open all of them
    #[arg(long, global = true, value_name = "NAME", env = "LEDGER_PROJECT")]
    project: Option<String>,
}

/// A client, and the server's name for messages.
pub(crate) struct ConnectionArgs {
    pub(crate) client: Client,
    pub(crate) server: String,
}

/// What to tell of a key on the command line; nothing where it came from elsewhere.
pub(crate) fn exposed_key(matches: &ArgMatches) -> Option<&'static str> {
    let given = |matches: &ArgMatches| matches.value_source("key") == Some(ValueSource::CommandLine);
    let exposed = given(matches) || matches.subcommand().is_some_and(|(_, matches)| given(matches));
    exposed.then_some(
        "warning: while this runs, other users of this machine can read the key on its command line; \
         set LEDGER_API_KEY, or write the key into a file and add --key-file",
    )
}

/// The content of a file that is small, without the end of its last line.
fn content(option: &str, path: &Path) -> Result<String, CommandError> {
    let read = std::fs::read_to_string(path);
    let content =
        read.map_err(|error| CommandError::Other(format!("{option}: cannot read {}: {error}", path.display())))?;
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

impl Arguments {
    /// Must be called within a tokio runtime.
    pub(crate) fn connect(self) -> Result<ConnectionArgs, CommandError> {
        let ca = self.ca.as_deref().map(|path| content("--ca", path)).transpose()?;
        let in_file = self.key_file.as_deref().map(|path| content("--key-file", path)).transpose()?;
        let key = self.key.or(in_file).filter(|key| !key.is_empty());
        let key = key.or_else(|| leads_here(&self.server).then(|| DEVELOPMENT_KEY.to_owned()));
        let Some(key) = key else {
            return Err(CommandError::Other(format!(
                "{} wants an API key: set LEDGER_API_KEY or LEDGER_API_KEY_FILE; `prompt-ledger keys create` beside the server makes one",
                self.server
            )));
        };
        let options = Options {
            url: self.server.clone(),
            ca,
            api_key: key.into(),
            allow_plaintext: self.allow_plaintext,
            project: self.project.filter(|project| !project.is_empty()),
            watches: 1,
            ..Options::default()
        };
        let client = Client::connect(options).map_err(|error| match error {
            OptionsError::Plaintext(host) => CommandError::Other(format!(
                "the API key would go to `{host}` unencrypted, where anyone on the way can read it: write https:// for a \
                 server with TLS, or add --allow-plaintext where the way is safe"
            )),
            error => CommandError::other(error),
        })?;
        Ok(ConnectionArgs { client, server: self.server })
    }
}

/// Whether the URL is loopback: the development key must not be sent elsewhere.
fn leads_here(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_key_stays_on_this_machine() {
        for url in ["http://127.0.0.1:50051", "http://localhost:1", "http://[::1]:50051", "https://127.1.2.3"] {
            assert!(leads_here(url), "{url}");
        }
        for url in ["http://10.0.0.1:50051", "http://localhost.example.com", "https://127.0.0.1.example.com", "", "x"] {
            assert!(!leads_here(url), "{url}");
        }
        let failure = arguments("https://ledger.example.com", "").connect().err().unwrap().to_string();
        assert!(failure.contains("LEDGER_API_KEY"), "{failure}");
    }

    fn arguments(server: &str, key: &str) -> Arguments {
        let (server, key) = (server.into(), Some(key.into()));
        Arguments { server, key, key_file: None, ca: None, allow_plaintext: false, project: None }
    }

    #[tokio::test]
    async fn a_key_goes_unencrypted_to_another_machine_only_where_that_is_asked_for() {
        let remote = || arguments("http://ledger.example.com:50051", "pl_secret");
        let failure = remote().connect().err().unwrap().to_string();
        assert!(failure.contains("`ledger.example.com`") && failure.contains("--allow-plaintext"), "{failure}");
        assert!(Arguments { allow_plaintext: true, ..remote() }.connect().is_ok());
        assert!(arguments("https://ledger.example.com:50051", "pl_secret").connect().is_ok());
    }
}
