//! Limits what repeats in the log. A warning or an error that has a field `cause`, or comes from OpenTelemetry, is logged when its
//! cause is new. Others
//! of the same cause, wherever in the process they come from, are counted for a minute and then logged in one line, and so
//! on every minute until there are none.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prompt_ledger_domain::cause::kind;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How long events of a cause are counted before they are logged in one line.
const PERIOD: Duration = Duration::from_secs(60);
/// Most causes that are told apart at once; further ones count as one.
const CAUSES: usize = 256;
/// The name of the causes beyond [`CAUSES`].
const FURTHER: &str = "further causes";
/// Most messages of a cause that are counted apart.
const MESSAGES: usize = 12;
/// The name of the field that holds the cause. A number in a field `times` says how many events one stands for.
const CAUSE: &str = "cause";
const TIMES: &str = "times";
/// How the targets of what pushes metrics and spans begin: all that it complains of has one cause.
const PUSHING: &str = "opentelemetry";
/// The target of the lines that have counts, which are not counted themselves.
pub(super) const TARGET: &str = "prompt_ledger_runtime::telemetry::rate_limit";

/// A layer that drops and counts events of a cause that was logged less than a minute ago. Clones share the counts.
#[derive(Clone, Debug)]
pub struct RateLimit {
    period: Duration,
    causes: Arc<Mutex<Causes>>,
}

#[derive(Debug, Default)]
struct Causes(
    /// By kind of cause.
    BTreeMap<String, Repeats>,
);

/// What was not logged of a cause.
#[derive(Debug)]
struct Repeats {
    /// As it was logged.
    cause: String,
    level: Level,
    /// When the events that were counted are logged.
    due: Instant,
    times: u64,
    /// The same by message.
    messages: BTreeMap<String, u64>,
}

/// The fields of an event that matter here.
#[derive(Debug, Default)]
struct LimitedEvent {
    cause: String,
    times: Option<u64>,
    message: String,
}

impl Visit for LimitedEvent {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == TIMES {
            self.times = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == CAUSE {
            value.clone_into(&mut self.cause);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            CAUSE => self.cause = format!("{value:?}"),
            "message" => self.message = format!("{value:?}"),
            _ => {}
        }
    }
}

/// A line that has the count of a minute.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    level: Level,
    cause: String,
    times: u64,
    /// Each message, with its count where there are several.
    what: String,
}

impl Causes {
    /// Whether the event is logged now.
    fn admit(&mut self, level: Level, event: LimitedEvent, now: Instant, period: Duration) -> bool {
        let mut key = kind(&event.cause);
        let mut cause = event.cause;
        if self.0.len() >= CAUSES && !self.0.contains_key(&key) {
            (key, cause) = (FURTHER.to_owned(), FURTHER.to_owned());
        }
        let Some(repeats) = self.0.get_mut(&key) else {
            let (due, messages) = (now + period, BTreeMap::new());
            self.0.insert(key, Repeats { cause, level, due, times: 0, messages });
            return true;
        };
        let times = event.times.unwrap_or(1);
        repeats.times += times;
        repeats.level = repeats.level.min(level);
        if repeats.messages.len() < MESSAGES || repeats.messages.contains_key(&event.message) {
            *repeats.messages.entry(event.message).or_default() += times;
        }
        false
    }

    /// The lines that are due. A cause without events since its last line is forgotten.
    fn due(&mut self, now: Instant, period: Duration) -> Vec<Summary> {
        let mut summaries = Vec::new();
        self.0.retain(|_, repeats| {
            if now < repeats.due {
                return true;
            }
            if repeats.times == 0 {
                return false;
            }
            let messages = std::mem::take(&mut repeats.messages);
            summaries.push(Summary {
                level: repeats.level,
                cause: repeats.cause.clone(),
                times: std::mem::take(&mut repeats.times),
                what: listed(&messages),
            });
            repeats.due = now + period;
            true
        });
        summaries
    }
}

fn listed(messages: &BTreeMap<String, u64>) -> String {
    let mut what = String::new();
    for (message, times) in messages {
        let separator = if what.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        _ = match messages.len() {
            1 => write!(what, "{message}"),
            _ => write!(what, "{separator}{times} times: {message}"),
        };
    }
    what
}

impl Summary {
    fn log(&self) {
        let Self { level, cause, times, what } = self;
        match *level {
            Level::ERROR => tracing::error!(target: TARGET, cause, times, what, "repeated within the last minute"),
            _ => tracing::warn!(target: TARGET, cause, times, what, "repeated within the last minute"),
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::over(PERIOD)
    }
}

impl RateLimit {
    fn over(period: Duration) -> Self {
        Self { period, causes: Arc::default() }
    }

    /// Starts the thread that logs counts when they are due, for as long as `log` exists.
    pub(super) fn report_to(&self, log: WeakDispatch) -> std::io::Result<()> {
        let limit = self.clone();
        let report = move || {
            while let Some(log) = log.upgrade() {
                // Not under the lock: what is logged passes this layer.
                let due = limit.causes().due(Instant::now(), limit.period);
                tracing::dispatcher::with_default(&log, || due.iter().for_each(Summary::log));
                drop(log);
                std::thread::sleep(limit.period / 60);
            }
        };
        std::thread::Builder::new().name("log counts".to_owned()).spawn(report).map(drop)
    }

    fn causes(&self) -> MutexGuard<'_, Causes> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // More verbose levels are the greater ones.
        let (is_pushing, has_cause) =
            (metadata.target().starts_with(PUSHING), metadata.fields().field(CAUSE).is_some());
        let is_limited = *metadata.level() <= Level::WARN && (is_pushing || has_cause);
        if !is_limited || metadata.target() == TARGET {
            return true;
        }
        let mut fields = LimitedEvent::default();
        event.record(&mut fields);
        if is_pushing {
            // Each batch that cannot be pushed is told several times.
            PUSHING.clone_into(&mut fields.cause);
        }
        self.causes().admit(*metadata.level(), fields, Instant::now(), self.period)
    }
}

#[cfg(test)]
mod tests;
