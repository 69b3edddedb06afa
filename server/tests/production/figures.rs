//! Figures while several servers move executions into rollups.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_testkit::ledger::{Ledger, spec};

use crate::kit::Deployment;

async fn executions(server: &Ledger) -> i64 {
    let mut client = AnalyticsServiceClient::new(server.connection());
    let told = client.get_prompt_analytics(v1::GetPromptAnalyticsRequest::default()).await.unwrap().into_inner();
    told.summary.unwrap().total_executions
}

#[tokio::test]
async fn servers_move_what_is_old_and_the_figures_stay() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "hello").await;
    for _ in 0..3 {
        one.run(spec("greet", &[])).await;
    }
    // Time does not go by for a test; so what was moved by it begins anew.
    deployment.sql(
        "UPDATE executions SET created_at = created_at - interval '3 hours'; UPDATE usage_folded SET until = 'epoch'",
    );
    let moved = "SELECT coalesce(sum(executions), 0) FROM usage_rollups WHERE span = 60";
    while deployment.sql(moved).trim() != "6" {
        assert_eq!((executions(&one).await, executions(&two).await), (3, 3));
    }
    assert_eq!((executions(&one).await, executions(&two).await), (3, 3));
}
