//! Figures over executions, and the cost of executions.

use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::{self, GetPromptAnalyticsRequest, QueryUsageRequest, UsageDimension, UsageFilters};
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Connection, Ledger, Metadata, carried, spec};
use serde_json::json;
use tonic::Code;

use super::{ledger, ledger_with_model, refused, wrong_fields};

fn client(ledger: &Ledger) -> AnalyticsServiceClient<Connection> {
    AnalyticsServiceClient::new(ledger.connection())
}

pub(crate) async fn overview(ledger: &Ledger, request: GetPromptAnalyticsRequest) -> v1::GetPromptAnalyticsResponse {
    client(ledger).get_prompt_analytics(request).await.unwrap().into_inner()
}

pub(crate) async fn usage(ledger: &Ledger, request: QueryUsageRequest) -> Vec<v1::UsageRow> {
    client(ledger).query_usage(request).await.unwrap().into_inner().rows
}

pub(crate) fn by(dimensions: &[UsageDimension]) -> QueryUsageRequest {
    QueryUsageRequest { group_by: dimensions.iter().map(|of| (*of).into()).collect(), ..Default::default() }
}

/// Two executions that succeed, and one of another prompt that fails.
async fn three(ledger: &Ledger, model: &prompt_ledger_testkit::fake_model::FakeModel) -> [v1::Execution; 3] {
    ledger.active("greet", "hello").await;
    ledger.active("ask", "hello").await;
    let first = ledger.run(spec("greet", &[])).await;
    let second = ledger.run(v1::ExecutionSpec { environment: "prod".into(), ..spec("greet", &[]) }).await;
    model.next(Reply::status(400, "no"));
    let third = ledger.run(spec("ask", &[])).await;
    [first, second, third]
}

#[tokio::test]
async fn an_overview_has_both_modes_and_their_sum() {
    let (ledger, model) = ledger_with_model().await;
    let [first, second, third] = three(&ledger, &model).await;
    ledger.active("old", "hello").await;
    let archive = v1::ArchivePromptRequest { name: "old".into(), etag: None, ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(archive).await.unwrap();
    let told = overview(&ledger, GetPromptAnalyticsRequest::default()).await;
    let summary = told.summary.unwrap();
    assert_eq!((summary.full_mode_prompts, summary.tracking_mode_prompts, summary.archived_prompts), (2, 0, 1));
    assert_eq!((summary.total_executions, summary.succeeded, summary.failed), (3, 2, 1));
    assert_eq!((summary.canceled, summary.unfinished), (0, 0));
    let tokens = |of: fn(&v1::Execution) -> Option<i32>| -> i64 {
        [&first, &second, &third].into_iter().filter_map(of).map(i64::from).sum()
    };
    assert_eq!(summary.prompt_tokens, tokens(|of| of.prompt_tokens));
    assert_eq!(summary.response_tokens, tokens(|of| of.response_tokens));
    let costs = [&first, &second, &third].map(|of| of.cost_nano_usd);
    assert_eq!(summary.cost_nano_usd, Some(costs.iter().flatten().sum()));
    assert_eq!(summary.executions_without_cost, i64::try_from(costs.iter().filter(|c| c.is_none()).count()).unwrap());
    let modes: Vec<_> = told.by_mode.iter().map(|mode| (mode.mode(), mode.execution_count)).collect();
    assert_eq!(modes, [(v1::PromptMode::Full, 3), (v1::PromptMode::Tracking, 0)]);
    let latencies: Vec<_> = [&first, &second, &third].iter().filter_map(|of| of.latency_ms).map(f64::from).collect();
    let count = f64::from(u32::try_from(latencies.len()).unwrap());
    assert_eq!(told.by_mode[0].avg_latency_ms, Some(latencies.iter().sum::<f64>() / count));
    let p99 = told.by_mode[0].p99_latency_ms.unwrap();
    let slowest = latencies.iter().copied().fold(0.0, f64::max);
    assert!((p99 - slowest).abs() <= 0.02 * slowest, "{p99} of {latencies:?}");
    let nothing = &told.by_mode[1];
    assert_eq!((nothing.avg_latency_ms, nothing.p50_latency_ms, nothing.cost_nano_usd), (None, None, None));
}

#[tokio::test]
async fn summary_and_modes_follow_the_filter() {
    let (ledger, model) = ledger_with_model().await;
    let [first, second, _] = three(&ledger, &model).await;
    let tracking = GetPromptAnalyticsRequest { mode: v1::PromptMode::Tracking.into(), ..Default::default() };
    let told = overview(&ledger, tracking).await;
    let summary = told.summary.unwrap();
    assert_eq!((summary.total_executions, summary.full_mode_prompts, summary.cost_nano_usd), (0, 0, None));
    assert_eq!((told.by_mode.len(), told.by_mode[0].mode()), (1, v1::PromptMode::Tracking));
    for (start_time, end_time, count) in [
        (second.created_at, None, 2),
        (None, second.created_at, 1),
        (first.created_at, second.created_at, 1),
        (second.created_at, second.created_at, 0),
    ] {
        let request = GetPromptAnalyticsRequest { start_time, end_time, ..Default::default() };
        let told = overview(&ledger, request).await;
        assert_eq!((told.summary.unwrap().total_executions, told.by_mode[0].execution_count), (count, count));
    }
}

#[tokio::test]
async fn usage_is_split_by_what_was_asked_for_and_nothing_else() {
    let (ledger, model) = ledger_with_model().await;
    let [first, ..] = three(&ledger, &model).await;
    let whole = usage(&ledger, QueryUsageRequest::default()).await;
    assert_eq!(whole.len(), 1);
    assert_eq!((whole[0].execution_count, whole[0].succeeded, whole[0].failed), (3, 2, 1));
    assert_eq!((whole[0].bucket_start, whole[0].mode, &whole[0].prompt_name), (None, None, &None));
    let rows = usage(&ledger, by(&[UsageDimension::Prompt])).await;
    let prompts: Vec<_> = rows.iter().map(|row| (row.prompt_name.as_deref(), row.execution_count)).collect();
    assert_eq!(prompts, [(Some("ask"), 1), (Some("greet"), 2)]);
    let rows = usage(&ledger, by(&[UsageDimension::Environment, UsageDimension::Status])).await;
    let found: Vec<_> = rows.iter().map(|row| (row.environment.as_deref(), row.status())).collect();
    let (failed, succeeded) = (v1::ExecutionStatus::Failed, v1::ExecutionStatus::Succeeded);
    assert_eq!(found, [(Some("dev"), failed), (Some("dev"), succeeded), (Some("prod"), succeeded)]);
    let everything =
        by(&[UsageDimension::Mode, UsageDimension::Version, UsageDimension::Model, UsageDimension::Environment]);
    let everything = QueryUsageRequest { bucket: v1::TimeBucket::Hour.into(), ..everything };
    // An hour may have begun meanwhile: rows are sorted by it first.
    let rows = usage(&ledger, everything).await;
    let row = rows.into_iter().rfind(|row| row.prompt_name.as_deref() == Some("greet")).unwrap();
    assert_eq!(row.mode(), v1::PromptMode::Full);
    assert_eq!((row.version_number, row.model, row.status), (Some(1), first.model, None));
    assert_eq!(row.bucket_start.unwrap().seconds % 3_600, 0);
}

fn ahead(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

#[tokio::test]
async fn a_row_says_when_its_bucket_ends_and_whether_it_is_the_whole_of_it() {
    let (ledger, model) = ledger_with_model().await;
    let [_, second, _] = three(&ledger, &model).await;
    let at = second.created_at.unwrap();
    let whole = usage(&ledger, QueryUsageRequest::default()).await;
    assert_eq!((whole[0].bucket_end, whole[0].whole_bucket), (None, None));
    for (bucket, length) in [(v1::TimeBucket::Hour, 3_600), (v1::TimeBucket::Day, 86_400)] {
        for offset in [0, 19_800, -12_600] {
            let start = at.seconds - (at.seconds + offset).rem_euclid(length);
            let round = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
            for (start_time, end_time, is_whole) in [
                (None, None, true),
                (round(start), round(start + length), true),
                (second.created_at, None, false),
                (None, Some(prost_types::Timestamp { nanos: at.nanos + 1_000, ..at }), false),
            ] {
                let filters = Some(UsageFilters { start_time, end_time, ..Default::default() });
                let utc_offset = ahead(offset, 0);
                let request = QueryUsageRequest { bucket: bucket.into(), utc_offset, filters, ..Default::default() };
                let rows = usage(&ledger, request).await;
                let row = rows.iter().find(|row| row.bucket_start == round(start)).unwrap();
                assert_eq!((row.bucket_end, row.whole_bucket), (round(start + length), Some(is_whole)), "{offset}");
            }
        }
    }
}

#[tokio::test]
async fn usage_is_filtered_and_paged() {
    let (ledger, model) = ledger_with_model().await;
    let [first, second, _] = three(&ledger, &model).await;
    ledger.carry(vec![carried("code", "hello")]).await;
    ledger.run_code(v1::ExecutionSpec { environment: "code".into(), ..spec("code", &[]) }).await;
    let counted = async |filters: UsageFilters| {
        let rows = usage(&ledger, QueryUsageRequest { filters: Some(filters), ..Default::default() }).await;
        rows.iter().map(|row| row.execution_count).sum::<i64>()
    };
    let any = UsageFilters::default;
    let of = |provider: &str, model: &str| Some(v1::ModelRef { provider: provider.into(), model_name: model.into() });
    for (filters, count) in [
        (any(), 4),
        (UsageFilters { prompt_name: "greet".into(), ..any() }, 2),
        (UsageFilters { prompt_name: "absent".into(), ..any() }, 0),
        (UsageFilters { prompt_name: "greet".into(), version_number: Some(1), ..any() }, 2),
        (UsageFilters { prompt_name: "greet".into(), version_number: Some(2), ..any() }, 0),
        (UsageFilters { environment: "prod".into(), ..any() }, 1),
        (UsageFilters { environment: "code".into(), ..any() }, 1),
        (UsageFilters { model: of("openai", ""), ..any() }, 4),
        (UsageFilters { model: of("openai", "absent"), ..any() }, 0),
        (UsageFilters { mode: v1::PromptMode::Full.into(), ..any() }, 3),
        (UsageFilters { mode: v1::PromptMode::Tracking.into(), ..any() }, 1),
        (UsageFilters { start_time: second.created_at, ..any() }, 3),
        (UsageFilters { end_time: second.created_at, ..any() }, 1),
        (UsageFilters { start_time: first.created_at, end_time: second.created_at, ..any() }, 1),
        (UsageFilters { start_time: second.created_at, end_time: second.created_at, ..any() }, 0),
    ] {
        assert_eq!(counted(filters.clone()).await, count, "{filters:?}");
    }
    let first = QueryUsageRequest { page_size: 2, ..by(&[UsageDimension::Prompt]) };
    let page = client(&ledger).query_usage(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.rows.iter().map(v1::UsageRow::prompt_name).collect::<Vec<_>>(), ["ask", "code"]);
    let next = QueryUsageRequest { page_token: page.next_page_token.clone(), ..first.clone() };
    let last = client(&ledger).query_usage(next).await.unwrap().into_inner();
    assert_eq!((last.rows[0].prompt_name.as_deref(), &*last.next_page_token), (Some("greet"), ""));
    let other = QueryUsageRequest { page_token: page.next_page_token, ..by(&[UsageDimension::Status]) };
    refused(client(&ledger).query_usage(other).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused_by_its_field() {
    let ledger = ledger().start().await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let backwards = GetPromptAnalyticsRequest { start_time: at(2), end_time: at(1), ..Default::default() };
    assert_eq!(wrong_fields(client(&ledger).get_prompt_analytics(backwards).await), ["end_time"]);
    let unknown = GetPromptAnalyticsRequest { mode: 9, ..Default::default() };
    assert_eq!(wrong_fields(client(&ledger).get_prompt_analytics(unknown).await), ["mode"]);
    let any = QueryUsageRequest::default;
    let with = |filters: UsageFilters| QueryUsageRequest { filters: Some(filters), ..any() };
    let model = |provider: &str, model: &str| {
        let model = v1::ModelRef { provider: provider.into(), model_name: model.into() };
        with(UsageFilters { model: Some(model), ..Default::default() })
    };
    for (request, field) in [
        (with(UsageFilters { start_time: at(2), end_time: at(1), ..Default::default() }), "filters.end_time"),
        (with(UsageFilters { start_time: at(i64::MAX), ..Default::default() }), "filters.start_time"),
        (with(UsageFilters { version_number: Some(1), ..Default::default() }), "filters.version_number"),
        (with(UsageFilters { prompt_name: "a b".into(), ..Default::default() }), "filters.prompt_name"),
        (with(UsageFilters { environment: "a b".into(), ..Default::default() }), "filters.environment"),
        (with(UsageFilters { mode: 9, ..Default::default() }), "filters.mode"),
        (model("", "m"), "filters.model.provider"),
        (model("echo", &"m".repeat(256)), "filters.model.model_name"),
        (QueryUsageRequest { group_by: vec![1, 0], ..any() }, "group_by[1]"),
        (QueryUsageRequest { group_by: vec![99], ..any() }, "group_by[0]"),
        (QueryUsageRequest { group_by: vec![2, 3, 2], ..any() }, "group_by[2]"),
        (QueryUsageRequest { bucket: 99, ..any() }, "bucket"),
        (QueryUsageRequest { utc_offset: ahead(18 * 3_600 + 60, 0), ..any() }, "utc_offset"),
        (QueryUsageRequest { utc_offset: ahead(-7_201, 0), ..any() }, "utc_offset"),
        (QueryUsageRequest { utc_offset: ahead(60, 1), ..any() }, "utc_offset"),
        (QueryUsageRequest { utc_offset: ahead(i64::MIN, 0), ..any() }, "utc_offset"),
        (QueryUsageRequest { page_size: -1, ..any() }, "page_size"),
    ] {
        assert_eq!(wrong_fields(client(&ledger).query_usage(request.clone()).await), [field], "{request:?}");
    }
    let mut nobody = AnalyticsServiceClient::new(ledger.connection_with(Metadata::none()));
    refused(nobody.query_usage(any()).await, Code::Unauthenticated, "KEY_MISSING");
}

#[tokio::test]
async fn a_price_holds_from_its_moment_and_cached_input_has_its_own() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let price = |input, cached, output, valid_from| v1::ModelPrice {
        input_nano_usd_per_million: input,
        cached_input_nano_usd_per_million: cached,
        output_nano_usd_per_million: output,
        valid_from,
        ..Default::default()
    };
    let put = async |price| {
        let request = v1::PutModelRequest {
            provider: "openai".into(),
            model_name: "mine".into(),
            price: Some(price),
            ..Default::default()
        };
        ledger.registry().put_model(request).await.unwrap().into_inner().model.unwrap().prices
    };
    let run = async || {
        let which = Some(v1::ModelRef { provider: "openai".into(), model_name: "mine".into() });
        ledger.run(v1::ExecutionSpec { model: which, ..spec("greet", &[]) }).await
    };
    let (past, future) = (prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 }, 4_000_000_000);
    // Eleven prompt tokens, `cached` of them cached, and three response tokens.
    let told = |cached: i32| {
        let usage =
            json!({"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": cached}});
        let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "two"}});
        Reply::json(&json!({"id": "r", "model": "mine", "choices": [choice], "usage": usage}))
    };
    // Without a price there is no cost; a self-hosted model server takes any model.
    let free = run().await;
    assert_eq!((free.cost_nano_usd, &*free.price_id), (None, ""));
    let prices = put(price(1_000_000, Some(500_000), 2_000_000, Some(past))).await;
    let later = prost_types::Timestamp { seconds: future, nanos: 0 };
    assert_eq!(put(price(9_000_000, None, 9_000_000, Some(later))).await.len(), 2);
    model.next(told(4));
    let paid = run().await;
    // (11 - 4) * 1 + 4 * 0.5 + 3 * 2 nano-dollars.
    assert_eq!((paid.cost_nano_usd, &paid.price_id), (Some(15), &prices[0].price_id));
    model.next(told(3));
    // 8 + 1.5 + 6, half up.
    assert_eq!(run().await.cost_nano_usd, Some(16));
    let row = usage(&ledger, by(&[UsageDimension::Model])).await.remove(0);
    assert_eq!((row.cost_nano_usd, row.executions_without_cost, row.execution_count), (Some(31), 1, 3));
    // Of eleven prompt tokens two are written to the cache for 5 minutes, four for an hour.
    put(v1::ModelPrice {
        cache_write_5m_nano_usd_per_million: Some(1_500_000),
        cache_write_1h_nano_usd_per_million: Some(3_000_000),
        ..price(1_000_000, None, 2_000_000, None)
    })
    .await;
    let mut reply = json!({"model": "mine", "choices": [{"message": {"content": "two"}, "finish_reason": "stop"}]});
    reply["usage"] = json!({"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {
        "cache_creation_tokens": 6,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4},
    }});
    model.next(Reply::json(&reply));
    let written = run().await;
    // 5 * 1 + 2 * 1.5 + 4 * 3 + 3 * 2 nano-dollars.
    assert_eq!(written.cost_nano_usd, Some(26));
    let counts = (written.cached_prompt_tokens, written.cache_write_5m_tokens, written.cache_write_1h_tokens);
    assert_eq!((written.prompt_tokens, counts), (Some(11), (None, Some(2), Some(4))));
    let told = written.attempt_log[0].usage.unwrap();
    assert_eq!((told.cache_write_5m_tokens, told.cache_write_1h_tokens), (Some(2), Some(4)));
}

/// Registers a model with this price; returns the spec of an execution of `greet` by it.
async fn priced(ledger: &Ledger, input: i64, output: i64) -> v1::ExecutionSpec {
    let which = v1::ModelRef { provider: "openai".into(), model_name: "mine".into() };
    ledger.priced(&which, input, output).await;
    ledger.active("greet", "hello").await;
    v1::ExecutionSpec { model: Some(which), ..spec("greet", &[]) }
}

#[tokio::test]
async fn what_a_model_does_not_tell_is_absent_and_costs_nothing_that_is_known() {
    let (ledger, model) = ledger_with_model().await;
    let sent = priced(&ledger, 1_000_000, 2_000_000).await;
    for stream_text in [false, true] {
        model.next(Reply::answer("x").without_usage());
        let ran = ledger.run(v1::ExecutionSpec { stream_text: Some(stream_text), ..sent.clone() }).await;
        assert_eq!((ran.status(), &*ran.response_text), (v1::ExecutionStatus::Succeeded, "x"));
        assert_eq!((ran.prompt_tokens, ran.response_tokens), (None, None));
        assert_eq!((ran.cost_nano_usd, &*ran.price_id, &ran.attempt_log[0].usage), (None, "", &None));
    }
    let summary = overview(&ledger, GetPromptAnalyticsRequest::default()).await.summary.unwrap();
    assert_eq!((summary.cost_nano_usd, summary.executions_without_cost), (None, 2));
    assert_eq!((summary.prompt_tokens, summary.response_tokens), (0, 0));
    let paid = ledger.run(sent).await;
    let row = usage(&ledger, QueryUsageRequest::default()).await.remove(0);
    assert_eq!((row.cost_nano_usd, row.executions_without_cost), (paid.cost_nano_usd, 2));
    assert_eq!(row.prompt_tokens, i64::from(paid.prompt_tokens.unwrap()));
}

#[tokio::test]
async fn a_cost_is_exact_as_long_as_it_can_be_told() {
    let (ledger, model) = ledger_with_model().await;
    let sent = priced(&ledger, 4_000_000_000_000_000_000, 4_000_000_000_000_000_000).await;
    let run = async |prompt: i32, response: i32| {
        let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}});
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": response});
        model.next(Reply::json(&json!({"id": "r", "model": "mine", "choices": [choice], "usage": usage})));
        ledger.run(sent.clone()).await.cost_nano_usd
    };
    let told = async || {
        let summary = overview(&ledger, GetPromptAnalyticsRequest::default()).await.summary.unwrap();
        let row = usage(&ledger, QueryUsageRequest::default()).await.remove(0);
        assert_eq!(
            (row.cost_nano_usd, row.executions_without_cost),
            (summary.cost_nano_usd, summary.executions_without_cost)
        );
        (summary.cost_nano_usd, summary.executions_without_cost)
    };
    let most = 8_000_000_000_000_000_000;
    assert_eq!(run(1_000_000, 1_000_000).await, Some(most));
    assert_eq!(told().await, (Some(most), 0));
    assert_eq!(run(2_000_000, 1_000_000).await, None);
    assert_eq!(told().await, (Some(most), 1));
    assert_eq!(run(1_000_000, 1_000_000).await, Some(most));
    assert_eq!(told().await, (Some(i64::MAX), 1));
}
