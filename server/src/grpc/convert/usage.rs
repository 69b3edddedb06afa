//! Figures: filters, splits, rows and their page tokens.

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, UtcOffset};
use prompt_ledger_domain::{Error, Result, Timestamp, limits};
use prompt_ledger_proto::v1;
use prompt_ledger_store::{Split, UsageFilter, UsageKey, UsageRow};

use super::time::{moment, timestamp};
use super::{execution, known, prompt};
use crate::service::analytics::Overview;

pub fn overview_filter(sent: &v1::GetPromptAnalyticsRequest) -> Result<UsageFilter> {
    Ok(UsageFilter {
        mode: prompt::mode_filter(known("mode", sent.mode)?),
        start_time: sent.start_time.map(|start| moment("start_time", start)).transpose()?,
        end_time: sent.end_time.map(|end| moment("end_time", end)).transpose()?,
        ..UsageFilter::default()
    })
}

pub fn filter(sent: v1::UsageFilters) -> Result<UsageFilter> {
    let start_time = sent.start_time.map(|start| moment("filters.start_time", start)).transpose()?;
    let end_time = sent.end_time.map(|end| moment("filters.end_time", end)).transpose()?;
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

/// The dimensions that rows are split by, and their buckets; INVALID_FIELD for a dimension that is unspecified or
/// repeated, and for an offset that no place has.
pub fn split(group_by: &[i32], bucket: i32, utc_offset: Option<prost_types::Duration>) -> Result<Split> {
    let bucket = match known("bucket", bucket)? {
        v1::TimeBucket::Unspecified => None,
        v1::TimeBucket::Minute => Some(Bucket::Minute),
        v1::TimeBucket::Hour => Some(Bucket::Hour),
        v1::TimeBucket::Day => Some(Bucket::Day),
    };
    let utc_offset = offset("utc_offset", utc_offset.unwrap_or_default())?;
    let mut split = Split { bucket, utc_offset, ..Split::default() };
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

fn offset(field: &str, sent: prost_types::Duration) -> Result<UtcOffset> {
    let whole = sent.nanos == 0 && sent.seconds % 60 == 0;
    let minutes = i32::try_from(sent.seconds / 60).ok().filter(|_| whole);
    let wrong = || Error::invalid(field, "is no offset from UTC; send whole minutes from -18 to 18 hours");
    minutes.and_then(UtcOffset::from_minutes).ok_or_else(wrong)
}

/// The numbers of prompts, and the figures by mode and in total.
#[must_use]
pub fn overview(overview: &Overview) -> v1::GetPromptAnalyticsResponse {
    let Overview { prompts, total, by_mode } = overview;
    let summary = v1::AnalyticsSummary {
        full_mode_prompts: prompts.full,
        tracking_mode_prompts: prompts.tracking,
        archived_prompts: prompts.archived_full + prompts.archived_tracking,
        total_executions: total.tally.executions,
        succeeded: total.succeeded,
        failed: total.failed,
        canceled: total.canceled,
        unfinished: total.unfinished(),
        prompt_tokens: total.tally.prompt_tokens,
        response_tokens: total.tally.response_tokens,
        cost_nano_usd: total.tally.cost_nano_usd(),
        executions_without_cost: total.tally.executions - total.tally.with_cost,
    };
    let by_mode = by_mode.iter().map(|(mode, row)| of_mode(*mode, row)).collect();
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

/// A row of the executions that `filter` matches, split like this.
#[must_use]
pub fn row(row: UsageRow, filter: &UsageFilter, split: Split) -> v1::UsageRow {
    let unfinished = row.unfinished();
    let UsageRow { key, succeeded, failed, canceled, tally } = row;
    let bucket =
        key.bucket_start.zip(split.bucket).map(|(start, bucket)| (start, Timestamp(start.0 + bucket.micros())));
    v1::UsageRow {
        bucket_start: key.bucket_start.map(timestamp),
        bucket_end: bucket.map(|(_, end)| timestamp(end)),
        whole_bucket: bucket.map(|(start, end)| filter.spans(start, end)),
        mode: key.mode.map(|mode| prompt::mode(mode).into()),
        prompt_name: key.prompt_name,
        version_number: key.version_number,
        model: key.model.map(|model| v1::ModelRef { provider: model.provider, model_name: model.model_name }),
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

/// A row's key in a page token, as JSON: bucket start in microseconds since 1970, mode, prompt, version, model,
/// environment, status.
type UsageColumns = (
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<(String, String)>,
    Option<String>,
    Option<String>,
);

/// The position of a row, for a page token.
#[must_use]
pub fn cursor(key: &UsageKey) -> String {
    let written: UsageColumns = (
        key.bucket_start.map(|at| at.0),
        key.mode.map(|word| word.to_string()),
        key.prompt_name.clone(),
        key.version_number,
        key.model.clone().map(|model| (model.provider, model.model_name)),
        key.environment.clone(),
        key.status.map(|word| word.to_string()),
    );
    serde_json::json!(written).to_string()
}

/// The key that a page token names; absent where it is malformed, or is not of rows that are split like this.
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
            Some(word) => Some(word.parse::<Mode>().ok()?),
            None => None,
        },
        prompt_name,
        version_number,
        model: model.map(|(provider, model)| ModelRef { provider, model_name: model }),
        environment,
        status: match status {
            Some(word) => Some(word.parse::<Status>().ok()?),
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
            model: Some(ModelRef { provider: "openai".into(), model_name: "a \"b\" [c]".into() }),
            environment: Some("prod".into()),
            status: Some(Status::Canceled),
        };
        let all = Split {
            bucket: Some(Bucket::Hour),
            utc_offset: UtcOffset::UTC,
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
