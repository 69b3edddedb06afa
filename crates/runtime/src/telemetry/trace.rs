//! The trace that a task works for, and its id in each line that is logged meanwhile.

use std::fmt;

use prompt_ledger_domain::trace::TraceParent;
use tokio_util::either::Either;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

tokio::task_local! {
    static CURRENT: TraceParent;
}

/// Does this work for a trace; where it is absent, for none. What the work spawns is not part of it.
pub fn within<T>(trace: Option<TraceParent>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    match trace {
        Some(trace) => Either::Left(CURRENT.scope(trace, work)),
        None => Either::Right(work),
    }
}

/// As [`within`], for what is done at once.
pub fn noting<T>(trace: Option<TraceParent>, work: impl FnOnce() -> T) -> T {
    match trace {
        Some(trace) => CURRENT.sync_scope(trace, work),
        None => work(),
    }
}

/// The trace that the present task works for.
#[must_use]
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineForm {
    /// An object of JSON.
    Json,
    Text,
}

/// Lines with the id of their trace, where there is one: a member of the object, or before the text.
pub(super) struct WithTrace<F> {
    pub(super) lines: F,
    pub(super) form: LineForm,
}

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = current() else { return self.lines.format_event(context, to, event) };
        if self.form == LineForm::Text {
            write!(to, "{:032x} ", trace.trace_id)?;
            return self.lines.format_event(context, to, event);
        }
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(to, "{{\"trace_id\":\"{:032x}\",{rest}", trace.trace_id),
            None => to.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{fmt as layer, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_has_the_id_of_its_trace_and_of_none_where_there_is_none() {
        let trace = Some(TraceParent { trace_id: 0xab, span_id: 1, sampled: false });
        let id = format!("{:032x}", 0xab);
        let (json, text) = (Written::default(), Written::default());
        let [to_json, to_text] = [json.clone(), text.clone()];
        let lines = layer::layer().json().flatten_event(true).with_writer(move || to_json.clone());
        let lines = lines.map_event_format(|lines| WithTrace { lines, form: LineForm::Json });
        let plain = layer::layer().with_ansi(false).with_writer(move || to_text.clone());
        let plain = plain.map_event_format(|lines| WithTrace { lines, form: LineForm::Text });
        let _guard = tracing::subscriber::set_default(registry().with(lines).with(plain));
        within(trace, async { tracing::info!(n = 1, "within") }).await;
        within(None, async { tracing::info!(n = 2, "without") }).await;
        assert_eq!((noting(trace, current), noting(None, current)), (trace, None));
        assert_eq!((current(), within(trace, async { current() }).await), (None, trace));
        let written = |of: &Written| String::from_utf8(of.0.lock().unwrap().clone()).unwrap();
        let (json, text) = (written(&json), written(&text));
        let lines: Vec<_> = json.lines().collect();
        assert!(lines[0].starts_with(&format!("{{\"trace_id\":\"{id}\",")) && lines[0].ends_with('}'), "{json}");
        assert!(lines[0].contains("\"n\":1") && !lines[1].contains("trace_id"), "{json}");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with(&format!("{id} ")) && !lines[1].contains(&id), "{text}");
    }
}
