//! The log: for people on a terminal, JSON lines otherwise; always on standard error. `LOG` chooses what is shown, in
//! the form of tracing's filters (`info`, `debug`, `prompt_ledger_server=debug`). No key and no prompt text is logged.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts the log; a process does it once. A filter that cannot be read is reported as a mistake.
pub fn start(filter: &str) -> Result<(), String> {
    // The AMQP client and the pools of the SQL driver report every try to connect as an error of its own; we say once
    // what changes.
    let quiet = format!("lapin=off,sqlx_core::pool=off,{filter}");
    let filter = EnvFilter::try_new(quiet).map_err(|error| format!("LOG: `{filter}` is no filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.map_err(|error| format!("the log cannot be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_starts_once_and_wants_a_filter_that_reads() {
        assert!(start("a=b=c").unwrap_err().contains("a=b=c"));
        start("info").unwrap();
        assert!(start("info").is_err());
    }
}
