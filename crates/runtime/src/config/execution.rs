use std::time::Duration;

use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::retry::Policy;

use super::env::{Env, duration};
use super::settings::{DEFAULT_MODEL, LEASE, REDISPATCH_AFTER, RETRY_DELAYS, SWEEP_INTERVAL, WORKER_CONCURRENCY};

/// Settings of executions.
#[derive(Clone, Debug)]
pub struct ExecutionConfig {
    /// For requests without a model; absent where DEFAULT_MODEL is not set: then `dev` chooses one.
    pub default_model: Option<ModelRef>,
    /// At most ten delays.
    pub retry: Policy,
    /// How long a lease lasts unless it is extended.
    pub lease: Duration,
    /// Interval of the searches for expired leases and for available rows without a hint.
    pub sweep_interval: Duration,
    /// How long after its submit an execution may be taken without a hint.
    pub redispatch_after: Duration,
    /// Most queued executions that one process runs at once.
    pub worker_concurrency: usize,
}

impl ExecutionConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        Self {
            default_model: env.read(&DEFAULT_MODEL, |value| match value.split_once('/') {
                Some((provider, model)) if !provider.is_empty() && (1..=255).contains(&model.len()) => {
                    Ok(ModelRef { provider: provider.into(), model_name: model.into() })
                }
                _ => Err(format!("`{value}` is not PROVIDER/MODEL, e.g. openai/gpt-4o-mini, MODEL up to 255 bytes")),
            }),
            retry: env
                .read(&RETRY_DELAYS, |value| {
                    let delays = value.split(',').map(|part| duration(part.trim())).collect::<Result<Vec<_>, _>>()?;
                    if delays.len() > 10 { Err("more than 10 delays".into()) } else { Ok(Policy { delays }) }
                })
                .unwrap_or_default(),
            lease: env.duration(&LEASE),
            redispatch_after: env.duration(&REDISPATCH_AFTER),
            worker_concurrency: env.number(&WORKER_CONCURRENCY),
            sweep_interval: env.duration(&SWEEP_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let lookup = |name: &str| match name {
            "DEFAULT_MODEL" => Some("openai/org/model".to_owned()),
            "RETRY_DELAYS" => Some("10ms, 2s".to_owned()),
            _ => None,
        };
        let config = ExecutionConfig::read(&mut Env::new(&lookup));
        assert_eq!(config.default_model, Some(ModelRef { provider: "openai".into(), model_name: "org/model".into() }));
        assert_eq!(config.retry.delays, [Duration::from_millis(10), Duration::from_secs(2)]);
    }

    #[test]
    fn odd_values_are_mistakes() {
        let odd =
            |retry: &'static str| move |name: &str| Some(if name == "RETRY_DELAYS" { retry } else { "/" }.to_owned());
        for retry in ["5s,,", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"] {
            let lookup = odd(retry);
            let mut env = Env::new(&lookup);
            ExecutionConfig::read(&mut env);
            let said = env.finish(()).unwrap_err().to_string();
            assert!(said.contains("DEFAULT_MODEL: `/`") && said.contains("RETRY_DELAYS"), "{said}");
        }
    }
}
