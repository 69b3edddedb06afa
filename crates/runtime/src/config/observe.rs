//! Settings of metrics and traces.

use std::fmt;

use prompt_ledger_domain::secret::Secret;
use url::Url;

use super::ListenAddr;
use super::env::Env;
use super::{provider, settings as set};

/// What of a process is shown to its operators, besides the log.
#[derive(Clone, Debug, Default)]
pub struct ObserveConfig {
    /// Where `/metrics` is served.
    pub metrics_addr: ListenAddr,
    /// Whether executions are counted by prompt too.
    pub prompt_label: bool,
    /// Absent: metrics and traces are pushed nowhere.
    pub otlp: Option<OtlpConfig>,
    pub trace: TraceConfig,
}

/// How spans are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TraceConfig {
    /// The share of traces that is recorded, from 0 to 1, of those that no caller has decided on.
    pub share: f64,
    /// Whether what a worker does belongs to the trace of the submit. Else it has a trace of its own, with a link.
    pub continuous: bool,
    /// Whether names of earlier conventions are told too.
    pub genai_old: bool,
    /// Whether prompts and answers are told.
    pub text: bool,
}

/// A receiver of OTLP over gRPC.
#[derive(Clone)]
pub struct OtlpConfig {
    /// An http or https URL without credentials.
    pub endpoint: Url,
    /// Sent with each export, such as a token; names in lower case.
    pub headers: Vec<(String, Secret)>,
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

impl ObserveConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let headers = env.read(&set::OTEL_EXPORTER_OTLP_HEADERS, headers).unwrap_or_default();
        let endpoint = env.read(&set::OTEL_EXPORTER_OTLP_ENDPOINT, endpoint);
        Self {
            metrics_addr: ListenAddr::read(env, &set::METRICS_ADDR),
            prompt_label: env.word(&set::METRICS_PROMPT_LABEL, |word| word.parse().ok()),
            otlp: endpoint.map(|endpoint| OtlpConfig { endpoint, headers }),
            trace: TraceConfig {
                share: env.read(&set::OTEL_TRACES_SAMPLER_ARG, share).unwrap_or_default(),
                continuous: env.word(&set::TRACE_CONTINUOUS, |word| word.parse().ok()),
                genai_old: env.word(&set::TRACE_GENAI_OLD, |word| word.parse().ok()),
                text: env.word(&set::TRACE_TEXT, |word| word.parse().ok()),
            },
        }
    }
}

fn share(value: &str) -> Result<f64, String> {
    let share = value.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{value}` is no number from 0 to 1"))
}

fn endpoint(value: &str) -> Result<Url, String> {
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        Some(url) if url.username().is_empty() && url.password().is_none() => Ok(url),
        Some(_) => Err("holds credentials; send them as OTEL_EXPORTER_OTLP_HEADERS".into()),
        None => Err("is no http or https URL, e.g. http://127.0.0.1:4317".into()),
    }
}

/// Headers of gRPC, names in lower case. No error shows a value.
fn headers(value: &str) -> Result<Vec<(String, Secret)>, String> {
    let header = |(name, value): (String, Secret)| {
        let name = name.to_ascii_lowercase();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        // Those that end with `-bin` have values in another form.
        let fits = is_name && !name.ends_with("-bin") && value.expose().bytes().all(|b| (b' '..=b'~').contains(&b));
        if fits { Ok((name, value)) } else { Err("holds a name or a value that is no header of ASCII text".to_owned()) }
    };
    provider::headers(value)?.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<ObserveConfig, String> {
        let lookup = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut env = Env::new(&lookup);
        let config = ObserveConfig::read(&mut env);
        env.finish(config).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn what_is_pushed_goes_where_it_is_told_with_its_headers() {
        let config = read(&[
            ("METRICS_ADDR", "off"),
            ("METRICS_PROMPT_LABEL", "true"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20hunter2, x-scope=a%2Cb"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ("TRACE_CONTINUOUS", "true"),
            ("TRACE_TEXT", "true"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.metrics_addr, config.prompt_label), (ListenAddr::Off, true));
        let otlp = config.otlp.unwrap();
        assert_eq!(otlp.endpoint.as_str(), "http://collector:4317/");
        let headers: Vec<_> = otlp.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("authorization", "Bearer hunter2"), ("x-scope", "a,b")]);
        assert!(!format!("{otlp:?}").contains("hunter2"));
        let trace = TraceConfig { share: 0.01, continuous: true, genai_old: false, text: true };
        assert_eq!(config.trace, trace);
        let default = read(&[]).unwrap();
        assert!(default.otlp.is_none());
        assert_eq!(default.trace, TraceConfig { share: 1.0, ..TraceConfig::default() });
    }

    #[test]
    fn odd_values_are_mistakes_and_show_no_secret() {
        for (name, value) in [
            ("METRICS_ADDR", "9464"),
            ("METRICS_PROMPT_LABEL", "hunter"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ("TRACE_CONTINUOUS", "yes"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@:x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key-bin=hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=hunter2\u{1}"),
        ] {
            let said = read(&[(name, value)]).unwrap_err();
            assert!(said.starts_with(&format!("{name}: ")) && !said.contains("hunter2"), "{said}");
        }
    }
}
