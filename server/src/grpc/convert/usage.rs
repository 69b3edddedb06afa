//! Figures.

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::Bucket;
use prompt_ledger_domain::{Error, Result, Timestamp, limits};
use prompt_ledger_proto::v1;
use prompt_ledger_store::{PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

use super::time::{moment, timestamp};
use super::{execution, known, prompt};

/// The time that a request asks for; `at` is what stands before the names of its fields.
fn range(
    at: &str,
    start: Option<prost_types::Timestamp>,
    end: Option<prost_types::Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let start = start.map(|start| moment(&format!("{at}start_time"), start)).transpose()?;
    let end = end.map(|end| moment(&format!("{at}end_time"), end)).transpose()?;
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        return Err(Error::invalid(format!("{at}end_time"), format!("is before {at}start_time; send a later one")));
    }
    Ok((start, end))
}

/// What GetPromptAnalytics counts.
pub fn overview_filter(sent: &v1::GetPromptAnalyticsRequest) -> Result<UsageFilter> {
    let (start_time, end_time) = range("", sent.start_time, sent.end_time)?;
    let mode = prompt::mode_filter(known("mode", sent.mode)?);
    Ok(UsageFilter { mode, start_time, end_time, ..UsageFilter::default() })
}

/// What QueryUsage counts.
pub fn filter(sent: v1::UsageFilters) -> Result<UsageFilter> {
    let (start_time, end_time) = range("filters.", sent.start_time, sent.end_time)?;
    for (field, name) in [("filters.prompt_name", &sent.prompt_name), ("filters.environment", &sent.environment)] {
        if !name.is_empty() {
            Name::parse(field, name)?;
        }
    }
    if sent.version_number.is_some() && sent.prompt_name.is_empty() {
        let problem = "needs filters.prompt_name: versions are numbered per prompt";
        return Err(Error::invalid("filters.version_number", problem));
    }
    let (provider, model) = match sent.model {
        Some(v1::ModelRef { provider, model_name }) => {
            let provider = Name::parse("filters.model.provider", &provider)?.into_string();
            (provider, field::text("filters.model.model_name", model_name, limits::SHORT_TEXT_BYTES)?)
        }
        None => (String::new(), String::new()),
    };
    Ok(UsageFilter {
        mode: prompt::mode_filter(known("filters.mode", sent.mode)?),
        prompt_name: sent.prompt_name,
        version_number: sent.version_number,
        provider,
        model,
        environment: sent.environment,
        start_time,
        end_time,
    })
}

/// What the rows are split by.
pub fn split(group_by: &[i32], bucket: i32) -> Result<Split> {
    let bucket = match known("bucket", bucket)? {
        v1::TimeBucket::Unspecified => None,
        v1::TimeBucket::Minute => Some(Bucket::Minute),
        v1::TimeBucket::Hour => Some(Bucket::Hour),
        v1::TimeBucket::Day => Some(Bucket::Day),
    };
    let mut split = Split { bucket, ..Split::default() };
    for (place, dimension) in group_by.iter().enumerate() {
        let field = format!("group_by[{place}]");
        let part = match known(&field, *dimension)? {
            v1::UsageDimension::Unspecified => {
                return Err(Error::invalid(field, "is not told; name what to split by, or leave it out"));
            }
            v1::UsageDimension::Mode => &mut split.mode,
            v1::UsageDimension::Prompt => &mut split.prompt,
            v1::UsageDimension::Version => &mut split.version,
            v1::UsageDimension::Model => &mut split.model,
            v1::UsageDimension::Environment => &mut split.environment,
            v1::UsageDimension::Status => &mut split.status,
        };
        if std::mem::replace(part, true) {
            return Err(Error::invalid(field, "stands twice; name each dimension once"));
        }
    }
    Ok(split)
}

/// The number of prompts and the figures of the modes asked for, of which `rows` has those with executions.
#[must_use]
pub fn overview(
    filter: &UsageFilter,
    prompts: PromptCounts,
    mut rows: Vec<UsageRow>,
) -> v1::GetPromptAnalyticsResponse {
    let mut summary = v1::AnalyticsSummary::default();
    let (mut cost, mut with_cost) = (0, 0);
    let mut by_mode = Vec::new();
    for mode in Mode::ALL.iter().copied().filter(|mode| filter.mode.is_none_or(|asked| asked == *mode)) {
        match mode {
            Mode::Full => {
                summary.full_mode_prompts = prompts.full;
                summary.archived_prompts += prompts.archived_full;
            }
            Mode::Tracking => {
                summary.tracking_mode_prompts = prompts.tracking;
                summary.archived_prompts += prompts.archived_tracking;
            }
        }
        let row = match rows.iter().position(|row| row.key.mode == Some(mode)) {
            Some(at) => rows.swap_remove(at),
            None => UsageRow::none(UsageKey { mode: Some(mode), ..UsageKey::default() }),
        };
        summary.total_executions += row.tally.executions;
        summary.succeeded += row.succeeded;
        summary.failed += row.failed;
        summary.canceled += row.canceled;
        summary.unfinished += row.unfinished();
        summary.prompt_tokens += row.tally.prompt_tokens;
        summary.response_tokens += row.tally.response_tokens;
        summary.executions_without_cost += row.tally.executions - row.tally.with_cost;
        cost += row.tally.cost;
        with_cost += row.tally.with_cost;
        by_mode.push(of_mode(mode, &row));
    }
    summary.cost_nano_usd = (with_cost > 0).then(|| i64::try_from(cost).unwrap_or(i64::MAX));
    v1::GetPromptAnalyticsResponse { summary: Some(summary), by_mode }
}

fn of_mode(mode: Mode, row: &UsageRow) -> v1::ModeAnalytics {
    v1::ModeAnalytics {
        mode: prompt::mode(mode).into(),
        execution_count: row.tally.executions,
        succeeded: row.succeeded,
        failed: row.failed,
        canceled: row.canceled,
        unfinished: row.unfinished(),
        avg_latency_ms: row.tally.average_latency(),
        p50_latency_ms: row.tally.latencies.percentile(50),
        p95_latency_ms: row.tally.latencies.percentile(95),
        p99_latency_ms: row.tally.latencies.percentile(99),
        prompt_tokens: row.tally.prompt_tokens,
        response_tokens: row.tally.response_tokens,
        cost_nano_usd: row.tally.cost_nano_usd(),
        executions_without_cost: row.tally.executions - row.tally.with_cost,
    }
}

/// A row of usage.
#[must_use]
pub fn row(row: UsageRow) -> v1::UsageRow {
    let unfinished = row.unfinished();
    let UsageRow { key, succeeded, failed, canceled, tally } = row;
    v1::UsageRow {
        bucket_start: key.bucket_start.map(timestamp),
        mode: key.mode.map(|mode| prompt::mode(mode).into()),
        prompt_name: key.prompt_name,
        version_number: key.version_number,
        model: key.model.map(|model| v1::ModelRef { provider: model.provider, model_name: model.model }),
        environment: key.environment,
        status: key.status.map(|status| execution::status(status).into()),
        execution_count: tally.executions,
        succeeded,
        failed,
        canceled,
        unfinished,
        avg_latency_ms: tally.average_latency(),
        p50_latency_ms: tally.latencies.percentile(50),
        p95_latency_ms: tally.latencies.percentile(95),
        p99_latency_ms: tally.latencies.percentile(99),
        prompt_tokens: tally.prompt_tokens,
        response_tokens: tally.response_tokens,
        cost_nano_usd: tally.cost_nano_usd(),
        executions_without_cost: tally.executions - tally.with_cost,
    }
}

/// A key as it stands in a page token.
type UsageColumns = (
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<(String, String)>,
    Option<String>,
    Option<String>,
);

/// The place of a row, for a page token.
#[must_use]
pub fn cursor(key: &UsageKey) -> String {
    let written: UsageColumns = (
        key.bucket_start.map(|at| at.0),
        key.mode.map(|mode| mode.as_str().to_owned()),
        key.prompt_name.clone(),
        key.version_number,
        key.model.clone().map(|model| (model.provider, model.model)),
        key.environment.clone(),
        key.status.map(|status| status.as_str().to_owned()),
    );
    serde_json::json!(written).to_string()
}

/// The place that a page token's key names, in figures that are split so.
#[must_use]
pub fn place(cursor: &str, split: Split) -> Option<UsageKey> {
    let (at, mode, prompt_name, version_number, model, environment, status): UsageColumns =
        serde_json::from_str(cursor).ok()?;
    let texts = [&prompt_name, &environment, &mode, &status].into_iter().flatten();
    let texts = texts.chain(model.iter().flat_map(|(provider, model)| [provider, model]));
    let shape = (at.is_some(), prompt_name.is_some(), version_number.is_some(), model.is_some(), environment.is_some());
    let asked = (split.bucket.is_some(), split.prompt || split.version, split.version, split.model, split.environment);
    if shape != asked || (mode.is_some(), status.is_some()) != (split.mode, split.status) {
        return None;
    }
    if texts.into_iter().any(|text| text.contains('\0')) {
        return None;
    }
    Some(UsageKey {
        bucket_start: match at {
            Some(at) => Some(moment("page_token", timestamp(Timestamp(at))).ok()?),
            None => None,
        },
        mode: match mode {
            Some(word) => Some(Mode::from_word(&word)?),
            None => None,
        },
        prompt_name,
        version_number,
        model: model.map(|(provider, model)| ModelRef { provider, model }),
        environment,
        status: match status {
            Some(word) => Some(Status::from_word(&word)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_again_by_its_page_token() {
        let whole = UsageKey {
            bucket_start: Some(Timestamp(5)),
            mode: Some(Mode::Tracking),
            prompt_name: Some("greet".into()),
            version_number: Some(3),
            model: Some(ModelRef { provider: "openai".into(), model: "a \"b\" [c]".into() }),
            environment: Some("prod".into()),
            status: Some(Status::Canceled),
        };
        let all = Split {
            bucket: Some(Bucket::Hour),
            mode: true,
            prompt: true,
            version: true,
            model: true,
            environment: true,
            status: true,
        };
        for (key, split) in [(UsageKey::default(), Split::default()), (whole, all)] {
            assert_eq!(place(&cursor(&key), split), Some(key));
        }
        for (wrong, split) in [
            ("", Split::default()),
            ("[]", Split::default()),
            ("[1,2,3,4,5,6,7]", Split::default()),
            ("[null,null,\"a\",null,null,null,null]", Split::default()),
            ("[null,null,null,null,null,null,null]", all),
            ("[null,\"half\",null,null,null,null,null]", Split { mode: true, ..Split::default() }),
            ("[null,null,\"a\\u0000\",null,null,null,null]", Split { prompt: true, ..Split::default() }),
            ("[9223372036854775807,null,null,null,null,null,null]", Split { bucket: all.bucket, ..Split::default() }),
        ] {
            assert_eq!(place(wrong, split), None, "{wrong}");
        }
    }
}
