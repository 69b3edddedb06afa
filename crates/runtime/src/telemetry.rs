//! The log, on standard error: text on a terminal, JSON lines otherwise. `LOG` is a level, or levels of parts (`info`,
//! `info,prompt_ledger_server=debug`). Keys and prompt texts must not be logged. A warning or an error whose field `cause`
//! was logged less than a minute ago is counted instead (`rate_limit`). Lines have the id of the trace that their task works for
//! (`trace`).

mod rate_limit;
mod trace;

use std::io::IsTerminal as _;

use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

pub use self::rate_limit::RateLimit;
use self::trace::{LineForm, WithTrace};
pub use self::trace::{current, noting, within};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Counts are logged even where `LOG` names other parts only: what they stand for is not.
const COUNTS: &str = rate_limit::TARGET;

/// Starts the log. Must be called once per process. A filter that cannot be parsed is an error.
pub fn start(filter: &str) -> Result<(), String> {
    let limit = RateLimit::default();
    let (limited, lines) =
        (registry().with(quieted(filter)?).with(limit.clone()), fmt::layer().with_writer(std::io::stderr));
    let log = if std::io::stderr().is_terminal() {
        let lines = lines.with_target(false).map_event_format(|lines| WithTrace { lines, form: LineForm::Text });
        Dispatch::new(limited.with(lines))
    } else {
        let lines = lines.json().flatten_event(true);
        Dispatch::new(limited.with(lines.map_event_format(|lines| WithTrace { lines, form: LineForm::Json })))
    };
    let weak = log.downgrade();
    tracing::dispatcher::set_global_default(log).map_err(|error| format!("the log cannot be started: {error}"))?;
    limit.report_to(weak).map_err(|error| format!("the log cannot be started: {error}"))
}

/// The filter, with noisy libraries turned down. `LOG` overrides that where it names the library.
fn quieted(filter: &str) -> Result<EnvFilter, String> {
    // The AMQP client and the pools of the SQL driver log every attempt to connect as an error, and every long wait; we log
    // changes of state, once. HTTP/2 warns of clients' mistakes: anyone could cause a line per connection.
    let all = format!("lapin=off,sqlx_core::pool=off,sqlx::pool=off,h2=error,{COUNTS}=warn,{filter}");
    EnvFilter::try_new(all).map_err(|error| format!("`{filter}` is no filter: {error}"))
}

/// Whether the log can be started with this filter. A word that is no level is refused, though `tracing` takes it for a
/// target of which everything is logged: of all others nothing would be.
pub fn check(filter: &str) -> Result<(), String> {
    let level_of = |part: &str| part.rsplit_once('=').map_or(part, |(_, level)| level).trim().to_ascii_lowercase();
    match filter.split(',').find(|part| !LEVELS.contains(&&*level_of(part))) {
        Some(part) => Err(format!("`{part}` is no level; write one of {}, or TARGET=LEVEL", LEVELS.join(", "))),
        None => quieted(filter).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_says_too_much_is_heard_only_where_it_is_named() {
        let shown = |log: &str| quieted(log).unwrap().to_string();
        for quiet in ["h2=error", "lapin=off", "sqlx_core::pool=off", "sqlx::pool=off"] {
            assert!(shown("debug").contains(quiet), "{quiet}");
        }
        assert!(shown("info,h2=trace").contains("h2=trace") && !shown("info,h2=trace").contains("h2=error"));
    }

    #[test]
    fn a_filter_is_levels_of_everything_or_of_parts() {
        for filter in ["info", "OFF", "info,h2=trace", "prompt_ledger_server::app=debug, warn"] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
        for filter in ["inof", "", "info,", "prompt_ledger_server", "h2=loud", "a=b=c", "=", "info;debug"] {
            assert!(check(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn a_log_starts_once_and_wants_a_filter_that_reads() {
        assert!(start("a=b=c").unwrap_err().contains("a=b=c"));
        start("info").unwrap();
        assert!(start("info").is_err());
    }
}
