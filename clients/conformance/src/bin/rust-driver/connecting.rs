use std::time::Duration;

use prompt_ledger_client::{Client, ClientIdentity, Options, OptionsError};
use serde_json::Value;

/// A client with the options of a scenario; what they leave out comes from the environment.
pub(crate) fn connect(options: &Value) -> Result<Client, OptionsError> {
    let given = |name: &str| options[name].as_str().map(str::to_owned);
    let read = |name: &str| given(name).map(|path| std::fs::read_to_string(path).unwrap());
    let mut connecting = match given("server") {
        Some(url) => Options {
            url,
            api_key: given("api_key").unwrap_or_default().into(),
            project: given("project"),
            ca: read("tls_ca"),
            identity: read("tls_cert")
                .zip(read("tls_key"))
                .map(|(certificate, key)| ClientIdentity { certificate, key: key.into() }),
            ..Options::default()
        },
        None => Options::from_environment()?,
    };
    connecting.allow_plaintext = options["allow_plaintext"] == true;
    for (name, time) in [
        ("timeout", &mut connecting.timeout),
        ("silence", &mut connecting.silence),
        ("patience", &mut connecting.patience),
    ] {
        if let Some(seconds) = options[name].as_f64() {
            *time = Duration::from_secs_f64(seconds);
        }
    }
    Client::connect(connecting)
}
