use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use prompt_ledger_client::{ClientIdentity, Options, v1, without_user};

use super::file::{ProfileFile, StoredProfile};
use crate::connection::{ConnectionArgs, LedgerConnection, content, encrypted};
use crate::failure::CommandError;
use crate::output::Output;
use crate::stop_signal::{StopSignal, StopSignals};

/// Keeps a server under a name.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl profile add local --server http://127.0.0.1:50051
  ledgerctl profile add production --server https://ledger.example.com:50051 --key-file shop.key
  ledgerctl profile add staging --server https://10.0.0.7:443 --cert me.pem --cert-key me.key
  ledgerctl profile use production

The key is read from --key-file, or asked for on the terminal, without showing it, or read from standard input; never from the \
command line. It is written into the file of profiles, which only its user may read. The server is called once to see that \
all of it works.

Standard output stays empty, also under --json and --jsonl.")]
pub(super) struct ProfileAddArgs {
    /// The profile's name; `default` is used where nothing names another
    #[arg(value_name = "NAME")]
    name: String,
    /// The file of a client's certificate, in PEM form, for a server that asks for one
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The file of that certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// Do not call the server
    #[arg(long)]
    no_check: bool,
    /// Overwrite the profile of this name
    #[arg(long)]
    replace: bool,
}

/// Longest key that is read of standard input, in bytes.
const LONGEST_KEY: u64 = 4096;

impl ProfileAddArgs {
    pub(super) async fn run(
        self,
        connection: ConnectionArgs,
        path: PathBuf,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let name = self.name.clone();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(CommandError::refused("a profile has a name: give it one of letters, as `production`"));
        }
        self.is_new(&ProfileFile::open(path.clone())?)?;
        if connection.key.is_some() {
            return Err(CommandError::refused(
                "a key to keep is not given by --key, where other users of this machine can read it: write it into a file and \
                 add --key-file, or leave it out to be asked for it",
            ));
        }
        let Some(server) = connection.server.clone() else {
            return Err(CommandError::refused(
                "add --server URL: https://HOST:PORT, or http://HOST:PORT for one without TLS",
            ));
        };
        let certificates = [("--ca", connection.ca.is_some()), ("--cert, --cert-key", self.cert.is_some())];
        encrypted(&server, &certificates)?;
        let (api_key, mut signals) = match &connection.key_file {
            Some(path) => (content("--key-file", path)?, StopSignals::default()),
            None => asked_key(&server)?,
        };
        let profile = StoredProfile {
            server: Some(server.clone()),
            api_key: (!api_key.is_empty()).then(|| api_key.clone()),
            project: connection.project.clone().filter(|project| !project.is_empty()),
            tls_ca: connection.ca.as_deref().map(absolute).transpose()?,
            tls_cert: self.cert.as_deref().map(absolute).transpose()?,
            tls_key: self.cert_key.as_deref().map(absolute).transpose()?,
        };
        let identity = match (&self.cert, &self.cert_key) {
            (Some(cert), Some(key)) => {
                Some(ClientIdentity { certificate: content("--cert", cert)?, key: content("--cert-key", key)?.into() })
            }
            _ => None,
        };
        let options = Options {
            url: server,
            api_key: api_key.into(),
            project: profile.project.clone(),
            ca: connection.ca.as_deref().map(|path| content("--ca", path)).transpose()?,
            identity,
            // Without a call nothing is sent.
            allow_plaintext: connection.allow_plaintext || self.no_check,
            ..Options::default()
        };
        let called = LedgerConnection::of(options)?;
        if !self.no_check {
            tokio::select! {
                checked = check(&called) => checked?,
                signal = signals.next() => return Err(CommandError::Stopped(signal, "nothing was kept".to_owned())),
            }
        }
        // What others added meanwhile stays.
        let mut file = ProfileFile::open_to_add(path).await?;
        self.is_new(&file)?;
        file.set(&name, &profile);
        file.save()?;
        output.note(&format!("profile `{name}` is kept in {}; --profile {name} uses it", file.path.display()));
        Ok(())
    }
}

impl ProfileAddArgs {
    /// Refuses to overwrite a profile that nobody asked to replace.
    fn is_new(&self, file: &ProfileFile) -> Result<(), CommandError> {
        if file.get(&self.name).is_none() || self.replace {
            return Ok(());
        }
        let (path, name) = (file.path.display(), &self.name);
        Err(CommandError::refused(format!("{path} has a profile `{name}` already: add --replace to overwrite it")))
    }
}

/// Calls the server once, with the key.
async fn check(connection: &LedgerConnection) -> Result<(), CommandError> {
    let request = v1::ListPromptsRequest { page_size: 1, ..Default::default() };
    let called =
        connection.ask(request, |client, request| async move { client.registry().list_prompts(request).await });
    let kept = "nothing was kept; --no-check keeps it all the same";
    match called.await {
        Ok(_) => Ok(()),
        Err(CommandError::NotNow(why)) => Err(CommandError::NotNow(format!("{why}\n{kept}"))),
        Err(why) => Err(CommandError::refused(format!("{why}\n{kept}"))),
    }
}

/// The key, from the terminal without showing it, or from standard input; empty: none. With what no longer ends the process by itself.
fn asked_key(server: &str) -> Result<(String, StopSignals), CommandError> {
    if io::stdin().is_terminal() {
        // From now on Ctrl-C does not end the process, which would leave the terminal without echo.
        let signals = StopSignals::listen(&[StopSignal::Interrupt]).map_err(CommandError::refused)?;
        #[cfg(unix)]
        let _silent = super::silent_terminal::SilentTerminal::begin()
            .map_err(|error| CommandError::refused(format!("the key cannot be asked for: {error}")))?;
        let asked = rpassword::prompt_password(format!(
            "API key of {}, which is not shown (empty: none): ",
            without_user(server)
        ));
        return match asked {
            Ok(key) => Ok((key.trim().to_owned(), signals)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(CommandError::Stopped(StopSignal::Interrupt, String::new()))
            }
            Err(error) => Err(CommandError::refused(format!("the key cannot be read: {error}"))),
        };
    }
    let mut key = String::new();
    let read = io::stdin().lock().take(LONGEST_KEY + 1).read_to_string(&mut key);
    read.map_err(|error| CommandError::refused(format!("the key cannot be read from standard input: {error}")))?;
    if key.len() as u64 > LONGEST_KEY {
        return Err(CommandError::refused(
            "standard input is longer than any key: give the key alone, or add --key-file",
        ));
    }
    Ok((key.trim().to_owned(), StopSignals::default()))
}

/// A path that leads to the same file from every folder.
fn absolute(path: &Path) -> Result<String, CommandError> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|error| CommandError::refused(format!("{}: {error}", path.display())))?;
    let text = absolute.to_str().ok_or_else(|| CommandError::refused(format!("{} is no UTF-8", path.display())))?;
    Ok(text.to_owned())
}
