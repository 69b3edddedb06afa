//! Figures while several servers move executions into rollups.

use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::{self, ExecutionMode, PromptMode, TimeBucket, UsageDimension, execution_spec};
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};

use crate::kit::{Deployment, ended, eventually, greet};

const BY_ALL: [UsageDimension; 6] = [
    UsageDimension::Mode,
    UsageDimension::Prompt,
    UsageDimension::Version,
    UsageDimension::Model,
    UsageDimension::Environment,
    UsageDimension::Status,
];

/// How many executions were rolled up, by version and by project, and how many are open.
const MOVED: &str = "
    SELECT (SELECT coalesce(sum(executions), 0) FROM usage_rollups WHERE span = 60), count(*) FROM usage_open_executions";

/// All figures that a server returns.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    overview: v1::GetPromptAnalyticsResponse,
    rows: Vec<v1::UsageRow>,
    histories: [v1::GetPromptHistoryResponse; 2],
}

async fn usage(server: &Ledger, group_by: &[UsageDimension], bucket: TimeBucket) -> Vec<v1::UsageRow> {
    let group_by = group_by.iter().map(|of| (*of).into()).collect();
    let request = v1::QueryUsageRequest { group_by, bucket: bucket.into(), ..v1::QueryUsageRequest::default() };
    AnalyticsServiceClient::new(server.connection()).query_usage(request).await.unwrap().into_inner().rows
}

/// The history of a prompt, checked against its pages of one version each.
async fn history(server: &Ledger, name: &str) -> v1::GetPromptHistoryResponse {
    let whole = v1::GetPromptHistoryRequest { name: name.into(), ..v1::GetPromptHistoryRequest::default() };
    let whole = server.registry().get_prompt_history(whole).await.unwrap().into_inner();
    let mut page_token = String::new();
    for version in &whole.versions {
        let page = v1::GetPromptHistoryRequest { name: name.into(), mode: 0, page_size: 1, page_token };
        let page = server.registry().get_prompt_history(page).await.unwrap().into_inner();
        assert_eq!(&page.versions, std::slice::from_ref(version));
        page_token = page.next_page_token;
    }
    assert_eq!(page_token, "");
    whole
}

async fn told(server: &Ledger) -> Told {
    let mut client = AnalyticsServiceClient::new(server.connection());
    Told {
        overview: client.get_prompt_analytics(v1::GetPromptAnalyticsRequest::default()).await.unwrap().into_inner(),
        rows: usage(server, &BY_ALL, TimeBucket::Hour).await,
        histories: [history(server, "code").await, history(server, "greet").await],
    }
}

fn counts(history: &v1::GetPromptHistoryResponse) -> Vec<(i32, Option<i64>)> {
    history.versions.iter().map(|version| (version.version_number, version.execution_count)).collect()
}

/// Asserts that the figures are those of these ended executions, and of so many unfinished ones.
fn adds_up(told: &Told, ended: &[v1::Execution], unfinished: i64) {
    let [full, tracking] = &told.overview.by_mode[..] else { panic!("{told:?}") };
    for (figures, mode, unfinished) in [(full, PromptMode::Full, 0), (tracking, PromptMode::Tracking, unfinished)] {
        let of: Vec<_> = ended.iter().filter(|of| of.prompt_mode() == mode).collect();
        let with = |status| i64::try_from(of.iter().filter(|of| of.status() == status).count()).unwrap();
        let (succeeded, failed) = (with(v1::ExecutionStatus::Succeeded), with(v1::ExecutionStatus::Failed));
        let tokens = |tokens: fn(&v1::Execution) -> Option<i32>| {
            of.iter().filter_map(|of| tokens(of)).map(i64::from).sum::<i64>()
        };
        let costs: Vec<_> = of.iter().filter_map(|of| of.cost_nano_usd).collect();
        let latencies: Vec<_> = of.iter().filter_map(|of| of.latency_ms).collect();
        let latency_sum = f64::from(latencies.iter().sum::<i32>());
        let count = succeeded + failed + unfinished;
        let expected = v1::ModeAnalytics {
            mode: mode.into(),
            execution_count: count,
            succeeded,
            failed,
            canceled: 0,
            unfinished,
            avg_latency_ms: Some(latency_sum / f64::from(u32::try_from(latencies.len()).unwrap())),
            prompt_tokens: tokens(|of| of.prompt_tokens),
            response_tokens: tokens(|of| of.response_tokens),
            cost_nano_usd: Some(costs.iter().sum()),
            executions_without_cost: count - i64::try_from(costs.len()).unwrap(),
            ..*figures
        };
        assert_eq!(*figures, expected);
        assert!(expected.prompt_tokens > 0 && expected.cost_nano_usd > Some(0), "{expected:?}");
    }
}

#[tokio::test]
async fn servers_move_what_is_old_and_every_figure_stays() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    let _worker = deployment.worker().await;
    let code = || spec("code", &[]);
    one.active("greet", "hello").await;
    one.carry(vec![carried("code", "one")]).await;
    let mut over = vec![one.run(greet()).await, one.execute_code(code(), ExecutionMode::Sync).await];
    one.carry(vec![carried("code", "two")]).await;
    let queued = one.execute_code(code(), ExecutionMode::Async).await;
    over.push(ended(&one, &queued.execution_id).await);
    deployment.model.next(Reply::status(400, "no"));
    over.push(one.execute_code(code(), ExecutionMode::Sync).await);
    let gate = Gate::new();
    deployment.model.next(Reply::answer("late").held(&gate));
    let held = one.execute_code(code(), ExecutionMode::Async).await;
    deployment.model.wait_for_calls(5).await;

    let mut before = told(&one).await;
    adds_up(&before, &over, 1);
    assert_eq!(before.histories.each_ref().map(counts), [vec![(2, Some(3)), (1, Some(1))], vec![(1, Some(1))]]);
    // Time does not pass in a test: executions become three hours older, and are rolled up from the beginning.
    deployment.sql(
        "UPDATE executions SET created_at = created_at - interval '3 hours'; UPDATE usage_rolled_up SET until = 'epoch'",
    );
    for row in &mut before.rows {
        for bound in [&mut row.bucket_start, &mut row.bucket_end] {
            bound.as_mut().unwrap().seconds -= 3 * 3_600;
        }
    }
    let stay = async |expected: &Told, moved: &str| {
        eventually("executions to be moved", async || {
            let over = deployment.sql(MOVED).trim() == moved;
            for server in [&one, &two] {
                assert_eq!(told(server).await, *expected);
            }
            over
        })
        .await;
    };
    stay(&before, "8|1").await;

    gate.open();
    over.push(ended(&two, &held.execution_id).await);
    let after = told(&one).await;
    adds_up(&after, &over, 0);
    assert_eq!(after.histories, before.histories);
    stay(&after, "10|0").await;
}

#[tokio::test]
async fn executions_are_of_the_minute_the_hour_and_the_day_that_they_were_created_in_by_utc() {
    let deployment = Deployment::new().await;
    let server = deployment.server().await;
    let mut sql = "UPDATE usage_rolled_up SET until = 'epoch'".to_owned();
    for (text, at) in [("one", "2024-02-29 23:59:59.999999Z"), ("two", "2024-03-01 00:00:00Z")] {
        let hash = server.carry(vec![carried("code", text)]).await.remove(0).checksum_hash;
        let selector = Some(execution_spec::Selector::ChecksumHash(hash));
        let ran = server.execute_code(v1::ExecutionSpec { selector, ..spec("code", &[]) }, ExecutionMode::Sync).await;
        sql += &format!("; UPDATE executions SET created_at = '{at}' WHERE id = '{}'", ran.execution_id);
    }
    deployment.sql(&sql);
    let march = 1_709_251_200;
    let are_split = async || {
        for (bucket, before) in [(TimeBucket::Minute, 60), (TimeBucket::Hour, 3_600), (TimeBucket::Day, 86_400)] {
            for by_version in [false, true] {
                let by: &[_] = if by_version { &[UsageDimension::Version] } else { &[] };
                let rows = usage(&server, by, bucket).await;
                let found = rows.iter().map(|row| (row.bucket_start.unwrap(), row.version_number, row.execution_count));
                let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
                let number = |number| by_version.then_some(number);
                let expected = [(at(march - before), number(1), 1), (at(march), number(2), 1)];
                assert_eq!(found.collect::<Vec<_>>(), expected, "{bucket:?}");
            }
        }
        let rows = usage(&server, &[UsageDimension::Version], TimeBucket::Unspecified).await;
        let found: Vec<_> = rows.iter().map(|row| (row.version_number, row.execution_count)).collect();
        assert_eq!(found, [(Some(1), 1), (Some(2), 1)]);
    };
    are_split().await;
    eventually("executions to be moved", async || deployment.sql(MOVED).trim() == "4|0").await;
    are_split().await;
}
