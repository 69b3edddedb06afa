//! Figures over executions.

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::config::ModelRefJson;
use super::execution_requests::model;
use super::money::UsdJson;
use super::time::{TimeJson, time};
use super::told;
use super::words::{BucketWord, DimensionWord, ExecutionStatusWord, ModeFilterWord, ModeWord, WireWord};
use crate::http::query::Words;

/// What to count.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AnalyticsQuery {
    #[param(inline)]
    pub(crate) mode: ModeFilterWord,
    /// Only executions created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) start: Option<TimeJson>,
    /// Only executions created before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) end: Option<TimeJson>,
}

/// What to count, and how to split it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UsageQuery {
    /// What to split the rows by, separated by commas: mode, prompt, version, model, environment, status.
    #[param(value_type = Option<String>)]
    group_by: Words<DimensionWord>,
    /// How to split the rows by time; absent: not at all.
    #[param(inline)]
    bucket: Option<BucketWord>,
    /// How far the place whose days are meant is ahead of UTC, in minutes.
    utc_offset_minutes: Option<i32>,
    #[param(inline)]
    mode: ModeFilterWord,
    prompt_name: String,
    /// Needs `prompt_name`.
    version_number: Option<i32>,
    provider: Option<String>,
    /// Needs `provider`.
    model_name: Option<String>,
    environment: String,
    /// Only executions created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    start: Option<TimeJson>,
    /// Only executions created before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    end: Option<TimeJson>,
    /// 1 to 500; 0: 50.
    page_size: i32,
    page_token: String,
}

impl UsageQuery {
    pub(crate) fn wire(self) -> Result<v1::QueryUsageRequest, Error> {
        let offset = |minutes: i32| prost_types::Duration { seconds: i64::from(minutes) * 60, nanos: 0 };
        Ok(v1::QueryUsageRequest {
            filters: Some(v1::UsageFilters {
                mode: self.mode.wire(),
                prompt_name: self.prompt_name,
                version_number: self.version_number,
                model: model(self.provider, self.model_name)?,
                environment: self.environment,
                start_time: self.start.map(|at| at.0),
                end_time: self.end.map(|at| at.0),
            }),
            group_by: self.group_by.0.into_iter().map(DimensionWord::wire).collect(),
            bucket: self.bucket.map_or(0, BucketWord::wire),
            utc_offset: self.utc_offset_minutes.map(offset),
            page_size: self.page_size,
            page_token: self.page_token,
        })
    }
}

/// The figures of all that matches, and of each mode.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptAnalytics)]
pub(crate) struct AnalyticsJson {
    summary: SummaryJson,
    by_mode: ByModeJson,
}

/// The figures of all that matches.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnalyticsSummary)]
pub(crate) struct SummaryJson {
    total_executions: i64,
    full_mode_prompts: i64,
    tracking_mode_prompts: i64,
    archived_prompts: i64,
    succeeded: i64,
    failed: i64,
    canceled: i64,
    /// Queued or running.
    unfinished: i64,
    prompt_tokens: i64,
    response_tokens: i64,
    /// Null where no execution has a cost.
    cost_usd: Option<UsdJson>,
    cost_nano_usd: Option<i64>,
    executions_without_cost: i64,
}

/// The figures of each mode; null where the filter leaves it out.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = AnalyticsByMode)]
pub(crate) struct ByModeJson {
    full: Option<FiguresJson>,
    tracking: Option<FiguresJson>,
}

/// The figures of several executions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Figures)]
pub(crate) struct FiguresJson {
    execution_count: i64,
    succeeded: i64,
    failed: i64,
    canceled: i64,
    /// Queued or running.
    unfinished: i64,
    /// Null where no execution has a latency.
    avg_latency_ms: Option<f64>,
    p50_latency_ms: Option<f64>,
    p95_latency_ms: Option<f64>,
    p99_latency_ms: Option<f64>,
    prompt_tokens: i64,
    response_tokens: i64,
    /// Null where no execution has a cost.
    cost_usd: Option<UsdJson>,
    cost_nano_usd: Option<i64>,
    executions_without_cost: i64,
}

macro_rules! figures {
    ($row:ident) => {
        FiguresJson {
            execution_count: $row.execution_count,
            succeeded: $row.succeeded,
            failed: $row.failed,
            canceled: $row.canceled,
            unfinished: $row.unfinished,
            avg_latency_ms: $row.avg_latency_ms,
            p50_latency_ms: $row.p50_latency_ms,
            p95_latency_ms: $row.p95_latency_ms,
            p99_latency_ms: $row.p99_latency_ms,
            prompt_tokens: $row.prompt_tokens,
            response_tokens: $row.response_tokens,
            cost_usd: $row.cost_nano_usd.map(UsdJson),
            cost_nano_usd: $row.cost_nano_usd,
            executions_without_cost: $row.executions_without_cost,
        }
    };
}

impl From<v1::GetPromptAnalyticsResponse> for AnalyticsJson {
    fn from(sent: v1::GetPromptAnalyticsResponse) -> Self {
        let mut by_mode = ByModeJson::default();
        for row in sent.by_mode {
            match ModeWord::of(row.mode) {
                Some(ModeWord::Full) => by_mode.full = Some(figures!(row)),
                Some(ModeWord::Tracking) => by_mode.tracking = Some(figures!(row)),
                None => {}
            }
        }
        let all = sent.summary.unwrap_or_default();
        let summary = SummaryJson {
            total_executions: all.total_executions,
            full_mode_prompts: all.full_mode_prompts,
            tracking_mode_prompts: all.tracking_mode_prompts,
            archived_prompts: all.archived_prompts,
            succeeded: all.succeeded,
            failed: all.failed,
            canceled: all.canceled,
            unfinished: all.unfinished,
            prompt_tokens: all.prompt_tokens,
            response_tokens: all.response_tokens,
            cost_usd: all.cost_nano_usd.map(UsdJson),
            cost_nano_usd: all.cost_nano_usd,
            executions_without_cost: all.executions_without_cost,
        };
        Self { summary, by_mode }
    }
}

/// A page of rows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePage)]
pub(crate) struct UsagePageJson {
    rows: Vec<UsageRowJson>,
    /// For the next page; null: this was the last.
    next_page_token: Option<String>,
}

/// The figures of one combination of what was asked to split by; what was not asked for is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub(crate) struct UsageRowJson {
    bucket_start: Option<TimeJson>,
    bucket_end: Option<TimeJson>,
    /// False: the time asked for begins or ends within the bucket.
    whole_bucket: Option<bool>,
    mode: Option<ModeWord>,
    prompt_name: Option<String>,
    version_number: Option<i32>,
    model: Option<ModelRefJson>,
    environment: Option<String>,
    status: Option<ExecutionStatusWord>,
    #[serde(flatten)]
    figures: FiguresJson,
}

impl From<v1::QueryUsageResponse> for UsagePageJson {
    fn from(sent: v1::QueryUsageResponse) -> Self {
        let row = |row: v1::UsageRow| UsageRowJson {
            figures: figures!(row),
            bucket_start: time(row.bucket_start),
            bucket_end: time(row.bucket_end),
            whole_bucket: row.whole_bucket,
            mode: row.mode.and_then(ModeWord::of),
            prompt_name: row.prompt_name,
            version_number: row.version_number,
            model: row.model.map(Into::into),
            environment: row.environment,
            status: row.status.and_then(ExecutionStatusWord::of),
        };
        Self { rows: sent.rows.into_iter().map(row).collect(), next_page_token: told(sent.next_page_token) }
    }
}
