//! Which server, and as whom.

use clap::Args;
use prompt_ledger_client::{Client, Options};
use tonic::transport::Uri;

use crate::failure::Failure;

/// The key that `prompt-ledger dev` takes on loopback without being told.
const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";

/// Which server, and as whom.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The server; https for one with TLS
    #[arg(long, global = true, value_name = "URL", env = "LEDGER_SERVER", default_value = "http://127.0.0.1:50051")]
    server: String,
    /// The API key, made by `prompt-ledger keys create`; on this machine the default is the key of `prompt-ledger dev`
    ///
    /// Better in the environment than on the command line, where other users of this machine can read it.
    #[arg(long, global = true, value_name = "KEY", env = "LEDGER_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The project; only for system keys, which open all of them
    #[arg(long, global = true, value_name = "NAME", env = "LEDGER_PROJECT")]
    project: Option<String>,
}

/// A client, and what to call its server in messages.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) server: String,
}

impl Arguments {
    /// A client for it. Needs a runtime around it.
    pub(crate) fn connect(self) -> Result<Connection, Failure> {
        let key = self.key.filter(|key| !key.is_empty());
        let key = key.or_else(|| is_loopback(&self.server).then(|| DEVELOPMENT_KEY.to_owned()));
        let Some(key) = key else {
            return Err(Failure::Other(format!(
                "{} wants an API key: set LEDGER_API_KEY; `prompt-ledger keys create` beside the server makes one",
                self.server
            )));
        };
        let options = Options {
            url: self.server.clone(),
            api_key: key.into(),
            project: self.project.filter(|project| !project.is_empty()),
            watches: 1,
            ..Options::default()
        };
        let client = Client::connect(options).map_err(Failure::other)?;
        Ok(Connection { client, server: self.server })
    }
}

/// Whether a URL leads to this machine, and so no further than the development key may.
fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).map(|host| host.trim_matches(['[', ']']));
    host.is_some_and(|host| {
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_key_stays_on_this_machine() {
        for url in ["http://127.0.0.1:50051", "http://localhost:1", "http://[::1]:50051", "https://127.1.2.3"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://10.0.0.1:50051", "http://localhost.example.com", "https://127.0.0.1.example.com", "", "x"] {
            assert!(!is_loopback(url), "{url}");
        }
        let arguments =
            Arguments { server: "https://ledger.example.com".into(), key: Some(String::new()), project: None };
        let failure = arguments.connect().err().unwrap().to_string();
        assert!(failure.contains("LEDGER_API_KEY"), "{failure}");
    }
}
