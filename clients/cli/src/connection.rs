use std::future::Future;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use prompt_ledger_client::{
    Client, ClientKey, LedgerError, Options, OptionsError, is_loopback, is_plain_http, without_user,
};
use tonic::transport::Uri;
use tonic::{Request, Response, Status};

use crate::failure::CommandError;

/// The key that `prompt-ledger dev` accepts on loopback without any setting.
const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";
/// How long a call that answers once may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to reach the server.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// Which server, and as whom. Taken whole from one place: these arguments, or the profile that is named, or the environment, or
/// the file's default profile, or the development server on this machine.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The profile to connect with, of those that `ledgerctl profile add` keeps
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The server, https for one with TLS; absent: that of the environment (LEDGER_SERVER, LEDGER_API_KEY, LEDGER_PROJECT,
    /// LEDGER_TLS_CA, LEDGER_TLS_CERT, LEDGER_TLS_KEY), or of a profile, or `prompt-ledger dev` on this machine
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// With --server: the file of the API key, which `prompt-ledger keys create` makes
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "key")]
    pub(crate) key_file: Option<PathBuf>,
    /// With --server: the API key; on a command line other users of this machine can read it
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// With --server: the file of the certificates, in PEM form, that vouch for the server's; absent: the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The project; only for system keys, which open all of them
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// Send the key over http to another machine too, where anyone on the way can read it
    #[arg(long, global = true)]
    pub(crate) allow_plaintext: bool,
}

/// A client, and the server's name for messages.
pub(crate) struct LedgerConnection {
    pub(crate) client: Client,
    pub(crate) server: String,
}

impl LedgerConnection {
    /// A connection with these options; the development server's key where they lead to this machine and have none. Must be called within
    /// a tokio runtime.
    pub(crate) fn of(mut options: Options) -> Result<Self, CommandError> {
        options.watches = 1;
        if options.api_key == ClientKey::default() && leads_here(&options.url) {
            options.api_key = DEVELOPMENT_KEY.into();
        }
        let server = options.url.clone();
        let client = Client::connect(options).map_err(|error| match error {
            OptionsError::Plaintext(host) => CommandError::refused(format!(
                "the API key would go to `{host}` unencrypted, where anyone on the way can read it: write https:// for a \
                 server with TLS, or add --allow-plaintext where the way is safe"
            )),
            OptionsError::UserInfo(bare) => CommandError::refused(format!(
                "the server's URL holds a user or a password, which a ledger does not ask for: write {bare}; the key comes by --key-file, \
                 LEDGER_API_KEY or a profile"
            )),
            error => CommandError::refused(error),
        })?;
        Ok(Self { client, server })
    }

    /// Makes a call of a generated client and waits for its answer, 30 s at most:
    /// `connection.ask(request, |client, request| async move { client.registry().update_prompt(request).await })`.
    pub(crate) async fn ask<Q, A, F>(
        &self,
        request: Q,
        send: impl FnOnce(Client, Request<Q>) -> F,
    ) -> Result<A, CommandError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(request);
        request.set_timeout(ANSWER_WITHIN);
        let answer = send(self.client.clone(), request).await;
        Ok(answer.map_err(|status| self.failed(status))?.into_inner())
    }

    /// Fails at once where no server answers: calls that are repeated would try for 30 s, in case that one starts.
    pub(crate) async fn reach(&self) -> Result<(), CommandError> {
        match tokio::time::timeout(REACHED_WITHIN, self.client.is_serving()).await {
            Err(_) => Err(CommandError::unreachable(&self.server, "no answer within 10 s")),
            Ok(Err(error)) if CommandError::is_unanswered(&error) => Err(self.failed(error)),
            // Whatever it says of its health: the command's own call tells more.
            Ok(_) => Ok(()),
        }
    }

    /// What to tell of a call that failed.
    pub(crate) fn failed(&self, error: impl Into<LedgerError>) -> CommandError {
        CommandError::call(&error.into(), &self.server)
    }
}

/// What to tell of a key on the command line; nothing where it came from elsewhere.
pub(crate) fn exposed_key(mut matches: &ArgMatches) -> Option<&'static str> {
    loop {
        if matches.value_source("key") == Some(ValueSource::CommandLine) {
            return Some(
                "warning: while this runs, other users of this machine can read the key on its command line; \
                 write the key into a file and add --key-file, or keep it in a profile: ledgerctl profile add",
            );
        }
        matches = matches.subcommand()?.1;
    }
}

/// The most bytes that are read of a file of a key or of certificates.
const MOST_BYTES: u64 = 1 << 20;

/// The content of a file that is small, without the end of its last line.
pub(crate) fn content(option: &str, path: &Path) -> Result<String, CommandError> {
    let mut content = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut content));
    read.map_err(|error| CommandError::refused(format!("{option}: cannot read {}: {error}", path.display())))?;
    if content.len() as u64 > MOST_BYTES {
        return Err(CommandError::refused(format!(
            "{option}: {} has more than 1 MiB: is it the right file?",
            path.display()
        )));
    }
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

/// Refuses options of TLS, each with whether it was given, beside a server that is called without.
pub(crate) fn encrypted(server: &str, options: &[(&str, bool)]) -> Result<(), CommandError> {
    let given: Vec<&str> = options.iter().filter(|(_, given)| *given).map(|(option, _)| *option).collect();
    if given.is_empty() || !is_plain_http(server) {
        return Ok(());
    }
    let given = given.join(", ");
    Err(CommandError::refused(format!(
        "{given} cannot be used with http://, which is not encrypted: write --server https://, or leave out {given}"
    )))
}

impl ConnectionArgs {
    /// Must be called within a tokio runtime.
    pub(crate) fn connect(self) -> Result<LedgerConnection, CommandError> {
        let allow_plaintext = self.allow_plaintext;
        let project = self.project.clone().filter(|project| !project.is_empty());
        let mut options = self.options()?;
        options.allow_plaintext = allow_plaintext;
        options.project = project.or(options.project);
        LedgerConnection::of(options)
    }

    fn options(self) -> Result<Options, CommandError> {
        let Some(server) = self.server else {
            let lonely =
                [("--key-file", self.key_file.is_some()), ("--key", self.key.is_some()), ("--ca", self.ca.is_some())];
            if let Some((option, _)) = lonely.iter().find(|(_, given)| *given) {
                return Err(CommandError::refused(format!(
                    "{option} belongs to a server: add --server URL. What a profile or the environment says of a server is taken whole"
                )));
            }
            let options = match &self.profile {
                Some(name) => Options::from_profile(name),
                None => Options::from_environment(),
            };
            return options.map_err(|error| match error {
                OptionsError::Profile { .. } => {
                    CommandError::refused(error).and("`ledgerctl profile list` shows those that there are")
                }
                error => CommandError::refused(error),
            });
        };
        if server.is_empty() {
            return Err(CommandError::refused("--server is empty: write http://HOST:PORT or https://HOST:PORT"));
        }
        if self.profile.is_some() {
            return Err(CommandError::refused("--profile and --server both name a server: leave out one of them"));
        }
        encrypted(&server, &[("--ca", self.ca.is_some())])?;
        let ca = self.ca.as_deref().map(|path| content("--ca", path)).transpose()?;
        let in_file = self.key_file.as_deref().map(|path| content("--key-file", path)).transpose()?;
        let key = self.key.or(in_file).filter(|key| !key.is_empty());
        if key.is_none() && !leads_here(&server) {
            return Err(CommandError::refused(format!(
                "{} wants an API key: add --key-file, keep both in a profile (ledgerctl profile add), or set LEDGER_SERVER \
                 and LEDGER_API_KEY together; `prompt-ledger keys create` beside the server makes a key",
                without_user(&server)
            )));
        }
        Ok(Options { url: server, ca, api_key: key.unwrap_or_default().into(), ..Options::default() })
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

    fn arguments(server: &str, key: &str) -> ConnectionArgs {
        ConnectionArgs { server: Some(server.into()), key: Some(key.into()), ..ConnectionArgs::default() }
    }

    #[tokio::test]
    async fn a_key_goes_unencrypted_to_another_machine_only_where_that_is_asked_for() {
        let remote = || arguments("http://ledger.example.com:50051", "pl_secret");
        let failure = remote().connect().err().unwrap().to_string();
        assert!(failure.contains("`ledger.example.com`") && failure.contains("--allow-plaintext"), "{failure}");
        assert!(ConnectionArgs { allow_plaintext: true, ..remote() }.connect().is_ok());
        assert!(arguments("https://ledger.example.com:50051", "pl_secret").connect().is_ok());
    }

    #[tokio::test]
    async fn certificates_are_refused_with_http() {
        let with_ca = |server: &str, allow_plaintext| {
            let ca = Some("missing.pem".into());
            ConnectionArgs { ca, allow_plaintext, ..arguments(server, "pl_secret") }
                .connect()
                .err()
                .unwrap()
                .to_string()
        };
        for server in ["http://127.0.0.1:50051", "HTTP://ledger.example.com"] {
            for allow_plaintext in [false, true] {
                let failure = with_ca(server, allow_plaintext);
                assert!(failure.contains("--ca cannot be used with http://"), "{failure}");
                assert!(failure.contains("write --server https://") && !failure.contains("pl_secret"), "{failure}");
            }
        }
        let failure = with_ca("https://ledger.example.com", false);
        assert!(failure.contains("cannot read missing.pem"), "{failure}");
    }

    #[tokio::test]
    async fn a_password_in_a_url_is_refused_and_not_shown() {
        for (url, bare) in [
            ("https://ada:pl_secret@ledger.example.com", "https://ledger.example.com"),
            ("http://pl_secret@127.0.0.1:1", "http://127.0.0.1:1"),
            ("https://ada:pl_se/cr@et@h:1/x", "https://h:1/x"),
            ("ada:pl_secret@h", "h"),
        ] {
            let failure = arguments(url, "pl_k").connect().err().unwrap().to_string();
            assert!(failure.contains(&format!("write {bare};")) && !failure.contains("pl_se"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_a_wait() {
        // Bound to the end of the test, so that nobody else listens there.
        let socket = tokio::net::TcpSocket::new_v6().unwrap();
        socket.bind("[::1]:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let failure = arguments(&url, "").connect().unwrap().reach().await.unwrap_err();
        assert!(matches!(&failure, CommandError::NotNow(said) if said.contains(&url)), "{failure}");
    }

    #[tokio::test]
    async fn a_server_is_taken_whole_from_one_place() {
        let lonely = ConnectionArgs { key: Some("pl_secret".into()), ..ConnectionArgs::default() };
        let failure = lonely.connect().err().unwrap().to_string();
        assert!(failure.contains("--key belongs to a server") && !failure.contains("pl_secret"), "{failure}");
        let twice = ConnectionArgs { profile: Some("shop".into()), ..arguments("http://127.0.0.1:1", "") };
        assert!(twice.connect().err().unwrap().to_string().contains("both name a server"));
        let empty = arguments("", "pl_secret").connect().err().unwrap().to_string();
        assert!(empty.contains("--server is empty"), "{empty}");
    }
}
